package chaos

import (
	"cmp"
	"math"
	"slices"
	"sync"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/chance"
)

// endpoints selects the Endpoints at which an Experiment's faults act. A choice is made once for each version of a Backend.
type endpoints struct {
	sel  proxy.EndpointSelector
	all  bool
	seed uint64
	id   proxy.ObjectID

	mu     sync.Mutex
	chosen map[proxy.BackendID]choice // guarded by mu
}

// choice is what has been chosen for one version of a Backend.
type choice struct {
	from *proxy.Backend
	set  map[proxy.EndpointID]struct{}
}

func newEndpoints(id proxy.ObjectID, s proxy.EndpointSelector, seed uint64) *endpoints {
	return &endpoints{
		sel: s, seed: seed, id: id, all: s.Count == 0 && s.Percent == 0 && s.Zone == "" && s.Pods == nil,
		chosen: map[proxy.BackendID]choice{},
	}
}

// has reports whether faults act at an Endpoint of b. b may be nil: then nobody knows of the Endpoint any more, and none acts.
func (s *endpoints) has(b *proxy.Backend, e proxy.EndpointID) bool {
	if s.all {
		return true
	}
	if b == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.chosen[b.ID]
	if c.from != b {
		c = choice{b, choose(s.sel, b, s.seed, s.id)}
		s.chosen[b.ID] = c
	}
	_, ok := c.set[e]
	return ok
}

// choose applies a selector to the Endpoints of b: first zone and pods, then number or share of what is left. Endpoints that are
// about to end count only if there are no others. Which are chosen depends on nothing but the seed, the Experiment and the
// Endpoints' own addresses, so one that comes or goes changes at most one other (Thaler, Ravishankar, "Using name-based
// mappings to increase hit rates", 1998).
func choose(sel proxy.EndpointSelector, b *proxy.Backend, seed uint64, id proxy.ObjectID) map[proxy.EndpointID]struct{} {
	type candidate struct {
		id    proxy.EndpointID
		score uint64
	}
	var some, ending []candidate
	for _, e := range b.Endpoints {
		_, podFits := sel.Pods[e.Pod]
		if sel.Zone != "" && e.Zone != sel.Zone || sel.Pods != nil && !podFits {
			continue
		}
		c := candidate{e.ID(), chance.NewKey(seed, id.Namespace, id.Name, "", "endpoint", e.String()).Bits(0)}
		if e.Terminating {
			ending = append(ending, c)
		} else {
			some = append(some, c)
		}
	}
	if len(some) == 0 {
		some = ending
	}
	n := len(some)
	if sel.Percent > 0 {
		n = min(n, int(math.Ceil(float64(n)*sel.Percent/100-1e-9)))
	}
	if sel.Count > 0 {
		n = min(n, sel.Count)
	}
	slices.SortFunc(some, func(a, b candidate) int { return cmp.Compare(b.score, a.score) })
	set := make(map[proxy.EndpointID]struct{}, n)
	for _, c := range some[:n] {
		set[c.id] = struct{}{}
	}
	return set
}
