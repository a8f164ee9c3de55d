package router

import (
	"testing"

	"github.com/breakwater-gateway/breakwater/proxy"
)

func exact(p string) proxy.PathMatch  { return proxy.PathMatch{Type: proxy.PathExact, Value: p} }
func prefix(p string) proxy.PathMatch { return proxy.PathMatch{Value: p} }
func regex(p string) proxy.PathMatch  { return proxy.PathMatch{Type: proxy.PathRegex, Value: p} }

func header(name, value string) []proxy.ValueMatch {
	return []proxy.ValueMatch{{Name: name, Value: value}}
}

// TestPathMatch is one Route against one path: Ingress v1 path types, HTTPPathMatch.
func TestPathMatch(t *testing.T) {
	for _, c := range []struct {
		rule  string
		match proxy.PathMatch
		path  string
		want  bool
	}{
		{"exact is byte-equal", exact("/foo"), "/foo", true},
		{"exact: trailing slash counts", exact("/foo"), "/foo/", false},
		{"exact: trailing slash counts", exact("/foo/"), "/foo", false},
		{"exact is case-sensitive", exact("/foo"), "/Foo", false},
		{"exact covers nothing below", exact("/foo"), "/foo/bar", false},
		{"exact root", exact("/"), "/", true},
		{"exact root", exact("/"), "/a", false},
		{"exact never matches without a slash in front", exact("foo"), "/foo", false},
		{"prefix covers itself", prefix("/foo"), "/foo", true},
		{"prefix covers its slash", prefix("/foo"), "/foo/", true},
		{"prefix: its trailing slash has no meaning", prefix("/foo/"), "/foo", true},
		{"prefix: its trailing slash has no meaning", prefix("/foo/"), "/foo/", true},
		{"prefix goes by element", prefix("/foo"), "/foobar", false},
		{"prefix goes by element", prefix("/foo/bar"), "/foo/barbaz", false},
		{"prefix covers what is below", prefix("/foo/bar"), "/foo/bar/baz", true},
		{"prefix needs all its elements", prefix("/foo/bar"), "/foo", false},
		{"prefix is case-sensitive", prefix("/foo"), "/FOO", false},
		{"prefix / covers everything", prefix("/"), "/a/b", true},
		{"the zero match covers everything", proxy.PathMatch{}, "/a/b", true},
		{"prefix never matches without a slash in front", prefix("foo"), "/foo", false},
		{"empty elements are elements", prefix("/a//b"), "/a/b", false},
		{"empty elements are elements", prefix("/a//b"), "/a//b/c", true},
		{"regex is anchored at the end", regex("/foo"), "/foobar", false},
		{"regex is anchored at the start", regex("foo"), "/foo", false},
		{"regex alternatives are anchored too", regex("/a|/b"), "/bc", false},
		{"regex alternatives", regex("/a|/b"), "/b", true},
		{"regex flags", regex("(?i)/FOO"), "/foo", true},
		{"regex in several lines is still anchored", regex("(?m)^/a$"), "/a\n/b", false},
	} {
		table := compile(t, &proxy.Listener{Hosts: []*proxy.Host{{Routes: []*proxy.Route{{Match: proxy.Match{Path: c.match}}}}}})
		if _, _, ok := table.Match(request("GET", "a", c.path)); ok != c.want {
			t.Errorf("%s: %s on %q is %t", c.rule, describeMatch(&proxy.Match{Path: c.match}), c.path, ok)
		}
		if reason := pathFailure(&proxy.Match{Path: c.match}, request("GET", "a", c.path)); (reason == "") != c.want {
			t.Errorf("%s: Explain disagrees on %q: %s", c.rule, c.path, reason)
		}
	}
}

