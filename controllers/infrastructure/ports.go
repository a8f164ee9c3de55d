package infrastructure

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// Range is a range of pod ports, both ends included.
type Range struct {
	First, Last uint16
}

// Validate reports a Range that cannot be used.
func (r Range) Validate() error {
	if r.First < 1024 || r.Last < r.First {
		return fmt.Errorf("gateway port range %d-%d: want two ports in ascending order, 1024 or more", r.First, r.Last)
	}
	return nil
}

func (r Range) size() int              { return int(r.Last) - int(r.First) + 1 }
func (r Range) contains(port int) bool { return int(r.First) <= port && port <= int(r.Last) }

// Port is a port of a Gateway's listeners. A number may be a TCP and a UDP port, and these are two.
type Port struct {
	Number   gatewayv1.PortNumber
	Protocol corev1.Protocol // TCP or UDP
}

// compare orders by number, TCP first.
func (p Port) compare(other Port) int {
	return cmp.Or(cmp.Compare(p.Number, other.Number), cmp.Compare(p.Protocol, other.Protocol))
}

// Ports maps the ports of each Gateway's listeners to pod ports. No pod port stands for two different ports, not even for
// a TCP and a UDP port. It is immutable once made.
type Ports map[types.NamespacedName]map[Port]uint16

// claim is a port of a Gateway.
type claim struct {
	gateway types.NamespacedName
	port    Port
}

// Record returns the allocation that the Services record, as far as it is valid: the Service belongs to the Gateway, the
// Gateway has a listener at the port, the pod port is in the range and nobody else's.
//
// Of two Gateways that claim one pod port the one that had it in previous keeps it, so that nobody can take it away by
// editing a Service; after that the older Gateway, then the one whose namespace and name come first. gateways are those of
// this controller, services at least those called ServiceName in their namespaces.
func Record(gateways []*gatewayv1.Gateway, services map[types.NamespacedName]*corev1.Service, r Range, previous Ports) Ports {
	taken := map[uint16]claim{}
	holders := holdersOf(previous)
	byAge := slices.SortedFunc(slices.Values(gateways), older)
	for _, keep := range []bool{true, false} { // first those that keep what they had
		for _, gateway := range byAge {
			for port, target := range recorded(gateway, services[serviceKey(gateway)], r) {
				c := claim{keyOf(gateway), port}
				if _, ok := taken[target]; !ok && (holders[target] == c) == keep {
					taken[target] = c
				}
			}
		}
	}
	ports := Ports{}
	for target, c := range taken {
		ports.put(c, target)
	}
	return ports
}

// recorded returns what a Service says of a Gateway's ports; nothing if the Service is not the Gateway's. One pod port
// occurs at most once.
func recorded(gateway *gatewayv1.Gateway, service *corev1.Service, r Range) map[Port]uint16 {
	if service == nil || !metav1.IsControlledBy(service, gateway) {
		return nil
	}
	wanted := Wanted(gateway)
	result := map[Port]uint16{}
	used := map[int]bool{}
	for _, p := range service.Spec.Ports {
		target, port := p.TargetPort.IntValue(), Port{p.Port, cmp.Or(p.Protocol, corev1.ProtocolTCP)}
		if p.TargetPort.Type == intstr.Int && r.contains(target) && !used[target] && slices.Contains(wanted, port) {
			result[port] = uint16(target)
			used[target] = true
		}
	}
	return result
}

// Allocate returns recorded with a pod port for every port that a Gateway lacks. Gateways that find no port left are
// returned as well; they get one when another Gateway goes.
func Allocate(gateways []*gatewayv1.Gateway, recorded Ports, r Range) (ports Ports, without []types.NamespacedName) {
	used := holdersOf(recorded)
	ports = Ports{}
	for key, mapping := range recorded {
		ports[key] = maps.Clone(mapping)
	}
	for _, gateway := range slices.SortedFunc(slices.Values(gateways), older) {
		for _, port := range Wanted(gateway) {
			c := claim{keyOf(gateway), port}
			if ports[c.gateway][port] != 0 {
				continue
			}
			target, ok := free(c, used, r)
			if !ok {
				without = append(without, c.gateway)
				break
			}
			used[target] = c
			ports.put(c, target)
		}
	}
	return ports, without
}

// free finds an unused pod port. The search starts at a place that the claim itself determines, so that a port which a
// deleted Gateway leaves is unlikely to be another's while clients may still be led to it.
func free(c claim, used map[uint16]claim, r Range) (uint16, bool) {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s/%s:%d", c.gateway.Namespace, c.gateway.Name, c.port.Number)
	if c.port.Protocol == corev1.ProtocolUDP {
		fmt.Fprint(h, "/udp")
	}
	start := int(h.Sum64() % uint64(r.size()))
	for i := range r.size() {
		target := r.First + uint16((start+i)%r.size())
		if _, ok := used[target]; !ok {
			return target, true
		}
	}
	return 0, false
}

// Wanted returns the ports that a Gateway's Service has to have, ascending: those of its listeners with a protocol that
// is served.
func Wanted(gateway *gatewayv1.Gateway) []Port {
	ports := make([]Port, 0, len(gateway.Spec.Listeners))
	for _, l := range gateway.Spec.Listeners {
		switch l.Protocol {
		case gatewayv1.HTTPProtocolType, gatewayv1.TCPProtocolType:
			ports = append(ports, Port{l.Port, corev1.ProtocolTCP})
		case gatewayv1.UDPProtocolType:
			ports = append(ports, Port{l.Port, corev1.ProtocolUDP})
		}
	}
	slices.SortFunc(ports, Port.compare)
	return slices.Compact(ports)
}

func (p Ports) put(c claim, target uint16) {
	if p[c.gateway] == nil {
		p[c.gateway] = map[Port]uint16{}
	}
	p[c.gateway][c.port] = target
}

// Equal reports whether both allocate the same.
func (p Ports) Equal(other Ports) bool {
	return maps.EqualFunc(p, other, maps.Equal[map[Port]uint16, map[Port]uint16])
}

func holdersOf(ports Ports) map[uint16]claim {
	holders := map[uint16]claim{}
	for gateway, mapping := range ports {
		for port, target := range mapping {
			holders[target] = claim{gateway, port}
		}
	}
	return holders
}

// older orders Gateways by age, then by namespace and name.
func older(a, b *gatewayv1.Gateway) int {
	return cmp.Or(
		a.CreationTimestamp.Compare(b.CreationTimestamp.Time),
		cmp.Compare(a.Namespace, b.Namespace),
		cmp.Compare(a.Name, b.Name),
	)
}

func keyOf(o metav1.Object) types.NamespacedName {
	return types.NamespacedName{Namespace: o.GetNamespace(), Name: o.GetName()}
}
