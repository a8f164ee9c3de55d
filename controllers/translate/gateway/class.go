package gateway

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/gateway-api/pkg/features"

	"github.com/breakwater-gateway/breakwater/controllers/status"
	"github.com/breakwater-gateway/breakwater/controllers/view"
)

// class is a GatewayClass of ours. It is immutable.
type class struct {
	source  *gatewayv1.GatewayClass // nil: implicit
	problem string                  // why it is not accepted
}

// translateClasses fills classes and Reports.Classes, and reports whether they differ from those of prev.
func (s *State) translateClasses(v *view.View, o Options, prev *State) (changed bool) {
	s.classes = map[string]*class{}
	s.Reports.Classes = map[string]*status.GatewayClass{}
	for name, source := range v.GatewayClasses {
		if string(source.Spec.ControllerName) != o.Controller {
			continue
		}
		if old := prev.classes[name]; old != nil && old.source == source {
			s.classes[name], s.Reports.Classes[name] = old, prev.Reports.Classes[name]
			continue
		}
		c := &class{source: source}
		if source.Spec.ParametersRef != nil {
			c.problem = "spec.parametersRef: parameters are not supported"
		}
		s.classes[name], s.Reports.Classes[name] = c, c.report()
		changed = true
	}
	if _, exists := v.GatewayClasses[o.Class]; o.ImplicitClass && !exists {
		if old := prev.classes[o.Class]; old != nil && old.source == nil {
			s.classes[o.Class] = old
		} else {
			s.classes[o.Class], changed = &class{}, true
		}
	}
	return changed || len(s.classes) != len(prev.classes)
}

func (c *class) report() *status.GatewayClass {
	g := c.source.Generation
	r := &status.GatewayClass{UID: c.source.UID, Generation: g, SupportedFeatures: supportedFeatures()}
	if c.problem != "" {
		r.Conditions = []metav1.Condition{status.Condition(string(gatewayv1.GatewayClassConditionStatusAccepted), false,
			string(gatewayv1.GatewayClassReasonInvalidParameters), c.problem, g)}
	} else {
		r.Conditions = []metav1.Condition{status.Condition(string(gatewayv1.GatewayClassConditionStatusAccepted), true,
			string(gatewayv1.GatewayClassReasonAccepted), "", g)}
	}
	return r
}

// supportedFeatures is what we claim to the conformance suite, sorted by name.
func supportedFeatures() []gatewayv1.SupportedFeature {
	names := []features.FeatureName{
		features.SupportGateway,
		features.SupportGatewayHTTPListenerIsolation,
		features.SupportGatewayPort8080,
		features.SupportReferenceGrant,
		features.SupportHTTPRoute,
		features.SupportHTTPRouteBackendRequestHeaderModification,
		features.SupportHTTPRouteBackendTimeout,
		features.SupportHTTPRouteHostRewrite,
		features.SupportHTTPRouteMethodMatching,
		features.SupportHTTPRouteNamedRouteRule,
		features.SupportHTTPRouteParentRefPort,
		features.SupportHTTPRoutePathRedirect,
		features.SupportHTTPRoutePathRewrite,
		features.SupportHTTPRoutePortRedirect,
		features.SupportHTTPRouteQueryParamMatching,
		features.SupportHTTPRouteRequestTimeout,
		features.SupportHTTPRouteResponseHeaderModification,
		features.SupportHTTPRouteSchemeRedirect,
		features.SupportHTTPRoute303RedirectStatusCode,
		features.SupportHTTPRoute307RedirectStatusCode,
		features.SupportHTTPRoute308RedirectStatusCode,
		features.SupportTCPRoute,
		features.SupportUDPRoute,
		features.SupportHTTPRouteBackendProtocolWebSocket,
	}
	result := make([]gatewayv1.SupportedFeature, len(names))
	for i, name := range names {
		result[i].Name = gatewayv1.FeatureName(name)
	}
	slices.SortFunc(result, func(a, b gatewayv1.SupportedFeature) int { return strings.Compare(string(a.Name), string(b.Name)) })
	return result
}
