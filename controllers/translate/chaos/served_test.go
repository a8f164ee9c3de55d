package chaos

import (
	"fmt"
	"testing"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// BenchmarkReach is what each build with an experiment has to do for 10,000 Routes.
func BenchmarkReach(b *testing.B) {
	l := &proxy.Listener{ID: proxy.ListenerID{Object: proxy.ObjectID{Kind: kindGateway, Namespace: "a", Name: "gw"}, Section: "http"}}
	for i := range 10_000 {
		name := fmt.Sprintf("route-%d", i)
		l.Hosts = append(l.Hosts, &proxy.Host{Routes: []*proxy.Route{{
			ID:       proxy.RouteID{Object: proxy.ObjectID{Kind: kindHTTPRoute, Namespace: "a", Name: name}},
			Backends: []proxy.WeightedBackend{{Backend: proxy.BackendID{Kind: kindService, Namespace: "a", Name: name, Port: 80}}},
		}}})
	}
	s := Served{Listeners: []*proxy.Listener{l}}
	for _, target := range []proxy.ObjectID{
		l.ID.Object, {Kind: kindHTTPRoute, Namespace: "a", Name: "route-1"}, {Kind: kindService, Namespace: "a", Name: "route-1"},
	} {
		b.Run(target.Kind, func(b *testing.B) {
			x := &proxy.Experiment{Targets: []proxy.ExperimentTarget{{Object: target}}}
			for b.Loop() {
				if idle := s.idle(x, s.reachOf([]*proxy.Experiment{x}, []string{"b", "c"})); idle != "" {
					b.Fatal(idle)
				}
			}
		})
	}
}
