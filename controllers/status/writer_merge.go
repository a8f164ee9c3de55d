package status

import (
	"context"
	"math"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// desired is an entry of a Report as the Writer sees it.
type desired interface {
	// object returns an empty object of the entry's kind.
	object() client.Object
	// of returns the identity and generation of the object that the entry speaks of; no UID is any object.
	of() (uid types.UID, generation int64)
	// merge changes the status of obj, which is of the kind that object returns, to what is desired and leaves
	// what belongs to others.
	merge(obj client.Object, m merge)
	events() []Event
}

// conditional is an entry that is to be written only if more than its object says so.
type conditional interface {
	applies(ctx context.Context, reader client.Reader, obj client.Object, m merge) (bool, error)
}

// transitional is an entry whose Events depend on what its status was before.
type transitional interface {
	// transitions returns the Events for a status that has just been written. Both objects are of the kind that object returns.
	transitions(before, after client.Object) []Event
}

var (
	_ desired = (*Ingress)(nil)
	_ desired = (*GatewayClass)(nil)
	_ desired = (*Gateway)(nil)
	_ desired = (*Route)(nil)
	_ desired = (*Service)(nil)
)

// merge is what all merging needs to know.
type merge struct {
	controller gatewayv1.GatewayController
	now        metav1.Time
}

func sameDesired(a, b desired) bool { return a == b || equality.Semantic.DeepEqual(a, b) }

func (i *Ingress) object() client.Object  { return &networkingv1.Ingress{} }
func (i *Ingress) of() (types.UID, int64) { return i.UID, i.Generation }
func (i *Ingress) events() []Event        { return i.Events }
func (i *Ingress) merge(obj client.Object, _ merge) {
	obj.(*networkingv1.Ingress).Status.LoadBalancer.Ingress = i.LoadBalancer
}

func (g *GatewayClass) object() client.Object  { return &gatewayv1.GatewayClass{} }
func (g *GatewayClass) of() (types.UID, int64) { return g.UID, g.Generation }
func (g *GatewayClass) events() []Event        { return g.Events }
func (g *GatewayClass) merge(obj client.Object, m merge) {
	status := &obj.(*gatewayv1.GatewayClass).Status
	status.SupportedFeatures = g.SupportedFeatures
	status.Conditions = m.conditions(status.Conditions, g.Conditions, gatewayClassConditions)
}

func (g *Gateway) object() client.Object  { return &gatewayv1.Gateway{} }
func (g *Gateway) of() (types.UID, int64) { return g.UID, g.Generation }
func (g *Gateway) events() []Event        { return g.Events }
func (g *Gateway) merge(obj client.Object, m merge) {
	status := &obj.(*gatewayv1.Gateway).Status
	status.Addresses = g.Addresses
	status.Conditions = m.conditions(status.Conditions, g.Conditions, gatewayConditions)
	listeners := make([]gatewayv1.ListenerStatus, len(g.Listeners))
	for i, l := range g.Listeners {
		var before []metav1.Condition
		if at := slices.IndexFunc(status.Listeners, func(old gatewayv1.ListenerStatus) bool { return old.Name == l.Name }); at >= 0 {
			before = status.Listeners[at].Conditions
		}
		l.Conditions = m.conditions(before, l.Conditions, listenerConditions)
		listeners[i] = l
	}
	status.Listeners = listeners
}

func (r *Route) object() client.Object {
	switch r.Kind {
	case TCPRoute:
		return &gatewayv1.TCPRoute{}
	case UDPRoute:
		return &gatewayv1.UDPRoute{}
	default:
		return &gatewayv1.HTTPRoute{}
	}
}

// statusOf returns the part of a route's status that all kinds have.
func statusOf(route client.Object) *gatewayv1.RouteStatus {
	switch r := route.(type) {
	case *gatewayv1.TCPRoute:
		return &r.Status.RouteStatus
	case *gatewayv1.UDPRoute:
		return &r.Status.RouteStatus
	default:
		return &route.(*gatewayv1.HTTPRoute).Status.RouteStatus
	}
}

func (r *Route) of() (types.UID, int64) { return r.UID, r.Generation }
func (r *Route) events() []Event        { return r.Events }

// merge keeps every entry at its place, so that two controllers never fight over the order.
func (r *Route) merge(obj client.Object, m merge) {
	status := statusOf(obj)
	missing := slices.Clone(r.Parents)
	parents := make([]gatewayv1.RouteParentStatus, 0, len(status.Parents))
	for _, old := range status.Parents {
		if old.ControllerName != m.controller {
			parents = append(parents, old)
			continue
		}
		at := slices.IndexFunc(missing, func(p gatewayv1.RouteParentStatus) bool {
			return equality.Semantic.DeepEqual(p.ParentRef, old.ParentRef)
		})
		if at < 0 {
			continue
		}
		p := missing[at]
		missing = slices.Delete(missing, at, at+1)
		p.Conditions = m.conditions(old.Conditions, p.Conditions, routeConditions)
		parents = append(parents, p)
	}
	for _, p := range missing {
		p.Conditions = m.conditions(nil, p.Conditions, routeConditions)
		parents = append(parents, p)
	}
	status.Parents = parents
}

func (s *Service) object() client.Object      { return &corev1.Service{} }
func (s *Service) of() (types.UID, int64)     { return s.UID, math.MaxInt64 }
func (s *Service) events() []Event            { return s.Events }
func (s *Service) merge(client.Object, merge) {}

// The condition types that Gateway API gives to the controller of an object: what is not desired of these is removed.
// Conditions of other types are someone else's.
var (
	gatewayClassConditions = []string{
		string(gatewayv1.GatewayClassConditionStatusAccepted),
		string(gatewayv1.GatewayClassConditionStatusSupportedVersion),
	}
	gatewayConditions = []string{
		string(gatewayv1.GatewayConditionAccepted),
		string(gatewayv1.GatewayConditionProgrammed),
		string(gatewayv1.GatewayConditionResolvedRefs),
	}
	listenerConditions = []string{
		string(gatewayv1.ListenerConditionAccepted),
		string(gatewayv1.ListenerConditionConflicted),
		string(gatewayv1.ListenerConditionProgrammed),
		string(gatewayv1.ListenerConditionResolvedRefs),
		string(gatewayv1.ListenerConditionOverlappingTLSConfig),
	}
	routeConditions = []string{
		string(gatewayv1.RouteConditionAccepted),
		string(gatewayv1.RouteConditionPartiallyInvalid),
		string(gatewayv1.RouteConditionResolvedRefs),
	}
)

// conditions returns before with what is desired set and the own types that are not desired removed. The
// lastTransitionTime of a condition whose status stays is kept. before is not changed.
func (m merge) conditions(before, desired []metav1.Condition, own []string) []metav1.Condition {
	result := slices.DeleteFunc(slices.Clone(before), func(c metav1.Condition) bool {
		return slices.Contains(own, c.Type) && meta.FindStatusCondition(desired, c.Type) == nil
	})
	for _, c := range desired {
		c.LastTransitionTime = m.now
		meta.SetStatusCondition(&result, c)
	}
	return result
}
