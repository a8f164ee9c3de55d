// Package translate turns the objects of a View into what the proxy serves and what the cluster is told: Build is the
// whole of it, and build.go its table of contents.
//
// It is pure: no client, context, clock, logger or goroutine, here or in the packages below. Equal input gives equal
// output, whatever was built before; what was built before (prev) only saves work and keeps pointers of what has not
// changed, which saves the proxy work in turn. A Result is immutable. Build reads the View, so it runs on the goroutine
// that owns it.
//
// Invalid input is never an error here: it is an Event or a condition in the Report and changes nothing but the object it
// stands in.
package translate

import (
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/breakwater-gateway/breakwater/controllers/status"
	"github.com/breakwater-gateway/breakwater/controllers/translate/backend"
	"github.com/breakwater-gateway/breakwater/controllers/translate/chaos"
	"github.com/breakwater-gateway/breakwater/controllers/translate/gateway"
	"github.com/breakwater-gateway/breakwater/controllers/translate/ingress"
	"github.com/breakwater-gateway/breakwater/controllers/view"
	"github.com/breakwater-gateway/breakwater/proxy"
)

// Options of a build.
type Options struct {
	// Controller is our name in IngressClass.spec.controller and GatewayClass.spec.controllerName.
	Controller string
	// Class is the name of our IngressClass and GatewayClass: the value of the annotation kubernetes.io/ingress.class
	// that is ours even if no IngressClass has that name.
	Class string
	// ImplicitClasses: an IngressClass and a GatewayClass called Class exist even if there is no such object, and that
	// IngressClass is the default one unless another is (standalone).
	ImplicitClasses bool
	// AllowExternalName lets Services of type ExternalName be used as backends.
	AllowExternalName bool
	// ShareIngressHosts lets Ingresses of several namespaces serve one host together. Otherwise it belongs to the namespace of
	// the oldest.
	ShareIngressHosts bool
	// IngressPort is the port to bind for Ingresses; 0: Ingresses are not served.
	IngressPort uint16
	// Addresses for status.loadBalancer of Ingresses: IP addresses or host names.
	Addresses []string
	// DirectPorts: clients connect to the bound ports themselves (standalone), so that redirects name those and not the
	// ports of a Gateway's listeners.
	DirectPorts bool
	// NoTrustedProxies: the data plane trusts nobody's PROXY headers, so a listener that wants them serves nobody.
	NoTrustedProxies bool
	// Placement says where each Gateway is to be reached; nil: Gateways are not served.
	Placement gateway.Placement
	// Chaos says which NetworkChaos are accepted.
	Chaos chaos.Options
}

// Result is the outcome of a build, and the memory for the next one.
type Result struct {
	Snapshot *proxy.Snapshot
	Report   *status.Report

	view     *view.View
	revision uint64 // of the View
	options  Options
	ingress  *ingress.State
	gateway  *gateway.State
	chaos    *chaos.State
	backends *backend.Table
}

// Lookups returns what has to be looked up for the next build, in order.
func (r *Result) Lookups() []view.Lookup { return r.chaos.Lookups }

// processors do a build, in this order. A new kind of object is a line here.
func processors() []func(*build) {
	return []func(*build){
		ingresses, // Ingress, IngressClass: one Listener for all of them
		gateways,  // GatewayClass, Gateway, HTTPRoute, TCPRoute, UDPRoute, ReferenceGrant: the Listeners of every Gateway
		backends,  // Service, EndpointSlice: the Backends that the above refer to
		faults,    // NetworkChaos, Secret, ConfigMap, Pod: the Experiments
		snapshot,  // what the proxy serves
		report,    // what the cluster is told
	}
}

// build is one build under way.
type build struct {
	view    *view.View
	delta   *view.Delta
	options Options
	prev    *Result // never nil; empty for a build from scratch
	next    *Result
	uses    backend.Uses
}

// Build translates the View. prev is the Result of an earlier build of a View with the same objects or others, or nil;
// it makes no difference to the outcome. What has changed since is looked up in the View's journal if prev is of the same
// View. If nothing has changed, the Snapshot and the Report are those of prev.
func Build(v *view.View, o Options, prev *Result) *Result {
	b := build{view: v, options: o, prev: prev, uses: backend.Uses{}}
	b.next = &Result{view: v, revision: v.Revision(), options: o}
	if prev == nil || !o.equal(prev.options) {
		b.prev = &Result{backends: backend.NewTable()}
	}
	if b.delta = (&view.Delta{Everything: true}); b.prev.view == v {
		b.delta = v.Since(b.prev.revision)
	}
	for _, process := range processors() {
		process(&b)
	}
	if b.unchanged() {
		b.next.Snapshot, b.next.Report = b.prev.Snapshot, b.prev.Report
	}
	return b.next
}

