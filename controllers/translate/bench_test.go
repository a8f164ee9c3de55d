package translate_test

import (
	"fmt"
	"runtime"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/breakwater-gateway/breakwater/controllers/translate"
	"github.com/breakwater-gateway/breakwater/controllers/view"
)

const scale = 10_000

func scaleMeta(i int) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: fmt.Sprintf("ns-%d", i%100), Name: fmt.Sprintf("app-%d", i), UID: types.UID(fmt.Sprint(i)), Generation: 1,
		CreationTimestamp: metav1.Unix(int64(1_700_000_000+i), 0),
	}
}

func scaleIngress(i int, path string) *networkingv1.Ingress {
	o := &networkingv1.Ingress{ObjectMeta: scaleMeta(i)}
	o.Spec.Rules = []networkingv1.IngressRule{{Host: fmt.Sprintf("app-%d.example.com", i)}}
	o.Spec.Rules[0].HTTP = &networkingv1.HTTPIngressRuleValue{Paths: []networkingv1.HTTPIngressPath{{
		Path: path, PathType: new(networkingv1.PathTypePrefix),
		Backend: networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{
			Name: o.Name, Port: networkingv1.ServiceBackendPort{Number: 80},
		}},
	}}}
	return o
}

func scaleRoute(i int, path string) *gatewayv1.HTTPRoute {
	o := &gatewayv1.HTTPRoute{ObjectMeta: scaleMeta(i)}
	o.Spec.ParentRefs = []gatewayv1.ParentReference{{Name: "gw", Namespace: new(gatewayv1.Namespace("infra"))}}
	o.Spec.Hostnames = []gatewayv1.Hostname{gatewayv1.Hostname(fmt.Sprintf("app-%d.example.com", i))}
	var ref gatewayv1.HTTPBackendRef
	ref.Name, ref.Port = gatewayv1.ObjectName(o.Name), new(int32(80))
	o.Spec.Rules = []gatewayv1.HTTPRouteRule{{
		Matches:     []gatewayv1.HTTPRouteMatch{{Path: &gatewayv1.HTTPPathMatch{Value: &path}}},
		BackendRefs: []gatewayv1.HTTPBackendRef{ref},
	}}
	return o
}

func scaleSlice(i, endpoint int) *discoveryv1.EndpointSlice {
	o := &discoveryv1.EndpointSlice{ObjectMeta: scaleMeta(i), AddressType: discoveryv1.AddressTypeIPv4}
	o.Labels = map[string]string{discoveryv1.LabelServiceName: o.Name}
	o.Ports = []discoveryv1.EndpointPort{{Port: new(int32(8080))}}
	o.Endpoints = []discoveryv1.Endpoint{{Addresses: []string{fmt.Sprintf("10.%d.%d.%d", endpoint, i/250, i%250)}}}
	return o
}

func scaleService(i int) *corev1.Service {
	o := &corev1.Service{ObjectMeta: scaleMeta(i)}
	o.Spec.Ports = []corev1.ServicePort{{Port: 80}}
	return o
}

// scaleView returns n hosts, each with a route, a Service and an EndpointSlice of its own.
func scaleView(n int, route func(i int) view.Object) *view.View {
	v := view.New()
	gateway := &gatewayv1.Gateway{ObjectMeta: metav1.ObjectMeta{Namespace: "infra", Name: "gw"}}
	gateway.Spec.GatewayClassName = "breakwater"
	gateway.Spec.Listeners = []gatewayv1.Listener{{
		Name: "http", Port: 80, Protocol: gatewayv1.HTTPProtocolType,
		AllowedRoutes: &gatewayv1.AllowedRoutes{Namespaces: &gatewayv1.RouteNamespaces{From: new(gatewayv1.NamespacesFromAll)}},
	}}
	v.Set(gateway)
	for i := range n {
		v.Set(route(i))
		v.Set(scaleService(i))
		v.Set(scaleSlice(i, 0))
	}
	return v
}

func ingressAt(i int) view.Object { return scaleIngress(i, "/") }
func routeAt(i int) view.Object   { return scaleRoute(i, "/") }

func BenchmarkFullBuild(b *testing.B) {
	for name, route := range map[string]func(int) view.Object{"Ingress": ingressAt, "HTTPRoute": routeAt} {
		b.Run(name, func(b *testing.B) {
			v := scaleView(scale, route)
			b.ReportAllocs()
			for b.Loop() {
				translate.Build(v, testOptions(), nil)
			}
		})
	}
}

// BenchmarkMemory reports what a Result keeps beside the objects.
func BenchmarkMemory(b *testing.B) {
	for name, route := range map[string]func(int) view.Object{"Ingress": ingressAt, "HTTPRoute": routeAt} {
		b.Run(name, func(b *testing.B) {
			v := scaleView(scale, route)
			var before, after runtime.MemStats
			for b.Loop() {
				runtime.GC()
				runtime.ReadMemStats(&before)
				r := translate.Build(v, testOptions(), nil)
				runtime.GC()
				runtime.ReadMemStats(&after)
				runtime.KeepAlive(r)
				b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(1<<20), "MiB")
			}
			runtime.KeepAlive(v)
		})
	}
}

func BenchmarkOneRouteChanged(b *testing.B) {
	routes := map[string]func(i, n int) view.Object{
		"Ingress":   func(i, n int) view.Object { return scaleIngress(i, fmt.Sprintf("/%d", n)) },
		"HTTPRoute": func(i, n int) view.Object { return scaleRoute(i, fmt.Sprintf("/%d", n)) },
	}
	for name, route := range routes {
		b.Run(name, func(b *testing.B) {
			v := scaleView(scale, func(i int) view.Object { return route(i, 0) })
			r := translate.Build(v, testOptions(), nil)
			n := 0
			b.ReportAllocs()
			for b.Loop() {
				n++
				object := route(n%scale, n)
				object.SetGeneration(int64(n + 1))
				v.Set(object)
				r = translate.Build(v, testOptions(), r)
			}
		})
	}
}

func BenchmarkNothingChanged(b *testing.B) {
	v := scaleView(scale, ingressAt)
	r := translate.Build(v, testOptions(), nil)
	b.ReportAllocs()
	for b.Loop() {
		r = translate.Build(v, testOptions(), r)
	}
}

func BenchmarkEndpoints(b *testing.B) {
	v := scaleView(scale, ingressAt)
	r := translate.Build(v, testOptions(), nil)
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		n++
		slice := scaleSlice(n%scale, 1+n/scale%250)
		v.Set(slice)
		r = translate.Endpoints(v, testOptions(), r, []types.NamespacedName{{Namespace: slice.Namespace, Name: slice.Name}})
	}
}
