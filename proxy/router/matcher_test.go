package router

import (
	"testing"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// A Matcher says what a Table with the same Match, and nothing else, would say.
func TestMatcherAgreesWithTable(t *testing.T) {
	matched := 0
	for seed := range uint64(400) {
		g := newGenerator(seed)
		route := g.route()
		m, err := NewMatcher(&route.Match)
		if err != nil {
			t.Fatal(err)
		}
		listener := &proxy.Listener{Port: 80, Protocol: proxy.HTTP1, Hosts: []*proxy.Host{{Routes: []*proxy.Route{route}}}}
		table, err := Compile(nil, []*proxy.Listener{listener}, func(*proxy.Route) bool { return true })
		if err != nil {
			t.Fatal(err)
		}
		for range 50 {
			r := g.request()
			_, _, want := table.Match(r)
			if got := m.Match(r); got != want {
				t.Fatalf("%+v on %s %s?%s: %v, a table says %v", route.Match, r.Method, r.Path, r.Query, got, want)
			}
			if want {
				matched++
			}
		}
	}
	if matched < 500 {
		t.Errorf("only %d requests matched", matched)
	}
}

func TestMatcherOfPaths(t *testing.T) {
	for _, c := range []struct {
		match proxy.PathMatch
		path  string
		want  bool
	}{
		{proxy.PathMatch{}, "/", true},
		{proxy.PathMatch{Value: "/a"}, "/a", true},
		{proxy.PathMatch{Value: "/a"}, "/a/b", true},
		{proxy.PathMatch{Value: "/a/"}, "/a", true},
		{proxy.PathMatch{Value: "/a"}, "/ab", false},
		{proxy.PathMatch{Value: "a"}, "/a", false},
		{proxy.PathMatch{Type: proxy.PathExact, Value: "/a"}, "/a/", false},
		{proxy.PathMatch{Type: proxy.PathExact, Value: "/a"}, "/a", true},
		{proxy.PathMatch{Type: proxy.PathExact, Value: "*"}, "*", false},
		{proxy.PathMatch{Type: proxy.PathRegex, Value: "/a|/b"}, "/b", true},
		{proxy.PathMatch{Type: proxy.PathRegex, Value: "/a|/b"}, "/bc", false},
	} {
		m, err := NewMatcher(&proxy.Match{Path: c.match})
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Match(&proxy.Request{Path: []byte(c.path)}); got != c.want {
			t.Errorf("%+v on %s: %v", c.match, c.path, got)
		}
	}
	for _, m := range []proxy.Match{
		{Path: proxy.PathMatch{Type: proxy.PathRegex, Value: "("}},
		{Headers: []proxy.ValueMatch{{Name: "A", Type: proxy.ValueRegex, Value: "("}}},
	} {
		if _, err := NewMatcher(&m); err == nil {
			t.Errorf("%+v: no error", m)
		}
	}
}
