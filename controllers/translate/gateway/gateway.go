// Package gateway translates GatewayClass, Gateway, HTTPRoute, TCPRoute, UDPRoute and ReferenceGrant
// (gateway.networking.k8s.io/v1) into the Listeners of every Gateway.
//
// Each Gateway has Listeners of its own on ports that no other Gateway binds, so it sees only its own routes. Where the
// API leaves a choice to the implementation, this is ours:
//
//   - A rule that cannot be served as written is dropped in the sense of the condition PartiallyInvalid: the requests that
//     its matches select are answered with 500, so that they never reach a less specific rule. A match that cannot be
//     compiled selects nothing.
//   - A backendRef that cannot be resolved answers its share with 500; a Service without endpoints, with 503.
//   - Of several TCPRoutes or UDPRoutes that a listener accepts the oldest has it, then the one whose namespace and name
//     come first. The others stay accepted and counted, and get an Event.
//   - Connections of a TCPRoute that fall to a backendRef which cannot be resolved are reset, datagrams of a UDPRoute are
//     dropped.
//   - Listeners of protocols other than HTTP, TCP and UDP are not accepted yet; nothing is ever served in plain text in
//     their place.
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
	KindHTTPRoute = status.HTTPRoute
	KindTCPRoute  = status.TCPRoute
	KindUDPRoute  = status.UDPRoute
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
	// NoTrustedProxies: nobody may send headers of the PROXY protocol, so listeners that want them serve nobody.
	NoTrustedProxies bool
}

// State is the outcome of a Build.
type State struct {
	Listeners []*proxy.Listener // Gateways by namespace and name, listeners as in the object
	Reports   Reports

	controller gatewayv1.GatewayController

	classes  map[string]*class
	gateways map[types.NamespacedName]*gateway
	routes   map[types.NamespacedName]*route
	tcp, udp streams
	hosts    map[proxy.ListenerID]*host.Table
	attached map[proxy.ListenerID]int32
}

// Reports are the desired statuses.
type Reports struct {
	Classes    map[string]*status.GatewayClass
	Gateways   map[types.NamespacedName]*status.Gateway
	HTTPRoutes map[types.NamespacedName]*status.Route
	TCPRoutes  map[types.NamespacedName]*status.Route
	UDPRoutes  map[types.NamespacedName]*status.Route
}

// building is what a build looks at.
type building struct {
	view       *view.View
	changed    *view.Delta
	options    Options
	everywhere bool // what has changed may concern any route
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
	b := &building{view: v, changed: changed, options: o}
	b.everywhere = changed.Everything || changed.Others || classesChanged || gatewaysChanged
	changes := next.routeChanges(b, prev)
	tcp, udp := next.tcpChanges(b, prev), next.udpChanges(b, prev)
	if !first && !classesChanged && !gatewaysChanged && len(changes)+len(tcp)+len(udp) == 0 {
		return prev
	}
	next.attached = cloneOrMake(prev.attached, 0)
	next.routes = settle(next, prev.routes, changes, (*route).base, uses)
	next.tcp.routes = settle(next, prev.tcp.routes, tcp, (*streamRoute).base, uses)
	next.udp.routes = settle(next, prev.udp.routes, udp, (*streamRoute).base, uses)
	touched := next.updateHosts(prev, changes)
	tcpTouched, udpTouched := next.tcp.claim(prev.tcp, tcp), next.udp.claim(prev.udp, udp)
	next.Listeners = next.listeners()
	next.reportGateways(prev)
	next.reportRoutes(prev, changes, touched)
	next.Reports.TCPRoutes = next.reportStreams(&next.tcp, prev.Reports.TCPRoutes, tcp, tcpTouched)
	next.Reports.UDPRoutes = next.reportStreams(&next.udp, prev.Reports.UDPRoutes, udp, udpTouched)
	return next
}

// settle returns the routes of one kind after these changes, and counts what they attach and refer to.
func settle[T any](s *State, known map[types.NamespacedName]*T, changes change.Map[T], base func(*T) *attachment, uses backend.Uses) map[types.NamespacedName]*T {
	result := cloneOrMake(known, len(changes))
	for key, c := range changes {
		if c.Old != nil {
			s.count(base(c.Old).attached, -1)
			uses.Add(nil, base(c.Old).uses)
			delete(result, key)
		}
		if c.New != nil {
			s.count(base(c.New).attached, 1)
			uses.Add(base(c.New).uses, nil)
			result[key] = c.New
		}
	}
	return result
}

// count adds n to the number of routes that these listeners have.
func (s *State) count(listeners []proxy.ListenerID, n int32) {
	for _, id := range listeners {
		if s.attached[id] += n; s.attached[id] == 0 {
			delete(s.attached, id)
		}
	}
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

// updateHosts makes the Hosts of every listener and returns the Parts of all that were touched.
func (s *State) updateHosts(prev *State, changes change.Map[route]) []*host.Part {
	delta := map[proxy.ListenerID]*partChanges{}
	for _, c := range changes {
		if c.Old != nil {
			delta = collect(delta, c.Old.parts, func(p *partChanges, part *host.Part) { p.lost = append(p.lost, part) })
		}
		if c.New != nil {
			delta = collect(delta, c.New.parts, func(p *partChanges, part *host.Part) { p.gained = append(p.gained, part) })
		}
	}
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

// listeners returns the Listeners of everything that is programmed.
func (s *State) listeners() []*proxy.Listener {
	var result []*proxy.Listener
	for _, key := range sortedKeys(s.gateways) {
		for _, l := range s.gateways[key].listeners {
			if !l.served() {
				continue
			}
			listener := &proxy.Listener{ID: l.id, Port: l.bind, ProxyProtocol: l.proxyProtocol}
			switch l.spec.Protocol {
			case gatewayv1.TCPProtocolType:
				listener.Protocol, listener.Stream = proxy.TCP, s.tcp.holder(l.id)
			case gatewayv1.UDPProtocolType:
				listener.Protocol, listener.Stream = proxy.UDP, s.udp.holder(l.id)
			default:
				listener.Protocol, listener.Hostname, listener.Fallthrough = proxy.HTTP1, l.hostname, true
				listener.Hosts = s.hosts[l.id].Hosts
			}
			result = append(result, listener)
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
