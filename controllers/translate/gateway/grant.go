package gateway

import (
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/breakwater-gateway/breakwater/controllers/translate/backend"
)

// granted reports whether one of these ReferenceGrants, which are those of the Service's namespace, lets routes of a kind
// and of namespace from refer to the Service.
func granted(grants []*gatewayv1.ReferenceGrant, kind, from string, service types.NamespacedName) bool {
	for _, g := range grants {
		if grantsFrom(g, kind, from) && grantsTo(g, service.Name) {
			return true
		}
	}
	return false
}

func grantsFrom(g *gatewayv1.ReferenceGrant, kind, namespace string) bool {
	for _, from := range g.Spec.From {
		if from.Group == gatewayv1.GroupName && string(from.Kind) == kind && string(from.Namespace) == namespace {
			return true
		}
	}
	return false
}

func grantsTo(g *gatewayv1.ReferenceGrant, name string) bool {
	for _, to := range g.Spec.To {
		if to.Group == "" && to.Kind == backend.Kind && (to.Name == nil || *to.Name == "" || string(*to.Name) == name) {
			return true
		}
	}
	return false
}
