package translate_test

import (
	"fmt"
	"math/rand/v2"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/breakwater-gateway/breakwater/api/v1alpha1"
	"github.com/breakwater-gateway/breakwater/controllers/view"
)

// world makes random objects out of a few names, so that they meet, and edits them as a cluster would.
type world struct {
	*rand.Rand
	view    *view.View
	objects []view.Object
	version int64 // generation of the latest object
	epoch   int   // of the placement
}

func newWorld(seed uint64) *world {
	return &world{Rand: rand.New(rand.NewPCG(seed, 1)), view: view.New()}
}

func pick[T any](w *world, values ...T) T { return values[w.IntN(len(values))] }

// edit makes one random change. It returns the Services whose EndpointSlices have changed, if that is all that has.
func (w *world) edit() (services []types.NamespacedName) {
	if len(w.objects) > 0 && w.IntN(4) == 0 {
		i := w.IntN(len(w.objects))
		object := w.objects[i]
		services = w.servicesOf(object)
		w.view.Delete(object)
		w.objects = append(w.objects[:i], w.objects[i+1:]...)
		return services
	}
	object := w.object()
	w.version++
	switch w.IntN(3) { // a file; an object of a cluster; a write of its status only
	case 1, 2:
		object.SetUID(types.UID(fmt.Sprintf("%T/%s/%s", object, object.GetNamespace(), object.GetName())))
		object.SetGeneration(w.version)
	}
	object.SetCreationTimestamp(metav1.Unix(1_000_000+int64(w.IntN(3)), 0))
	return w.set(object)
}

// touch replaces a random object by one that is equal, as a write of its status does, or but for its annotations, which do
// not make another generation either.
func (w *world) touch() {
	if len(w.objects) == 0 {
		return
	}
	object := w.objects[w.IntN(len(w.objects))].DeepCopyObject().(view.Object)
	switch object.(type) {
	case *gatewayv1.Gateway, *corev1.Service:
		object.SetAnnotations(w.annotations())
	}
	w.set(object)
}

func (w *world) set(object view.Object) []types.NamespacedName {
	services := w.servicesOf(object)
	w.view.Set(object)
	services = append(services, w.servicesOf(object)...)
	for i, other := range w.objects {
		if fmt.Sprintf("%T", other) == fmt.Sprintf("%T", object) && other.GetName() == object.GetName() && other.GetNamespace() == object.GetNamespace() {
			w.objects[i] = object
			return services
		}
	}
	w.objects = append(w.objects, object)
	return services
}

func (w *world) servicesOf(object view.Object) []types.NamespacedName {
	if _, ok := object.(*discoveryv1.EndpointSlice); !ok {
		return nil
	}
	key, ok := w.view.ServiceOf(types.NamespacedName{Namespace: object.GetNamespace(), Name: object.GetName()})
	if !ok {
		return nil
	}
	return []types.NamespacedName{key}
}

