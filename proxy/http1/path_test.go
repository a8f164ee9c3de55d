package http1

import (
	"bytes"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
)

func origin(target string) string { return lines("GET "+target+" HTTP/1.1", "Host: h") }

func TestRFC9112Section3OriginForm(t *testing.T) {
	runHeads(t, Limits{}, []headCase{
		accepts("query", origin("/a?b=c&d"), "GET h h /a?b=c&d 1.1 | keep |"),
		accepts("empty query", origin("/a?"), "GET h h /a? 1.1 | keep |"),
		accepts("query is left alone", origin("/?/../%2e%zz%00?//a\\|"), "GET h h /?/../%2e%zz%00?//a\\| 1.1 | keep |"),
		accepts("question mark encoded in path", origin("/a%3fb"), "GET h h /a%3Fb 1.1 | keep |"),
		refuses("fragment", origin("/a#b"), errTarget),
		refuses("empty fragment", origin("/a#"), errTarget),
		refuses("fragment behind query", origin("/a?b#c"), errTarget),
		refuses("backslash", origin(`/a\b`), errTarget),
		refuses("high byte in path", origin("/\xc3\xa9"), errTarget),
		refuses("high byte in query", origin("/?\xc3\xa9"), errTarget),
		refuses("NUL in path", origin("/\x00"), errTarget),
		refuses("NUL in query", origin("/?\x00"), errTarget),
		refuses("DEL in path", origin("/\x7f"), errTarget),
		refuses("DEL behind an escape", origin("/%41\x7f"), errTarget),
	})
}

func TestRFC3986Section6PathNormalForm(t *testing.T) {
	for _, c := range []struct{ name, path, want string }{
		{"root", "/", "/"},
		{"plain", "/a/b", "/a/b"},
		{"final slash stays", "/a/b/", "/a/b/"},
		{"case stays", "/A/b", "/A/b"},
		{"sub-delims stay", "/!$&'()*+,;=:@", "/!$&'()*+,;=:@"},
		{"others that clients send stay", "/\"<>^`{|}[]", "/\"<>^`{|}[]"},

		{"6.2.2.2 letters are decoded", "/%61%7A%41%5a", "/azAZ"},
		{"6.2.2.2 digits are decoded", "/%30%39", "/09"},
		{"6.2.2.2 marks are decoded", "/a%2d%2E%5f%7eb", "/a-._~b"},
		{"6.2.2.2 once only", "/%2561", "/%2561"},
		{"6.2.2.1 other escapes get upper case", "/%2f%3a%c3%aF%5b", "/%2F%3A%C3%AF%5B"},
		{"space stays encoded", "/a%20b", "/a%20b"},
		{"percent stays encoded", "/%25", "/%25"},
		{"hash and question mark stay encoded", "/%23%3f", "/%23%3F"},
		{"encoded backslash stays", "/a%5cb", "/a%5Cb"},
		{"encoded slash stays", "/a%2fb", "/a%2Fb"},
		{"high bytes stay encoded", "/%e2%84%aa%ff%80", "/%E2%84%AA%FF%80"},

		{"6.2.2.3 dot", "/a/./b", "/a/b"},
		{"dot first", "/./a", "/a"},
		{"dot last", "/a/.", "/a/"},
		{"dot only", "/.", "/"},
		{"dots", "/a/b/../c", "/a/c"},
		{"dots last", "/a/b/..", "/a/"},
		{"dots last with slash", "/a/b/../", "/a/"},
		{"dots back to the root", "/a/..", "/"},
		{"dots back to the root and on", "/a/../b", "/b"},
		{"several dots", "/a/b/c/../../d", "/a/d"},
		{"encoded dots", "/a/%2e%2E/b", "/b"},
		{"half encoded dots", "/a/.%2e/b", "/b"},
		{"encoded dot", "/a/%2e/b", "/a/b"},
		{"three dots are a name", "/a/.../b", "/a/.../b"},
		{"names with dots", "/.a/a./a..b/..a/a..", "/.a/a./a..b/..a/a.."},
		{"slashes are merged", "//a///b//", "/a/b/"},
		{"slashes only", "////", "/"},
		{"slashes before dots are one", "/a//../b", "/b"},
		{"slashes behind dots", "/a/..//b", "/b"},
		{"dot between slashes", "/a/.//./b", "/a/b"},
		{"RFC 3986 section 5.2.4", "/a/b/c/./../../g", "/a/g"},

		{"parameter", "/a;b=c/d", "/a;b=c/d"},
		{"empty name with parameter", "/;a/b", "/;a/b"},
		{"dots in a parameter", "/a;../b", "/a;../b"},
		{"name with dots and a parameter", "/a..;x/b", "/a..;x/b"},
		{"name behind an encoded slash", "/a%2F.b", "/a%2F.b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := normalizePath([]byte(c.path))
			if err != nil || string(got) != c.want {
				t.Errorf("%q: got %q, %v, want %q", c.path, got, err, c.want)
			}
			checkNormal(t, got)
		})
	}
}

