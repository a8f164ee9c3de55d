package infrastructure

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// SliceManagedBy marks our EndpointSlices (label endpointslice.kubernetes.io/managed-by), so that the cluster's own
// controllers leave them alone.
const SliceManagedBy = "breakwater-gateway.io"

// Pods are the addresses at which the replicas can be reached, by address family.
type Pods map[discoveryv1.AddressType][]discoveryv1.Endpoint

// PodsOf returns the Pods that the EndpointSlices of the Service which selects them list. The order is stable.
func PodsOf(slicesOfService []*discoveryv1.EndpointSlice) Pods {
	pods := Pods{}
	for _, slice := range slicesOfService {
		for _, e := range slice.Endpoints {
			if len(e.Addresses) > 0 {
				pods[slice.AddressType] = append(pods[slice.AddressType], e)
			}
		}
	}
	for family, endpoints := range pods {
		slices.SortStableFunc(endpoints, func(a, b discoveryv1.Endpoint) int { return cmp.Compare(a.Addresses[0], b.Addresses[0]) })
		// A Pod is listed twice while it moves from one slice to another.
		pods[family] = slices.CompactFunc(endpoints, func(a, b discoveryv1.Endpoint) bool { return a.Addresses[0] == b.Addresses[0] })
	}
	return pods
}

// PodAt returns one Pod that is ready at an IP address, none if address is not one.
func PodAt(address string) Pods {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return nil
	}
	family, ready := discoveryv1.AddressTypeIPv6, true
	if ip.Unmap().Is4() {
		family = discoveryv1.AddressTypeIPv4
	}
	return Pods{family: {{Addresses: []string{ip.Unmap().String()}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}}}}
}

// EndpointSlices returns the EndpointSlices that a Gateway's Service should have: one for each address family, and if
// there is no Pod none.
func EndpointSlices(gateway *gatewayv1.Gateway, ports map[Port]uint16, pods Pods) []*discoveryv1.EndpointSlice {
	var result []*discoveryv1.EndpointSlice
	for _, family := range []discoveryv1.AddressType{discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6} {
		if len(pods[family]) == 0 {
			continue
		}
		slice := &discoveryv1.EndpointSlice{
			ObjectMeta: metav1.ObjectMeta{
				Namespace:       gateway.Namespace,
				Name:            sliceName(gateway.Name, family),
				Labels:          labels(gateway),
				OwnerReferences: []metav1.OwnerReference{owner(gateway)},
			},
			AddressType: family,
			Endpoints:   pods[family],
		}
		slice.Labels[discoveryv1.LabelServiceName] = ServiceName(gateway.Name)
		slice.Labels[discoveryv1.LabelManagedBy] = SliceManagedBy
		for _, port := range slices.SortedFunc(maps.Keys(ports), Port.compare) {
			name, protocol, target := portName(port), port.Protocol, int32(ports[port])
			slice.Ports = append(slice.Ports, discoveryv1.EndpointPort{Name: &name, Protocol: &protocol, Port: &target})
		}
		result = append(result, slice)
	}
	return result
}

// sliceNames returns the names of all EndpointSlices that a Gateway may have.
func sliceNames(gateway string) []string {
	return []string{sliceName(gateway, discoveryv1.AddressTypeIPv4), sliceName(gateway, discoveryv1.AddressTypeIPv6)}
}

func sliceName(gateway string, family discoveryv1.AddressType) string {
	suffix := map[discoveryv1.AddressType]string{discoveryv1.AddressTypeIPv4: "-v4", discoveryv1.AddressTypeIPv6: "-v6"}[family]
	return ServiceName(gateway) + suffix // an object's name may be longer than a label
}
