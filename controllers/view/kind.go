package view

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/breakwater-gateway/breakwater/api/v1alpha1"
)

// kind is a kind of object that files may hold.
type kind struct {
	group, name string
	versions    []string // of which the fields that we read are the same
	namespaced  bool
	new         func() Object
	finish      func(Object) // sets defaults
	// definition, if not nil, returns the definition of the custom resource, by which objects are defaulted and checked before
	// they are decoded.
	definition func() (*definition, error)
}

// kinds lists what files may hold.
func kinds() []kind {
	const gateway = gatewayv1.GroupName
	none := func(Object) {}
	return []kind{
		{"networking.k8s.io", "IngressClass", []string{"v1"}, false, func() Object { return &networkingv1.IngressClass{} }, none, nil},
		{"networking.k8s.io", "Ingress", []string{"v1"}, true, func() Object { return &networkingv1.Ingress{} }, none, nil},
		{gateway, "GatewayClass", []string{"v1", "v1beta1"}, false, func() Object { return &gatewayv1.GatewayClass{} }, none, nil},
		{gateway, "Gateway", []string{"v1", "v1beta1"}, true, func() Object { return &gatewayv1.Gateway{} }, defaultGateway, nil},
		{gateway, "HTTPRoute", []string{"v1", "v1beta1"}, true, func() Object { return &gatewayv1.HTTPRoute{} }, defaultHTTPRoute, nil},
		{gateway, "TCPRoute", []string{"v1", "v1alpha2"}, true, func() Object { return &gatewayv1.TCPRoute{} }, defaultTCPRoute, nil},
		{gateway, "UDPRoute", []string{"v1", "v1alpha2"}, true, func() Object { return &gatewayv1.UDPRoute{} }, defaultUDPRoute, nil},
		{gateway, "ReferenceGrant", []string{"v1", "v1beta1"}, true, func() Object { return &gatewayv1.ReferenceGrant{} }, none, nil},
		{"", "Service", []string{"v1"}, true, func() Object { return &corev1.Service{} }, defaultService, nil},
		{"", "Namespace", []string{"v1"}, false, func() Object { return &corev1.Namespace{} }, defaultNamespace, nil},
		{"discovery.k8s.io", "EndpointSlice", []string{"v1"}, true, func() Object { return &discoveryv1.EndpointSlice{} }, defaultSlice, nil},
		{v1alpha1.Group, v1alpha1.KindNetworkChaos, []string{"v1alpha1"}, true, func() Object { return &v1alpha1.NetworkChaos{} }, none, networkChaosDefinition},
		{"", "Secret", []string{"v1"}, true, func() Object { return &corev1.Secret{} }, defaultSecret, nil},
		{"", "ConfigMap", []string{"v1"}, true, func() Object { return &corev1.ConfigMap{} }, none, nil},
		{"", "Pod", []string{"v1"}, true, func() Object { return &corev1.Pod{} }, none, nil},
	}
}

// kindOf returns the kind of an apiVersion and name. The apiVersion may be empty for the items of a typed list.
func kindOf(apiVersion, name string, mayBeEmpty bool) (kind, bool) {
	group, version, ok := strings.Cut(apiVersion, "/")
	if !ok {
		group, version = "", apiVersion
	}
	for _, k := range kinds() {
		if k.name != name {
			continue
		}
		if apiVersion == "" && mayBeEmpty {
			return k, true
		}
		for _, v := range k.versions {
			if k.group == group && v == version {
				return k, true
			}
		}
	}
	return kind{}, false
}

// ourGroup reports whether we read kinds of this API group, so that an unknown one is likely to be misspelt. group may
// be the version of the core group.
func ourGroup(group string) bool {
	switch group {
	case "v1", "networking.k8s.io", "discovery.k8s.io", gatewayv1.GroupName, v1alpha1.Group:
		return true
	}
	return false
}

// knownElsewhere reports whether these groups have a kind that just has no part in routing.
func knownElsewhere(name string) bool {
	switch name {
	case "ServiceAccount", "Endpoints", "PersistentVolume", "PersistentVolumeClaim", "Node",
		"ReplicationController", "ResourceQuota", "LimitRange", "PodTemplate", "Event", // v1
		"NetworkPolicy", "IPAddress", "ServiceCIDR": // networking.k8s.io
		return true
	}
	return false
}

// notServedYet reports whether an API group has a kind that says how to route, which we do not read yet.
func notServedYet(group, name string) bool {
	switch group + "/" + name {
	case gatewayv1.GroupName + "/GRPCRoute", gatewayv1.GroupName + "/TLSRoute",
		gatewayv1.GroupName + "/BackendTLSPolicy", gatewayv1.GroupName + "/ListenerSet",
		"gateway.networking.x-k8s.io/XListenerSet", "gateway.networking.x-k8s.io/XBackendTrafficPolicy":
		return true
	}
	return false
}

// setScope puts a namespaced object without a namespace into "default".
func setScope(object Object, k kind) {
	if k.namespaced && object.GetNamespace() == "" {
		object.SetNamespace(metav1.NamespaceDefault)
	}
}

// describe returns kind, namespace and name.
func describe(object Object) string {
	name := object.GetName()
	if ns := object.GetNamespace(); ns != "" {
		name = ns + "/" + name
	}
	return kindName(object) + " " + name
}

func kindName(object Object) string {
	switch object.(type) {
	case *networkingv1.IngressClass:
		return "IngressClass"
	case *networkingv1.Ingress:
		return "Ingress"
	case *gatewayv1.GatewayClass:
		return "GatewayClass"
	case *gatewayv1.Gateway:
		return "Gateway"
	case *gatewayv1.HTTPRoute:
		return "HTTPRoute"
	case *gatewayv1.TCPRoute:
		return "TCPRoute"
	case *gatewayv1.UDPRoute:
		return "UDPRoute"
	case *gatewayv1.ReferenceGrant:
		return "ReferenceGrant"
	case *corev1.Service:
		return "Service"
	case *corev1.Namespace:
		return "Namespace"
	case *v1alpha1.NetworkChaos:
		return v1alpha1.KindNetworkChaos
	case *corev1.Secret:
		return "Secret"
	case *corev1.ConfigMap:
		return "ConfigMap"
	case *corev1.Pod:
		return "Pod"
	default:
		return "EndpointSlice"
	}
}
