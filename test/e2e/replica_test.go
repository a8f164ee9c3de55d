package e2e

import (
	"fmt"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// writers returns who wrote the status of an object.
func writers(o client.Object) map[string]bool {
	result := map[string]bool{}
	for _, entry := range o.GetManagedFields() {
		if entry.Subresource == "status" {
			result[entry.Manager] = true
		}
	}
	return result
}

// expectWriter waits until the status of an object is written, and fails if anyone but writer has written it.
func (w *world) expectWriter(o client.Object, writer string) {
	w.t.Helper()
	eventually(w.t, writer+" writes the status of "+o.GetName(), func() error {
		w.get(o.GetName(), o)
		got := writers(o)
		for name := range got {
			if name != writer {
				w.t.Fatalf("%T %s was written by %s", o, o.GetName(), name)
			}
		}
		if !got[writer] {
			return fmt.Errorf("written by %v", got)
		}
		return nil
	})
}

func TestAllReplicasServeAndOnlyTheLeaderWrites(t *testing.T) {
	api.installGatewayAPI(t)
	w := newWorld(t)
	w.gatewayClass()
	first := startReplica(t, "a", "127.0.0.1", time.Minute)
	eventually(t, "the first replica leads", func() error { return w.leader("a") })
	second := startReplica(t, "b", "127.0.0.2", time.Minute)
	w.service("web", w.backend("web"))
	w.create(w.gateway("gw"))
	w.create(w.route("web", "gw", "web"))
	w.create(w.ingress("web", "replicas.test", "web"))
	port := w.podPort("gw")
	for _, b := range []*breakwater{first, second} {
		b.expect(t, port, "any.test", reply{200, "web"})
		b.expect(t, b.ingressPort, "replicas.test", reply{200, "web"})
	}
	w.expectWriter(&networkingv1.Ingress{ObjectMeta: w.meta("web")}, "a")
	w.expectWriter(&gatewayv1.HTTPRoute{ObjectMeta: w.meta("web")}, "a")

	// What the leader did not live to write is written by the next one; nothing else is.
	first.stop()
	w.create(w.ingress("next", "next.test", "web"))
	second.expect(t, second.ingressPort, "next.test", reply{200, "web"})
	w.expectWriter(&networkingv1.Ingress{ObjectMeta: w.meta("next")}, "b")
	w.expectWriter(&networkingv1.Ingress{ObjectMeta: w.meta("web")}, "a")
	if second.Synced() && second.server.Ready() == nil {
		return
	}
	t.Error("the replica became unready by leading")
}

// leader returns an error unless this replica holds the Lease.
func (w *world) leader(name string) error {
	var lease coordinationv1.Lease
	if err := api.Get(w.t.Context(), client.ObjectKey{Namespace: systemNamespace, Name: "breakwater"}, &lease); err != nil {
		return err
	}
	if lease.Spec.HolderIdentity == nil || *lease.Spec.HolderIdentity != name {
		return fmt.Errorf("the lease is %v's", lease.Spec.HolderIdentity)
	}
	return nil
}

func TestTrafficGoesOnWithoutTheAPIServer(t *testing.T) {
	api.installGatewayAPI(t)
	w := newWorld(t)
	b := start(t)
	w.gatewayClass()
	w.service("web", w.backend("web"))
	w.create(w.ingress("web", "away.test", "web"))
	w.create(w.gateway("gw"))
	w.create(w.route("web", "gw", "web"))
	port := w.podPort("gw")
	b.expect(t, b.ingressPort, "away.test", reply{200, "web"})
	b.expect(t, port, "any.test", reply{200, "web"})
	eventually(t, "the replica leads", func() error { return w.leader("a") })

	api.tell(t, "stop")
	// Past the end of the lease, so that the replica has lost its leadership too.
	for began := time.Now(); time.Since(began) < lease+time.Second; {
		b.must(t, b.ingressPort, "away.test", reply{200, "web"})
		b.must(t, port, "any.test", reply{200, "web"})
		if err := b.server.Ready(); err != nil || !b.Synced() {
			t.Fatalf("unready: %v, synced %v", err, b.Synced())
		}
	}
	api.tell(t, "start")
	b.must(t, b.ingressPort, "away.test", reply{200, "web"})
	w.create(w.ingress("after", "after.test", "web"))
	b.expect(t, b.ingressPort, "after.test", reply{200, "web"})
	w.expectWriter(&networkingv1.Ingress{ObjectMeta: w.meta("after")}, "a")
	b.must(t, port, "any.test", reply{200, "web"})
}
