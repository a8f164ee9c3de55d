package server

import (
	"testing"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/chance"
)

// Shares by weight repeat if the Draws do.
func TestSharesRepeat(t *testing.T) {
	shares := func(d chance.Draws) (all string) {
		s := New(Config{Draws: d})
		defer func() {
			if err := s.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
		}()
		r := s.bindRoute(&proxy.Route{Backends: []proxy.WeightedBackend{
			{Backend: proxy.BackendID{Name: "a"}, Weight: 1}, {Backend: proxy.BackendID{Name: "b"}, Weight: 1},
		}})
		for range 64 {
			all += r.share().cfg.Backend.Name
		}
		return all
	}
	if a, b := shares(chance.Seeded(7)), shares(chance.Seeded(7)); a != b {
		t.Errorf("%s\n%s", a, b)
	}
	if a, b := shares(chance.Draws{}), shares(chance.Draws{}); a == b {
		t.Errorf("without a seed: %s twice", a)
	}
}
