package e2e

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/breakwater-gateway/breakwater/controllers"
	"github.com/breakwater-gateway/breakwater/controllers/infrastructure"
	"github.com/breakwater-gateway/breakwater/controllers/translate"
	translatechaos "github.com/breakwater-gateway/breakwater/controllers/translate/chaos"
	"github.com/breakwater-gateway/breakwater/proxy/chaos"
	"github.com/breakwater-gateway/breakwater/proxy/server"
)

const (
	class      = "breakwater"
	controller = "breakwater-gateway.io/controller"
)

// breakwater is one replica: controllers and proxy, as in a pod.
type breakwater struct {
	*controllers.Controllers
	server      *server.Server
	chaos       *chaos.Engine
	address     string // that its ports are bound at
	ingressPort uint16

	mu      sync.Mutex
	applied []controllers.Applied // guarded by mu

	cancel context.CancelFunc
	done   chan struct{}
}

// start starts a replica called "a" and waits until it serves.
func start(t *testing.T) *breakwater { return startReplica(t, "a", "127.0.0.1", lease) }

// lease is how long a replica leads that cannot renew its Lease. A test in which another one must not lead in the place of one that is
// held up gives it more.
const lease = 3 * time.Second

// startReplica starts one of several replicas, which must differ in name and address, and waits until it serves.
func startReplica(t *testing.T, name, address string, lease time.Duration) *breakwater {
	t.Helper()
	b := launch(t, name, address, lease)
	eventually(t, name+" serves", func() error {
		if !b.Synced() {
			return fmt.Errorf("not synced")
		}
		return b.server.Ready()
	})
	return b
}

// launch starts a replica.
func launch(t *testing.T, name, address string, lease time.Duration) *breakwater {
	t.Helper()
	log := slog.New(slog.NewTextHandler(logWriter{t}, &slog.HandlerOptions{Level: slog.LevelDebug})).With("replica", name)
	b := &breakwater{address: address, ingressPort: freePorts(t, 1), done: make(chan struct{})}
	b.chaos = chaos.New(chaos.Config{Log: log})
	b.server = server.New(server.Config{BindAddress: netip.MustParseAddr(address), Log: log, Chaos: b.chaos})
	config := api.serviceAccount(t)
	config.UserAgent = name + "/test" // so that managedFields tell who wrote
	ctl, err := controllers.New(controllers.Config{
		REST:      config,
		DataPlane: b.server,
		Log:       log,
		Translate: translate.Options{
			Controller: controller, Class: class, IngressPort: b.ingressPort, Addresses: []string{"203.0.113.10"},
			Chaos: translatechaos.Options{Switch: types.NamespacedName{Namespace: systemNamespace, Name: "breakwater-chaos"}},
		},
		Gateways: controllers.Gateways{
			Ports:       api.gatewayPorts(t),
			ServiceType: corev1.ServiceTypeClusterIP,
		},
		Pods: controllers.Pods{Address: hostAddress(t)},
		Leader: controllers.Leader{
			Namespace: systemNamespace, Name: "breakwater", Identity: name,
			Lease: lease, Renew: lease * 2 / 3, Retry: 100 * time.Millisecond,
		},
		Recheck:   200 * time.Millisecond,
		Chaos:     b.chaos,
		ChaosNews: b.chaos.Changed(),
		Applied: func(a controllers.Applied) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.applied = append(b.applied, a)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	b.Controllers = ctl
	ctx, cancel := context.WithCancel(context.Background())
	b.cancel = cancel
	go func() {
		defer close(b.done)
		if err := ctl.Run(ctx); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}()
	t.Cleanup(b.stop)
	return b
}

// stop ends the replica; more than once does no harm.
func (b *breakwater) stop() {
	b.cancel()
	<-b.done
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_ = b.server.Shutdown(ctx)
	b.chaos.Close()
}

// lanes returns how often each lane was used.
func (b *breakwater) lanes() map[controllers.Lane]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	lanes := map[controllers.Lane]int{}
	for _, a := range b.applied {
		lanes[a.Lane]++
	}
	return lanes
}

// gatewayPorts returns the pod ports for Gateways, the same for all replicas.
func (a *apiServer) gatewayPorts(t *testing.T) infrastructure.Range {
	const n = 50
	if a.ports.First == 0 {
		first := freePorts(t, n)
		a.ports = infrastructure.Range{First: first, Last: first + n - 1}
	}
	return a.ports
}

// freePorts returns the first of n consecutive ports of loopback that were free a moment ago. They lie below those that systems
// give to outgoing connections, which may be in use by the thousand.
func freePorts(t *testing.T, n uint16) uint16 {
	t.Helper()
	const lowest, end = 10_000, 32_000
	for range 1000 {
		if first := lowest + rand.IntN(end-lowest-int(n)); allFree(first, int(n)) {
			return uint16(first)
		}
	}
	t.Fatalf("no %d consecutive free ports", n)
	return 0
}

func allFree(first, n int) bool {
	for port := first; port < first+n; port++ {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			return false
		}
		l.Close()
	}
	return true
}

// hostAddress returns an address of this machine that EndpointSlices may hold: not of loopback. Traffic to it does not
// leave the machine.
func hostAddress(t *testing.T) string {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		if ip, ok := a.(*net.IPNet); ok && ip.IP.To4() != nil && ip.IP.IsGlobalUnicast() {
			return ip.IP.String()
		}
	}
	t.Fatal("this machine has no IPv4 address but loopback, which the API does not accept as an endpoint: connect it to any network")
	return ""
}

// logWriter shows the log of a replica if its test fails.
type logWriter struct{ t *testing.T }

func (w logWriter) Write(line []byte) (int, error) {
	w.t.Logf("%s", line[:len(line)-1])
	return len(line), nil
}
