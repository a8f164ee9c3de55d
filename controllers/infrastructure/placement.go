package infrastructure

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Placement answers the translation's questions where a Gateway is to be reached (gateway.Placement), from what is
// recorded. It is read-only.
type Placement struct {
	Ports    Ports
	Without  []types.NamespacedName // Gateways for which no port of Range is left
	Range    Range
	Services map[types.NamespacedName]*corev1.Service
}

// Port returns the pod port recorded for a port of the Gateway's listeners.
func (p Placement) Port(gateway types.NamespacedName, port int32, protocol corev1.Protocol) (uint16, bool) {
	target, ok := p.Ports[gateway][Port{port, protocol}]
	return target, ok
}

// Shortage says whether no pod port is left for the Gateway.
func (p Placement) Shortage(gateway types.NamespacedName, _ int32) string {
	if !slices.Contains(p.Without, gateway) {
		return ""
	}
	return fmt.Sprintf("all pod ports from %d to %d belong to listeners of other Gateways", p.Range.First, p.Range.Last)
}

// Addresses returns the addresses of the Gateway's Service; none while the Gateway has no port.
func (p Placement) Addresses(gateway types.NamespacedName) []string {
	service := p.Services[types.NamespacedName{Namespace: gateway.Namespace, Name: ServiceName(gateway.Name)}]
	if service == nil || len(p.Ports[gateway]) == 0 {
		return nil
	}
	return Addresses(service)
}
