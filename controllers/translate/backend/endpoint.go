package backend

import (
	"cmp"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// endpoints returns the Endpoints of one port of a Service, sorted by address. service may be nil.
func endpoints(service *corev1.Service, id proxy.BackendID, list []*discoveryv1.EndpointSlice) []proxy.Endpoint {
	if service == nil {
		return nil
	}
	servicePort := findPort(service, Ref{Port: id.Port, Stream: id.Stream})
	if service.Spec.Type == corev1.ServiceTypeExternalName {
		return externalEndpoint(service, servicePort, id.Port)
	}
	if servicePort == nil {
		return nil
	}
	g := gathering{primary: primaryFamily(service)}
	for _, slice := range list {
		g.add(slice, servicePort)
	}
	return g.result()
}

func externalEndpoint(service *corev1.Service, servicePort *corev1.ServicePort, port int32) []proxy.Endpoint {
	if servicePort != nil {
		port = targetPort(servicePort)
	}
	if !validPort(port) {
		return nil
	}
	// An address in the place of the name is left to the dial as well, which checks what it leads to.
	return []proxy.Endpoint{{
		Address:  netip.AddrPortFrom(netip.IPv4Unspecified(), uint16(port)),
		Hostname: service.Spec.ExternalName,
	}}
}

// primaryFamily is the address family to prefer for a pod that has both: the first of spec.ipFamilies.
func primaryFamily(service *corev1.Service) discoveryv1.AddressType {
	if len(service.Spec.IPFamilies) > 0 && service.Spec.IPFamilies[0] == corev1.IPv6Protocol {
		return discoveryv1.AddressTypeIPv6
	}
	return discoveryv1.AddressTypeIPv4
}

// gathering collects Endpoints from several slices.
type gathering struct {
	primary   discoveryv1.AddressType
	endpoints []proxy.Endpoint
	secondary []proxy.Endpoint // those of the other family
}

func (g *gathering) add(slice *discoveryv1.EndpointSlice, servicePort *corev1.ServicePort) {
	if slice.AddressType != discoveryv1.AddressTypeIPv4 && slice.AddressType != discoveryv1.AddressTypeIPv6 {
		return // FQDN is deprecated and could name anything
	}
	port, ok := slicePort(slice, servicePort)
	if !ok {
		return
	}
	for i := range slice.Endpoints {
		endpoint, ok := convert(&slice.Endpoints[i], slice.AddressType, port)
		switch {
		case !ok:
		case slice.AddressType == g.primary:
			g.endpoints = append(g.endpoints, endpoint)
		default:
			g.secondary = append(g.secondary, endpoint)
		}
	}
}

// result returns every Endpoint once: a pod of both families with its address of the primary one, an address that stands
// in two slices (as while it moves between them) as the one that is ready.
func (g *gathering) result() []proxy.Endpoint {
	if len(g.secondary) > 0 {
		pods := make(map[string]bool, len(g.endpoints))
		for _, e := range g.endpoints {
			if e.Pod != "" {
				pods[e.Pod] = true
			}
		}
		for _, e := range g.secondary {
			if !pods[e.Pod] {
				g.endpoints = append(g.endpoints, e)
			}
		}
	}
	slices.SortStableFunc(g.endpoints, func(a, b proxy.Endpoint) int {
		return cmp.Or(a.Address.Compare(b.Address), boolLast(a.Terminating, b.Terminating))
	})
	return slices.CompactFunc(g.endpoints, func(a, b proxy.Endpoint) bool { return a.Address == b.Address })
}

// slicePort returns the number that the port has in this slice: slices name their ports after the Service's.
func slicePort(slice *discoveryv1.EndpointSlice, servicePort *corev1.ServicePort) (uint16, bool) {
	for _, p := range slice.Ports {
		if cmp.Or(value(p.Protocol), corev1.ProtocolTCP) != cmp.Or(servicePort.Protocol, corev1.ProtocolTCP) {
			continue
		}
		if name := value(p.Name); name != servicePort.Name {
			continue
		}
		number := value(p.Port)
		if p.Port == nil { // every port: the Service says which
			number = targetPort(servicePort)
		}
		return uint16(number), validPort(number)
	}
	return 0, false
}

// convert returns the Endpoint, and false if it takes no traffic. Ready endpoints do; those that are not, only while
// they terminate and still serve (KEP-1669).
func convert(e *discoveryv1.Endpoint, family discoveryv1.AddressType, port uint16) (proxy.Endpoint, bool) {
	ready := e.Conditions.Ready == nil || *e.Conditions.Ready
	serving := e.Conditions.Serving == nil && ready || value(e.Conditions.Serving)
	terminating := value(e.Conditions.Terminating)
	if !ready && !(serving && terminating) || len(e.Addresses) == 0 {
		return proxy.Endpoint{}, false
	}
	address, err := netip.ParseAddr(e.Addresses[0]) // all addresses of one endpoint are of the same pod
	if err != nil || address.Zone() != "" || address.Is4() != (family == discoveryv1.AddressTypeIPv4) {
		return proxy.Endpoint{}, false
	}
	result := proxy.Endpoint{
		Address:     netip.AddrPortFrom(address.Unmap(), port),
		Terminating: !ready,
		Zone:        value(e.Zone),
		Node:        value(e.NodeName),
	}
	if e.TargetRef != nil && e.TargetRef.Kind == "Pod" {
		result.Pod = e.TargetRef.Namespace + "/" + e.TargetRef.Name
	}
	return result, true
}

// value returns what p points at, the zero value if p is nil.
func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

func boolLast(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	default:
		return -1
	}
}
