package status

import (
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

func TestReportAsText(t *testing.T) {
	r := New()
	key := func(name string) types.NamespacedName { return types.NamespacedName{Namespace: "ns", Name: name} }
	r.Ingresses[key("b")] = &Ingress{}
	r.Ingresses[key("a")] = &Ingress{
		LoadBalancer: []networkingv1.IngressLoadBalancerIngress{{IP: "203.0.113.1"}, {Hostname: "lb.example.com"}},
		Events:       []Event{Warning(ReasonPathConflict, "two\nlines")},
	}
	r.GatewayClasses["edge"] = &GatewayClass{
		Conditions:        []metav1.Condition{Condition("Accepted", true, "Accepted", "", 3)},
		SupportedFeatures: []gatewayv1.SupportedFeature{{Name: "Gateway"}},
	}
	r.Gateways[key("gw")] = &Gateway{
		Conditions: []metav1.Condition{Condition("Accepted", true, "Accepted", "", 0), Condition("Programmed", false, "Pending", "no port", 0)},
		Listeners:  []gatewayv1.ListenerStatus{{Name: "http", AttachedRoutes: 2, SupportedKinds: []gatewayv1.RouteGroupKind{{Kind: "HTTPRoute"}}}},
	}
	r.HTTPRoutes[key("r")] = &Route{Kind: HTTPRoute, Parents: []gatewayv1.RouteParentStatus{{
		ParentRef: gatewayv1.ParentReference{
			Name: "gw", Namespace: new(gatewayv1.Namespace("infra")), SectionName: new(gatewayv1.SectionName("http")), Port: new(int32(80)),
		},
		Conditions: []metav1.Condition{Condition("Accepted", false, "NoMatchingParent", "", 1)},
	}}}
	r.TCPRoutes[key("r")] = &Route{Kind: TCPRoute}
	r.UDPRoutes[key("r")] = &Route{Kind: UDPRoute, Events: []Event{Warning(ReasonShadowed, "m")}}
	r.Services[key("s")] = &Service{Events: []Event{Warning(ReasonInvalidAnnotation, "m")}}
	want := `GatewayClass edge
  Accepted=True generation=3
  feature Gateway
Gateway ns/gw
  Accepted=True
  Programmed=False Pending: "no port"
  listener http kinds=[HTTPRoute] attached=2
HTTPRoute ns/r
  parent infra/gw section=http port=80
    Accepted=False NoMatchingParent generation=1
TCPRoute ns/r
UDPRoute ns/r
  event Warning Shadowed "m"
Ingress ns/a
  address 203.0.113.1
  address lb.example.com
  event Warning PathConflict "two\nlines"
Ingress ns/b
Service ns/s
  event Warning InvalidAnnotation "m"
`
	if got := r.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
