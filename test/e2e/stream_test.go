package e2e

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/breakwater-gateway/breakwater/api/v1alpha1"
	"github.com/breakwater-gateway/breakwater/controllers/infrastructure"
)

// streamGateway returns a Gateway with port 53 for TCP, called "tcp", and for UDP, called "udp".
func (w *world) streamGateway(name string) *gatewayv1.Gateway {
	return &gatewayv1.Gateway{ObjectMeta: w.meta(name), Spec: gatewayv1.GatewaySpec{
		GatewayClassName: class,
		Listeners: []gatewayv1.Listener{
			{Name: "tcp", Port: 53, Protocol: gatewayv1.TCPProtocolType},
			{Name: "udp", Port: 53, Protocol: gatewayv1.UDPProtocolType},
		},
	}}
}

func (w *world) streamParents(gateway string) gatewayv1.CommonRouteSpec {
	return gatewayv1.CommonRouteSpec{ParentRefs: []gatewayv1.ParentReference{{Name: gatewayv1.ObjectName(gateway)}}}
}

// toService returns a reference to port 80 of a Service.
func toService(name string) []gatewayv1.BackendRef {
	port := gatewayv1.PortNumber(80)
	return []gatewayv1.BackendRef{{BackendObjectReference: gatewayv1.BackendObjectReference{Name: gatewayv1.ObjectName(name), Port: &port}}}
}

func (w *world) tcpRoute(name, gateway, service string) *gatewayv1.TCPRoute {
	return &gatewayv1.TCPRoute{ObjectMeta: w.meta(name), Spec: gatewayv1.TCPRouteSpec{
		CommonRouteSpec: w.streamParents(gateway), Rules: []gatewayv1.TCPRouteRule{{BackendRefs: toService(service)}},
	}}
}

func (w *world) udpRoute(name, gateway, service string) *gatewayv1.UDPRoute {
	return &gatewayv1.UDPRoute{ObjectMeta: w.meta(name), Spec: gatewayv1.UDPRouteSpec{
		CommonRouteSpec: w.streamParents(gateway), Rules: []gatewayv1.UDPRouteRule{{BackendRefs: toService(service)}},
	}}
}

// expectStream waits until a condition of a route, whose status is read by parents, is as wanted.
func expectStream[R client.Object](w *world, route R, parents func(R) []gatewayv1.RouteParentStatus, kind string, status metav1.ConditionStatus, reason string) {
	w.t.Helper()
	eventually(w.t, fmt.Sprintf("%T %s is %s", route, route.GetName(), reason), func() error {
		w.get(route.GetName(), route)
		for _, p := range parents(route) {
			if p.ControllerName == controller {
				return want(p.Conditions, kind, status, reason, route.GetGeneration())
			}
		}
		return fmt.Errorf("no entry of ours: %v", parents(route))
	})
}

func tcpParents(r *gatewayv1.TCPRoute) []gatewayv1.RouteParentStatus { return r.Status.Parents }
func udpParents(r *gatewayv1.UDPRoute) []gatewayv1.RouteParentStatus { return r.Status.Parents }

// expectAttached waits until the listeners of a Gateway have so many routes of the kinds of their protocols.
func (w *world) expectAttached(gateway string, attached map[gatewayv1.SectionName]int32) {
	w.t.Helper()
	eventually(w.t, fmt.Sprintf("the listeners of %s have %v routes", gateway, attached), func() error {
		var g gatewayv1.Gateway
		w.get(gateway, &g)
		for _, l := range g.Status.Listeners {
			kind := map[gatewayv1.SectionName]gatewayv1.Kind{"tcp": "TCPRoute", "udp": "UDPRoute"}[l.Name]
			if l.AttachedRoutes != attached[l.Name] || len(l.SupportedKinds) != 1 || l.SupportedKinds[0].Kind != kind {
				return fmt.Errorf("listener %s has %d routes of kinds %v", l.Name, l.AttachedRoutes, l.SupportedKinds)
			}
			if err := want(l.Conditions, "Programmed", metav1.ConditionTrue, "Programmed", g.Generation); err != nil {
				return err
			}
			if err := want(l.Conditions, "Conflicted", metav1.ConditionFalse, "NoConflicts", g.Generation); err != nil {
				return err
			}
		}
		if len(g.Status.Listeners) != len(attached) {
			return fmt.Errorf("%d listeners", len(g.Status.Listeners))
		}
		return nil
	})
}

