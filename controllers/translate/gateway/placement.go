package gateway

import (
	"fmt"
	"math"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Placement says where the Listeners of a Gateway are: the ports to bind for it and the addresses it is reached at. It
// answers from memory and is pure for the time of a build.
type Placement interface {
	// Port returns the port to bind for a TCP or UDP port of the Gateway's listeners, and false as long as none is allocated.
	Port(gateway types.NamespacedName, port int32, protocol corev1.Protocol) (uint16, bool)
	// Shortage says why a port for which Port returns false cannot be had; "" if it is only a matter of time.
	Shortage(gateway types.NamespacedName, port int32) string
	// Addresses returns the addresses of the Gateway for its status: IP addresses or host names.
	Addresses(gateway types.NamespacedName) []string
}

// Offset is the Placement without a cluster: every Gateway binds its own port numbers plus an offset, at the addresses
// of the process. Gateways that want the same port are told apart by age: the younger one's listener is not accepted.
type Offset struct {
	Offset    uint16
	Reachable []string // addresses of the process
}

var _ Placement = Offset{}

// Port returns port plus the offset, and false if there is no such port.
func (o Offset) Port(_ types.NamespacedName, port int32, _ corev1.Protocol) (uint16, bool) {
	number := int64(port) + int64(o.Offset)
	if port <= 0 || number > math.MaxUint16 {
		return 0, false
	}
	return uint16(number), true
}

// Shortage says whether the port is too high.
func (o Offset) Shortage(_ types.NamespacedName, port int32) string {
	if port > 0 && int64(port)+int64(o.Offset) > math.MaxUint16 {
		return fmt.Sprintf("port %d plus the offset %d is no port any more; lower --port-offset", port, o.Offset)
	}
	return ""
}

// Addresses returns the addresses of the process.
func (o Offset) Addresses(types.NamespacedName) []string { return o.Reachable }
