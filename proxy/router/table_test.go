package router

import (
	"testing"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// itself binds a Route to itself, so that tests see which one was chosen.
func itself(r *proxy.Route) *proxy.Route { return r }

func TestTableEqualsReference(t *testing.T) {
	for seed := range uint64(300) {
		compareWithReference(t, seed)
	}
}

func FuzzTableEqualsReference(f *testing.F) {
	f.Add(uint64(1) << 40)
	f.Fuzz(func(t *testing.T, seed uint64) { compareWithReference(t, seed) })
}

func compareWithReference(t *testing.T, seed uint64) {
	t.Helper()
	g := newGenerator(seed)
	listeners := g.listeners()
	table, err := Compile(nil, listeners, itself)
	if err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	ref := reference{}
	for range 40 {
		r := g.request()
		wantRoute, wantListener := ref.match(listeners, r)
		route, listener, ok := table.Match(r)
		if route != wantRoute || listener != wantListener || ok != (wantRoute != nil) {
			t.Fatalf("seed %d: %s %s%s?%s %s\n got %v in %v, %t\nwant %v in %v", seed, r.Method, r.Host, r.Path, r.Query,
				r.Header.Fields, route, listener, ok, wantRoute, wantListener)
		}
	}
}

func compile(t testing.TB, listeners ...*proxy.Listener) *Table[*proxy.Route] {
	t.Helper()
	table, err := Compile(nil, listeners, itself)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func request(method, host, path string) *proxy.Request {
	return &proxy.Request{Method: []byte(method), Host: []byte(host), Path: []byte(path)}
}