func (w *world) object() view.Object {
	meta := metav1.ObjectMeta{Namespace: pick(w, "one", "two"), Name: pick(w, "a", "b", "c", "d")}
	switch w.IntN(23) {
	case 20, 21, 22:
		return w.chaos(meta)
	case 0:
		class := &networkingv1.IngressClass{ObjectMeta: metav1.ObjectMeta{Name: pick(w, "breakwater", "other")}}
		class.Spec.Controller = pick(w, "breakwater-gateway.io/controller", "example.com/other")
		class.Annotations = map[string]string{networkingv1.AnnotationIsDefaultIngressClass: pick(w, "true", "false")}
		return class
	case 1:
		class := &gatewayv1.GatewayClass{ObjectMeta: metav1.ObjectMeta{Name: pick(w, "breakwater", "other")}}
		class.Spec.ControllerName = gatewayv1.GatewayController(pick(w, "breakwater-gateway.io/controller", "example.com/other"))
		if w.IntN(4) == 0 {
			class.Spec.ParametersRef = &gatewayv1.ParametersReference{Kind: "ConfigMap", Name: "x"}
		}
		return class
	case 2, 3, 4, 5:
		return w.ingress(meta)
	case 6, 7:
		return w.gateway(meta)
	case 8, 9, 10, 11:
		return w.route(meta)
	case 12:
		return w.grant(meta)
	case 13:
		return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: meta.Namespace, Labels: map[string]string{
			"team": pick(w, "shop", "bank"), v1alpha1.LabelChaos: pick(w, v1alpha1.ChaosEnabled, v1alpha1.ChaosDisabled),
		}}}
	case 14:
		return w.service(meta)
	case 15, 16, 17:
		return w.tcpRoute(meta)
	case 18:
		tcp := w.tcpRoute(meta)
		udp := &gatewayv1.UDPRoute{ObjectMeta: meta, Spec: gatewayv1.UDPRouteSpec{CommonRouteSpec: tcp.Spec.CommonRouteSpec}}
		for _, rule := range tcp.Spec.Rules {
			udp.Spec.Rules = append(udp.Spec.Rules, gatewayv1.UDPRouteRule(rule))
		}
		udp.Status.RouteStatus = tcp.Status.RouteStatus
		return udp
	default:
		return w.slice(meta)
	}
}

func (w *world) ingress(meta metav1.ObjectMeta) view.Object {
	i := &networkingv1.Ingress{ObjectMeta: meta}
	if w.IntN(3) > 0 {
		i.Spec.IngressClassName = new(pick(w, "breakwater", "breakwater", "other"))
	} else if w.IntN(2) == 0 {
		i.Annotations = map[string]string{"kubernetes.io/ingress.class": pick(w, "breakwater", "nginx")}
	}
	if w.IntN(3) == 0 {
		i.Spec.DefaultBackend = new(w.backend())
	}
	if w.IntN(8) == 0 {
		i.Spec.TLS = []networkingv1.IngressTLS{{}}
	}
	for range w.IntN(3) {
		rule := networkingv1.IngressRule{Host: pick(w, "", "a.example.com", "b.example.com", "*.example.com", "BAD")}
		if w.IntN(5) > 0 {
			rule.HTTP = &networkingv1.HTTPIngressRuleValue{}
			for range w.IntN(3) + 1 {
				rule.HTTP.Paths = append(rule.HTTP.Paths, networkingv1.HTTPIngressPath{
					Path:     pick(w, "/", "/x", "/x/", "/y", "//bad"),
					PathType: new(pick(w, networkingv1.PathTypeExact, networkingv1.PathTypePrefix, networkingv1.PathTypeImplementationSpecific)),
					Backend:  w.backend(),
				})
			}
		}
		i.Spec.Rules = append(i.Spec.Rules, rule)
	}
	return i
}

func (w *world) backend() networkingv1.IngressBackend {
	port := networkingv1.ServiceBackendPort{Number: pick[int32](w, 80, 81, 99)}
	if w.IntN(4) == 0 {
		port = networkingv1.ServiceBackendPort{Name: pick(w, "http", "gone")}
	}
	if w.IntN(10) == 0 {
		return networkingv1.IngressBackend{Resource: &corev1.TypedLocalObjectReference{Kind: "Bucket", Name: "b"}}
	}
	return networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{Name: pick(w, "a", "b", "c", "d"), Port: port}}
}

