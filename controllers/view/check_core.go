package view

import (
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/breakwater-gateway/breakwater/controllers/view/syntax"
)

func checkIngress(i *networkingv1.Ingress, f fault) {
	if class := i.Spec.IngressClassName; class != nil {
		list(f, "spec.ingressClassName", *class, validation.IsDNS1123Subdomain(*class))
		if _, both := i.Annotations["kubernetes.io/ingress.class"]; both {
			f("spec.ingressClassName", "is set together with the annotation kubernetes.io/ingress.class")
		}
	}
	if i.Spec.DefaultBackend != nil {
		checkBackend(i.Spec.DefaultBackend, "spec.defaultBackend", f)
	} else if len(i.Spec.Rules) == 0 {
		f("spec", "needs rules or a defaultBackend")
	}
	for n, rule := range i.Spec.Rules {
		field := at("spec.rules", n)
		if rule.Host != "" {
			say(f, field+".host", rule.Host, syntax.HostProblem(rule.Host))
		}
		if rule.HTTP == nil {
			continue
		}
		if len(rule.HTTP.Paths) == 0 {
			f(field+".http.paths", "is empty")
		}
		for m := range rule.HTTP.Paths {
			checkPath(&rule.HTTP.Paths[m], at(field+".http.paths", m), f)
		}
	}
	for n, tls := range i.Spec.TLS {
		for m, name := range tls.Hosts {
			say(f, at(at("spec.tls", n)+".hosts", m), name, syntax.HostProblem(name))
		}
	}
}

func checkPath(p *networkingv1.HTTPIngressPath, field string, f fault) {
	checkBackend(&p.Backend, field+".backend", f)
	if p.PathType == nil {
		f(field+".pathType", "is missing")
		return
	}
	switch *p.PathType {
	case networkingv1.PathTypeExact, networkingv1.PathTypePrefix:
		say(f, field+".path", p.Path, syntax.PathProblem(p.Path))
	case networkingv1.PathTypeImplementationSpecific:
		if p.Path != "" && p.Path[0] != '/' {
			f(field+".path", fmt.Sprintf("%q does not begin with \"/\"", p.Path))
		}
	default:
		f(field+".pathType", fmt.Sprintf("%q is not one of Exact, Prefix, ImplementationSpecific", *p.PathType))
	}
}

func checkBackend(b *networkingv1.IngressBackend, field string, f fault) {
	switch {
	case b.Service == nil && b.Resource == nil:
		f(field, "needs a service or a resource")
	case b.Service != nil && b.Resource != nil:
		f(field, "has both a service and a resource")
	case b.Service != nil:
		list(f, field+".service.name", b.Service.Name, validation.IsDNS1035Label(b.Service.Name))
		port := b.Service.Port
		switch {
		case port.Name != "" && port.Number != 0:
			f(field+".service.port", "has both a name and a number")
		case port.Name != "":
			list(f, field+".service.port.name", port.Name, validation.IsValidPortName(port.Name))
		default:
			checkPort(f, field+".service.port.number", port.Number)
		}
	}
}

func checkService(s *corev1.Service, f fault) {
	switch s.Spec.Type {
	case corev1.ServiceTypeClusterIP, corev1.ServiceTypeNodePort, corev1.ServiceTypeLoadBalancer:
		if len(s.Spec.Ports) == 0 && s.Spec.ClusterIP != corev1.ClusterIPNone {
			f("spec.ports", "is empty")
		}
	case corev1.ServiceTypeExternalName:
		list(f, "spec.externalName", s.Spec.ExternalName, validation.IsDNS1123Subdomain(s.Spec.ExternalName))
	default:
		f("spec.type", fmt.Sprintf("%q is not one of ClusterIP, NodePort, LoadBalancer, ExternalName", s.Spec.Type))
	}
	names, numbers := map[string]bool{}, map[string]bool{}
	for i, p := range s.Spec.Ports {
		field := at("spec.ports", i)
		checkPort(f, field+".port", p.Port)
		switch {
		case p.Name == "" && len(s.Spec.Ports) > 1:
			f(field+".name", "is missing; a Service with several ports names each")
		case p.Name != "":
			list(f, field+".name", p.Name, validation.IsDNS1123Label(p.Name))
		}
		if p.Name != "" && names[p.Name] {
			f(field+".name", fmt.Sprintf("%q is used twice", p.Name))
		}
		number := fmt.Sprintf("%s/%d", p.Protocol, p.Port)
		if numbers[number] {
			f(field+".port", number+" is used twice")
		}
		names[p.Name], numbers[number] = true, true
		switch p.Protocol {
		case corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP:
		default:
			f(field+".protocol", fmt.Sprintf("%q is not one of TCP, UDP, SCTP", p.Protocol))
		}
	}
}

func checkSlice(s *discoveryv1.EndpointSlice, f fault) {
	if s.Labels[discoveryv1.LabelServiceName] == "" {
		f("metadata.labels", "lacks "+discoveryv1.LabelServiceName+", which names the Service")
	}
	switch s.AddressType {
	case discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6:
	case discoveryv1.AddressTypeFQDN:
		f("addressType", "FQDN is not supported")
	default:
		f("addressType", fmt.Sprintf("%q is not one of IPv4, IPv6", s.AddressType))
	}
	for i, p := range s.Ports {
		if p.Port != nil {
			checkPort(f, at("ports", i)+".port", *p.Port)
		}
	}
	for i, e := range s.Endpoints {
		if len(e.Addresses) == 0 {
			f(at("endpoints", i)+".addresses", "is empty")
		}
		for j, a := range e.Addresses {
			address, err := netip.ParseAddr(a)
			if err != nil || address.Zone() != "" || address.Is4() != (s.AddressType == discoveryv1.AddressTypeIPv4) {
				f(at(at("endpoints", i)+".addresses", j), fmt.Sprintf("%q is not an address of type %s", a, s.AddressType))
			}
		}
	}
}
