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
	var slice discoveryv1.EndpointSlice
	w.get("goes", &slice)
	endpoints := slice.Endpoints
	// change returns how many full builds there were until the endpoints were changed. Something else may have caused one.
	change := func(to []discoveryv1.Endpoint) (full int) {
		before := b.lanes()
		update(w, &slice, func(s *discoveryv1.EndpointSlice) { s.Endpoints = to })
		eventually(t, "the change is applied", func() error {
			if now := b.lanes(); now[controllers.LaneEndpoints] == before[controllers.LaneEndpoints] && now[controllers.LaneFull] == before[controllers.LaneFull] {
				return fmt.Errorf("lanes: %v", now)
			}
			return nil
		})
		b.expect(t, b.ingressPort, "endpoints.test", reply{200, "stays"})
		return b.lanes()[controllers.LaneFull] - before[controllers.LaneFull]
	}
	full := change(nil)
	for range 4 {
		full = min(full, change(endpoints), change(nil))
	}
	if full > 0 {
		t.Errorf("each change of an endpoint causes %d full builds or more", full)
	}
	w.eventuallyWithout(b, goes)
	before := goes.hits.Load()
	for range 50 {
		b.must(t, b.ingressPort, "endpoints.test", reply{200, "stays"})
	}
	if goes.hits.Load() != before {
		t.Errorf("%d requests to the endpoint that was removed", goes.hits.Load()-before)
	}
	w.get("stays", &slice)
	update(w, &slice, func(s *discoveryv1.EndpointSlice) { s.Endpoints = nil })
	b.expect(t, b.ingressPort, "endpoints.test", reply{status: 503})
}

// eventuallyWithout waits until ten requests in a row have not gone to an endpoint.
func (w *world) eventuallyWithout(b *breakwater, gone *backend) {
	w.t.Helper()
	eventually(w.t, "the endpoint is not asked any more", func() error {
		before := gone.hits.Load()
		for range 10 {
			if _, err := b.ask(b.ingressPort, "endpoints.test"); err != nil {
				return err
			}
		}
		if n := gone.hits.Load() - before; n > 0 {
			return fmt.Errorf("%d requests", n)
		}
		return nil
	})
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
