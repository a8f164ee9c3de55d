package e2e

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	eventsv1 "k8s.io/api/events/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/breakwater-gateway/breakwater/controllers"
)

func TestIngressIsRoutedAndGetsItsAddress(t *testing.T) {
	w := newWorld(t)
	b := start(t)
	w.service("web", w.backend("web"))
	w.create(w.ingress("web", "ingress.test", "web"))
	b.expect(t, b.ingressPort, "ingress.test", reply{200, "web"})
	b.expect(t, b.ingressPort, "other.test", reply{status: 404})
	eventually(t, "status.loadBalancer", func() error {
		var i networkingv1.Ingress
		w.get("web", &i)
		if got := i.Status.LoadBalancer.Ingress; len(got) != 1 || got[0].IP != "203.0.113.10" {
			return fmt.Errorf("got %v", got)
		}
		return nil
	})
	var i networkingv1.Ingress
	w.get("web", &i)
	update(w, &i, func(i *networkingv1.Ingress) { i.Spec.Rules[0].Host = "moved.test" })
	b.expect(t, b.ingressPort, "moved.test", reply{200, "web"})
	b.must(t, b.ingressPort, "ingress.test", reply{status: 404})

	if err := api.Delete(t.Context(), &i); err != nil {
		t.Fatal(err)
	}
	b.expect(t, b.ingressPort, "moved.test", reply{status: 404})
}

func TestAnEndpointThatIsRemovedIsNotAskedAgain(t *testing.T) {
	w := newWorld(t)
	b := start(t)
	stays, goes := w.backend("stays"), w.backend("goes")
	w.service("web", stays, goes)
	w.create(w.ingress("web", "endpoints.test", "web"))
	eventually(t, "both endpoints are asked", func() error {
		if _, err := b.ask(b.ingressPort, "endpoints.test"); err != nil {
			return err
		}
		if stays.hits.Load() == 0 || goes.hits.Load() == 0 {
			return fmt.Errorf("%d and %d requests", stays.hits.Load(), goes.hits.Load())
		}
		return nil
	})
	full := b.lanes()[controllers.LaneFull]
	var slice discoveryv1.EndpointSlice
	w.get("goes", &slice)
	update(w, &slice, func(s *discoveryv1.EndpointSlice) { s.Endpoints = nil })
	eventually(t, "the change is applied", func() error {
		if b.lanes()[controllers.LaneEndpoints] == 0 {
			return fmt.Errorf("lanes: %v", b.lanes())
		}
		return nil
	})
	before := goes.hits.Load()
	for range 50 {
		b.must(t, b.ingressPort, "endpoints.test", reply{200, "stays"})
	}
	if goes.hits.Load() != before {
		t.Errorf("%d requests to the endpoint that was removed", goes.hits.Load()-before)
	}
	if got := b.lanes()[controllers.LaneFull]; got != full {
		t.Errorf("the change of an endpoint caused %d full builds", got-full)
	}
	w.get("stays", &slice)
	update(w, &slice, func(s *discoveryv1.EndpointSlice) { s.Endpoints = nil })
	b.expect(t, b.ingressPort, "endpoints.test", reply{status: 503})
}

func TestABadIngressHarmsNobodyElse(t *testing.T) {
	w := newWorld(t)
	b := start(t)
	w.service("web", w.backend("web"))
	w.create(w.ingress("good", "good.test", "web"))
	b.expect(t, b.ingressPort, "good.test", reply{200, "web"})

	w.create(w.ingress("missing", "missing.test", "nowhere"))
	w.create(&corev1.Service{ObjectMeta: w.meta("external"), Spec: corev1.ServiceSpec{
		Type: corev1.ServiceTypeExternalName, ExternalName: "metadata.internal", Ports: []corev1.ServicePort{{Port: 80}},
	}})
	w.create(w.ingress("external", "external.test", "external"))
	conflict := w.ingress("thief", "good.test", "nowhere")
	w.create(conflict)

	b.expect(t, b.ingressPort, "missing.test", reply{status: 503})
	b.expect(t, b.ingressPort, "external.test", reply{status: 500})
	w.expectEvent("missing", "ServiceNotFound")
	w.expectEvent("external", "ExternalNameRefused")
	w.expectEvent("thief", "PathConflict")
	b.must(t, b.ingressPort, "good.test", reply{200, "web"})
}

// expectEvent waits for a warning about an object, and fails if it comes twice.
func (w *world) expectEvent(object, reason string) {
	w.t.Helper()
	eventually(w.t, "an Event about "+object, func() error {
		var list eventsv1.EventList
		if err := api.List(w.t.Context(), &list, client.InNamespace(w.ns)); err != nil {
			return err
		}
		var found []eventsv1.Event
		for _, e := range list.Items {
			if e.Regarding.Name == object && e.Reason == reason && e.Type == corev1.EventTypeWarning {
				found = append(found, e)
			}
		}
		if len(found) == 0 {
			return fmt.Errorf("%d Events, none is it", len(list.Items))
		}
		if len(found) > 1 || found[0].Series != nil || found[0].Note == "" {
			w.t.Fatalf("want one Event with a note: %v", found)
		}
		return nil
	})
}
