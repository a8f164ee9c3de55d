package e2e

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/breakwater-gateway/breakwater/controllers/infrastructure"
)

// podPort waits for the Service of a Gateway and returns the pod port of its port 80.
func (w *world) podPort(gateway string) (port uint16) {
	w.t.Helper()
	eventually(w.t, "the Service of "+gateway, func() error {
		var s corev1.Service
		err := api.Get(w.t.Context(), client.ObjectKey{Namespace: w.ns, Name: infrastructure.ServiceName(gateway)}, &s)
		if err == nil {
			port = uint16(s.Spec.Ports[0].TargetPort.IntValue())
		}
		return err
	})
	return port
}

// want returns an error unless a condition is as wanted, at this generation.
func want(conditions []metav1.Condition, kind string, status metav1.ConditionStatus, reason string, generation int64) error {
	c := meta.FindStatusCondition(conditions, kind)
	if c == nil {
		return fmt.Errorf("no condition %s in %v", kind, conditions)
	}
	if c.Status != status || c.Reason != reason || c.ObservedGeneration != generation {
		return fmt.Errorf("%s is %s %s at generation %d (%s), want %s %s at %d",
			kind, c.Status, c.Reason, c.ObservedGeneration, c.Message, status, reason, generation)
	}
	return nil
}

func (w *world) expectParent(route, kind string, status metav1.ConditionStatus, reason string) {
	w.t.Helper()
	eventually(w.t, route+" is "+reason, func() error {
		var r gatewayv1.HTTPRoute
		w.get(route, &r)
		for _, p := range r.Status.Parents {
			if p.ControllerName == controller {
				return want(p.Conditions, kind, status, reason, r.Generation)
			}
		}
		return fmt.Errorf("no entry of ours: %v", r.Status.Parents)
	})
}

func TestGatewayServesItsRoutesAtAPlaceOfItsOwn(t *testing.T) {
	api.installGatewayAPI(t)
	w := newWorld(t)
	b := start(t)
	w.gatewayClass()
	w.service("one", w.backend("one"))
	w.service("two", w.backend("two"))
	for _, name := range []string{"one", "two"} {
		w.create(w.gateway(name))
		w.create(w.route(name, name, name))
	}
	b.expect(t, w.podPort("one"), "same.test", reply{200, "one"})
	b.expect(t, w.podPort("two"), "same.test", reply{200, "two"})

	eventually(t, "the GatewayClass is accepted", func() error {
		var c gatewayv1.GatewayClass
		if err := api.Get(t.Context(), client.ObjectKey{Name: class}, &c); err != nil {
			return err
		}
		return want(c.Status.Conditions, "Accepted", metav1.ConditionTrue, "Accepted", c.Generation)
	})
	var service corev1.Service
	w.get(infrastructure.ServiceName("one"), &service)
	eventually(t, "the Gateway is programmed", func() error {
		var g gatewayv1.Gateway
		w.get("one", &g)
		if len(g.Status.Addresses) != 1 || g.Status.Addresses[0].Value != service.Spec.ClusterIP {
			return fmt.Errorf("addresses %v, want %s", g.Status.Addresses, service.Spec.ClusterIP)
		}
		if len(g.Status.Listeners) != 1 || g.Status.Listeners[0].AttachedRoutes != 1 {
			return fmt.Errorf("listeners %v", g.Status.Listeners)
		}
		return want(g.Status.Conditions, "Programmed", metav1.ConditionTrue, "Programmed", g.Generation)
	})
	w.expectParent("one", "Accepted", metav1.ConditionTrue, "Accepted")
	w.expectParent("one", "ResolvedRefs", metav1.ConditionTrue, "ResolvedRefs")

	if service.Labels[infrastructure.LabelGateway] != "one" || len(service.OwnerReferences) != 1 {
		t.Errorf("the Service's labels %v, owners %v", service.Labels, service.OwnerReferences)
	}
	eventually(t, "the Service has endpoints", func() error {
		var slices discoveryv1.EndpointSliceList
		if err := api.List(t.Context(), &slices, client.InNamespace(w.ns),
			client.MatchingLabels{discoveryv1.LabelServiceName: service.Name}); err != nil {
			return err
		}
		if len(slices.Items) != 1 || slices.Items[0].Endpoints[0].Addresses[0] != hostAddress(t) ||
			int(*slices.Items[0].Ports[0].Port) != service.Spec.Ports[0].TargetPort.IntValue() {
			return fmt.Errorf("got %v", slices.Items)
		}
		return nil
	})
}