func TestStreamsHaveStatusesAndPortsOfTheirOwn(t *testing.T) {
	api.installGatewayAPI(t)
	w := newWorld(t)
	b := start(t)
	w.gatewayClass()
	w.service("web", w.backend("web"))
	w.service("other", w.backend("other"))
	w.create(w.streamGateway("gw"))
	older, datagrams := w.tcpRoute("z-older", "gw", "web"), w.udpRoute("datagrams", "gw", "web")
	w.create(older)
	w.create(datagrams)

	expectStream(w, older, tcpParents, "Accepted", metav1.ConditionTrue, "Accepted")
	expectStream(w, older, tcpParents, "ResolvedRefs", metav1.ConditionTrue, "ResolvedRefs")
	expectStream(w, datagrams, udpParents, "Accepted", metav1.ConditionTrue, "Accepted")
	expectStream(w, datagrams, udpParents, "ResolvedRefs", metav1.ConditionFalse, "BackendNotFound") // it has no UDP port
	w.expectAttached("gw", map[gatewayv1.SectionName]int32{"tcp": 1, "udp": 1})
	w.expectBothPorts("gw")
	port := w.podPort("gw") // the first port of the Service is the TCP one
	b.expect(t, port, "any.test", reply{200, "web"})

	// Creation times are whole seconds, and the name would decide for the other one.
	time.Sleep(time.Until(older.CreationTimestamp.Add(time.Second)))
	younger := w.tcpRoute("a-younger", "gw", "other")
	w.create(younger)
	expectStream(w, younger, tcpParents, "Accepted", metav1.ConditionTrue, "Accepted")
	w.expectAttached("gw", map[gatewayv1.SectionName]int32{"tcp": 2, "udp": 1})
	w.expectEvent("a-younger", "Shadowed")
	b.must(t, port, "any.test", reply{200, "web"})
	if err := api.Delete(t.Context(), older); err != nil {
		t.Fatal(err)
	}
	b.expect(t, port, "any.test", reply{200, "other"})
	w.expectAttached("gw", map[gatewayv1.SectionName]int32{"tcp": 1, "udp": 1})

	update(w, younger, func(r *gatewayv1.TCPRoute) { r.Spec.ParentRefs[0].Name = "theirs" })
	eventually(t, "our entry goes with the reference", func() error {
		w.get("a-younger", younger)
		if len(younger.Status.Parents) != 0 {
			return fmt.Errorf("got %v", younger.Status.Parents)
		}
		return nil
	})
}

// expectBothPorts waits until the Gateway's Service and EndpointSlice have port 53 twice.
func (w *world) expectBothPorts(gateway string) {
	w.t.Helper()
	var service corev1.Service
	eventually(w.t, "the Service has two ports", func() error {
		w.get(infrastructure.ServiceName(gateway), &service)
		ports := service.Spec.Ports
		if len(ports) != 2 || ports[0].Port != 53 || ports[1].Port != 53 || ports[0].Protocol != corev1.ProtocolTCP || ports[1].Protocol != corev1.ProtocolUDP {
			return fmt.Errorf("got %v", ports)
		}
		return nil
	})
	eventually(w.t, "the EndpointSlice has both ports", func() error {
		var list discoveryv1.EndpointSliceList
		if err := api.List(w.t.Context(), &list, client.InNamespace(w.ns), client.MatchingLabels{discoveryv1.LabelServiceName: service.Name}); err != nil {
			return err
		}
		if len(list.Items) != 1 || len(list.Items[0].Ports) != 2 {
			return fmt.Errorf("got %v", list.Items)
		}
		for i, p := range list.Items[0].Ports {
			if want := service.Spec.Ports[i]; *p.Name != want.Name || *p.Protocol != want.Protocol || int(*p.Port) != want.TargetPort.IntValue() {
				return fmt.Errorf("port %d is %v, want that of %v", i, p, want)
			}
		}
		return nil
	})
}

func TestABadAnnotationIsAnEventAndNothingElse(t *testing.T) {
	api.installGatewayAPI(t)
	w := newWorld(t)
	b := start(t)
	w.gatewayClass()
	w.service("web", w.backend("web"))
	gateway := w.streamGateway("gw")
	gateway.Annotations = map[string]string{v1alpha1.AnnotationProxyProtocol: "gone"}
	w.create(gateway)
	w.create(w.tcpRoute("r", "gw", "web"))
	update(w, &corev1.Service{ObjectMeta: w.meta("web")}, func(s *corev1.Service) {
		s.Annotations = map[string]string{v1alpha1.AnnotationProxyProtocol: "v3"}
	})
	w.expectEvent("gw", "InvalidAnnotation")
	w.expectEvent("web", "InvalidAnnotation")
	w.expectAttached("gw", map[gatewayv1.SectionName]int32{"tcp": 1, "udp": 0})
	b.expect(t, w.podPort("gw"), "any.test", reply{200, "web"})
}
