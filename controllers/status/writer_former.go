package status

import (
	"context"
	"fmt"
	"math"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// formerRoute is a route that has ceased to be ours: our entries go.
type formerRoute struct{ Route }

// formerIngress is an Ingress that has ceased to be ours: the addresses that we gave it go, unless somebody else has put
// others in their place.
type formerIngress struct {
	Ingress
	Gave []networkingv1.IngressLoadBalancerIngress
}

// formerGateway is a Gateway that has ceased to be ours: nobody serves it until a controller takes it, and its status says so. If
// its class is another controller's the status is that one's to write.
type formerGateway struct{ Gateway }

var (
	_ desired     = (*formerRoute)(nil)
	_ desired     = (*formerIngress)(nil)
	_ desired     = (*formerGateway)(nil)
	_ conditional = (*formerGateway)(nil)
)

// of returns that any generation of the very object is meant.
func (i *formerIngress) of() (types.UID, int64) { return i.UID, math.MaxInt64 }

func (i *formerIngress) merge(obj client.Object, _ merge) {
	if status := &obj.(*networkingv1.Ingress).Status.LoadBalancer; equality.Semantic.DeepEqual(status.Ingress, i.Gave) {
		status.Ingress = nil
	}
}

// of returns that any generation of the very object is meant.
func (g *formerGateway) of() (types.UID, int64) { return g.UID, math.MaxInt64 }

func (g *formerGateway) applies(ctx context.Context, reader client.Reader, obj client.Object, m merge) (bool, error) {
	var class gatewayv1.GatewayClass
	err := reader.Get(ctx, client.ObjectKey{Name: string(obj.(*gatewayv1.Gateway).Spec.GatewayClassName)}, &class)
	if apierrors.IsNotFound(err) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("read the class of a Gateway: %w", err)
	}
	return class.Spec.ControllerName == m.controller, nil
}

// merge brings back what the API server gives to a Gateway that no controller has seen.
func (g *formerGateway) merge(obj client.Object, m merge) {
	gateway := obj.(*gatewayv1.Gateway)
	status := &gateway.Status
	status.Addresses, status.Listeners = nil, nil
	pending := make([]metav1.Condition, 2)
	for i, kind := range []gatewayv1.GatewayConditionType{gatewayv1.GatewayConditionAccepted, gatewayv1.GatewayConditionProgrammed} {
		pending[i] = metav1.Condition{
			Type: string(kind), Status: metav1.ConditionUnknown, Reason: string(gatewayv1.GatewayReasonPending),
			Message: "Waiting for controller", ObservedGeneration: gateway.Generation,
		}
	}
	status.Conditions = m.conditions(status.Conditions, pending, gatewayConditions)
}

// formerOf returns what is desired of an object of which last was desired and that has ceased to be ours; nil if it can stay as
// it is.
func formerOf(last desired) desired {
	switch d := last.(type) {
	case *Route:
		return &formerRoute{Route{Kind: d.Kind}}
	case *Ingress:
		return &formerIngress{Ingress: Ingress{UID: d.UID}, Gave: d.LoadBalancer}
	case *Gateway:
		return &formerGateway{Gateway{UID: d.UID}}
	case *formerRoute, *formerIngress, *formerGateway:
		return last // not done yet
	}
	return nil
}

func isFormer(d desired) bool {
	switch d.(type) {
	case *formerRoute, *formerIngress, *formerGateway:
		return true
	}
	return false
}
