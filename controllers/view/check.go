package view

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/breakwater-gateway/breakwater/api/v1alpha1"
)

// fault reports what is wrong with a field.
type fault func(field, reason string)

// check reports what the API server would refuse, as far as it matters to routing.
func check(object Object, k kind, f fault) {
	checkMeta(object, k, f)
	switch o := object.(type) {
	case *networkingv1.IngressClass:
		if o.Spec.Controller == "" {
			f("spec.controller", "is missing")
		}
	case *networkingv1.Ingress:
		checkIngress(o, f)
	case *gatewayv1.GatewayClass:
		if o.Spec.ControllerName == "" {
			f("spec.controllerName", "is missing")
		}
	case *gatewayv1.Gateway:
		checkGateway(o, f)
	case *gatewayv1.HTTPRoute:
		checkHTTPRoute(o, f)
	case *gatewayv1.TCPRoute:
		checkParents(o.Spec.ParentRefs, f)
		checkStreamRules(len(o.Spec.Rules), func(i int) []gatewayv1.BackendRef { return o.Spec.Rules[i].BackendRefs }, f)
	case *gatewayv1.UDPRoute:
		checkParents(o.Spec.ParentRefs, f)
		checkStreamRules(len(o.Spec.Rules), func(i int) []gatewayv1.BackendRef { return o.Spec.Rules[i].BackendRefs }, f)
	case *gatewayv1.ReferenceGrant:
		checkGrant(o, f)
	case *corev1.Service:
		checkService(o, f)
	case *discoveryv1.EndpointSlice:
		checkSlice(o, f)
	case *v1alpha1.NetworkChaos:
		checkNetworkChaos(o, f)
	}
}

func checkMeta(object Object, k kind, f fault) {
	name, rule := object.GetName(), validation.IsDNS1123Subdomain
	switch k.name {
	case "Service":
		rule = validation.IsDNS1035Label
	case "Namespace":
		rule = validation.IsDNS1123Label
	}
	if name == "" {
		f("metadata.name", "is missing")
	} else {
		list(f, "metadata.name", name, rule(name))
	}
	ns := object.GetNamespace()
	if k.namespaced {
		list(f, "metadata.namespace", ns, validation.IsDNS1123Label(ns))
	} else if ns != "" {
		f("metadata.namespace", "is set, but the kind has no namespace")
	}
}

// list reports the problems that a function of package validation found with a value.
func list(f fault, field, value string, problems []string) {
	for _, p := range problems {
		f(field, fmt.Sprintf("%q: %s", value, p))
	}
}

// say reports what a function of package syntax found.
func say(f fault, field, value, problem string) {
	if problem != "" {
		f(field, fmt.Sprintf("%q %s", value, problem))
	}
}

func checkPort(f fault, field string, port int32) {
	if port < 1 || port > 65535 {
		f(field, fmt.Sprintf("%d is not a port from 1 to 65535", port))
	}
}

func at(field string, i int) string { return fmt.Sprintf("%s[%d]", field, i) }
