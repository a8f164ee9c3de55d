package router

import (
	"net/url"
	"strings"
	"testing"

	"github.com/breakwater-gateway/breakwater/proxy"
)

func matchOne(t *testing.T, m proxy.Match, r *proxy.Request) bool {
	t.Helper()
	_, _, ok := compile(t, &proxy.Listener{Hosts: []*proxy.Host{{Routes: []*proxy.Route{{Match: m}}}}}).Match(r)
	return ok
}

func TestHeaderMatch(t *testing.T) {
	for _, c := range []struct {
		rule  string
		match proxy.ValueMatch
		lines []string // of the field "X-Test"
		want  bool
	}{
		{"equal", proxy.ValueMatch{Name: "x-test", Value: "a"}, []string{"a"}, true},
		{"case of the value counts", proxy.ValueMatch{Name: "x-test", Value: "a"}, []string{"A"}, false},
		{"absent", proxy.ValueMatch{Name: "x-test", Value: "a"}, nil, false},
		{"absent is not empty", proxy.ValueMatch{Name: "x-test"}, nil, false},
		{"absent matches no regex", proxy.ValueMatch{Type: proxy.ValueRegex, Name: "x-test", Value: ".*"}, nil, false},
		{"empty", proxy.ValueMatch{Name: "x-test"}, []string{""}, true},
		{"not a part", proxy.ValueMatch{Name: "x-test", Value: "a"}, []string{"ab"}, false},
		{"lines are joined", proxy.ValueMatch{Name: "X-TEST", Value: "a,b"}, []string{"a", "b"}, true},
		{"no line alone", proxy.ValueMatch{Name: "x-test", Value: "a"}, []string{"a", "b"}, false},
		{"no line alone", proxy.ValueMatch{Name: "x-test", Value: "b"}, []string{"a", "b"}, false},
		{"joined, short", proxy.ValueMatch{Name: "x-test", Value: "a,"}, []string{"a", "b"}, false},
		{"joined, long", proxy.ValueMatch{Name: "x-test", Value: "a,b,"}, []string{"a", "b"}, false},
		{"joined with empty", proxy.ValueMatch{Name: "x-test", Value: ",,"}, []string{"", "", ""}, true},
		{"regex whole value", proxy.ValueMatch{Type: proxy.ValueRegex, Name: "x-test", Value: "a|b"}, []string{"ab"}, false},
		{"regex", proxy.ValueMatch{Type: proxy.ValueRegex, Name: "x-test", Value: "[a-c]+"}, []string{"abc"}, true},
		{"regex on joined lines", proxy.ValueMatch{Type: proxy.ValueRegex, Name: "x-test", Value: "a,b"}, []string{"a", "b"}, true},
	} {
		r := request("GET", "a", "/")
		for _, line := range c.lines {
			r.Header.Add([]byte("X-Test"), []byte(line))
			r.Header.Add([]byte("X-Other"), []byte("z"))
		}
		if got := matchOne(t, proxy.Match{Headers: []proxy.ValueMatch{c.match}}, r); got != c.want {
			t.Errorf("%s: %q on %q is %t", c.rule, c.match.Value, c.lines, got)
		}
	}
}

