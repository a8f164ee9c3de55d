package host

import (
	"slices"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
)

func part(name string, age int, paths ...string) *Part {
	p := &Part{Host: name, Rank: Rank{Created: time.Unix(int64(1000-age), 0), Namespace: "ns", Name: name}}
	for i, path := range paths {
		p.Routes = append(p.Routes, &proxy.Route{
			ID:    proxy.RouteID{Object: proxy.ObjectID{Name: name}, Match: i},
			Match: proxy.Match{Path: proxy.PathMatch{Value: path}},
		})
	}
	return p
}

func names(t *Table) (names []string) {
	for _, h := range t.Hosts {
		names = append(names, h.Name)
	}
	return names
}

func TestHostsStaySortedAndShared(t *testing.T) {
	b, d := part("b", 0, "/"), part("d", 0, "/")
	first, _ := (&Table{}).Update([]*Part{d, b}, nil)
	second, touched := first.Update([]*Part{part("a", 0, "/"), part("c", 0, "/"), part("e", 0, "/")}, []*Part{b})
	if got := names(second); !slices.Equal(got, []string{"a", "c", "d", "e"}) {
		t.Errorf("hosts %v", got)
	}
	if second.Hosts[2] != first.Hosts[1] {
		t.Error("an untouched Host is another")
	}
	if len(touched) != 3 {
		t.Errorf("%d Parts touched, want those of the new Hosts", len(touched))
	}
	if got := names(first); !slices.Equal(got, []string{"b", "d"}) {
		t.Errorf("the Table before has changed: %v", got)
	}
	if same, touched := second.Update(nil, nil); same != second || touched != nil {
		t.Error("an Update without changes makes another Table")
	}
}

func TestOlderPartsComeFirst(t *testing.T) {
	young, old := part("h", 1, "/young", "/same/"), part("h", 2, "/same")
	young.Rank.Name, old.Rank.Name = "a", "b"
	table, _ := (&Table{}).Update([]*Part{young, old}, nil)
	routes := table.Hosts[0].Routes
	if routes[0] != old.Routes[0] || len(routes) != 3 {
		t.Errorf("routes %v", routes)
	}
	if lost := table.Losses(young); len(lost) != 1 || lost[0].Route != young.Routes[1] || lost[0].Winner != old.Routes[0] {
		t.Errorf("losses %v", lost)
	}
	if lost := table.Losses(old); lost != nil {
		t.Errorf("the older one lost %v", lost)
	}
	alone, _ := table.Update(nil, []*Part{old})
	if lost := alone.Losses(young); lost != nil {
		t.Errorf("without the older one it lost %v", lost)
	}
}

func TestTheOldestFallbackIsLast(t *testing.T) {
	young, old := part("h", 1, "/a"), part("h", 2)
	young.Fallback, old.Fallback = &proxy.Route{}, &proxy.Route{}
	table, _ := (&Table{}).Update([]*Part{young, old}, nil)
	routes := table.Hosts[0].Routes
	if len(routes) != 2 || routes[1] != old.Fallback {
		t.Errorf("routes %v", routes)
	}
	if lost := table.Losses(young); len(lost) != 1 || lost[0].Route != young.Fallback {
		t.Errorf("losses %v", lost)
	}
}

func TestKeyTellsMatchesApart(t *testing.T) {
	value := func(kind proxy.ValueType, name, value string) []proxy.ValueMatch {
		return []proxy.ValueMatch{{Type: kind, Name: name, Value: value}}
	}
	different := []proxy.Match{
		{},
		{Path: proxy.PathMatch{Type: proxy.PathExact, Value: "/"}},
		{Path: proxy.PathMatch{Value: "/a"}},
		{Path: proxy.PathMatch{Type: proxy.PathExact, Value: "/a"}},
		{Path: proxy.PathMatch{Type: proxy.PathExact, Value: "/a/"}},
		{Path: proxy.PathMatch{Type: proxy.PathRegex, Value: "/a"}},
		{Method: "GET"},
		{Headers: value(proxy.ValueExact, "a", "b")},
		{Headers: value(proxy.ValueRegex, "a", "b")},
		{Query: value(proxy.ValueExact, "a", "b")},
		{Query: value(proxy.ValueExact, "A", "b")},
		{Headers: value(proxy.ValueExact, "a\"0\"", "b")},
	}
	for i := range different {
		for j := range different[:i] {
			if keyOf(&different[i]) == keyOf(&different[j]) {
				t.Errorf("%+v and %+v have one key", different[i], different[j])
			}
		}
	}
	equal := [][2]proxy.Match{
		{{}, {Path: proxy.PathMatch{Value: "/"}}},
		{{Path: proxy.PathMatch{Value: "/a/"}}, {Path: proxy.PathMatch{Value: "/a"}}},
		{{Headers: value(proxy.ValueExact, "X-A", "b")}, {Headers: value(proxy.ValueExact, "x-a", "b")}},
	}
	for _, pair := range equal {
		if keyOf(&pair[0]) != keyOf(&pair[1]) {
			t.Errorf("%+v and %+v have two keys", pair[0], pair[1])
		}
	}
}
