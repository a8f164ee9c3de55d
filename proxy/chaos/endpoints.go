package chaos

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/chance"
)

// endpoints selects the Endpoints at which an Experiment's faults act. A choice is made once for each version of a Backend.
type endpoints struct {
	sel      proxy.EndpointSelector
	all      bool
	seed     uint64
	id       proxy.ObjectID
	backends *atomic.Pointer[map[proxy.BackendID]*proxy.Backend] // as they are now

	mu     sync.Mutex
	chosen map[proxy.BackendID]choice // guarded by mu
}

// choice is what has been chosen for one version of a Backend.
type choice struct {
	from *proxy.Backend // nil: there is none now
	set  map[proxy.EndpointID]struct{}
	// moved: it is another than for the version before, and live connections have not been told.
	moved bool
}

func newEndpoints(x *experiment, s proxy.EndpointSelector, seed uint64) *endpoints {
	return &endpoints{
		sel: s, seed: seed, id: x.key.id, backends: &x.engine.backends, all: s.Count == 0 && s.Percent == 0 && !s.Filters(),
		chosen: map[proxy.BackendID]choice{},
	}
}

// has reports whether faults act at an Endpoint of a Backend. None acts where nobody knows of the Endpoint any more.
func (s *endpoints) has(b proxy.BackendID, e proxy.EndpointID) bool {
	if s.all {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.now(b).set[e]
	return ok
}

// moved adds the Backends for which the choice is another than when moved was called last, of those for which has was asked.
func (s *endpoints) moved(into map[proxy.BackendID]bool) {
	if s.all {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for b := range s.chosen {
		if c := s.now(b); c.moved {
			c.moved = false
			s.chosen[b] = c
			into[b] = true
		}
	}
}

// now returns the choice for the Backend as it is now. s.mu is held.
func (s *endpoints) now(b proxy.BackendID) choice {
	from := (*s.backends.Load())[b]
	before, ok := s.chosen[b]
	if ok && before.from == from {
		return before
	}
	next := choice{from: from, moved: before.moved}
	if from != nil {
		next.set = choose(s.sel, from, s.seed, s.id)
	}
	next.moved = next.moved || ok && !maps.Equal(before.set, next.set)
	s.chosen[b] = next
	return next
}

// choose applies a selector to the Endpoints of b: first zone and pods, then number or share of the pods that are left; an Endpoint of
// which no pod is known counts as one. Those that are about to end count only if there are no others. Which are chosen depends on nothing
// but the seed, the Experiment and the pods' own names or addresses, so one that comes or goes changes at most one other (Thaler,
// Ravishankar, "Using name-based mappings to increase hit rates", 1998), and Backends that are ports of the same pods choose the same.
func choose(sel proxy.EndpointSelector, b *proxy.Backend, seed uint64, id proxy.ObjectID) map[proxy.EndpointID]struct{} {
	var some, ending []proxy.Endpoint
	for _, e := range b.Endpoints {
		switch {
		case !sel.Fits(&e):
		case e.Terminating:
			ending = append(ending, e)
		default:
			some = append(some, e)
		}
	}
	if len(some) == 0 {
		some = ending
	}
	scores := map[string]score{}
	for i := range some {
		scores[podOf(&some[i])] = scoreOf(&some[i], seed, id)
	}
	pods := slices.SortedFunc(maps.Keys(scores), func(a, b string) int { return scores[b].compare(scores[a]) })
	n := len(pods)
	if sel.Percent > 0 {
		n = min(n, int(math.Ceil(float64(n)*sel.Percent/100-1e-9)))
	}
	if sel.Count > 0 {
		n = min(n, sel.Count)
	}
	for _, pod := range pods[n:] {
		delete(scores, pod)
	}
	set := make(map[proxy.EndpointID]struct{}, n)
	for i := range some {
		if _, ok := scores[podOf(&some[i])]; ok {
			set[some[i].ID()] = struct{}{}
		}
	}
	return set
}

// podOf is what tells the pod of an Endpoint from others of its Backend. Where no pod is known each Endpoint is one, be they at the same
// address, as when they all run on one machine.
func podOf(e *proxy.Endpoint) string { return cmp.Or(e.Pod, e.String()) }

// score is the place of a pod in the order in which they are chosen.
type score struct{ host, port uint64 }

// scoreOf makes the score of the pod, or of the address, and only among what is at one address that of the port: the same address at
// another port is, in another Backend, most likely the same pod.
func scoreOf(e *proxy.Endpoint, seed uint64, id proxy.ObjectID) score {
	draw := func(name string) uint64 {
		return chance.NewKey(seed, id.Namespace, id.Name, "", "endpoint", name).Bits(0)
	}
	if e.Pod != "" {
		return score{host: draw(e.Pod)}
	}
	return score{draw(cmp.Or(e.Hostname, e.Address.Addr().String())), draw(e.String())}
}

func (s score) compare(o score) int {
	return cmp.Or(cmp.Compare(s.host, o.host), cmp.Compare(s.port, o.port))
}
