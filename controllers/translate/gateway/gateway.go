// Package gateway translates GatewayClass, Gateway, HTTPRoute and ReferenceGrant (gateway.networking.k8s.io/v1) into the
// Listeners of every Gateway.
//
// Each Gateway has Listeners of its own on ports that no other Gateway binds, so it sees only its own routes. Where the
// API leaves a choice to the implementation, this is ours:
//
//   - A rule that cannot be served as written is dropped in the sense of the condition PartiallyInvalid: the requests that
//     its matches select are answered with 500, so that they never reach a less specific rule. A match that cannot be
//     compiled selects nothing.
//   - A backendRef that cannot be resolved answers its share with 500; a Service without endpoints, with 503.
//   - Listeners of protocols other than HTTP are not accepted yet; nothing is ever served in plain text in their place.
//
// The package is pure. A State is immutable and is both the result and the memory for the next Build.
package gateway

import (
	"maps"

	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/breakwater-gateway/breakwater/controllers/status"
	"github.com/breakwater-gateway/breakwater/controllers/translate/backend"
	"github.com/breakwater-gateway/breakwater/controllers/translate/change"
	"github.com/breakwater-gateway/breakwater/controllers/translate/host"
	"github.com/breakwater-gateway/breakwater/controllers/view"
	"github.com/breakwater-gateway/breakwater/proxy"
)

// Kinds of objects, as in ObjectID.
const (
	KindGateway   = "Gateway"
	KindHTTPRoute = "HTTPRoute"
)

// Options of the translation. A State made with some Options must not be continued with others, but for Placement.
type Options struct {
	Controller        string // spec.controllerName of the GatewayClasses that are ours
	Class             string
	ImplicitClass     bool // a GatewayClass called Class exists even if there is no such object (standalone)
	AllowExternalName bool
	DirectPorts       bool      // clients connect to the bound ports themselves
	Placement         Placement // nil: Gateways are not served
	TakenPorts        []uint16  // bound by others
}

// State is the outcome of a Build.
type State struct {
	Listeners []*proxy.Listener // Gateways by namespace and name, listeners as in the object
	Reports   Reports

	controller gatewayv1.GatewayController

	classes  map[string]*class
	gateways map[types.NamespacedName]*gateway
	routes   map[types.NamespacedName]*route
	hosts    map[proxy.ListenerID]*host.Table
	attached map[proxy.ListenerID]int32
}

// Reports are the desired statuses.
type Reports struct {
	Classes    map[string]*status.GatewayClass
	Gateways   map[types.NamespacedName]*status.Gateway
	HTTPRoutes map[types.NamespacedName]*status.Route
}

// Build translates the objects of the View that are ours. prev may be nil; otherwise changed says what has changed since.
// References to Backends that have come or gone are added to uses. If nothing has changed, Build returns prev itself.
func Build(v *view.View, changed *view.Delta, o Options, prev *State, uses backend.Uses) *State {
	if o.Placement == nil {
		v = view.New()
	}
	first := prev == nil
	if first {
		prev = &State{}
	}
	next := &State{controller: gatewayv1.GatewayController(o.Controller)}
	classesChanged := next.translateClasses(v, o, prev)
	gatewaysChanged := next.translateGateways(v, o, prev)
	everywhere := changed.Everything || changed.Others || classesChanged || gatewaysChanged
	changes := next.routeChanges(v, changed, o, prev, everywhere)
	if !first && !classesChanged && !gatewaysChanged && len(changes) == 0 {
		return prev
	}
	next.routes = cloneOrMake(prev.routes, len(changes))
	delta := map[proxy.ListenerID]*partChanges{}
	for key, c := range changes {
		if c.Old != nil {
			delta = collect(delta, c.Old.parts, func(p *partChanges, part *host.Part) { p.lost = append(p.lost, part) })
			uses.Add(nil, c.Old.uses)
			delete(next.routes, key)
		}
		if c.New != nil {
			delta = collect(delta, c.New.parts, func(p *partChanges, part *host.Part) { p.gained = append(p.gained, part) })
			uses.Add(c.New.uses, nil)
			next.routes[key] = c.New
		}
	}
	touched := next.updateHosts(prev, delta)
	next.attached = countRoutes(prev.attached, changes)
	next.Listeners = next.listeners()
	next.reportGateways(prev)
	next.reportRoutes(prev, changes, touched)
	return next
}

// partChanges are the Parts that one Listener gains and loses.
type partChanges struct{ gained, lost []*host.Part }

func collect(delta map[proxy.ListenerID]*partChanges, parts []listenerPart, add func(*partChanges, *host.Part)) map[proxy.ListenerID]*partChanges {
	for _, p := range parts {
		if delta[p.listener] == nil {
			delta[p.listener] = &partChanges{}
		}
		add(delta[p.listener], p.part)
	}
	return delta
}

// updateHosts makes the Hosts of every served listener and returns the Parts of all that were touched.
func (s *State) updateHosts(prev *State, delta map[proxy.ListenerID]*partChanges) []*host.Part {
	s.hosts = map[proxy.ListenerID]*host.Table{}
	var touched []*host.Part
	for _, g := range s.gateways {
		for _, l := range g.listeners {
			table := prev.hosts[l.id]
			if table == nil {
				table = &host.Table{}
			}
			if d := delta[l.id]; d != nil {
				var parts []*host.Part
				table, parts = table.Update(d.gained, d.lost)
				touched = append(touched, parts...)
			}
			s.hosts[l.id] = table
		}
	}
	return touched
}

// countRoutes returns the number of routes that each listener has.
func countRoutes(before map[proxy.ListenerID]int32, changes change.Map[route]) map[proxy.ListenerID]int32 {
	count := cloneOrMake(before, 0)
	add := func(r *route, n int32) {
		if r == nil {
			return
		}
		for _, id := range r.attached {
			if count[id] += n; count[id] == 0 {
				delete(count, id)
			}
		}
	}
	for _, c := range changes {
		add(c.New, 1)
		add(c.Old, -1)
	}
	return count
}

// listeners returns the Listeners of everything that is programmed.
func (s *State) listeners() []*proxy.Listener {
	var result []*proxy.Listener
	for _, key := range sortedKeys(s.gateways) {
		for _, l := range s.gateways[key].listeners {
			if !l.served() {
				continue
			}
			result = append(result, &proxy.Listener{
				ID: l.id, Port: l.bind, Protocol: proxy.HTTP1, Hostname: l.hostname, Fallthrough: true, Hosts: s.hosts[l.id].Hosts,
			})
		}
	}
	return result
}

func cloneOrMake[K comparable, V any](m map[K]V, size int) map[K]V {
	if len(m) == 0 {
		return make(map[K]V, size)
	}
	return maps.Clone(m)
}
