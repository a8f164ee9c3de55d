package server

import (
	"iter"
	"slices"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/balancer"
	"github.com/breakwater-gateway/breakwater/proxy/router"
	"github.com/breakwater-gateway/breakwater/proxy/stream"
	"github.com/breakwater-gateway/breakwater/proxy/telemetry"
)

// state is the compiled form of a Snapshot. It is immutable; the backends that its routes point to are live.
type state struct {
	snap *proxy.Snapshot
	// generation counts the states, from 1.
	generation uint64
	tables     map[uint16]*router.Table[*route]
	streams    map[portID]*stream.Route
	told       map[uint16]bool // ports whose connections begin with a PROXY protocol header
	size       telemetry.Size
}

// route is the running form of a proxy.Route. What every request needs is copied from cfg: with thousands of routes each
// look at another object is a wait for memory.
type route struct {
	cfg      *proxy.Route
	metrics  *telemetry.Route
	only     *share // nil: weights say which of shares
	steps    []proxy.Step
	timeouts proxy.Timeouts
	invalid  bool
	shares   []share
	weights  balancer.Weighted
	random   func() uint64 // for weights; nil with only
}

// share is the running form of a proxy.WeightedBackend.
type share struct {
	cfg     *proxy.WeightedBackend
	backend *backend
	steps   []proxy.Step
}

// compile makes the state that serves snap, and brings the backends up to date. On error nothing has changed.
func (s *Server) compile(prev *state, snap *proxy.Snapshot) (*state, error) {
	next := &state{snap: snap, generation: 1, tables: map[uint16]*router.Table[*route]{}}
	if prev != nil {
		next.generation = prev.generation + 1
	}
	if prev != nil && sameListeners(prev.snap, snap) {
		next.tables, next.size = prev.tables, prev.size
		next.streams, next.told = prev.streams, prev.told
	} else {
		if err := s.compileStreams(prev, next); err != nil {
			return nil, err
		}
		byPort := map[uint16][]*proxy.Listener{}
		for _, l := range snap.Listeners {
			if !isStream(l) {
				byPort[l.Port] = append(byPort[l.Port], l)
			}
		}
		for port, listeners := range byPort {
			var old *router.Table[*route]
			if prev != nil {
				old = prev.tables[port]
			}
			table, err := router.Compile(old, listeners, s.bindRoute)
			if err != nil {
				return nil, err
			}
			next.tables[port] = table
		}
		next.size = sizeOf(snap)
	}
	endpoints := 0
	for id, cfg := range snap.Backends {
		s.backend(id).apply(s, cfg)
		endpoints += len(cfg.Endpoints)
	}
	next.size.Backends, next.size.Endpoints = len(snap.Backends), endpoints
	return next, nil
}

// sameListeners reports whether two Snapshots differ in their Backends at most: the commonest change.
func sameListeners(a, b *proxy.Snapshot) bool { return slices.Equal(a.Listeners, b.Listeners) }

func sizeOf(snap *proxy.Snapshot) telemetry.Size {
	size := telemetry.Size{Listeners: len(snap.Listeners)}
	for _, l := range snap.Listeners {
		size.Hosts += len(l.Hosts)
		for _, h := range l.Hosts {
			size.Routes += len(h.Routes)
		}
		if l.Default != nil {
			size.Routes++
		}
		if l.Stream != nil {
			size.Routes++
		}
	}
	return size
}

// bindRoute makes the running form of a Route.
func (s *Server) bindRoute(cfg *proxy.Route) *route {
	r := &route{cfg: cfg, steps: newSteps(cfg.Filters), metrics: s.metrics.Route(cfg.ID), timeouts: cfg.Timeouts, invalid: cfg.Invalid != ""}
	weights := make([]int32, len(cfg.Backends))
	r.shares = make([]share, len(cfg.Backends))
	for i := range cfg.Backends {
		b := &cfg.Backends[i]
		weights[i] = b.Weight
		r.shares[i] = share{cfg: b, steps: newSteps(b.Filters)}
		if b.Invalid == "" {
			r.shares[i].backend = s.backend(b.Backend)
		}
	}
	r.weights = balancer.NewWeighted(weights)
	if len(r.shares) == 1 && weights[0] > 0 {
		r.only = &r.shares[0]
	} else {
		r.random = s.cfg.Draws.Source("share", cfg.ID.String())
	}
	return r
}

func newSteps(filters []proxy.Filter) []proxy.Step {
	if len(filters) == 0 {
		return nil
	}
	steps := make([]proxy.Step, len(filters))
	for i, f := range filters {
		steps[i] = f.New()
	}
	return steps
}

// backend returns the live form of a Backend, which may not be in any Snapshot yet.
func (s *Server) backend(id proxy.BackendID) *backend {
	b := s.backends[id]
	if b == nil {
		b = &backend{id: id, metrics: s.metrics.Backend(id), random: s.cfg.Draws.Source("endpoint", id.String())}
		s.backends[id] = b
	}
	return b
}

// routesOf yields every Route of a Snapshot.
func routesOf(snap *proxy.Snapshot) iter.Seq[*proxy.Route] {
	return func(yield func(*proxy.Route) bool) {
		for _, l := range snap.Listeners {
			if l.Default != nil && !yield(l.Default) {
				return
			}
			for _, h := range l.Hosts {
				for _, r := range h.Routes {
					if !yield(r) {
						return
					}
				}
			}
		}
	}
}
