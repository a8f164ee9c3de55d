package view

import (
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// The defaults that the API server, or the schema of the custom resource, sets and that routing depends on.

func set[T any](field **T, value T) {
	if *field == nil {
		*field = &value
	}
}

func defaultService(object Object) {
	s := object.(*corev1.Service)
	if s.Spec.Type == "" {
		s.Spec.Type = corev1.ServiceTypeClusterIP
	}
	for i := range s.Spec.Ports {
		p := &s.Spec.Ports[i]
		if p.Protocol == "" {
			p.Protocol = corev1.ProtocolTCP
		}
		if p.TargetPort == intstr.FromInt32(0) || p.TargetPort == intstr.FromString("") {
			p.TargetPort = intstr.FromInt32(p.Port)
		}
	}
}

// defaultNamespace sets the label that every namespace bears, for selectors.
func defaultNamespace(object Object) {
	n := object.(*corev1.Namespace)
	if n.Labels == nil {
		n.Labels = map[string]string{}
	}
	n.Labels[corev1.LabelMetadataName] = n.Name
}

// defaultSecret moves stringData to data.
func defaultSecret(object Object) {
	s := object.(*corev1.Secret)
	for key, value := range s.StringData {
		if s.Data == nil {
			s.Data = map[string][]byte{}
		}
		s.Data[key] = []byte(value)
	}
	s.StringData = nil
}

func defaultSlice(object Object) {
	s := object.(*discoveryv1.EndpointSlice)
	for i := range s.Ports {
		set(&s.Ports[i].Name, "")
		set(&s.Ports[i].Protocol, corev1.ProtocolTCP)
	}
}

func defaultGateway(object Object) {
	g := object.(*gatewayv1.Gateway)
	for i := range g.Spec.Addresses {
		set(&g.Spec.Addresses[i].Type, gatewayv1.IPAddressType)
	}
	for i := range g.Spec.Listeners {
		l := &g.Spec.Listeners[i]
		set(&l.AllowedRoutes, gatewayv1.AllowedRoutes{})
		set(&l.AllowedRoutes.Namespaces, gatewayv1.RouteNamespaces{})
		set(&l.AllowedRoutes.Namespaces.From, gatewayv1.NamespacesFromSame)
		for j := range l.AllowedRoutes.Kinds {
			set(&l.AllowedRoutes.Kinds[j].Group, gatewayv1.GroupName)
		}
		if l.TLS != nil {
			set(&l.TLS.Mode, gatewayv1.TLSModeTerminate)
		}
	}
}

func defaultHTTPRoute(object Object) {
	r := object.(*gatewayv1.HTTPRoute)
	defaultParents(r.Spec.ParentRefs)
	if len(r.Spec.Rules) == 0 {
		r.Spec.Rules = []gatewayv1.HTTPRouteRule{{}}
	}
	for i := range r.Spec.Rules {
		rule := &r.Spec.Rules[i]
		if rule.Matches == nil {
			rule.Matches = []gatewayv1.HTTPRouteMatch{{}}
		}
		for j := range rule.Matches {
			defaultMatch(&rule.Matches[j])
		}
		defaultFilters(rule.Filters)
		for j := range rule.BackendRefs {
			defaultBackend(&rule.BackendRefs[j].BackendRef)
			defaultFilters(rule.BackendRefs[j].Filters)
		}
	}
}

func defaultTCPRoute(object Object) {
	r := object.(*gatewayv1.TCPRoute)
	defaultParents(r.Spec.ParentRefs)
	for i := range r.Spec.Rules {
		for j := range r.Spec.Rules[i].BackendRefs {
			defaultBackend(&r.Spec.Rules[i].BackendRefs[j])
		}
	}
}

func defaultUDPRoute(object Object) {
	r := object.(*gatewayv1.UDPRoute)
	defaultParents(r.Spec.ParentRefs)
	for i := range r.Spec.Rules {
		for j := range r.Spec.Rules[i].BackendRefs {
			defaultBackend(&r.Spec.Rules[i].BackendRefs[j])
		}
	}
}

func defaultParents(refs []gatewayv1.ParentReference) {
	for i := range refs {
		set(&refs[i].Group, gatewayv1.GroupName)
		set(&refs[i].Kind, "Gateway")
	}
}

func defaultBackend(ref *gatewayv1.BackendRef) {
	set(&ref.Group, "")
	set(&ref.Kind, "Service")
	set(&ref.Weight, 1)
}

func defaultMatch(m *gatewayv1.HTTPRouteMatch) {
	set(&m.Path, gatewayv1.HTTPPathMatch{})
	set(&m.Path.Type, gatewayv1.PathMatchPathPrefix)
	set(&m.Path.Value, "/")
	for i := range m.Headers {
		set(&m.Headers[i].Type, gatewayv1.HeaderMatchExact)
	}
	for i := range m.QueryParams {
		set(&m.QueryParams[i].Type, gatewayv1.QueryParamMatchExact)
	}
}

func defaultFilters(filters []gatewayv1.HTTPRouteFilter) {
	for i := range filters {
		if redirect := filters[i].RequestRedirect; redirect != nil {
			set(&redirect.StatusCode, 302)
		}
	}
}
