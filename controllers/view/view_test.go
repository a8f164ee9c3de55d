package view

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

func endpointSlice(name, service string) *discoveryv1.EndpointSlice {
	s := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name}}
	if service != "" {
		s.Labels = map[string]string{discoveryv1.LabelServiceName: service}
	}
	return s
}

func key(name string) types.NamespacedName { return types.NamespacedName{Namespace: "ns", Name: name} }

func TestSlicesFollowTheirService(t *testing.T) {
	v := New()
	names := func(service string) (names []string) {
		for _, s := range v.EndpointSlices[key(service)] {
			names = append(names, s.Name)
		}
		return names
	}
	v.Set(endpointSlice("b", "web"))
	v.Set(endpointSlice("a", "web"))
	before := v.EndpointSlices[key("web")]
	v.Set(endpointSlice("c", "web"))
	if got := names("web"); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("slices %v, want them sorted", got)
	}
	if len(before) != 2 || before[0].Name != "a" || before[1].Name != "b" {
		t.Error("a list that was handed out has changed")
	}
	v.Set(endpointSlice("b", "api")) // moves
	if got, moved := names("web"), names("api"); !slices.Equal(got, []string{"a", "c"}) || !slices.Equal(moved, []string{"b"}) {
		t.Errorf("web %v, api %v", got, moved)
	}
	v.Set(endpointSlice("b", "")) // belongs to none
	if _, ok := v.EndpointSlices[key("api")]; ok {
		t.Error("the Service still has the slice that left it")
	}
	v.Delete(endpointSlice("a", "whatever the label is now"))
	if got := names("web"); !slices.Equal(got, []string{"c"}) {
		t.Errorf("slices %v after a deletion", got)
	}
	if owner, ok := v.ServiceOf(key("c")); !ok || owner != key("web") {
		t.Errorf("c belongs to %v", owner)
	}
}

func TestStreamRoutesComeAndGo(t *testing.T) {
	v := New()
	tcp, udp := &gatewayv1.TCPRoute{}, &gatewayv1.UDPRoute{}
	tcp.Namespace, tcp.Name, udp.Namespace, udp.Name = "ns", "r", "ns", "r"
	v.Set(tcp)
	v.Set(udp)
	if v.TCPRoutes[key("r")] != tcp || v.UDPRoutes[key("r")] != udp {
		t.Errorf("TCP %v, UDP %v", v.TCPRoutes, v.UDPRoutes)
	}
	v.Delete(tcp)
	if len(v.TCPRoutes) != 0 || len(v.UDPRoutes) != 1 {
		t.Errorf("TCP %v, UDP %v after a deletion", v.TCPRoutes, v.UDPRoutes)
	}
	v.Delete(udp)
	if len(v.UDPRoutes) != 0 {
		t.Errorf("UDP %v after a deletion", v.UDPRoutes)
	}
}

func TestSinceNamesWhatHasChanged(t *testing.T) {
	v := New()
	meta := metav1.ObjectMeta{Namespace: "ns", Name: "x"}
	start := v.Revision()
	v.Set(&networkingv1.Ingress{ObjectMeta: meta})
	v.Set(&networkingv1.Ingress{ObjectMeta: meta})
	v.Set(&gatewayv1.HTTPRoute{ObjectMeta: meta})
	v.Delete(&corev1.Service{ObjectMeta: meta})
	v.Set(endpointSlice("s", "web"))
	middle := v.Revision()
	v.Set(endpointSlice("s", "api"))

	d := v.Since(start)
	if d.Everything || d.Others || !d.Ingresses[key("x")] || len(d.Ingresses) != 1 || !d.HTTPRoutes[key("x")] || !d.Services[key("x")] ||
		!d.EndpointSlices[key("web")] || !d.EndpointSlices[key("api")] {
		t.Errorf("since the start: %+v", d)
	}
	if d = v.Since(middle); len(d.Ingresses) != 0 || !d.EndpointSlices[key("web")] || !d.EndpointSlices[key("api")] {
		t.Errorf("a slice that moved changes both Services: %+v", d)
	}
	if d = v.Since(v.Revision()); len(d.EndpointSlices) != 0 {
		t.Errorf("since now: %+v", d)
	}
	v.Set(&gatewayv1.ReferenceGrant{ObjectMeta: meta})
	if d = v.Since(middle); !d.Others {
		t.Error("a grant is not among the others")
	}
	if !v.Since(v.Revision() + 1).Everything {
		t.Error("a revision of the future is known")
	}
}

func TestSinceForgets(t *testing.T) {
	v := New()
	for range 3 * maxJournal {
		v.Set(&networkingv1.Ingress{})
		if len(v.journal) > maxJournal {
			t.Fatalf("the journal has %d entries", len(v.journal))
		}
	}
	if !v.Since(0).Everything {
		t.Error("what was forgotten is taken for no change")
	}
	if v.Since(v.Revision() - maxJournal/2 + 1).Everything {
		t.Error("half of the journal must always be known")
	}
}

func TestAnUnknownKindIsAMistakeOfTheCaller(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	New().Set(&corev1.Node{})
}
