// Package status holds what the cluster is told about the objects this controller serves: the Report, a pure value that
// the build makes, and the Writer, which carries it to the API server.
//
// A Report is immutable once made and may be read by any number of goroutines. It speaks only of objects, parents and
// conditions that belong to this controller; whatever other controllers wrote is not in it and must be left as it is.
package status

import (
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// Report is the desired status of every object of ours and the Events to emit, as one build of the whole configuration
// found them. Successive Reports share what has not changed: the same pointer means the same content; a different one
// says nothing.
type Report struct {
	Ingresses    map[types.NamespacedName]*Ingress
	LoadBalancer []networkingv1.IngressLoadBalancerIngress // what every Ingress of ours has in its status

	GatewayClasses map[string]*GatewayClass
	Gateways       map[types.NamespacedName]*Gateway
	NetworkChaos   map[types.NamespacedName]*NetworkChaos
	HTTPRoutes     map[types.NamespacedName]*Route
	TCPRoutes      map[types.NamespacedName]*Route
	UDPRoutes      map[types.NamespacedName]*Route
	Services       map[types.NamespacedName]*Service
}

// Kinds of Routes.
const (
	HTTPRoute = "HTTPRoute"
	TCPRoute  = "TCPRoute"
	UDPRoute  = "UDPRoute"
)

// routes returns the Routes of every kind.
func (r *Report) routes() []map[types.NamespacedName]*Route {
	return []map[types.NamespacedName]*Route{r.HTTPRoutes, r.TCPRoutes, r.UDPRoutes}
}

// Routes calls f for the entry of every Route, the kinds one after the other, in no other order.
func (r *Report) Routes(f func(types.NamespacedName, *Route)) {
	for _, kind := range r.routes() {
		for key, route := range kind {
			f(key, route)
		}
	}
}

// Event is a Kubernetes Event to emit about the object in whose entry it stands. The same Event comes with every Report
// for as long as its cause lasts; emit it when it appears.
type Event struct {
	Type    string // corev1.EventTypeNormal or corev1.EventTypeWarning
	Reason  string // one of the Reason constants of this package
	Message string // names the field and what is wrong with it
}

// Ingress is the desired status of one Ingress.
type Ingress struct {
	UID          types.UID // of the object that was translated; empty for objects from files
	Generation   int64     // of the object that was translated
	LoadBalancer []networkingv1.IngressLoadBalancerIngress
	Events       []Event
}

// GatewayClass is the desired status of one GatewayClass. Conditions carry no lastTransitionTime.
type GatewayClass struct {
	UID               types.UID
	Generation        int64
	Conditions        []metav1.Condition
	SupportedFeatures []gatewayv1.SupportedFeature // sorted by name, as the API asks
	Events            []Event
}

// Gateway is the desired status of one Gateway. Conditions carry no lastTransitionTime.
type Gateway struct {
	UID        types.UID
	Generation int64
	Addresses  []gatewayv1.GatewayStatusAddress
	Conditions []metav1.Condition
	Listeners  []gatewayv1.ListenerStatus // in the order of spec.listeners
	Events     []Event
}

// Route is the desired status of one route: one entry for each parent of ours, in the order of spec.parentRefs. Without
// any entry, what stands in the object's status under our controller name is to be removed.
type Route struct {
	Kind       string // HTTPRoute, TCPRoute or UDPRoute
	UID        types.UID
	Generation int64
	Parents    []gatewayv1.RouteParentStatus
	Events     []Event
}

// Service holds the Events about a Service that is referred to; it gets no status.
type Service struct {
	UID    types.UID
	Events []Event
}

// New returns an empty Report.
func New() *Report {
	return &Report{
		Ingresses:      map[types.NamespacedName]*Ingress{},
		GatewayClasses: map[string]*GatewayClass{},
		Gateways:       map[types.NamespacedName]*Gateway{},
		NetworkChaos:   map[types.NamespacedName]*NetworkChaos{},
		HTTPRoutes:     map[types.NamespacedName]*Route{},
		TCPRoutes:      map[types.NamespacedName]*Route{},
		UDPRoutes:      map[types.NamespacedName]*Route{},
		Services:       map[types.NamespacedName]*Service{},
	}
}