func (w *world) gateway(meta metav1.ObjectMeta) view.Object {
	g := &gatewayv1.Gateway{ObjectMeta: meta}
	g.Spec.GatewayClassName = gatewayv1.ObjectName(pick(w, "breakwater", "breakwater", "other"))
	for i := range w.IntN(4) {
		l := gatewayv1.Listener{
			Name: gatewayv1.SectionName(fmt.Sprint("l", i)), Port: pick[int32](w, 80, 81),
			Protocol: pick(w, gatewayv1.HTTPProtocolType, gatewayv1.HTTPProtocolType, gatewayv1.HTTPProtocolType, gatewayv1.HTTPSProtocolType,
				gatewayv1.TCPProtocolType, gatewayv1.TCPProtocolType, gatewayv1.UDPProtocolType),
		}
		if l.Protocol == gatewayv1.HTTPProtocolType && w.IntN(2) == 0 || w.IntN(10) == 0 {
			l.Hostname = new(gatewayv1.Hostname(pick(w, "a.example.com", "*.example.com", "BAD")))
		}
		if w.IntN(2) == 0 {
			l.AllowedRoutes = &gatewayv1.AllowedRoutes{Namespaces: &gatewayv1.RouteNamespaces{
				From:     new(pick(w, gatewayv1.NamespacesFromAll, gatewayv1.NamespacesFromSame, gatewayv1.NamespacesFromSelector)),
				Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"team": "shop"}},
			}}
		}
		g.Spec.Listeners = append(g.Spec.Listeners, l)
	}
	g.Annotations = w.annotations()
	return g
}

// annotations returns what may stand on a Gateway or a Service, right or wrong.
func (w *world) annotations() map[string]string {
	if w.IntN(2) == 0 {
		return nil
	}
	return map[string]string{v1alpha1.AnnotationProxyProtocol: pick(w, "*", "l0", "l1, l9", "v1", "v2", "")}
}

func (w *world) route(meta metav1.ObjectMeta) view.Object {
	r := &gatewayv1.HTTPRoute{ObjectMeta: meta}
	r.Spec.ParentRefs = w.parents()
	for range w.IntN(3) {
		r.Spec.Hostnames = append(r.Spec.Hostnames, gatewayv1.Hostname(pick(w, "a.example.com", "b.example.com", "*.example.com", "BAD")))
	}
	for range w.IntN(3) {
		r.Spec.Rules = append(r.Spec.Rules, w.rule())
	}
	r.Status.Parents = w.written()
	return r
}

func (w *world) parents() (refs []gatewayv1.ParentReference) {
	for range w.IntN(3) {
		p := gatewayv1.ParentReference{Name: gatewayv1.ObjectName(pick(w, "a", "b", "c", "d"))}
		if w.IntN(2) == 0 {
			p.Namespace = new(gatewayv1.Namespace(pick(w, "one", "two")))
		}
		if w.IntN(3) == 0 {
			p.SectionName = new(gatewayv1.SectionName(pick(w, "l0", "l1")))
		}
		refs = append(refs, p)
	}
	return refs
}

// written returns what stands in the status of a route.
func (w *world) written() []gatewayv1.RouteParentStatus {
	if w.IntN(4) > 0 {
		return nil
	}
	return []gatewayv1.RouteParentStatus{{ControllerName: "breakwater-gateway.io/controller"}}
}

func (w *world) tcpRoute(meta metav1.ObjectMeta) *gatewayv1.TCPRoute {
	r := &gatewayv1.TCPRoute{ObjectMeta: meta}
	r.Spec.ParentRefs, r.Status.Parents = w.parents(), w.written()
	for range pick(w, 1, 1, 1, 0, 2) {
		var rule gatewayv1.TCPRouteRule
		for range w.IntN(3) {
			rule.BackendRefs = append(rule.BackendRefs, w.backendRef())
		}
		r.Spec.Rules = append(r.Spec.Rules, rule)
	}
	return r
}

func (w *world) backendRef() (ref gatewayv1.BackendRef) {
	ref.Name, ref.Port = gatewayv1.ObjectName(pick(w, "a", "b", "c", "d")), new(pick[int32](w, 80, 81, 99))
	if w.IntN(2) == 0 {
		ref.Namespace = new(gatewayv1.Namespace(pick(w, "one", "two")))
	}
	if w.IntN(3) == 0 {
		ref.Weight = new(int32(w.IntN(10) - 1))
	}
	return ref
}

