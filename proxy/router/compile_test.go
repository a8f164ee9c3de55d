package router

import (
	"slices"
	"strings"
	"testing"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// TestIncrementalEqualsFull changes a few Hosts at a time: the Table made from the one before must route as one made
// from nothing does, and bind only what is new.
func TestIncrementalEqualsFull(t *testing.T) {
	for seed := range uint64(100) {
		g := newGenerator(seed)
		listeners := g.listeners()
		old := compile(t, listeners...)
		for range 4 {
			next, changed := g.change(listeners)
			bound := 0
			incremental, err := Compile(old, next, func(r *proxy.Route) *proxy.Route { bound++; return r })
			if err != nil {
				t.Fatal(err)
			}
			if bound != changed {
				t.Fatalf("seed %d: %d routes bound, %d are new", seed, bound, changed)
			}
			full := compile(t, next...)
			for range 20 {
				r := g.request()
				route, listener, ok := incremental.Match(r)
				wantRoute, wantListener, wantOK := full.Match(r)
				if route != wantRoute || listener != wantListener || ok != wantOK {
					t.Fatalf("seed %d: %s%s: %v in %v, want %v in %v", seed, r.Host, r.Path, route, listener, wantRoute, wantListener)
				}
			}
			old, listeners = incremental, next
		}
	}
}

// change returns a copy with Hosts replaced, removed and moved, and the number of Routes to compile anew.
func (g *generator) change(listeners []*proxy.Listener) (next []*proxy.Listener, routes int) {
	for _, l := range listeners {
		if g.IntN(4) == 0 {
			next = append(next, l) // the same Listener
			continue
		}
		c := *l
		c.Hosts = slices.Clone(l.Hosts)
		settings := g.IntN(4) == 0
		if settings {
			c.Fallthrough = !c.Fallthrough
		}
		rarity := pick(g, 1, 3, 10, 30) // how rare a change is
		for i, h := range c.Hosts {
			if g.IntN(rarity) == 0 {
				c.Hosts[i] = g.host(h.Name, h.SingleLabel)
				routes += len(c.Hosts[i].Routes)
			} else if settings {
				routes += len(h.Routes)
			}
		}
		if len(c.Hosts) > 0 && g.IntN(3) == 0 {
			if h := c.Hosts[0]; settings || !slices.Contains(l.Hosts, h) {
				routes -= len(h.Routes)
			}
			c.Hosts = c.Hosts[1:]
		}
		switch {
		case g.IntN(3) == 0:
			c.Default = g.route()
			routes++
		case settings && c.Default != nil:
			routes++
		}
		if g.IntN(3) == 0 {
			g.Shuffle(len(c.Hosts), func(i, j int) { c.Hosts[i], c.Hosts[j] = c.Hosts[j], c.Hosts[i] })
		}
		next = append(next, &c)
	}
	g.Shuffle(len(next), func(i, j int) { next[i], next[j] = next[j], next[i] })
	return next, routes
}

func TestCompileNamesWhatIsWrong(t *testing.T) {
	id := proxy.RouteID{Object: proxy.ObjectID{Kind: "HTTPRoute", Namespace: "shop", Name: "cart"}, Rule: 2, Match: 1}
	bad := func(m proxy.Match) []*proxy.Listener {
		return []*proxy.Listener{{Hosts: []*proxy.Host{{Name: "a.com", Routes: []*proxy.Route{{ID: id, Match: m}}}}}}
	}
	invalid := []proxy.ValueMatch{{Type: proxy.ValueRegex, Name: "x", Value: "("}}
	for _, c := range []struct {
		name      string
		listeners []*proxy.Listener
		want      []string
	}{
		{"path", bad(proxy.Match{Path: regex("(")}), []string{"a.com", "HTTPRoute/shop/cart/2", "match 1", "path"}},
		{"path that closes the anchors' group", bad(proxy.Match{Path: regex("/a)|(/b")}), []string{"HTTPRoute/shop/cart/2", "path"}},
		{"header", bad(proxy.Match{Headers: invalid}), []string{"HTTPRoute/shop/cart/2", "header", `"x"`}},
		{"query", bad(proxy.Match{Query: invalid}), []string{"HTTPRoute/shop/cart/2", "query", `"x"`}},
		{"host twice", []*proxy.Listener{{Hosts: []*proxy.Host{{Name: "a.com"}, {Name: "a.com"}}}}, []string{`"a.com"`, "twice"}},
		{"every host twice", []*proxy.Listener{{Hosts: []*proxy.Host{{}, {}}}}, []string{`""`, "twice"}},
		{"hostname twice", []*proxy.Listener{{}, {ID: proxy.ListenerID{Section: "b"}}}, []string{":b", "twice"}},
		{"listener twice", []*proxy.Listener{{}, {Hostname: "a.com"}}, []string{"twice"}},
	} {
		table, err := Compile(nil, c.listeners, itself)
		if err == nil || table != nil {
			t.Errorf("%s: no error", c.name)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q does not name %s", c.name, err, want)
			}
		}
	}
}

// TestHostGivenTwiceIsFoundInChange: the check must hold as well when only the differences are compiled.
func TestHostGivenTwiceIsFoundInChange(t *testing.T) {
	l := manyHosts(10)
	table := compile(t, l)
	for _, at := range []int{0, 5, 10} {
		next := *l
		next.Hosts = slices.Insert(slices.Clone(l.Hosts), at, &proxy.Host{Name: l.Hosts[7].Name})
		if _, err := Compile(table, []*proxy.Listener{&next}, itself); err == nil {
			t.Errorf("a second host of one name at %d was taken", at)
		}
	}
}

func TestEmptyTable(t *testing.T) {
	if _, listener, ok := compile(t).Match(request("GET", "a", "/")); listener != nil || ok {
		t.Error("an empty table matched")
	}
}

func TestMatchDoesNotAllocate(t *testing.T) {
	l := manyHosts(100)
	l.Fallthrough = true
	l.Hosts = append(l.Hosts, &proxy.Host{Name: "*.example.com", Routes: []*proxy.Route{
		{Match: proxy.Match{Path: regex("/a/[0-9]+"), Headers: header("x", "1,2"), Query: header("a b", "1 2")}},
		{Match: proxy.Match{Path: prefix("/a"), Headers: []proxy.ValueMatch{{Type: proxy.ValueRegex, Name: "y", Value: "[a-z]+"}}}},
	}})
	table := compile(t, l)
	joined := request("GET", "a-host-name-that-is-longer-than-any-small-buffer.example.com", "/a/12")
	joined.Header.Add([]byte("X"), []byte("1"))
	joined.Header.Add([]byte("X"), []byte("2"))
	joined.Query = []byte("z=1&a%20b=1+2")
	expression := request("GET", "shop-00001.example.com", "/a/b")
	expression.Header.Add([]byte("Y"), []byte("abc"))
	for name, r := range map[string]*proxy.Request{
		"prefix":           request("GET", "shop-00001.example.com", "/api/a/b/c"),
		"regex and values": joined,
		"fallthrough":      expression,
	} {
		if _, _, ok := table.Match(r); !ok {
			t.Fatalf("%s: no match", name)
		}
		if n := testing.AllocsPerRun(100, func() { table.Match(r) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
