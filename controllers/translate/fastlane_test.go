package translate_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/breakwater-gateway/breakwater/controllers/translate"
	"github.com/breakwater-gateway/breakwater/controllers/view"
)

// TestSliceThatCameFastAndWentSlowly: an EndpointSlice comes by the fast lane and goes in a full build, so that the Service
// has the very slices again that it had before. Its endpoints must go with it.
func TestSliceThatCameFastAndWentSlowly(t *testing.T) {
	for _, c := range []struct {
		name   string
		others int // changes of other objects; what a View has forgotten can be anything
	}{{"known", 0}, {"forgotten", 5000}} {
		t.Run(c.name, func(t *testing.T) {
			v := view.New()
			for _, d := range view.Parse("", []byte(sharingObjects)) {
				v.Set(d.Object)
			}
			key := types.NamespacedName{Namespace: "default", Name: "web"}
			v.Set(sliceOf("web-a", "10.0.0.1"))
			first := translate.Build(v, testOptions(), nil)

			surge := sliceOf("web-b", "10.0.0.2")
			v.Set(surge)
			second := translate.Endpoints(v, testOptions(), first, []types.NamespacedName{key})
			v.Delete(surge)
			for range c.others {
				v.Set(&corev1.Namespace{})
			}
			third := translate.Build(v, testOptions(), second)
			if got, want := translate.Text(third.Snapshot), translate.Text(first.Snapshot); got != want {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

// TestTheFastLaneServesStreams gives a port number of TCP and of UDP another endpoint.
func TestTheFastLaneServesStreams(t *testing.T) {
	v := view.New()
	for _, o := range parse(t, streamObjects) {
		v.Set(o)
	}
	slice := func(address string) *discoveryv1.EndpointSlice {
		s := sliceOf("web-a", address)
		s.Ports[0].Name = new("tcp")
		s.Ports = append(s.Ports, discoveryv1.EndpointPort{Name: new("udp"), Port: new(int32(3001)), Protocol: new(corev1.ProtocolUDP)})
		return s
	}
	v.Set(slice("10.0.0.1"))
	first := translate.Build(v, testOptions(), nil)
	v.Set(slice("10.0.0.2"))
	second := translate.Endpoints(v, testOptions(), first, []types.NamespacedName{{Namespace: "default", Name: "web"}})
	if got, want := text(second), text(translate.Build(v, testOptions(), nil)); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	if len(second.Snapshot.Backends) != 2 {
		t.Errorf("%d Backends, want one for TCP and one for UDP", len(second.Snapshot.Backends))
	}
}

// TestTheFastLaneTellsWhoseEndpointsHaveCome: the Report on an experiment for one zone follows the endpoints.
func TestTheFastLaneTellsWhoseEndpointsHaveCome(t *testing.T) {
	v := view.New()
	for _, o := range parse(t, sharingObjects+`---
apiVersion: breakwater-gateway.io/v1alpha1
kind: NetworkChaos
metadata: {name: x, creationTimestamp: "2026-01-01T10:00:00Z"}
spec: {targetRefs: [{kind: Service, name: web}], at: Backend, endpoints: {zone: b}, duration: 1m, toxics: [{type: Noop}]}
`) {
		v.Set(o)
	}
	last := translate.Build(v, testOptions(), nil)
	for _, zone := range []string{"a", "b", "a"} {
		slice := sliceOf("web-a", "10.0.0.1")
		slice.Endpoints[0].Zone = &zone
		v.Set(slice)
		last = translate.Endpoints(v, testOptions(), last, []types.NamespacedName{{Namespace: "default", Name: "web"}})
		if idle := last.Report.NetworkChaos[types.NamespacedName{Namespace: "default", Name: "x"}].Idle; (idle == "") != (zone == "b") {
			t.Errorf("endpoint in zone %s: %q", zone, idle)
		}
	}
}

const streamObjects = `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec: {gatewayClassName: breakwater, listeners: [{name: tcp, port: 53, protocol: TCP}, {name: udp, port: 53, protocol: UDP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: TCPRoute
metadata: {name: r}
spec: {parentRefs: [{name: gw}], rules: [{backendRefs: [{name: web, port: 53}]}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: UDPRoute
metadata: {name: r}
spec: {parentRefs: [{name: gw}], rules: [{backendRefs: [{name: web, port: 53}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{name: tcp, port: 53}, {name: udp, port: 53, protocol: UDP}]}
`

func sliceOf(name, address string) *discoveryv1.EndpointSlice {
	port, portName := int32(3000), ""
	s := &discoveryv1.EndpointSlice{AddressType: discoveryv1.AddressTypeIPv4}
	s.Namespace, s.Name = "default", name
	s.Labels = map[string]string{discoveryv1.LabelServiceName: "web"}
	s.Ports = []discoveryv1.EndpointPort{{Name: &portName, Port: &port}}
	s.Endpoints = []discoveryv1.Endpoint{{Addresses: []string{address}}}
	return s
}
