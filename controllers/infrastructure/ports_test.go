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

func key(name string) types.NamespacedName { return types.NamespacedName{Namespace: "ns", Name: name} }

func services(list ...*corev1.Service) map[types.NamespacedName]*corev1.Service {
	result := map[types.NamespacedName]*corev1.Service{}
	for _, s := range list {
		result[keyOf(s)] = s
	}
	return result
}

type mapping = map[gatewayv1.PortNumber]uint16

func TestRecordTakesOnlyWhatIsValid(t *testing.T) {
	foreign := Service(gateway("a", 0, 80), mapping{80: 20001}, corev1.ServiceTypeClusterIP)
	foreign.OwnerReferences = nil
	named := Service(gateway("a", 0, 80), mapping{80: 20001}, corev1.ServiceTypeClusterIP)
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
		"a recorded port":                     {gateway("a", 0, 80), Service(gateway("a", 0, 80), mapping{80: 20001}, "ClusterIP"), mapping{80: 20001}},
		"no Service yet":                      {gateway("a", 0, 80), nil, nil},
		"a Service that is not the Gateway's": {gateway("a", 0, 80), foreign, nil},
		"a Service of a Gateway that is gone": {recreated, Service(gateway("a", 0, 80), mapping{80: 20001}, "ClusterIP"), nil},
		"a named target port":                 {gateway("a", 0, 80), named, nil},
		"a pod port out of the range":         {gateway("a", 0, 80), Service(gateway("a", 0, 80), mapping{80: 8080}, "ClusterIP"), nil},
		"a port without a listener":           {gateway("a", 0, 80), Service(gateway("a", 0, 80), mapping{80: 20001, 81: 20002}, "ClusterIP"), mapping{80: 20001}},
		"a listener that is not served":       {https, Service(gateway("a", 0, 443), mapping{443: 20001}, "ClusterIP"), nil},
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
		Service(old, mapping{80: 20005}, "ClusterIP"), // edited to lead to the other's port
		Service(young, mapping{80: 20005}, "ClusterIP"),
	)
	both := []*gatewayv1.Gateway{old, young}
	if got, want := Record(both, thief, testRange, nil), (Ports{key("old"): {80: 20005}}); !got.Equal(want) {
		t.Errorf("without a holder: got %v, want the older Gateway to have it", got)
	}
	held := Ports{key("old"): {80: 20004}, key("young"): {80: 20005}}
	if got, want := Record(both, thief, testRange, held), (Ports{key("young"): {80: 20005}}); !got.Equal(want) {
		t.Errorf("with a holder: got %v, want %v", got, want)
	}
}

func TestAllocateKeepsWhatIsRecordedAndSharesNothing(t *testing.T) {
	gateways := []*gatewayv1.Gateway{gateway("a", 0, 80, 80, 8080), gateway("b", time.Hour, 80)}
	got, without := Allocate(gateways, Ports{key("a"): {80: 20003}}, testRange)
	if len(without) != 0 {
		t.Fatalf("without ports: %v", without)
	}
	if got[key("a")][80] != 20003 {
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

func TestAllocateReportsWhoGetsNoPort(t *testing.T) {
	gateways := []*gatewayv1.Gateway{gateway("young", 0, 80, 81), gateway("old", time.Hour, 80)}
	got, without := Allocate(gateways, nil, Range{20000, 20001})
	if len(without) != 1 || without[0] != key("young") {
		t.Errorf("without ports: %v, want the younger Gateway", without)
	}
	if got[key("old")][80] == 0 {
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
			gateways = append(gateways, g)
			s := Service(g, mapping{80: uint16(19998 + rng.IntN(14)), 81: uint16(19998 + rng.IntN(14))}, "ClusterIP")
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
					t.Fatalf("%v:%d moved from %d", gw, port, target)
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
