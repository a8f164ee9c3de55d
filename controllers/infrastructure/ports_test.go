package infrastructure

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

var testRange = Range{20000, 20009}

func gateway(name string, age time.Duration, ports ...gatewayv1.PortNumber) *gatewayv1.Gateway {
	g := &gatewayv1.Gateway{ObjectMeta: metav1.ObjectMeta{
		Namespace: "ns", Name: name, UID: types.UID("uid-" + name),
		CreationTimestamp: metav1.NewTime(time.Unix(1_000_000, 0).Add(-age)),
	}}
	for i, port := range ports {
		g.Spec.Listeners = append(g.Spec.Listeners, gatewayv1.Listener{
			Name: gatewayv1.SectionName(fmt.Sprint("l", i)), Port: port, Protocol: gatewayv1.HTTPProtocolType,
		})
	}
	return g
}

// protocol gives all listeners of a Gateway this protocol.
func protocol(g *gatewayv1.Gateway, p gatewayv1.ProtocolType) *gatewayv1.Gateway {
	for i := range g.Spec.Listeners {
		g.Spec.Listeners[i].Protocol = p
	}
	return g
}

// dns returns a Gateway with the TCP and the UDP port 53.
func dns() *gatewayv1.Gateway {
	g := protocol(gateway("a", 0, 53, 53), gatewayv1.TCPProtocolType)
	g.Spec.Listeners[1].Protocol = gatewayv1.UDPProtocolType
	return g
}

func key(name string) types.NamespacedName { return types.NamespacedName{Namespace: "ns", Name: name} }

func services(list ...*corev1.Service) map[types.NamespacedName]*corev1.Service {
	result := map[types.NamespacedName]*corev1.Service{}
	for _, s := range list {
		result[keyOf(s)] = s
	}
	return result
}

type mapping = map[Port]uint16

func tcp(port gatewayv1.PortNumber) Port { return Port{port, corev1.ProtocolTCP} }
func udp(port gatewayv1.PortNumber) Port { return Port{port, corev1.ProtocolUDP} }

