package server

import (
	"strings"
	"testing"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/chance"
)

// Shares by weight repeat if the Draws do, and go on where they were when a Route is bound again.
func TestSharesRepeat(t *testing.T) {
	shares := func(d *chance.Draws) (all string) {
		s := New(Config{Draws: d})
		defer func() {
			if err := s.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
		}()
		route := &proxy.Route{Backends: []proxy.WeightedBackend{
			{Backend: proxy.BackendID{Name: "a"}, Weight: 1}, {Backend: proxy.BackendID{Name: "b"}, Weight: 1},
		}}
		for range 64 {
			all += s.bindRoute(route).share().cfg.Backend.Name // as when a neighbour has been edited
		}
		return all
	}
	if a, b := shares(chance.Seeded(7)), shares(chance.Seeded(7)); a != b {
		t.Errorf("%s\n%s", a, b)
	}
	if a := shares(chance.Seeded(7)); !strings.Contains(a, "a") || !strings.Contains(a, "b") {
		t.Errorf("one share gets nothing: %s", a)
	}
	if a, b := shares(nil), shares(nil); a == b {
		t.Errorf("without a seed: %s twice", a)
	}
}
