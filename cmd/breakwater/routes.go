package main

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"

	"github.com/breakwater-gateway/breakwater/api/v1alpha1"
	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/chaos"
	"github.com/breakwater-gateway/breakwater/proxy/toxiproxy"
)

// tcpRoutes shows the TCP routes that are served to the API for Toxiproxy's clients, and makes the toxics made there act on them.
type tcpRoutes struct {
	address  string                 // that ports are bound on; "" is every address
	snapshot func() *proxy.Snapshot // what is served now; nil before the first
	set      func(map[chaos.ManualTarget][]*chaos.Manual)

	mu     sync.Mutex // guards toxics, and makes changes take turns
	toxics map[string][]*chaos.Manual
}

var _ toxiproxy.Routes = (*tcpRoutes)(nil)

// Routes implements toxiproxy.Routes.
func (t *tcpRoutes) Routes() []toxiproxy.Route {
	var all []toxiproxy.Route
	served := t.snapshot()
	for _, r := range namedRoutes(served) {
		address := t.address
		if address == "" {
			address = "::"
		}
		all = append(all, toxiproxy.Route{
			Name: r.name, Listen: net.JoinHostPort(address, strconv.Itoa(int(r.listener.Port))), Upstream: upstreamOf(r.listener.Stream),
			Refused: refused(served, r),
		})
	}
	return all
}

// SetToxics implements toxiproxy.Routes.
func (t *tcpRoutes) SetToxics(name string, toxics []*chaos.Manual) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.toxics == nil {
		t.toxics = map[string][]*chaos.Manual{}
	}
	if len(toxics) == 0 {
		delete(t.toxics, name)
	} else {
		t.toxics[name] = toxics
	}
	t.apply()
}

// refused is why nobody may put toxics on a route, "" if they may: its namespace has to allow it, as for a NetworkChaos.
func refused(served *proxy.Snapshot, r namedRoute) string {
	namespace := r.listener.Stream.ID.Namespace
	if slices.Contains(served.ChaosNamespaces, namespace) {
		return ""
	}
	return fmt.Sprintf("namespace %s is not labelled %s: %s", namespace, v1alpha1.LabelChaos, v1alpha1.ChaosEnabled)
}

// follow is called when something else is served. Toxics go with the name of a route, so that none ever acts that is not shown.
func (t *tcpRoutes) follow() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.toxics) > 0 {
		t.apply()
	}
}

// apply makes what is set act on what is served. t.mu is held.
func (t *tcpRoutes) apply() {
	targets := map[chaos.ManualTarget][]*chaos.Manual{}
	served := t.snapshot()
	for _, r := range namedRoutes(served) {
		if toxics := t.toxics[r.name]; len(toxics) > 0 && refused(served, r) == "" {
			targets[chaos.ManualTarget{Route: r.listener.Stream.ID, Listener: r.listener.ID}] = toxics
		}
	}
	t.set(targets)
}

// namedRoute is a Listener of protocol TCP with a Route, under a name of its own.
type namedRoute struct {
	name     string
	listener *proxy.Listener
}

// namedRoutes names the TCP routes of a Snapshot, which may be nil: by namespace.name if the route serves one listener, by
// namespace.name.section if it serves several, and by the Gateway as well where that is not enough.
func namedRoutes(s *proxy.Snapshot) []namedRoute {
	if s == nil {
		return nil
	}
	serves := map[proxy.ObjectID]int{}
	var listeners []*proxy.Listener
	for _, l := range s.Listeners {
		if l.Protocol == proxy.TCP && l.Stream != nil {
			serves[l.Stream.ID]++
			listeners = append(listeners, l)
		}
	}
	taken := map[string]bool{}
	var all []namedRoute
	for _, l := range listeners {
		id, gateway := l.Stream.ID, l.ID.Object
		short := id.Namespace + "." + id.Name
		names := []string{short, short + "." + l.ID.Section, short + "." + gateway.Namespace + "." + gateway.Name + "." + l.ID.Section}
		if serves[id] > 1 {
			names = names[1:]
		}
		name := ""
		for _, n := range names {
			if name = n; !taken[n] {
				break
			}
		}
		for i := 2; taken[name]; i++ {
			name = fmt.Sprintf("%s.%d", names[len(names)-1], i)
		}
		taken[name] = true
		all = append(all, namedRoute{name, l})
	}
	return all
}

// upstreamOf names the first Backend of a Route as a host and a port; "" if there is none.
func upstreamOf(r *proxy.StreamRoute) string {
	if len(r.Backends) == 0 {
		return ""
	}
	b := r.Backends[0].Backend
	return net.JoinHostPort(b.Name+"."+b.Namespace, strconv.Itoa(int(b.Port)))
}
