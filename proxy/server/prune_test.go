package server

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/telemetry"
)

func ruleID(name string) proxy.RouteID {
	return proxy.RouteID{Object: proxy.ObjectID{Kind: "Ingress", Namespace: "default", Name: name}}
}

func backendID(name string) proxy.BackendID {
	return proxy.BackendID{Kind: "Service", Namespace: "default", Name: name, Port: 80}
}

// hostOf is a Host with one Route, which sends everything to one Backend.
func hostOf(name, route, backend string) *proxy.Host {
	return &proxy.Host{Name: name, Routes: []*proxy.Route{{
		ID: ruleID(route), Backends: []proxy.WeightedBackend{{Backend: backendID(backend), Weight: 1}},
	}}}
}

func snapshotWith(hosts []*proxy.Host, backends ...string) *proxy.Snapshot {
	s := &proxy.Snapshot{Backends: map[proxy.BackendID]*proxy.Backend{}}
	if hosts != nil {
		s.Listeners = []*proxy.Listener{{ID: proxy.ListenerID{Object: proxy.ObjectID{Kind: "Ingress"}}, Port: testPort, Protocol: proxy.HTTP1, Hosts: hosts}}
	}
	for _, name := range backends {
		s.Backends[backendID(name)] = &proxy.Backend{ID: backendID(name), Protocol: proxy.HTTP1}
	}
	return s
}

func TestWhatLeavesTheSnapshotIsGivenUp(t *testing.T) {
	a, b, c := hostOf("a", "one", "x"), hostOf("b", "two", "y"), hostOf("c", "one", "x")
	for _, step := range []struct {
		name             string
		before, after    *proxy.Snapshot
		routes, backends []string // that remain
	}{
		{"a route of its own", snapshotWith([]*proxy.Host{a, b}, "x", "y"), snapshotWith([]*proxy.Host{a}, "x"), []string{"one"}, []string{"x"}},
		{"one of two hosts of a rule", snapshotWith([]*proxy.Host{a, b, c}, "x", "y"), snapshotWith([]*proxy.Host{b, c}, "x", "y"), []string{"one", "two"}, []string{"x", "y"}},
		{"a host in the place of another", snapshotWith([]*proxy.Host{a, b}, "x", "y"), snapshotWith([]*proxy.Host{a, c}, "x"), []string{"one"}, []string{"x"}},
		{"a host in the place of the first", snapshotWith([]*proxy.Host{b, a}, "x", "y"), snapshotWith([]*proxy.Host{c, a}, "x"), []string{"one"}, []string{"x"}},
		{"a host between others", snapshotWith([]*proxy.Host{a, b, c}, "x", "y"), snapshotWith([]*proxy.Host{a, c}, "x"), []string{"one"}, []string{"x"}},
		{"a replaced host", snapshotWith([]*proxy.Host{a, b}, "x", "y"), snapshotWith([]*proxy.Host{hostOf("a", "one", "y"), b}, "x", "y"), []string{"one", "two"}, []string{"x", "y"}},
		{"a backend that a route names", snapshotWith([]*proxy.Host{a, b}, "x", "y"), snapshotWith([]*proxy.Host{a, b}, "y"), []string{"one", "two"}, []string{"x", "y"}},
		{"a backend that no route names", snapshotWith([]*proxy.Host{a}, "x", "y"), snapshotWith([]*proxy.Host{a}, "x"), []string{"one"}, []string{"x"}},
		{"a route of a backend that was not there", snapshotWith([]*proxy.Host{a, b}, "x"), snapshotWith([]*proxy.Host{a}, "x"), []string{"one"}, []string{"x"}},
		{"order", snapshotWith([]*proxy.Host{a, b, c}, "x", "y"), snapshotWith([]*proxy.Host{c, b, a}, "x", "y"), []string{"one", "two"}, []string{"x", "y"}},
		{"everything", snapshotWith([]*proxy.Host{a, b}, "x", "y"), snapshotWith(nil), nil, nil},
	} {
		t.Run(step.name, func(t *testing.T) {
			m := telemetry.New()
			s, _ := serve(t, Config{Metrics: m}, step.before)
			for r := range routesOf(step.before) {
				m.Route(r.ID).Done(200, 0, 0, 0) // so that it has a series
			}
			if err := s.Apply(step.after); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, id := range slices.Collect(maps.Keys(s.backends)) {
				got = append(got, id.Name)
			}
			if slices.Sort(got); !slices.Equal(got, step.backends) {
				t.Errorf("backends %v, want %v", got, step.backends)
			}
			if n := testutil.CollectAndCount(m, "breakwater_route_requests_total"); n != len(step.routes) {
				t.Errorf("%d routes have series, want %v", n, step.routes)
			}
		})
	}
}

// A Snapshot that is refused leaves nothing behind.
func TestRefusedSnapshotIsGivenUp(t *testing.T) {
	m := telemetry.New()
	s, _ := serve(t, Config{Metrics: m}, snapshotWith([]*proxy.Host{hostOf("a", "one", "x")}, "x"))
	twice := snapshotWith([]*proxy.Host{hostOf("a", "one", "x"), hostOf("b", "two", "y"), hostOf("b", "two", "y")}, "x", "y")
	if err := s.Apply(twice); err == nil {
		t.Fatal("a host that is given twice is not refused")
	}
	if len(s.backends) != 1 || s.backends[backendID("x")] == nil {
		t.Errorf("backends %v, want x", slices.Collect(maps.Keys(s.backends)))
	}
}

// BenchmarkApplyOneChangedRoute applies Snapshots of 10,000 routes of which one has changed.
func BenchmarkApplyOneChangedRoute(b *testing.B) {
	const n = 10_000
	var names []string
	hosts := make([]*proxy.Host, n)
	for i := range hosts {
		service := fmt.Sprintf("s%d", i/10)
		if i%10 == 0 {
			names = append(names, service)
		}
		hosts[i] = hostOf(fmt.Sprintf("h%05d.example.com", i), fmt.Sprintf("h%d", i), service)
	}
	first := snapshotWith(hosts, names...)
	s, _ := serve(b, Config{}, first)
	changed := slices.Clone(hosts)
	changed[n/2] = hostOf(hosts[n/2].Name, fmt.Sprintf("h%d", n/2), "s7")
	second := snapshotWith(changed, names...)
	second.Backends = first.Backends
	snapshots := [2]*proxy.Snapshot{second, first}
	for i := 0; b.Loop(); i++ {
		if err := s.Apply(snapshots[i%2]); err != nil {
			b.Fatal(err)
		}
	}
}
