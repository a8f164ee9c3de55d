package server

import (
	"slices"
	"sync/atomic"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/balancer"
	"github.com/breakwater-gateway/breakwater/proxy/telemetry"
	"github.com/breakwater-gateway/breakwater/proxy/upstream"
)

// backend is the live form of a Backend. Routes point to it for as long as they exist, whatever its Endpoints become: a change of
// Endpoints swaps one pointer and touches no Route.
type backend struct {
	id      proxy.BackendID
	metrics *telemetry.Backend
	random  func() uint64               // for the Pickers
	set     atomic.Pointer[endpointSet] // nil: the Backend has been in no Snapshot
}

// endpointSet is the Endpoints of one Snapshot with the Picker made for them.
type endpointSet struct {
	cfg       *proxy.Backend
	endpoints []*upstream.Endpoint
	picker    proxy.Picker
	// gone is the first generation whose Snapshot does not have the Backend any more; 0 while there is none. Requests that were
	// routed before are served as they began. The endpoints have been released.
	gone uint64
}

// endpoints returns what a request may use that was routed by the state of a generation; nil if the Backend does not exist.
func (b *backend) endpoints(generation uint64) *endpointSet {
	set := b.set.Load()
	if set == nil || set.gone != 0 && generation >= set.gone {
		return nil
	}
	return set
}

// apply makes cfg the Backend's configuration. The Server's lock is held.
func (b *backend) apply(s *Server, cfg *proxy.Backend) {
	old := b.set.Load()
	if old != nil && old.cfg == cfg && old.gone == 0 {
		return
	}
	set := &endpointSet{cfg: cfg, endpoints: make([]*upstream.Endpoint, len(cfg.Endpoints))}
	targets := make([]proxy.Target, len(cfg.Endpoints))
	for i, e := range cfg.Endpoints {
		set.endpoints[i] = s.registry.Acquire(cfg.ID, e)
		targets[i] = set.endpoints[i]
	}
	policy := cfg.Balancer
	if policy == nil {
		policy = balancer.RoundRobin{}
	}
	set.picker = policy.New(targets, b.random)
	b.set.Store(set)
	b.metrics.SetEndpoints(len(cfg.Endpoints))
	b.release(s, old)
}

// clear takes the Endpoints away: the Backend has left the Snapshot with this generation.
func (b *backend) clear(s *Server, generation uint64) {
	old := b.set.Load()
	if old == nil || old.gone != 0 {
		return
	}
	last := *old
	last.gone = generation
	b.set.Store(&last)
	b.metrics.SetEndpoints(0)
	b.release(s, old)
}

func (b *backend) release(s *Server, set *endpointSet) {
	if set == nil || set.gone != 0 {
		return
	}
	for _, e := range set.endpoints {
		s.registry.Release(e)
	}
}

// pick chooses an Endpoint that is not in tried, if possible one that could be reached lately; nil if there is none.
func (set *endpointSet) pick(x *proxy.Exchange, tried []*upstream.Endpoint) *upstream.Endpoint {
	if len(tried) == 0 {
		i := set.picker.Pick(x, nil)
		if i < 0 {
			return nil
		}
		if e := set.endpoints[i]; !e.Down() {
			return e
		}
	}
	return set.pickAround(x, slices.Clone(tried))
}

// pickAround passes over what was tried and, if possible, what is down. It is apart from pick because its functions make tried
// escape to the heap.
func (set *endpointSet) pickAround(x *proxy.Exchange, tried []*upstream.Endpoint) *upstream.Endpoint {
	wasTried := func(i int) bool { return slices.ContainsFunc(tried, set.endpoints[i].Same) }
	i := set.picker.Pick(x, func(i int) bool { return set.endpoints[i].Down() || wasTried(i) })
	if i < 0 {
		i = set.picker.Pick(x, wasTried)
	}
	if i < 0 {
		return nil
	}
	return set.endpoints[i]
}
