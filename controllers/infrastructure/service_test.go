package infrastructure

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

func TestEveryGatewayNameHasAServiceNameOfItsOwn(t *testing.T) {
	seen := map[string]string{}
	for _, name := range []string{
		"web", "9", "a.b", "a-b", "a.b-", strings.Repeat("x", 52), strings.Repeat("x", 53), strings.Repeat("x", 253),
		strings.Repeat("x", 252) + "y", strings.Repeat("a.", 100) + "b",
	} {
		got := ServiceName(name)
		if problems := validation.IsDNS1035Label(got); len(problems) > 0 {
			t.Errorf("%q: %q: %v", name, got, problems)
		}
		if other, ok := seen[got]; ok {
			t.Errorf("%q and %q share %q", name, other, got)
		}
		seen[got] = name
	}
}

func TestServiceCarriesWhatTheGatewayAsksFor(t *testing.T) {
	g := gateway("web", 0, 80)
	g.Spec.Infrastructure = &gatewayv1.GatewayInfrastructure{
		Labels:      map[gatewayv1.LabelKey]gatewayv1.LabelValue{"team": "shop", gatewayv1.GatewayNameLabelKey: "spoof"},
		Annotations: map[gatewayv1.AnnotationKey]gatewayv1.AnnotationValue{"lb": "internal"},
	}
	s := Service(g, mapping{tcp(80): 20001}, corev1.ServiceTypeLoadBalancer)
	if s.Labels["team"] != "shop" || s.Annotations["lb"] != "internal" {
		t.Errorf("labels %v, annotations %v", s.Labels, s.Annotations)
	}
	if s.Labels[LabelGateway] != "web" {
		t.Errorf("%s is %q, want the Gateway's name", LabelGateway, s.Labels[LabelGateway])
	}
	if !metav1.IsControlledBy(s, g) {
		t.Error("the Service does not belong to the Gateway")
	}
	if s.Spec.Selector != nil || s.Spec.Ports[0].TargetPort.IntValue() != 20001 {
		t.Errorf("spec %+v", s.Spec)
	}
}

func TestMergeKeepsWhatOthersAdded(t *testing.T) {
	g := gateway("web", 0, 80)
	existing := Service(g, mapping{tcp(80): 20001}, corev1.ServiceTypeLoadBalancer)
	existing.Labels["theirs"] = "stays"
	existing.Spec.ClusterIP = "10.96.0.7"
	existing.Spec.Ports[0].NodePort = 30001

	if _, changed := Merge(existing, Service(g, mapping{tcp(80): 20001}, corev1.ServiceTypeLoadBalancer)); changed {
		t.Error("an equal Service is changed")
	}
	merged, changed := Merge(existing, Service(g, mapping{tcp(80): 20001, tcp(81): 20002}, corev1.ServiceTypeLoadBalancer))
	if !changed || len(merged.Spec.Ports) != 2 {
		t.Fatalf("changed %v, ports %v", changed, merged.Spec.Ports)
	}
	if merged.Labels["theirs"] != "stays" || merged.Spec.ClusterIP != "10.96.0.7" || merged.Spec.Ports[0].NodePort != 30001 {
		t.Errorf("lost something: %+v", merged)
	}
	if len(existing.Spec.Ports) != 1 {
		t.Error("the existing object was modified")
	}
	hijacked := existing.DeepCopy()
	hijacked.Spec.Selector = map[string]string{"app": "other"}
	if merged, changed := Merge(hijacked, Service(g, mapping{tcp(80): 20001}, corev1.ServiceTypeLoadBalancer)); !changed || merged.Spec.Selector != nil {
		t.Error("a selector stays")
	}
}

func TestAddressesPreferTheLoadBalancer(t *testing.T) {
	s := &corev1.Service{Spec: corev1.ServiceSpec{ClusterIPs: []string{"10.96.0.7", "fd00::7"}}}
	if got := Addresses(s); len(got) != 2 || got[0] != "10.96.0.7" {
		t.Errorf("without a load balancer: %v", got)
	}
	s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "203.0.113.1"}, {Hostname: "lb.example.com"}}
	if got := Addresses(s); len(got) != 2 || got[0] != "203.0.113.1" || got[1] != "lb.example.com" {
		t.Errorf("with a load balancer: %v", got)
	}
	if got := Addresses(&corev1.Service{Spec: corev1.ServiceSpec{ClusterIPs: []string{corev1.ClusterIPNone}}}); got != nil {
		t.Errorf("of a headless Service: %v", got)
	}
}

func TestEndpointSlicesCopyThePods(t *testing.T) {
	ready, not := true, false
	source := []*discoveryv1.EndpointSlice{
		{AddressType: discoveryv1.AddressTypeIPv4, Endpoints: []discoveryv1.Endpoint{
			{Addresses: []string{"10.0.0.2"}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}},
			{Addresses: []string{"10.0.0.1"}, Conditions: discoveryv1.EndpointConditions{Ready: &not}},
		}},
		{AddressType: discoveryv1.AddressTypeIPv4, Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.0.0.2"}}}},
	}
	g := gateway("web", 0, 80)
	got := EndpointSlices(g, mapping{tcp(80): 20001}, PodsOf(source))
	if len(got) != 1 {
		t.Fatalf("%d slices, want one", len(got))
	}
	s := got[0]
	if s.Labels[discoveryv1.LabelServiceName] != ServiceName("web") || s.Labels[discoveryv1.LabelManagedBy] != SliceManagedBy {
		t.Errorf("labels %v", s.Labels)
	}
	if len(s.Endpoints) != 2 || s.Endpoints[0].Addresses[0] != "10.0.0.1" || *s.Endpoints[0].Conditions.Ready {
		t.Errorf("endpoints %v", s.Endpoints)
	}
	if *s.Ports[0].Port != 20001 || *s.Ports[0].Name != "port-80" {
		t.Errorf("ports %v", s.Ports)
	}
	if source[0].Endpoints[0].Addresses[0] != "10.0.0.2" {
		t.Error("the source was modified")
	}
	if got := EndpointSlices(g, mapping{tcp(80): 20001}, PodsOf(nil)); got != nil {
		t.Errorf("without pods: %v", got)
	}
}
