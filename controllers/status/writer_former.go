package status

import (
	"math"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// formerRoute is a route that has ceased to be ours: our entries go.
type formerRoute struct{ Route }

// formerIngress is an Ingress that has ceased to be ours: the addresses that we gave it go, unless somebody else has put
// others in their place.
type formerIngress struct {
	Ingress
	Gave []networkingv1.IngressLoadBalancerIngress
}

var (
	_ desired = (*formerRoute)(nil)
	_ desired = (*formerIngress)(nil)
)

// of returns that any generation of the very object is meant.
func (i *formerIngress) of() (types.UID, int64) { return i.UID, math.MaxInt64 }

func (i *formerIngress) merge(obj client.Object, _ merge) {
	if status := &obj.(*networkingv1.Ingress).Status.LoadBalancer; equality.Semantic.DeepEqual(status.Ingress, i.Gave) {
		status.Ingress = nil
	}
}

// formerOf returns what is desired of an object of which last was desired and that has ceased to be ours; nil if it can stay as
// it is.
func formerOf(last desired) desired {
	switch d := last.(type) {
	case *Route:
		return &formerRoute{Route{Kind: d.Kind}}
	case *Ingress:
		return &formerIngress{Ingress: Ingress{UID: d.UID}, Gave: d.LoadBalancer}
	case *formerRoute, *formerIngress:
		return last // not done yet
	}
	return nil
}

func isFormer(d desired) bool {
	switch d.(type) {
	case *formerRoute, *formerIngress:
		return true
	}
	return false
}