// TestFieldsThatAreNotInTheHeaderMatch: http1 hands on what Upgrade and Host say by themselves.
func TestFieldsThatAreNotInTheHeaderMatch(t *testing.T) {
	for _, c := range []struct {
		match                    proxy.ValueMatch
		upgrade, authority, host string
		want                     bool
	}{
		{proxy.ValueMatch{Name: "Upgrade", Value: "websocket"}, "websocket", "a.com", "a.com", true},
		{proxy.ValueMatch{Name: "upgrade", Value: "websocket"}, "WebSocket", "a.com", "a.com", true},
		{proxy.ValueMatch{Name: "upgrade", Value: "websocket"}, "", "a.com", "a.com", false},
		{proxy.ValueMatch{Name: "upgrade", Value: ""}, "", "a.com", "a.com", false},
		{proxy.ValueMatch{Name: "upgrade", Value: "websocket"}, "other", "a.com", "a.com", false},
		{proxy.ValueMatch{Name: "upgrade", Type: proxy.ValueRegex, Value: ".*"}, "", "a.com", "a.com", false},
		{proxy.ValueMatch{Name: "upgrade", Type: proxy.ValueRegex, Value: "web.*"}, "websocket", "a.com", "a.com", true},
		{proxy.ValueMatch{Name: "Host", Value: "A.com"}, "", "a.com:8080", "a.com", true},
		{proxy.ValueMatch{Name: "host", Value: "a.com:8080"}, "", "a.com:8080", "a.com", true},
		{proxy.ValueMatch{Name: "host", Value: "a.com:80"}, "", "a.com:8080", "a.com", false},
		{proxy.ValueMatch{Name: "host", Type: proxy.ValueRegex, Value: `a\.(com|org)`}, "", "a.com:8080", "a.com", true},
		{proxy.ValueMatch{Name: "host", Type: proxy.ValueRegex, Value: `.*`}, "", "", "", false},
	} {
		r := request("GET", c.host, "/")
		r.Upgrade, r.Authority = []byte(c.upgrade), []byte(c.authority)
		if got := matchOne(t, proxy.Match{Headers: []proxy.ValueMatch{c.match}}, r); got != c.want {
			t.Errorf("%s: %q with upgrade %q and authority %q is %t", c.match.Name, c.match.Value, c.upgrade, c.authority, got)
		}
	}
}

func TestQueryMatch(t *testing.T) {
	for _, c := range []struct {
		rule              string
		name, value, have string
		regex, want       bool
	}{
		{"equal", "a", "1", "a=1", false, true},
		{"second parameter", "a", "1", "b=2&a=1", false, true},
		{"first value counts", "a", "1", "a=1&a=2", false, true},
		{"first value counts", "a", "2", "a=1&a=2", false, false},
		{"case of the name counts", "a", "1", "A=1", false, false},
		{"plus is a space", "a b", "1 2", "a+b=1+2", false, true},
		{"percent", "a&", "=", "a%26=%3d", false, true},
		{"further = belongs to the value", "a", "1=2", "a=1=2", false, true},
		{"no value is the empty value", "a", "", "a", false, true},
		{"absent is not empty", "a", "", "b", false, false},
		{"empty pairs do not count", "", "", "&&", false, false},
		{"bad escapes stand for themselves", "a", "%zz%4", "a=%zz%4", false, true},
		{"semicolon is a character", "a", "1;b=2", "a=1;b=2", false, true},
		{"longer than the name", "a", "1", "aa=1", false, false},
		{"shorter than the value", "a", "11", "a=1", false, false},
		{"encoded is longer", "a", "%31", "a=%31", false, false},
		{"regex", "a", "[0-9]+", "a=12", true, true},
		{"regex is anchored", "a", "[0-9]+", "a=12b", true, false},
		{"regex on the decoded value", "a", "x y", "a=x%20y", true, true},
		{"regex on the decoded value", "a", "x y", "a=x+y", true, true},
	} {
		m := proxy.ValueMatch{Name: c.name, Value: c.value}
		if c.regex {
			m.Type = proxy.ValueRegex
		}
		r := request("GET", "a", "/")
		r.Query = []byte(c.have)
		if got := matchOne(t, proxy.Match{Query: []proxy.ValueMatch{m}}, r); got != c.want {
			t.Errorf("%s: %s=%s on %q is %t", c.rule, c.name, c.value, c.have, got)
		}
	}
}

func TestMethodMatchIsCaseSensitive(t *testing.T) {
	if matchOne(t, proxy.Match{Method: "GET"}, request("get", "a", "/")) || !matchOne(t, proxy.Match{Method: "GET"}, request("GET", "a", "/")) {
		t.Error("methods are compared exactly, RFC 9110 section 9.1")
	}
}

// FuzzQuery compares with net/url wherever that accepts the query.
func FuzzQuery(f *testing.F) {
	f.Add("a=1&b=%20+", "b", "  ")
	f.Add("%61=%zz", "a", "%zz")
	f.Fuzz(func(t *testing.T, query, name, value string) {
		v := named(name, value)
		got := v.matchQuery([]byte(query))
		values, err := url.ParseQuery(query)
		if err != nil || strings.Contains(query, ";") {
			return
		}
		if want := values.Has(name) && values.Get(name) == value; got != want {
			t.Errorf("%q: %q=%q is %t", query, name, value, got)
		}
	})
}

func named(name, exact string) value { return value{name: name, exact: exact} }