func TestRecordTakesOnlyWhatIsValid(t *testing.T) {
	foreign := Service(gateway("a", 0, 80), mapping{tcp(80): 20001}, corev1.ServiceTypeClusterIP)
	foreign.OwnerReferences = nil
	named := Service(gateway("a", 0, 80), mapping{tcp(80): 20001}, corev1.ServiceTypeClusterIP)
	named.Spec.Ports[0].TargetPort.Type = 1
	named.Spec.Ports[0].TargetPort.StrVal = "20001"
	recreated := gateway("a", 0, 80)
	recreated.UID = "other"
	https := gateway("a", 0, 443)
	https.Spec.Listeners[0].Protocol = gatewayv1.HTTPSProtocolType

	for name, c := range map[string]struct {
		gateway *gatewayv1.Gateway
		service *corev1.Service
		want    mapping
	}{
		"a recorded port":                     {gateway("a", 0, 80), Service(gateway("a", 0, 80), mapping{tcp(80): 20001}, "ClusterIP"), mapping{tcp(80): 20001}},
		"no Service yet":                      {gateway("a", 0, 80), nil, nil},
		"a Service that is not the Gateway's": {gateway("a", 0, 80), foreign, nil},
		"a Service of a Gateway that is gone": {recreated, Service(gateway("a", 0, 80), mapping{tcp(80): 20001}, "ClusterIP"), nil},
		"a named target port":                 {gateway("a", 0, 80), named, nil},
		"a pod port out of the range":         {gateway("a", 0, 80), Service(gateway("a", 0, 80), mapping{tcp(80): 8080}, "ClusterIP"), nil},
		"a port without a listener":           {gateway("a", 0, 80), Service(gateway("a", 0, 80), mapping{tcp(80): 20001, tcp(81): 20002}, "ClusterIP"), mapping{tcp(80): 20001}},
		"a TCP and a UDP port":                {dns(), Service(dns(), mapping{tcp(53): 20001, udp(53): 20002}, "ClusterIP"), mapping{tcp(53): 20001, udp(53): 20002}},
		"one pod port for both":               {dns(), Service(dns(), mapping{tcp(53): 20001, udp(53): 20001}, "ClusterIP"), mapping{tcp(53): 20001}},
		"a TCP port for a UDP listener":       {protocol(gateway("a", 0, 53), gatewayv1.UDPProtocolType), Service(dns(), mapping{tcp(53): 20001}, "ClusterIP"), nil},
		"a listener that is not served":       {https, Service(gateway("a", 0, 443), mapping{tcp(443): 20001}, "ClusterIP"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			all := services()
			if c.service != nil {
				all = services(c.service)
			}
			got := Record([]*gatewayv1.Gateway{c.gateway}, all, testRange, nil)
			want := Ports{}
			if c.want != nil {
				want[key("a")] = c.want
			}
			if !got.Equal(want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

func TestRecordKeepsAPortForItsHolder(t *testing.T) {
	old, young := gateway("old", time.Hour, 80), gateway("young", 0, 80)
	thief := services(
		Service(old, mapping{tcp(80): 20005}, "ClusterIP"), // edited to lead to the other's port
		Service(young, mapping{tcp(80): 20005}, "ClusterIP"),
	)
	both := []*gatewayv1.Gateway{old, young}
	if got, want := Record(both, thief, testRange, nil), (Ports{key("old"): {tcp(80): 20005}}); !got.Equal(want) {
		t.Errorf("without a holder: got %v, want the older Gateway to have it", got)
	}
	held := Ports{key("old"): {tcp(80): 20004}, key("young"): {tcp(80): 20005}}
	if got, want := Record(both, thief, testRange, held), (Ports{key("young"): {tcp(80): 20005}}); !got.Equal(want) {
		t.Errorf("with a holder: got %v, want %v", got, want)
	}
}

func TestAllocateKeepsWhatIsRecordedAndSharesNothing(t *testing.T) {
	gateways := []*gatewayv1.Gateway{gateway("a", 0, 80, 80, 8080), gateway("b", time.Hour, 80)}
	got, without := Allocate(gateways, Ports{key("a"): {tcp(80): 20003}}, testRange)
	if len(without) != 0 {
		t.Fatalf("without ports: %v", without)
	}
	if got[key("a")][tcp(80)] != 20003 {
		t.Errorf("a recorded port was moved: %v", got)
	}
	seen := map[uint16]bool{}
	for _, m := range got {
		for _, target := range m {
			if seen[target] {
				t.Errorf("pod port %d is given twice: %v", target, got)
			}
			seen[target] = true
		}
	}
	if len(seen) != 3 {
		t.Errorf("%d pod ports, want one for each of three ports: %v", len(seen), got)
	}
}

func TestATCPAndAUDPPortOfOneNumberAreTwo(t *testing.T) {
	g := dns()
	allocated, without := Allocate([]*gatewayv1.Gateway{g}, nil, testRange)
	ports := allocated[key("a")]
	if len(without) != 0 || len(ports) != 2 || ports[tcp(53)] == ports[udp(53)] {
		t.Fatalf("ports %v, without %v", ports, without)
	}
	s := Service(g, ports, corev1.ServiceTypeLoadBalancer)
	for i, want := range []struct {
		name string
		port Port
	}{{"port-53", tcp(53)}, {"port-53-udp", udp(53)}} {
		got := s.Spec.Ports[i]
		if got.Name != want.name || got.Port != 53 || got.Protocol != want.port.Protocol || got.TargetPort.IntValue() != int(ports[want.port]) {
			t.Errorf("port %d of the Service is %+v", i, got)
		}
		slice := EndpointSlices(g, ports, PodAt("10.0.0.1"))[0].Ports[i]
		if *slice.Name != want.name || *slice.Protocol != want.port.Protocol || *slice.Port != int32(ports[want.port]) {
			t.Errorf("port %d of the EndpointSlice is %v", i, slice)
		}
	}
	all := services(s)
	if again := Record([]*gatewayv1.Gateway{g}, all, testRange, nil); !again.Equal(allocated) {
		t.Errorf("recorded %v, want %v", again, allocated)
	}
	s.Spec.Ports[0].NodePort, s.Spec.Ports[1].NodePort = 30001, 30002
	g.Spec.Listeners = g.Spec.Listeners[1:]
	merged, _ := Merge(s, Service(g, mapping{udp(53): ports[udp(53)]}, corev1.ServiceTypeLoadBalancer))
	if merged.Spec.Ports[0].NodePort != 30002 {
		t.Errorf("the UDP port has the node port %d, want the one it had", merged.Spec.Ports[0].NodePort)
	}
}

func TestAllocateReportsWhoGetsNoPort(t *testing.T) {
	gateways := []*gatewayv1.Gateway{gateway("young", 0, 80, 81), gateway("old", time.Hour, 80)}
	got, without := Allocate(gateways, nil, Range{20000, 20001})
	if len(without) != 1 || without[0] != key("young") {
		t.Errorf("without ports: %v, want the younger Gateway", without)
	}
	if got[key("old")][tcp(80)] == 0 {
		t.Errorf("the older Gateway has no port: %v", got)
	}
}

// Whatever the Services say, no pod port stands for two ports, and what one replica records another records as well.
func TestRecordAndAllocateHoldTheirInvariants(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	previous := Ports{}
	for range 2000 {
		var gateways []*gatewayv1.Gateway
		all := services()
		for i := range 1 + rng.IntN(6) {
			g := gateway(fmt.Sprint("g", i), time.Duration(rng.IntN(3))*time.Hour, 80, gatewayv1.PortNumber(80+rng.IntN(3)))
			if rng.IntN(2) == 0 {
				g.Spec.Listeners[1].Protocol = gatewayv1.UDPProtocolType
			}
			gateways = append(gateways, g)
			s := Service(g, mapping{tcp(80): uint16(19998 + rng.IntN(14)), tcp(81): uint16(19998 + rng.IntN(14)), udp(80): uint16(19998 + rng.IntN(14))}, "ClusterIP")
			if rng.IntN(4) > 0 {
				all[keyOf(s)] = s
			}
		}
		recorded := Record(gateways, all, testRange, previous)
		shuffled := append([]*gatewayv1.Gateway(nil), gateways...)
		rng.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		if again := Record(shuffled, all, testRange, previous); !again.Equal(recorded) {
			t.Fatalf("the order of Gateways matters: %v and %v", recorded, again)
		}
		allocated, without := Allocate(gateways, recorded, testRange)
		checkUnique(t, allocated)
		for gw, m := range recorded {
			for port, target := range m {
				if allocated[gw][port] != target {
					t.Fatalf("%v:%v moved from %d", gw, port, target)
				}
			}
		}
		if len(without) == 0 {
			for _, g := range gateways {
				if len(allocated[keyOf(g)]) != len(Wanted(g)) {
					t.Fatalf("%s lacks ports: %v", g.Name, allocated)
				}
			}
		}
		previous = allocated
	}
}

func checkUnique(t *testing.T, ports Ports) {
	t.Helper()
	seen := map[uint16]claim{}
	for gw, m := range ports {
		for port, target := range m {
			if other, ok := seen[target]; ok {
				t.Fatalf("pod port %d is %v's and %v's", target, other, claim{gw, port})
			}
			if !testRange.contains(int(target)) {
				t.Fatalf("pod port %d is out of the range", target)
			}
			seen[target] = claim{gw, port}
		}
	}
}

func TestARangeMustBeOfUnprivilegedPortsInOrder(t *testing.T) {
	for r, ok := range map[Range]bool{{1024, 1024}: true, {20000, 29999}: true, {1023, 2000}: false, {3000, 2999}: false, {}: false} {
		if err := r.Validate(); (err == nil) != ok {
			t.Errorf("%v: %v", r, err)
		}
	}
}
