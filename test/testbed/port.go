package testbed

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/breakwater-gateway/breakwater/controllers/translate/gateway"
)

// placement gives every port of every Gateway a free port of this machine, the same number for TCP and UDP, and keeps it.
type placement struct {
	t       testing.TB
	ingress uint16 // is taken, though nobody may listen on it yet

	mu    sync.Mutex // guards ports
	ports map[string]uint16
}

var _ gateway.Placement = (*placement)(nil)

// Port implements gateway.Placement.
func (p *placement) Port(g types.NamespacedName, port int32, _ corev1.Protocol) (uint16, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := fmt.Sprintf("%s:%d", g, port)
	for p.ports[key] == 0 {
		free := freePort(p.t)
		if free != p.ingress && !slices.Contains(slices.Collect(maps.Values(p.ports)), free) {
			p.ports[key] = free
		}
	}
	return p.ports[key], true
}

// Shortage implements gateway.Placement.
func (p *placement) Shortage(types.NamespacedName, int32) string { return "" }

// Addresses implements gateway.Placement.
func (p *placement) Addresses(types.NamespacedName) []string { return []string{"127.0.0.1"} }

// freePort returns a port that nobody listens on. It is below those that systems give to outgoing connections, so that it
// is still free a moment later; where to begin is left to chance because other tests may look for one at the same time.
func freePort(t testing.TB) uint16 {
	t.Helper()
	const first, last = 11_000, 32_000
	for range 1000 {
		port := first + rand.IntN(last-first)
		address := fmt.Sprintf("127.0.0.1:%d", port)
		ln, err := net.Listen("tcp", address)
		if err != nil {
			continue
		}
		pc, inUse := net.ListenPacket("udp", address)
		if inUse == nil {
			err = pc.Close()
		}
		if err := errors.Join(err, ln.Close()); err != nil {
			t.Fatalf("close a probe: %v", err)
		}
		if inUse == nil {
			return uint16(port)
		}
	}
	t.Fatal("no free port")
	return 0
}