func TestAServiceOfAGatewayThatSomeoneDeletesOrEditsComesBack(t *testing.T) {
	api.installGatewayAPI(t)
	w := newWorld(t)
	b := start(t)
	w.gatewayClass()
	w.service("web", w.backend("web"))
	w.create(w.gateway("gw"))
	w.create(w.route("web", "gw", "web"))
	port := w.podPort("gw")
	b.expect(t, port, "any.test", reply{200, "web"})

	var service corev1.Service
	w.get(infrastructure.ServiceName("gw"), &service)
	update(w, &service, func(s *corev1.Service) {
		s.Spec.Ports[0].TargetPort.IntVal = 9999
		s.Spec.Selector = map[string]string{"app": "elsewhere"}
	})
	eventually(t, "the edit is undone", func() error {
		w.get(infrastructure.ServiceName("gw"), &service)
		if got := service.Spec.Ports[0].TargetPort.IntValue(); got != int(port) || service.Spec.Selector != nil {
			return fmt.Errorf("target port %d, selector %v", got, service.Spec.Selector)
		}
		return nil
	})
	if err := api.Delete(t.Context(), &service); err != nil {
		t.Fatal(err)
	}
	if again := w.podPort("gw"); again != port {
		t.Errorf("the new Service leads to %d, the old one to %d", again, port)
	}
	b.expect(t, port, "any.test", reply{200, "web"})
}

func TestABadRouteHarmsNobodyElse(t *testing.T) {
	api.installGatewayAPI(t)
	w := newWorld(t)
	b := start(t)
	w.gatewayClass()
	w.service("web", w.backend("web"))
	w.create(w.gateway("gw"))
	good := w.route("good", "gw", "web")
	good.Spec.Hostnames = []gatewayv1.Hostname{"good.test"}
	w.create(good)
	port := w.podPort("gw")
	b.expect(t, port, "good.test", reply{200, "web"})

	missing := w.route("missing", "gw", "nowhere")
	missing.Spec.Hostnames = []gatewayv1.Hostname{"missing.test"}
	w.create(missing)
	b.expect(t, port, "missing.test", reply{status: 500})
	w.expectParent("missing", "Accepted", metav1.ConditionTrue, "Accepted")
	w.expectParent("missing", "ResolvedRefs", metav1.ConditionFalse, "BackendNotFound")

	other := gatewayv1.Namespace("default")
	forbidden := w.route("forbidden", "gw", "kubernetes")
	forbidden.Spec.Hostnames = []gatewayv1.Hostname{"forbidden.test"}
	forbidden.Spec.Rules[0].BackendRefs[0].Namespace = &other
	w.create(forbidden)
	b.expect(t, port, "forbidden.test", reply{status: 500})
	w.expectParent("forbidden", "ResolvedRefs", metav1.ConditionFalse, "RefNotPermitted")

	b.must(t, port, "good.test", reply{200, "web"})
	w.expectParent("good", "ResolvedRefs", metav1.ConditionTrue, "ResolvedRefs")

	update(w, missing, func(r *gatewayv1.HTTPRoute) { r.Spec.Rules[0].BackendRefs[0].Name = "web" })
	b.expect(t, port, "missing.test", reply{200, "web"})
	w.expectParent("missing", "ResolvedRefs", metav1.ConditionTrue, "ResolvedRefs")
}

