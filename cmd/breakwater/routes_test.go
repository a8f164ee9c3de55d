package main

import (
	"slices"
	"testing"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/chaos"
	"github.com/breakwater-gateway/breakwater/proxy/toxic"
	"github.com/breakwater-gateway/breakwater/proxy/toxiproxy"
)

// tcpListener is a Listener of a Gateway in the namespace infra that serves a TCPRoute in the namespace shop.
func tcpListener(gateway, section string, port uint16, route string) *proxy.Listener {
	return &proxy.Listener{
		ID:   proxy.ListenerID{Object: proxy.ObjectID{Kind: "Gateway", Namespace: "infra", Name: gateway}, Section: section},
		Port: port, Protocol: proxy.TCP,
		Stream: &proxy.StreamRoute{
			ID:       proxy.ObjectID{Kind: "TCPRoute", Namespace: "shop", Name: route},
			Backends: []proxy.WeightedBackend{{Backend: proxy.BackendID{Kind: "Service", Namespace: "shop", Name: route, Port: 5432}}},
		},
	}
}

func TestNamesOfRoutes(t *testing.T) {
	udp, empty := tcpListener("edge", "udp", 53, "dns"), tcpListener("edge", "empty", 1, "none")
	udp.Protocol, empty.Stream = proxy.UDP, nil
	for _, c := range []struct {
		name      string
		listeners []*proxy.Listener
		want      []string
	}{
		{"one listener", []*proxy.Listener{udp, empty, tcpListener("edge", "a", 1, "db")}, []string{"shop.db"}},
		{"several", []*proxy.Listener{tcpListener("edge", "a", 1, "db"), tcpListener("edge", "b", 2, "db")}, []string{"shop.db.a", "shop.db.b"}},
		{"of several Gateways", []*proxy.Listener{tcpListener("edge", "a", 1, "db"), tcpListener("inner", "a", 2, "db")},
			[]string{"shop.db.a", "shop.db.infra.inner.a"}},
		{"a name that is taken", []*proxy.Listener{tcpListener("edge", "x", 1, "db.a"), tcpListener("edge", "a", 2, "db"), tcpListener("edge", "b", 3, "db")},
			[]string{"shop.db.a", "shop.db.infra.edge.a", "shop.db.b"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, r := range namedRoutes(&proxy.Snapshot{Listeners: c.listeners}) {
				got = append(got, r.name)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// Toxics go with the name: none acts on a route that is not shown under it any more.
func TestToxicsFollowTheirRoute(t *testing.T) {
	var served *proxy.Snapshot
	allowed := []string{"shop"}
	var acting map[chaos.ManualTarget][]*chaos.Manual
	r := &tcpRoutes{address: "127.0.0.1", snapshot: func() *proxy.Snapshot { return served }, set: func(m map[chaos.ManualTarget][]*chaos.Manual) { acting = m }}
	if got := r.Routes(); got != nil {
		t.Errorf("before the first snapshot there are %+v", got)
	}
	a, b := tcpListener("edge", "a", 1, "db"), tcpListener("edge", "b", 2, "db")
	serve := func(listeners ...*proxy.Listener) {
		served = &proxy.Snapshot{Listeners: listeners, ChaosNamespaces: allowed}
		r.follow()
	}
	serve(a)
	if got, want := r.Routes(), []toxiproxy.Route{{Name: "shop.db", Listen: "127.0.0.1:1", Upstream: "db.shop:5432"}}; !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	entries := []*chaos.Manual{{Entry: &toxic.Entry{Name: "slow"}}}
	r.SetToxics("shop.db", entries)
	target := chaos.ManualTarget{Route: a.Stream.ID, Listener: a.ID}
	if len(acting) != 1 || len(acting[target]) != 1 {
		t.Errorf("there act %v", acting)
	}
	serve(a, b)
	if len(acting) != 0 {
		t.Errorf("under other names there act %v", acting)
	}
	serve(a)
	if len(acting) != 1 {
		t.Errorf("back again there act %v", acting)
	}
	allowed = nil
	serve(a)
	if len(acting) != 0 {
		t.Errorf("in a namespace that is not labelled any more there act %v", acting)
	}
	if got, want := r.Routes()[0].Refused, "namespace shop is not labelled breakwater-gateway.io/chaos: enabled"; got != want {
		t.Errorf("refused because %q, want %q", got, want)
	}
	allowed = []string{"shop"}
	serve(a)
	if len(acting) != 1 {
		t.Errorf("labelled again there act %v", acting)
	}
	r.SetToxics("shop.db", nil)
	if len(acting) != 0 {
		t.Errorf("without toxics there act %v", acting)
	}
}