// TestRoutePrecedence gives two Routes that both match; the first listed must win in either order of configuration,
// but for a full tie, which the order decides.
func TestRoutePrecedence(t *testing.T) {
	r := request("GET", "a", "/foo/bar")
	r.Header.Add([]byte("One"), []byte("1"))
	r.Header.Add([]byte("Two"), []byte("2"))
	r.Query = []byte("one=1&two=2")
	one, two := proxy.ValueMatch{Name: "one", Value: "1"}, proxy.ValueMatch{Name: "two", Value: "2"}
	both := []proxy.ValueMatch{one, two}
	for _, c := range []struct {
		rule        string
		win, lose   proxy.Match
		orderDecide bool
	}{
		{"exact before prefix of the same length (Ingress: ties go to Exact)",
			proxy.Match{Path: exact("/foo/bar")}, proxy.Match{Path: prefix("/foo/bar")}, false},
		{"exact before everything that a prefix asks besides",
			proxy.Match{Path: exact("/foo/bar")}, proxy.Match{Path: prefix("/foo"), Method: "GET", Headers: both, Query: both}, false},
		{"exact before regex", proxy.Match{Path: exact("/foo/bar")}, proxy.Match{Path: regex("/foo/bar/?.*")}, false},
		{"regex before prefix", proxy.Match{Path: regex("/f.*")}, proxy.Match{Path: prefix("/foo/bar")}, false},
		{"longer regex first", proxy.Match{Path: regex("/foo/.*")}, proxy.Match{Path: regex("/foo.*")}, false},
		{"longest prefix (Ingress: longest path wins)", proxy.Match{Path: prefix("/foo/bar")}, proxy.Match{Path: prefix("/foo")}, false},
		{"longer prefix before method and headers",
			proxy.Match{Path: prefix("/foo")}, proxy.Match{Path: prefix("/"), Method: "GET", Headers: both}, false},
		{"method before headers", proxy.Match{Method: "GET"}, proxy.Match{Headers: both, Query: both}, false},
		{"more headers", proxy.Match{Headers: both}, proxy.Match{Headers: both[:1], Query: both}, false},
		{"more query parameters", proxy.Match{Query: both}, proxy.Match{Query: both[1:]}, false},
		{"tie: the order in the Host", proxy.Match{Headers: both[:1]}, proxy.Match{Headers: both[1:]}, true},
		{"tie: trailing slash of a prefix", proxy.Match{Path: prefix("/foo/")}, proxy.Match{Path: prefix("/foo")}, true},
		{"tie: regexes of one length", proxy.Match{Path: regex("/foo/b.*")}, proxy.Match{Path: regex("/f.*/bar")}, true},
	} {
		win, lose := &proxy.Route{Match: c.win}, &proxy.Route{Match: c.lose}
		orders := [][]*proxy.Route{{win, lose}}
		if !c.orderDecide {
			orders = append(orders, []*proxy.Route{lose, win})
		}
		for _, routes := range orders {
			table := compile(t, &proxy.Listener{Hosts: []*proxy.Host{{Routes: routes}}})
			if got, _, _ := table.Match(r); got != win {
				t.Errorf("%s: got %s", c.rule, describeMatch(&got.Match))
			}
		}
	}
}

func TestShorterPathServesWhatConditionsOfLongerRefuse(t *testing.T) {
	root := &proxy.Route{}
	table := compile(t, &proxy.Listener{Hosts: []*proxy.Host{{Routes: []*proxy.Route{
		{Match: proxy.Match{Path: exact("/a/b"), Method: "PUT"}},
		{Match: proxy.Match{Path: regex("/a/.*"), Method: "PUT"}},
		{Match: proxy.Match{Path: prefix("/a/b"), Headers: header("x", "1")}},
		{Match: proxy.Match{Path: prefix("/a"), Query: header("q", "1")}},
		root,
	}}}})
	if got, _, _ := table.Match(request("GET", "a", "/a/b")); got != root {
		t.Errorf("got %+v", got)
	}
}

