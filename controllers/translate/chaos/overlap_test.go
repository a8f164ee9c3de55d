package chaos

import (
	"slices"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/breakwater-gateway/breakwater/controllers/view"
	"github.com/breakwater-gateway/breakwater/proxy"
)

// ways is a View with the Routes web (by both listeners of the Gateway gw, to the Services cart and pay), admin (by its listener
// "private", to cart), db (a TCPRoute by listener "db" to the Service db) and dns (a UDPRoute, likewise), and the Ingress shop to cart.
func ways() *view.View {
	v := view.New()
	at := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: "default", Name: name} }
	parent := func(section gatewayv1.SectionName) gatewayv1.CommonRouteSpec {
		p := gatewayv1.ParentReference{Name: "gw"}
		if section != "" {
			p.SectionName = &section
		}
		return gatewayv1.CommonRouteSpec{ParentRefs: []gatewayv1.ParentReference{p}}
	}
	ref := func(name gatewayv1.ObjectName) gatewayv1.BackendRef {
		return gatewayv1.BackendRef{BackendObjectReference: gatewayv1.BackendObjectReference{Name: name}}
	}
	rule := func(name gatewayv1.ObjectName) gatewayv1.HTTPRouteRule {
		return gatewayv1.HTTPRouteRule{BackendRefs: []gatewayv1.HTTPBackendRef{{BackendRef: ref(name)}}}
	}
	v.Set(&gatewayv1.HTTPRoute{ObjectMeta: at("web"), Spec: gatewayv1.HTTPRouteSpec{
		CommonRouteSpec: parent(""), Rules: []gatewayv1.HTTPRouteRule{rule("cart"), rule("pay"), rule("cart")},
	}})
	v.Set(&gatewayv1.HTTPRoute{ObjectMeta: at("admin"), Spec: gatewayv1.HTTPRouteSpec{
		CommonRouteSpec: parent("private"), Rules: []gatewayv1.HTTPRouteRule{rule("cart")},
	}})
	v.Set(&gatewayv1.TCPRoute{ObjectMeta: at("db"), Spec: gatewayv1.TCPRouteSpec{
		CommonRouteSpec: parent("db"), Rules: []gatewayv1.TCPRouteRule{{BackendRefs: []gatewayv1.BackendRef{ref("db")}}},
	}})
	v.Set(&gatewayv1.UDPRoute{ObjectMeta: at("dns"), Spec: gatewayv1.UDPRouteSpec{
		CommonRouteSpec: parent("dns"), Rules: []gatewayv1.UDPRouteRule{{BackendRefs: []gatewayv1.BackendRef{ref("dns")}}},
	}})
	path := networkingv1.HTTPIngressPath{Backend: networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{Name: "cart"}}}
	v.Set(&networkingv1.Ingress{ObjectMeta: at("shop"), Spec: networkingv1.IngressSpec{Rules: []networkingv1.IngressRule{
		{IngressRuleValue: networkingv1.IngressRuleValue{HTTP: &networkingv1.HTTPIngressRuleValue{Paths: []networkingv1.HTTPIngressPath{path}}}},
	}}})
	return v
}

func TestOverlaps(t *testing.T) {
	target := func(kind, name, section string) proxy.ExperimentTarget {
		return proxy.ExperimentTarget{Object: proxy.ObjectID{Kind: kind, Namespace: "default", Name: name}, Section: section}
	}
	route := func(name string) proxy.ExperimentTarget { return target("HTTPRoute", name, "") }
	service := func(name string) proxy.ExperimentTarget { return target("Service", name, "") }
	gateway := func(section string) proxy.ExperimentTarget { return target("Gateway", "gw", section) }
	for name, c := range map[string]struct {
		a, b proxy.ExperimentTarget
		want bool
	}{
		"the same Route": {route("web"), route("web"), true},
		"two Routes of one Gateway and one Service":          {route("web"), route("admin"), false},
		"the same Service":                                   {service("cart"), service("cart"), true},
		"two Services of one Route":                          {service("cart"), service("pay"), false},
		"a Route and its Service":                            {route("web"), service("pay"), true},
		"a Route and another's Service":                      {route("admin"), service("pay"), false},
		"a Route and its Gateway":                            {route("web"), gateway(""), true},
		"a Route and its listener":                           {route("admin"), gateway("private"), true},
		"a Route of all listeners and one of them":           {route("web"), gateway("private"), true},
		"a Route and another listener":                       {route("admin"), gateway("db"), false},
		"the same Gateway":                                   {gateway(""), gateway(""), true},
		"a Gateway and a listener of it":                     {gateway(""), gateway("db"), true},
		"two listeners of one Gateway":                       {gateway("private"), gateway("db"), false},
		"a Gateway and a Service that it leads to":           {gateway(""), service("db"), true},
		"a listener and a Service that it leads to":          {gateway("private"), service("cart"), true},
		"a listener and a Service that another one leads to": {gateway("private"), service("db"), false},
		"an Ingress and its Service":                         {target("Ingress", "shop", ""), service("cart"), true},
		"an Ingress and another Service":                     {target("Ingress", "shop", ""), service("pay"), false},
		"an Ingress and a Route to the same Service":         {target("Ingress", "shop", ""), route("web"), false},
		"a TCPRoute and its Service":                         {target("TCPRoute", "db", ""), service("db"), true},
		"a TCPRoute and its listener":                        {target("TCPRoute", "db", ""), gateway("db"), true},
		"a UDPRoute and its Service":                         {target("UDPRoute", "dns", ""), service("dns"), true},
		"a UDPRoute and its listener":                        {target("UDPRoute", "dns", ""), gateway("dns"), true},
		"objects of one name":                                {target("TCPRoute", "db", ""), target("UDPRoute", "db", ""), false},
	} {
		t.Run(name, func(t *testing.T) {
			experiment := func(name string, targets ...proxy.ExperimentTarget) *proxy.Experiment {
				return &proxy.Experiment{ID: proxy.ObjectID{Kind: "NetworkChaos", Namespace: "default", Name: name}, Targets: targets}
			}
			b := building{view: ways()}
			x, y := experiment("x", c.a), experiment("y", target("Service", "elsewhere", ""), c.b)
			got := b.overlaps([]*proxy.Experiment{x, y})
			for _, one := range []*proxy.Experiment{x, y} {
				want := []*proxy.Experiment{one}
				if c.want {
					want = []*proxy.Experiment{x, y}
				}
				if all := got[nameOf(one)]; !slices.Equal(all, want) {
					t.Errorf("%s overlaps with %d, want %d", one.ID.Name, len(all), len(want))
				}
			}
		})
	}
}

// What does not act before its spec changes acts in no order.
func TestWhatIsSuspendedDoesNotOverlap(t *testing.T) {
	v := cluster()
	for i, name := range []string{"a", "b", "c"} {
		o := latency()
		o.Name, o.UID, o.Spec.Suspend = name, types.UID(name), name == "b"
		o.CreationTimestamp = metav1.Unix(int64(i), 0)
		v.Set(o)
	}
	all := Build(v, Served{}, Options{}, nil).Reports
	shared := "shares targets with other experiments; they act in this order: default/a, default/c"
	for name, want := range map[string]string{"a": shared, "b": "", "c": shared} {
		if got := all[types.NamespacedName{Namespace: "default", Name: name}].Conditions[0]; got.Status != metav1.ConditionTrue || got.Message != want {
			t.Errorf("%s: %s %q, want %q", name, got.Status, got.Message, want)
		}
	}
}
