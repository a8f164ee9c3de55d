package syntax

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy/http1"
)

func TestHostProblem(t *testing.T) {
	for name, want := range map[string]string{
		"a":                              "",
		"a.example.com":                  "",
		"*.example.com":                  "",
		"xn--bcher-kva.example":          "",
		"1.example.com":                  "",
		"1.2.3":                          "",
		strings.Repeat("a", 63) + ".b":   "",
		"":                               "empty",
		"*":                              "first label",
		"*a.com":                         "first label",
		"a.*.com":                        "first label",
		"*.*.com":                        "first label",
		"A.com":                          "lower-case",
		"a.com.":                         "lower-case",
		".a.com":                         "lower-case",
		"a..com":                         "lower-case",
		"-a.com":                         "lower-case",
		"a-.com":                         "lower-case",
		"a_b.com":                        "lower-case",
		"a.com:80":                       "lower-case",
		"a.com/x":                        "lower-case",
		"bücher.example":                 "lower-case",
		"*.":                             "lower-case",
		"127.0.0.1":                      "IP address",
		strings.Repeat("a", 64):          "lower-case",
		strings.Repeat("a.", 126) + "ab": "longer",
		"::1":                            "lower-case",
	} {
		check(t, name, HostProblem(name), want)
	}
	check(t, "*.a", PreciseHostProblem("*.a"), "wildcard")
}

func TestPathProblem(t *testing.T) {
	for path, want := range map[string]string{
		"/": "", "/a": "", "/a/": "", "/a.b/..c/.d": "", "/%20": "", "/a;b=c@:!$&'()*+,": "", "/...": "",
		"": "begin", "a": "begin", "//": "//", "/a//b": "//", "/./": "/./", "/../": "/../", "/a/..": "ends", "/a/.": "ends",
		"/%2f": "%2F", "/%2F": "%2F", "/%": "hexadecimal", "/%2": "hexadecimal", "/%zz": "hexadecimal", "/%+1": "hexadecimal",
		"/a/%2e%2E/b": "/../", "/%2e": "ends", "/a b": "character", "/\x00": "character", "/a#b": "character", "/a?b": "character",
	} {
		check(t, path, PathProblem(path), want)
	}
}

func TestPathIsBroughtIntoTheFormOfRequests(t *testing.T) {
	for path, want := range map[string]string{
		"/%7euser": "/~user", "/%41%62": "/Ab", "/caf%c3%a9": "/caf%C3%A9", "/café": "/caf%C3%A9", "/a%20b%3b": "/a%20b%3B", "/a/b~": "/a/b~",
	} {
		if got, problem := Path(path); got != want || problem != "" {
			t.Errorf("%q is %q, %q, want %q", path, got, problem, want)
		}
	}
}

// FuzzPath: a path is brought into the form that a request's own parser gives it.
func FuzzPath(f *testing.F) {
	for _, path := range []string{"/%7Euser/é/%2e", "/%7Euser/é/%2E.", "/a%3bb%20", "/a%5c..", "/a;b=1", "/%00", "/a\\b", "/caf%c3%A9"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		normal, problem := Path(path)
		if problem != "" {
			return
		}
		if again, problem := Path(normal); again != normal || problem != "" {
			t.Errorf("%q is %q, and that %q, %q", path, normal, again, problem)
		}
		for _, text := range []string{path, normal} {
			r, err := http1.ParseRequest([]byte("GET "+text+" HTTP/1.1\r\nHost: h\r\n\r\n"), http1.Limits{})
			if err == nil && string(r.Path) != normal {
				t.Errorf("%q is %q in an object, and %q in a request for %q", path, normal, r.Path, text)
			}
		}
	})
}

func TestTokenAndValueProblem(t *testing.T) {
	check(t, "ok", TokenProblem("X-A_b!#$%&'*+-.^`|~9"), "")
	for _, bad := range []string{"", "a b", "a:", "é", "a\r\n", "a\x00", "(", strings.Repeat("a", 300)} {
		if TokenProblem(bad) == "" {
			t.Errorf("%q is taken for a token", bad)
		}
	}
	check(t, "ok", ValueProblem("a\tb é"), "")
	for _, bad := range []string{"a\r\n", "\x00", "\x7f", " a", "a\t"} {
		if ValueProblem(bad) == "" {
			t.Errorf("%q is taken for a value", bad)
		}
	}
}

func TestDuration(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"0s": 0, "10s": 10 * time.Second, "1h30m": 90 * time.Minute, "1h2m3s4ms": time.Hour + 2*time.Minute + 3*time.Second + 4*time.Millisecond,
		"99999h": 99999 * time.Hour, "5m5m": 10 * time.Minute,
	} {
		if got, err := Duration(s); err != nil || got != want {
			t.Errorf("%q is %v, %v, want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"", "1", "s", "1.5s", "-1s", "+1s", "100000s", "1us", "1ns", "1d", "1h1h1h1h1h", " 1s", "1s ", "1 s", "1µs"} {
		if got, err := Duration(s); err == nil {
			t.Errorf("%q is taken for %v", s, got)
		}
	}
}

// FuzzDuration: durations are what the expression in GEP-2257 says, and as long as the standard library says.
func FuzzDuration(f *testing.F) {
	for _, s := range []string{"1h30m", "00001ms", "00001ms99999h1s1m", "1s1s1s1s1s", "100000h"} {
		f.Add(s)
	}
	expression := regexp.MustCompile(`^([0-9]{1,5}(h|m|s|ms)){1,4}$`)
	f.Fuzz(func(t *testing.T, s string) {
		got, err := Duration(s)
		want, _ := time.ParseDuration(s)
		if (err == nil) != expression.MatchString(s) || err == nil && got != want {
			t.Errorf("%q is %v, %v, want %v", s, got, err, want)
		}
	})
}

func check(t *testing.T, name, got, want string) {
	t.Helper()
	if (got == "") != (want == "") || !strings.Contains(got, want) {
		t.Errorf("%q: %q, want %q", name, got, want)
	}
}

func TestQuote(t *testing.T) {
	for value, want := range map[string]string{
		`a"b`:                     `"a\"b"`,
		strings.Repeat("ä", 200):  `"` + strings.Repeat("ä", 200) + `"`,
		strings.Repeat("ä", 1000): `"` + strings.Repeat("ä", 200) + `"...`,
	} {
		if got := Quote(value); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
