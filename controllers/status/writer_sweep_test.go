package status_test

import (
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/breakwater-gateway/breakwater/controllers/status"
)

// sweep has a new leader report only that it has the address 192.0.2.1, until what is to go has gone, and then lead once more.
func (c *cluster) sweep(t *testing.T, gone func() bool) {
	t.Helper()
	w := c.writer(nil)
	r := status.New()
	r.LoadBalancer = []networkingv1.IngressLoadBalancerIngress{{IP: "192.0.2.1"}}
	lead(w, func() {
		w.Report(r)
		eventually(t, gone)
	})
	r.Ingresses[web] = ingressReport("192.0.2.1").Ingresses[web]
	lead(w, func() {
		w.Report(r)
		eventually(t, func() bool { return c.ingressIP(t) == "192.0.2.1" })
	})
}

func TestANewLeaderTakesItsAddressesFromIngressesThatAreNobodys(t *testing.T) {
	class := func(name, controller string) client.Object {
		return &networkingv1.IngressClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: networkingv1.IngressClassSpec{Controller: controller}}
	}
	objects := []client.Object{class("ours", controller), class("other", "example.com/other"), &networkingv1.Ingress{ObjectMeta: objectMeta()}}
	add := func(name, address, class, annotation string) {
		i := &networkingv1.Ingress{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, UID: types.UID(name)}}
		i.Status.LoadBalancer.Ingress = []networkingv1.IngressLoadBalancerIngress{{IP: address}}
		if class != "" {
			i.Spec.IngressClassName = &class
		}
		if annotation != "" {
			i.Annotations = map[string]string{"kubernetes.io/ingress.class": annotation}
		}
		objects = append(objects, i)
	}
	add("no-class", "192.0.2.1", "", "")
	add("class-is-gone", "192.0.2.1", "gone", "")
	add("class-is-ours", "192.0.2.1", "ours", "") // but its port is not served any more
	add("class-is-others", "192.0.2.1", "other", "")
	add("annotation", "192.0.2.1", "", "nginx")
	add("other-address", "192.0.2.9", "gone", "")
	c := newCluster(t, objects...)
	have := func() (names []string) {
		var list networkingv1.IngressList
		if err := c.List(t.Context(), &list); err != nil {
			t.Fatal(err)
		}
		for i := range list.Items {
			if len(list.Items[i].Status.LoadBalancer.Ingress) > 0 {
				names = append(names, list.Items[i].Name)
			}
		}
		slices.Sort(names)
		return names
	}
	c.sweep(t, func() bool { return len(have()) <= 3 })
	if got, want := have(), []string{"annotation", "class-is-others", "other-address", "web"}; !slices.Equal(got, want) {
		t.Errorf("addresses have %v, want %v", got, want)
	}
}

func TestANewLeaderTakesBackWhatGatewaysSayThatNobodyServes(t *testing.T) {
	objects := []client.Object{gatewayClass("other", "example.com/other"), &networkingv1.Ingress{ObjectMeta: objectMeta()}}
	add := func(name, class string, provisioned bool, is metav1.ConditionStatus) {
		g := gatewayWith(class, condition("Accepted", is, earlier), condition("Programmed", is, earlier))
		g.Name, g.UID = name, types.UID(name)
		s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, Labels: map[string]string{"managed-by": "somebody"}}}
		if provisioned {
			s.Labels["managed-by"] = "us"
		}
		s.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(g, schema.GroupVersionKind{Group: gatewayv1.GroupName, Version: "v1", Kind: "Gateway"})}
		objects = append(objects, g, s)
	}
	add("class-is-gone", "gone", true, metav1.ConditionTrue)
	add("class-is-others", "other", true, metav1.ConditionTrue)
	add("never-ours", "gone", false, metav1.ConditionTrue)
	add("refused", "gone", true, metav1.ConditionFalse)
	c := newCluster(t, objects...)
	with := func(is metav1.ConditionStatus) (names []string) {
		var list gatewayv1.GatewayList
		if err := c.List(t.Context(), &list); err != nil {
			t.Fatal(err)
		}
		for i := range list.Items {
			if list.Items[i].Status.Conditions[1].Status == is {
				names = append(names, list.Items[i].Name)
			}
		}
		slices.Sort(names)
		return names
	}
	c.sweep(t, func() bool { return len(with(metav1.ConditionTrue)) <= 2 })
	if got, want := fmt.Sprint(with(metav1.ConditionTrue)), "[class-is-others never-ours]"; got != want {
		t.Errorf("programmed are %s, want %s", got, want)
	}
	if got, want := fmt.Sprint(with(metav1.ConditionFalse)), "[refused]"; got != want {
		t.Errorf("%s say that they are not programmed, want %s", got, want)
	}
}
