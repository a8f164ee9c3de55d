package translate_test

import (
	"maps"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"github.com/breakwater-gateway/breakwater/api/v1alpha1"
	"github.com/breakwater-gateway/breakwater/controllers/translate"
	"github.com/breakwater-gateway/breakwater/controllers/view"
	"github.com/breakwater-gateway/breakwater/proxy"
)

// TestAnnotationsAreFollowed edits the annotations for the PROXY protocol, which makes no other generation of an object,
// step by step.
func TestAnnotationsAreFollowed(t *testing.T) {
	v := view.New()
	for _, o := range parse(t, annotatedObjects) {
		o.SetUID(types.UID(o.GetName()))
		o.SetGeneration(1)
		v.Set(o)
	}
	gateway, service := types.NamespacedName{Namespace: "default", Name: "gw"}, types.NamespacedName{Namespace: "default", Name: "db"}
	annotate := func(object view.Object, value string) {
		object.SetAnnotations(map[string]string{v1alpha1.AnnotationProxyProtocol: value})
		v.Set(object)
	}
	route := v.TCPRoutes[types.NamespacedName{Namespace: "default", Name: "r"}]
	var r *translate.Result
	for _, c := range []struct {
		name            string
		edit            func()
		accepts         bool
		sends           uint8
		gateway, events int // Events of the Gateway and Services with Events
	}{
		{"nothing", func() {}, false, 0, 0, 0},
		{"the listener", func() { annotate(v.Gateways[gateway].DeepCopy(), "tcp") }, true, 0, 0, 0},
		{"another name", func() { annotate(v.Gateways[gateway].DeepCopy(), "other") }, false, 0, 1, 0},
		{"no value", func() { annotate(v.Gateways[gateway].DeepCopy(), "") }, false, 0, 0, 0},
		{"v1", func() { annotate(v.Services[service].DeepCopy(), "v1") }, false, 1, 0, 0},
		{"v2", func() { annotate(v.Services[service].DeepCopy(), "v2") }, false, 2, 0, 0},
		{"v3", func() { annotate(v.Services[service].DeepCopy(), "v3") }, false, 0, 0, 1},
		{"the route goes, and with it the interest in the Service", func() { v.Delete(route) }, false, 0, 0, 0},
		{"the route comes back", func() { v.Set(route) }, false, 0, 0, 1},
		{"the Service goes", func() { v.Delete(v.Services[service]) }, false, 0, 0, 0},
	} {
		c.edit()
		r = translate.Build(v, testOptions(), r)
		listeners := r.Snapshot.Listeners
		if got := listeners[len(listeners)-1].ProxyProtocol; got != c.accepts {
			t.Errorf("%s: the listener accepts a header: %v", c.name, got)
		}
		for _, b := range slices.Collect(maps.Values(r.Snapshot.Backends)) {
			if b.ID.Stream == proxy.TCP && b.ProxyProtocol != c.sends {
				t.Errorf("%s: version %d is sent, want %d", c.name, b.ProxyProtocol, c.sends)
			}
		}
		if got := len(r.Report.Gateways[gateway].Events); got != c.gateway {
			t.Errorf("%s: %d Events of the Gateway, want %d", c.name, got, c.gateway)
		}
		if got := len(r.Report.Services); got != c.events {
			t.Errorf("%s: %d Services with Events, want %d", c.name, got, c.events)
		}
	}
}

const annotatedObjects = `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec: {gatewayClassName: breakwater, listeners: [{name: tcp, port: 5432, protocol: TCP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: TCPRoute
metadata: {name: r}
spec: {parentRefs: [{name: gw}], rules: [{backendRefs: [{name: db, port: 5432}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {ports: [{port: 5432}]}
`