// Endpoints is the fast lane for changes of EndpointSlices of these Services and of nothing else: it makes their
// Backends anew and leaves everything else as it is. The outcome is that of Build. prev must not be nil. If nothing has
// changed, Endpoints returns prev itself.
func Endpoints(v *view.View, o Options, prev *Result, services []types.NamespacedName) *Result {
	table, ok := prev.backends.Endpoints(v, services)
	if !ok || !o.equal(prev.options) || prev.chaos.Follows(services) {
		return Build(v, o, prev)
	}
	if table == prev.backends {
		return prev
	}
	next := *prev
	next.backends = table
	s := *prev.Snapshot
	s.Backends = table.Backends
	next.Snapshot = &s
	return &next
}

func ingresses(b *build) {
	b.next.ingress = ingress.Build(b.view, b.delta, ingress.Options{
		Controller:        b.options.Controller,
		Class:             b.options.Class,
		ImplicitClass:     b.options.ImplicitClasses,
		Port:              b.options.IngressPort,
		AllowExternalName: b.options.AllowExternalName,
		ShareHosts:        b.options.ShareIngressHosts,
		Addresses:         b.options.Addresses,
	}, b.prev.ingress, b.uses)
}

func gateways(b *build) {
	o := gateway.Options{
		Controller:        b.options.Controller,
		Class:             b.options.Class,
		ImplicitClass:     b.options.ImplicitClasses,
		AllowExternalName: b.options.AllowExternalName,
		DirectPorts:       b.options.DirectPorts,
		Placement:         b.options.Placement,
		NoTrustedProxies:  b.options.NoTrustedProxies,
	}
	if b.options.IngressPort != 0 {
		o.TakenPorts = []uint16{b.options.IngressPort}
	}
	b.next.gateway = gateway.Build(b.view, b.delta, o, b.prev.gateway, b.uses)
}

func backends(b *build) { b.next.backends = b.prev.backends.Update(b.view, b.delta, b.uses) }

func faults(b *build) {
	served := chaos.Served{Listeners: b.listeners(), Backends: b.next.backends.Backends}
	b.next.chaos = chaos.Build(b.view, served, b.options.Chaos, b.prev.chaos)
}

func snapshot(b *build) {
	b.next.Snapshot = &proxy.Snapshot{
		Listeners: b.listeners(),
		Backends:  b.next.backends.Backends, Experiments: b.next.chaos.Experiments, Refused: b.next.chaos.Refused,
		ChaosOff: b.next.chaos.Off, ChaosSwitch: b.next.chaos.Switch, ChaosNamespaces: b.next.chaos.Namespaces,
	}
}

// listeners returns the Listeners of all that is served.
func (b *build) listeners() (all []*proxy.Listener) {
	if l := b.next.ingress.Listener; l != nil {
		all = append(all, l)
	}
	return append(all, b.next.gateway.Listeners...)
}

func report(b *build) {
	b.next.Report = &status.Report{
		Ingresses:      b.next.ingress.Reports,
		LoadBalancer:   b.next.ingress.LoadBalancer,
		GatewayClasses: b.next.gateway.Reports.Classes,
		Gateways:       b.next.gateway.Reports.Gateways,
		NetworkChaos:   b.next.chaos.Reports,
		HTTPRoutes:     b.next.gateway.Reports.HTTPRoutes,
		TCPRoutes:      b.next.gateway.Reports.TCPRoutes,
		UDPRoutes:      b.next.gateway.Reports.UDPRoutes,
		Services:       b.next.backends.Reports,
	}
}

func (b *build) unchanged() bool {
	return b.prev.ingress == b.next.ingress && b.prev.gateway == b.next.gateway && b.prev.chaos == b.next.chaos &&
		b.prev.backends == b.next.backends
}

// equal reports whether a Result made with o may be continued with other. Placement is asked anew by every build.
func (o Options) equal(other Options) bool {
	return o.Controller == other.Controller && o.Class == other.Class && o.ImplicitClasses == other.ImplicitClasses &&
		o.AllowExternalName == other.AllowExternalName && o.ShareIngressHosts == other.ShareIngressHosts &&
		o.DirectPorts == other.DirectPorts && o.NoTrustedProxies == other.NoTrustedProxies && o.IngressPort == other.IngressPort && o.Chaos == other.Chaos &&
		slices.Equal(o.Addresses, other.Addresses)
}
