package chaos

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/breakwater-gateway/breakwater/api/v1alpha1"
)

// A ReferenceGrant lets through what all of it fits, and nothing else: not what may refer to the target as a NetworkChaos of Chaos
// Mesh, for instance, which is of another group.
func TestReferenceGrants(t *testing.T) {
	name := func(name gatewayv1.ObjectName) *gatewayv1.ObjectName { return &name }
	for _, c := range []struct {
		name   string
		fits   bool
		change func(g *gatewayv1.ReferenceGrant) // what is not as it should be
	}{
		{"all fits", true, func(*gatewayv1.ReferenceGrant) {}},
		{"from Chaos Mesh", false, func(g *gatewayv1.ReferenceGrant) { g.Spec.From[0].Group = "chaos-mesh.org" }},
		{"from the core group", false, func(g *gatewayv1.ReferenceGrant) { g.Spec.From[0].Group = "" }},
		{"from another kind", false, func(g *gatewayv1.ReferenceGrant) { g.Spec.From[0].Kind = "HTTPRoute" }},
		{"from another namespace", false, func(g *gatewayv1.ReferenceGrant) { g.Spec.From[0].Namespace = "third" }},
		{"from nobody", false, func(g *gatewayv1.ReferenceGrant) { g.Spec.From = nil }},
		{"from another one first", true, func(g *gatewayv1.ReferenceGrant) {
			g.Spec.From = append([]gatewayv1.ReferenceGrantFrom{{Group: "chaos-mesh.org", Kind: "NetworkChaos", Namespace: "default"}}, g.Spec.From...)
		}},
		{"from two that fit together only", false, func(g *gatewayv1.ReferenceGrant) {
			g.Spec.From[0].Namespace = "third"
			g.Spec.From = append(g.Spec.From, gatewayv1.ReferenceGrantFrom{Group: "chaos-mesh.org", Kind: "NetworkChaos", Namespace: "default"})
		}},
		{"to its name", true, func(g *gatewayv1.ReferenceGrant) { g.Spec.To[0].Name = name("a") }},
		{"to an empty name", true, func(g *gatewayv1.ReferenceGrant) { g.Spec.To[0].Name = name("") }},
		{"to another name", false, func(g *gatewayv1.ReferenceGrant) { g.Spec.To[0].Name = name("b") }},
		{"to another group", false, func(g *gatewayv1.ReferenceGrant) { g.Spec.To[0].Group = "extensions" }},
		{"to another kind", false, func(g *gatewayv1.ReferenceGrant) { g.Spec.To[0].Kind = "IngressClass" }},
		{"to nothing", false, func(g *gatewayv1.ReferenceGrant) { g.Spec.To = nil }},
		{"to another one first", true, func(g *gatewayv1.ReferenceGrant) {
			g.Spec.To = append([]gatewayv1.ReferenceGrantTo{{Group: "networking.k8s.io", Kind: "Ingress", Name: name("b")}}, g.Spec.To...)
		}},
		{"in the namespace of the experiment", false, func(g *gatewayv1.ReferenceGrant) { g.Namespace = "default" }},
	} {
		v, x, other := cluster(), latency(), "other"
		v.Set(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: other, Labels: map[string]string{v1alpha1.LabelChaos: v1alpha1.ChaosEnabled}}})
		v.Set(&networkingv1.Ingress{ObjectMeta: metav1.ObjectMeta{Namespace: other, Name: "a"}})
		grant := &gatewayv1.ReferenceGrant{
			ObjectMeta: metav1.ObjectMeta{Namespace: other, Name: "g"},
			Spec: gatewayv1.ReferenceGrantSpec{
				From: []gatewayv1.ReferenceGrantFrom{{Group: v1alpha1.Group, Kind: "NetworkChaos", Namespace: "default"}},
				To:   []gatewayv1.ReferenceGrantTo{{Group: "networking.k8s.io", Kind: "Ingress"}},
			},
		}
		c.change(grant)
		v.Set(grant)
		x.Spec.TargetRefs[0].Namespace = &other
		v.Set(x)
		want := v1alpha1.ReasonRefNotPermitted
		if c.fits {
			want = v1alpha1.ReasonAccepted
		}
		s := Build(v, Served{}, Options{}, nil)
		accepted := s.Reports[types.NamespacedName{Namespace: "default", Name: "x"}].Conditions[0]
		if accepted.Reason != want || (len(s.Experiments) == 1) != c.fits {
			t.Errorf("%s: %s, want %s: %s", c.name, accepted.Reason, want, accepted.Message)
		}
	}
}

// What a grant is to is named with the group of its kind.
func TestReferenceGrantsForAllKinds(t *testing.T) {
	for kind, group := range map[string]gatewayv1.Group{
		"HTTPRoute": gatewayv1.GroupName, "TCPRoute": gatewayv1.GroupName, "UDPRoute": gatewayv1.GroupName, "Gateway": gatewayv1.GroupName,
		"Ingress": "networking.k8s.io", "Service": "",
	} {
		v, x, other := cluster(), latency(), "other"
		v.Set(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: other, Labels: map[string]string{v1alpha1.LabelChaos: v1alpha1.ChaosEnabled}}})
		v.Set(&gatewayv1.ReferenceGrant{
			ObjectMeta: metav1.ObjectMeta{Namespace: other, Name: "g"},
			Spec: gatewayv1.ReferenceGrantSpec{
				From: []gatewayv1.ReferenceGrantFrom{{Group: v1alpha1.Group, Kind: "NetworkChaos", Namespace: "default"}},
				To:   []gatewayv1.ReferenceGrantTo{{Group: group, Kind: gatewayv1.Kind(kind)}},
			},
		})
		x.Spec.TargetRefs[0] = v1alpha1.TargetRef{Kind: kind, Namespace: &other, Name: "gone"}
		v.Set(x)
		// It may know now that there is no such object.
		accepted := Build(v, Served{}, Options{}, nil).Reports[types.NamespacedName{Namespace: "default", Name: "x"}].Conditions[0]
		if accepted.Reason != v1alpha1.ReasonTargetNotFound {
			t.Errorf("%s: %s: %s", kind, accepted.Reason, accepted.Message)
		}
	}
}