func TestWhatOthersWroteIntoAStatusStays(t *testing.T) {
	api.installGatewayAPI(t)
	w := newWorld(t)
	start(t)
	w.gatewayClass()
	w.service("web", w.backend("web"))
	w.create(w.gateway("gw"))
	w.create(w.route("web", "gw", "web"))
	w.expectParent("web", "Accepted", metav1.ConditionTrue, "Accepted")

	foreign := gatewayv1.RouteParentStatus{
		ParentRef:      gatewayv1.ParentReference{Name: "theirs"},
		ControllerName: "example.com/other",
		Conditions: []metav1.Condition{{
			Type: "Accepted", Status: metav1.ConditionFalse, Reason: "Theirs", LastTransitionTime: metav1.Now(),
		}},
	}
	var route gatewayv1.HTTPRoute
	w.get("web", &route)
	eventually(t, "the other controller writes", func() error {
		w.get("web", &route)
		route.Status.Parents = []gatewayv1.RouteParentStatus{foreign} // and removes what is ours
		return api.Status().Update(t.Context(), &route)
	})
	w.expectParent("web", "Accepted", metav1.ConditionTrue, "Accepted") // restored
	update(w, &route, func(r *gatewayv1.HTTPRoute) { r.Spec.Hostnames = []gatewayv1.Hostname{"x.test"} })
	w.expectParent("web", "Accepted", metav1.ConditionTrue, "Accepted")
	w.get("web", &route)
	if len(route.Status.Parents) != 2 || route.Status.Parents[0].Conditions[0].Reason != "Theirs" {
		t.Errorf("the other's entry is not what it was: %v", route.Status.Parents)
	}

	update(w, &route, func(r *gatewayv1.HTTPRoute) { r.Spec.ParentRefs[0].Name = "theirs" })
	eventually(t, "our entry goes with the reference", func() error {
		w.get("web", &route)
		if len(route.Status.Parents) != 1 || route.Status.Parents[0].ControllerName != "example.com/other" {
			return fmt.Errorf("got %v", route.Status.Parents)
		}
		return nil
	})
}

// TestWhatIsNobodysAnyMoreSaysSo: a Gateway and an Ingress name a class that does not exist, once while this replica leads and once
// while nobody does.
func TestWhatIsNobodysAnyMoreSaysSo(t *testing.T) {
	api.installGatewayAPI(t)
	for name, away := range map[string]bool{"led": false, "unled": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			b := start(t)
			w.gatewayClass()
			w.service("web", w.backend("web"))
			g, i := w.gateway("web"), w.ingress("web", "nobody.test", "web")
			w.create(g)
			w.create(i)
			eventually(t, "both have addresses", func() error {
				w.get("web", g)
				w.get("web", i)
				if len(i.Status.LoadBalancer.Ingress) == 0 {
					return fmt.Errorf("the Ingress has no address")
				}
				return want(g.Status.Conditions, "Programmed", metav1.ConditionTrue, "Programmed", g.Generation)
			})
			if away {
				b.stop()
			}
			update(w, g, func(g *gatewayv1.Gateway) { g.Spec.GatewayClassName = "nobodys" })
			update(w, i, func(i *networkingv1.Ingress) { i.Spec.IngressClassName = new("nobodys") })
			if away {
				start(t)
			}
			eventually(t, "nobody serves them", func() error {
				w.get("web", g)
				w.get("web", i)
				if len(i.Status.LoadBalancer.Ingress)+len(g.Status.Addresses)+len(g.Status.Listeners) > 0 {
					return fmt.Errorf("the Ingress says %v, the Gateway %v", i.Status, g.Status)
				}
				var slices discoveryv1.EndpointSliceList
				label := client.MatchingLabels{discoveryv1.LabelServiceName: infrastructure.ServiceName("web")}
				if err := api.List(t.Context(), &slices, client.InNamespace(w.ns), label); err != nil {
					return err
				}
				if len(slices.Items) > 0 {
					return fmt.Errorf("there are %d EndpointSlices", len(slices.Items))
				}
				return want(g.Status.Conditions, "Programmed", metav1.ConditionUnknown, "Pending", g.Generation)
			})
			var service corev1.Service
			w.get(infrastructure.ServiceName("web"), &service) // the address is not lost
		})
	}
}
