package server

import (
	"iter"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/stream"
	"github.com/breakwater-gateway/breakwater/proxy/telemetry"
)

// prune gives up what st does not need any more and prev did.
func (s *Server) prune(prev, st *state) {
	before := prev.snapshot()
	for id := range before.Backends {
		if _, ok := st.snap.Backends[id]; !ok {
			s.backends[id].clear(s, st.generation)
		}
	}
	s.forget(before, st.snap)
}

// snapshot is what st serves, an empty Snapshot if st is nil.
func (st *state) snapshot() *proxy.Snapshot {
	if st == nil {
		return &proxy.Snapshot{}
	}
	return st.snap
}

// forget drops the backends and the metrics of what is in gone and not in kept. Routes that were taken over from a Snapshot
// before point to live backends, so a backend that has left the Snapshot stays for as long as a Route names it.
func (s *Server) forget(gone, kept *proxy.Snapshot) {
	l := leftovers{routes: map[proxy.RouteID]struct{}{}, backends: map[proxy.BackendID]struct{}{}, streams: map[telemetry.StreamID]struct{}{}}
	for id := range gone.Backends {
		if _, ok := kept.Backends[id]; !ok {
			l.backends[id] = struct{}{}
		}
	}
	for r := range changedRoutes(gone, kept) {
		l.add(r, kept)
	}
	l.addStreams(gone, kept)
	// What has changed mostly has the same names before and after. Only if not are there other Routes to ask.
	l.removeAll(changedRoutes(kept, gone))
	l.removeAll(routesOf(kept))
	l.removeStreams(kept)
	for id := range l.backends {
		delete(s.backends, id)
	}
	left := telemetry.Kept{Ports: func(port uint16) bool { return s.ports[portID{number: port}] != nil }}
	if len(l.streams) > 0 {
		left.Streams = func(id telemetry.StreamID) bool { _, ok := l.streams[id]; return !ok }
	}
	if len(l.routes) > 0 {
		left.Routes = func(id proxy.RouteID) bool { _, ok := l.routes[id]; return !ok }
	}
	if len(l.backends) > 0 {
		left.Backends = func(id proxy.BackendID) bool { return s.backends[id] != nil }
	}
	s.metrics.Retain(left)
}

// leftovers are what may have no use any more.
type leftovers struct {
	routes   map[proxy.RouteID]struct{} // Match is 0
	backends map[proxy.BackendID]struct{}
	streams  map[telemetry.StreamID]struct{}
}

// addStreams notes the StreamRoutes of a Snapshot, and the backends that they name and kept does not have.
func (l *leftovers) addStreams(gone, kept *proxy.Snapshot) {
	for _, listener := range gone.Listeners {
		id, ok := stream.RouteID(listener)
		if !ok {
			continue
		}
		l.streams[id] = struct{}{}
		for i := range listener.Stream.Backends {
			id := listener.Stream.Backends[i].Backend
			if _, ok := kept.Backends[id]; !ok {
				l.backends[id] = struct{}{}
			}
		}
	}
}

// removeStreams takes out what StreamRoutes use.
func (l *leftovers) removeStreams(kept *proxy.Snapshot) {
	if len(l.streams)+len(l.backends) == 0 {
		return
	}
	for _, listener := range kept.Listeners {
		id, ok := stream.RouteID(listener)
		if !ok {
			continue
		}
		delete(l.streams, id)
		for i := range listener.Stream.Backends {
			delete(l.backends, listener.Stream.Backends[i].Backend)
		}
	}
}

// add notes a Route and the backends that it names; those in kept have a use.
func (l *leftovers) add(r *proxy.Route, kept *proxy.Snapshot) {
	l.routes[ruleOf(r)] = struct{}{}
	for i := range r.Backends {
		id := r.Backends[i].Backend
		if _, ok := kept.Backends[id]; !ok {
			l.backends[id] = struct{}{}
		}
	}
}

// removeAll takes out what Routes use.
func (l *leftovers) removeAll(routes iter.Seq[*proxy.Route]) {
	if len(l.routes)+len(l.backends) == 0 {
		return
	}
	for r := range routes {
		delete(l.routes, ruleOf(r))
		for i := range r.Backends {
			delete(l.backends, r.Backends[i].Backend)
		}
		if len(l.routes)+len(l.backends) == 0 {
			return
		}
	}
}

// ruleOf is what a Route shares its metrics by.
func ruleOf(r *proxy.Route) proxy.RouteID {
	id := r.ID
	id.Match = 0
	return id
}

// changedRoutes yields the Routes of a, without most of those that b has too. The usual change replaces one Host: what both
// share at the front and at the back of their Hosts is left out.
func changedRoutes(a, b *proxy.Snapshot) iter.Seq[*proxy.Route] {
	others := make(map[proxy.ListenerID]*proxy.Listener, len(b.Listeners))
	for _, l := range b.Listeners {
		others[l.ID] = l
	}
	return func(yield func(*proxy.Route) bool) {
		for _, l := range a.Listeners {
			other := others[l.ID]
			switch {
			case l == other:
				continue
			case other == nil:
				other = &proxy.Listener{}
			}
			changed := &proxy.Listener{Hosts: withoutShared(l.Hosts, other.Hosts)}
			if l.Default != other.Default {
				changed.Default = l.Default
			}
			for r := range routesOf(&proxy.Snapshot{Listeners: []*proxy.Listener{changed}}) {
				if !yield(r) {
					return
				}
			}
		}
	}
}

// withoutShared returns hosts without what they share with others at the front and at the back.
func withoutShared(hosts, others []*proxy.Host) []*proxy.Host {
	for len(hosts) > 0 && len(others) > 0 && hosts[0] == others[0] {
		hosts, others = hosts[1:], others[1:]
	}
	for len(hosts) > 0 && len(others) > 0 && hosts[len(hosts)-1] == others[len(others)-1] {
		hosts, others = hosts[:len(hosts)-1], others[:len(others)-1]
	}
	return hosts
}