func TestPathRefused(t *testing.T) {
	for _, c := range []struct {
		name, path string
		want       *Refusal
	}{
		{"climbs above the root", "/..", errPathTraversal},
		{"climbs above the root with more behind", "/../a", errPathTraversal},
		{"climbs above the root later", "/a/../..", errPathTraversal},
		{"climbs above the root behind slashes", "//..", errPathTraversal},
		{"climbs encoded", "/%2e%2e/a", errPathTraversal},
		{"climbs behind a dot", "/./../a", errPathTraversal},
		{"dots behind an encoded slash", "/a%2f..", errPathTraversal},
		{"dots before an encoded slash", "/a/..%2Fb", errPathTraversal},
		{"dots between encoded slashes", "/a%2f..%2fb", errPathTraversal},
		{"dot behind an encoded slash", "/a%2F./b", errPathTraversal},
		{"encoded dots behind an encoded slash", "/a%2f%2e%2e/b", errPathTraversal},
		{"dots behind an encoded backslash", "/a%5c..", errPathTraversal},
		{"dots before an encoded backslash", "/..%5Cb", errPathTraversal},
		{"encoded dots between both", "/a%2f%2e.%5cb", errPathTraversal},
		{"dots with a parameter", "/a/..;/b", errPathTraversal},
		{"dots with a parameter that has a value", "/a/..;x=y/b", errPathTraversal},
		{"dot with a parameter", "/a/.;/b", errPathTraversal},
		{"encoded dots with a parameter", "/a/%2e%2e;/b", errPathTraversal},
		{"dots with a parameter behind an encoded slash", "/a%2F..;x", errPathTraversal},
		{"dots with an encoded semicolon", "/a/..%3b/b", errPathTraversal},
		{"dots with an encoded semicolon behind an encoded slash", "/a%2F..%3Bx", errPathTraversal},
		{"NUL", "/a%00b", errPathEscape},
		{"CR", "/a%0d", errPathEscape},
		{"LF", "/%0Ab", errPathEscape},
		{"tab", "/%09", errPathEscape},
		{"unit separator", "/%1f", errPathEscape},
		{"DEL", "/%7F", errPathEscape},
		{"no digits", "/%", errPathEscape},
		{"one digit", "/%4", errPathEscape},
		{"one digit and more", "/%4/b", errPathEscape},
		{"not digits", "/%zz", errPathEscape},
		{"second not a digit", "/%4g", errPathEscape},
		{"signed", "/%+1", errPathEscape},
		{"percent before an escape", "/%%41", errPathEscape},
		{"UTF-16 escape", "/%u002e", errPathEscape},
		{"backslash behind an escape", `/%41\`, errTarget},
		{"backslash dots", `/a/..\b`, errTarget},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, err := normalizePath([]byte(c.path)); err != error(c.want) {
				t.Errorf("%q: got %q, %v, want %v", c.path, got, err, c.want)
			}
		})
	}
}

// notNormal finds what must not be in a path in normal form: an empty or a dot segment, also one that a later decoder would see,
// an escape that is invalid, in lower case or of an unreserved or control character, and bytes that may not stand in a path.
var notNormal = regexp.MustCompile(`^[^/]|^$|//|(/|%2F|%5C)\.\.?(/|;|%2F|%5C|%3B|$)|%([^0-9A-F]|.[^0-9A-F]|.?$)|` +
	`%(0|1|7F|2[DE]|3\d|4[1-9A-F]|5[0-9AF]|6[1-9A-F]|7[0-9AE])|[^!-~]|[?#\\]`)

// checkNormal fails the test unless path is in normal form and normalising it again changes nothing.
func checkNormal(t *testing.T, path []byte) {
	t.Helper()
	if bad := notNormal.Find(path); bad != nil || len(path) == 0 {
		t.Errorf("%q is not in normal form: %q", path, bad)
	}
	again, err := normalizePath(bytes.Clone(path))
	if err != nil || !bytes.Equal(again, path) {
		t.Errorf("%q becomes %q, %v when it is normalised again", path, again, err)
	}
}

// TestPathProperties puts paths together from the pieces that matter.
func TestPathProperties(t *testing.T) {
	pieces := strings.Fields(`/ / / // . .. %2e %2E ... a b A ; ; : %2f %2F %5c %5C %3b %25 %252e %41 %7a %7e %c3%a9 %20 %0a %00 %7f %8 % \ ~ @`)
	random := rand.New(rand.NewPCG(1, 2))
	accepted := 0
	for range 200_000 {
		path := []byte("/")
		for range random.IntN(9) {
			path = append(path, pieces[random.IntN(len(pieces))]...)
		}
		sent := string(path)
		r, _, _, err := parseHead(origin(sent), &Limits{RequestLine: 1000, HeaderBytes: 1000, HeaderCount: 10})
		if err != nil {
			continue
		}
		accepted++
		if checkNormal(t, r.Path); t.Failed() {
			t.Fatalf("from %q", sent)
		}
	}
	if accepted < 10_000 {
		t.Errorf("only %d paths were accepted", accepted)
	}
}