func TestHostChoice(t *testing.T) {
	for _, c := range []struct {
		host string
		want string // name of the Host, with "/1" for a single label; "-" is none
	}{
		{"a.com", "a.com"},
		{"x.a.com", "*.a.com/1"},
		{"y.x.a.com", "*.a.com"},
		{"b.a.com", "b.a.com"},
		{"x.b.a.com", "*.b.a.com"},
		{"y.x.b.a.com", "*.b.a.com"},
		{"com", "-"},
		{"nota.com", "-"},
		{".a.com", "-"},
		{"x.c.com", "*.c.com/1"},
		{"y.x.c.com", "-"},
		{"", "-"},
		{"[::1]", "-"},
	} {
		l := &proxy.Listener{}
		for _, name := range []string{"*.a.com", "a.com", "b.a.com", "*.b.a.com"} {
			l.Hosts = append(l.Hosts, &proxy.Host{Name: name, Routes: []*proxy.Route{{}}})
		}
		for _, name := range []string{"*.a.com", "*.c.com"} {
			l.Hosts = append(l.Hosts, &proxy.Host{Name: name, SingleLabel: true, Routes: []*proxy.Route{{}}})
		}
		got := "-"
		route, _, _ := compile(t, l).Match(request("GET", c.host, "/"))
		for _, h := range l.Hosts {
			if h.Routes[0] == route {
				got = h.Name
				if h.SingleLabel {
					got += "/1"
				}
			}
		}
		if got != c.want {
			t.Errorf("%q goes to %s, want %s", c.host, got, c.want)
		}
	}
}

func TestFallthrough(t *testing.T) {
	wild, every, def := &proxy.Route{Match: proxy.Match{Path: prefix("/wild")}}, &proxy.Route{Match: proxy.Match{Path: prefix("/every")}}, &proxy.Route{}
	l := proxy.Listener{
		Hosts: []*proxy.Host{
			{Name: "a.com", Routes: []*proxy.Route{{Match: proxy.Match{Path: prefix("/own")}}}},
			{Name: "*.com", Routes: []*proxy.Route{wild}},
			{Routes: []*proxy.Route{every}},
		},
		Default: def,
	}
	through := l
	through.Fallthrough = true
	for _, c := range []struct {
		path             string
		final, fallsThru *proxy.Route
	}{
		{"/own", l.Hosts[0].Routes[0], l.Hosts[0].Routes[0]},
		{"/wild", def, wild},
		{"/every", def, every},
		{"/none", def, def},
	} {
		if got, _, _ := compile(t, &l).Match(request("GET", "a.com", c.path)); got != c.final {
			t.Errorf("%s without fallthrough: %+v", c.path, got)
		}
		if got, _, _ := compile(t, &through).Match(request("GET", "a.com", c.path)); got != c.fallsThru {
			t.Errorf("%s with fallthrough: %+v", c.path, got)
		}
	}
}

// TestListenerIsolation: Gateway API, GatewayHTTPListenerIsolation.
func TestListenerIsolation(t *testing.T) {
	every := &proxy.Listener{ID: proxy.ListenerID{Section: "every"}, Hosts: []*proxy.Host{{Routes: []*proxy.Route{{}}}}}
	wild := &proxy.Listener{ID: proxy.ListenerID{Section: "wild"}, Hostname: "*.example.com", Fallthrough: true}
	foo := &proxy.Listener{ID: proxy.ListenerID{Section: "foo"}, Hostname: "*.foo.example.com"}
	own := &proxy.Listener{ID: proxy.ListenerID{Section: "own"}, Hostname: "abc.foo.example.com"}
	for _, c := range []struct {
		host string
		want *proxy.Listener
		ok   bool
	}{
		{"bar.com", every, true},
		{"bar.example.com", wild, false},
		{"bar.foo.example.com", foo, false},
		{"abc.foo.example.com", own, false},
		{"example.com", every, true},
	} {
		_, listener, ok := compile(t, wild, every, own, foo).Match(request("GET", c.host, "/"))
		if listener != c.want || ok != c.ok {
			t.Errorf("%s: %v, %t", c.host, listener, ok)
		}
	}
	if _, listener, ok := compile(t, own, foo).Match(request("GET", "bar.com", "/")); listener != nil || ok {
		t.Errorf("a host that no listener covers went to %v", listener)
	}
}