func (w *world) rule() gatewayv1.HTTPRouteRule {
	var rule gatewayv1.HTTPRouteRule
	for range w.IntN(3) {
		rule.Matches = append(rule.Matches, gatewayv1.HTTPRouteMatch{Path: &gatewayv1.HTTPPathMatch{
			Type:  new(pick(w, gatewayv1.PathMatchExact, gatewayv1.PathMatchPathPrefix, gatewayv1.PathMatchRegularExpression)),
			Value: new(pick(w, "/", "/x", "/y", "/(")),
		}})
	}
	if w.IntN(4) == 0 {
		rule.Filters = []gatewayv1.HTTPRouteFilter{{
			Type:            pick(w, gatewayv1.HTTPRouteFilterRequestRedirect, gatewayv1.HTTPRouteFilterCORS),
			RequestRedirect: &gatewayv1.HTTPRequestRedirectFilter{StatusCode: new(301)},
		}}
	}
	for range w.IntN(3) {
		rule.BackendRefs = append(rule.BackendRefs, gatewayv1.HTTPBackendRef{BackendRef: w.backendRef()})
	}
	return rule
}

func (w *world) grant(meta metav1.ObjectMeta) view.Object {
	g := &gatewayv1.ReferenceGrant{ObjectMeta: meta}
	g.Spec.From = []gatewayv1.ReferenceGrantFrom{{
		Group: gatewayv1.GroupName, Kind: pick[gatewayv1.Kind](w, "HTTPRoute", "TCPRoute", "UDPRoute"), Namespace: gatewayv1.Namespace(pick(w, "one", "two")),
	}}
	g.Spec.To = []gatewayv1.ReferenceGrantTo{{Kind: "Service"}}
	if w.IntN(2) == 0 {
		g.Spec.To[0].Name = new(gatewayv1.ObjectName(pick(w, "a", "b")))
	}
	return g
}

func (w *world) service(meta metav1.ObjectMeta) view.Object {
	s := &corev1.Service{ObjectMeta: meta}
	s.Annotations = w.annotations()
	s.Spec.Ports = []corev1.ServicePort{
		{Name: pick(w, "http", "web"), Port: 80}, {Name: "other", Port: 81}, {Name: "udp", Port: 80, Protocol: corev1.ProtocolUDP},
	}
	switch w.IntN(8) {
	case 0:
		s.Spec.Type, s.Spec.ExternalName = corev1.ServiceTypeExternalName, "example.org"
	case 1:
		s.Spec.Ports[0].AppProtocol = new("kubernetes.io/h2c")
	}
	return s
}

func (w *world) slice(meta metav1.ObjectMeta) view.Object {
	s := &discoveryv1.EndpointSlice{ObjectMeta: meta, AddressType: discoveryv1.AddressTypeIPv4}
	s.Labels = map[string]string{discoveryv1.LabelServiceName: pick(w, "a", "b", "c", "d")}
	s.Ports = []discoveryv1.EndpointPort{
		{Name: new(pick(w, "http", "web")), Port: new(int32(8080))}, {Name: new("udp"), Port: new(int32(5353)), Protocol: new(corev1.ProtocolUDP)},
	}
	for range w.IntN(3) {
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{
			Addresses:  []string{fmt.Sprintf("10.0.0.%d", w.IntN(5)+1)},
			Conditions: discoveryv1.EndpointConditions{Ready: new(w.IntN(4) > 0), Serving: new(true), Terminating: new(w.IntN(2) == 0)},
		})
	}
	return s
}

// placement answers with what is allocated, which may change from build to build.
type placement struct {
	offset uint16
	lacks  string // the name of Gateways that have no port yet
}

func (p placement) Port(gateway types.NamespacedName, port int32, _ corev1.Protocol) (uint16, bool) {
	return uint16(port) + p.offset, gateway.Name != p.lacks
}

func (placement) Shortage(gateway types.NamespacedName, port int32) string {
	if port == 80 {
		return "gone for " + gateway.Name
	}
	return ""
}

func (placement) Addresses(types.NamespacedName) []string { return []string{"203.0.113.9"} }
