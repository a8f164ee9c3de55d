package infrastructure

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// TestAGatewayThatLeavesLosesItsEndpoints: its pod port may become another Gateway's, and its address must not lead there.
func TestAGatewayThatLeavesLosesItsEndpoints(t *testing.T) {
	c := fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).Build()
	w := NewWriter(Config{Client: c, Log: slog.New(slog.DiscardHandler), Warn: func(*gatewayv1.Gateway, string, string) {}})
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { w.Run(ctx) })
	defer running.Wait()
	defer cancel()

	stays, leaves := gateway("stays", 0, 80), gateway("leaves", 0, 80)
	ports := Ports{key("stays"): {tcp(80): 20001}, key("leaves"): {tcp(80): 20002}}
	w.Set([]*gatewayv1.Gateway{stays, leaves}, ports, PodAt("10.0.0.1"), corev1.ServiceTypeClusterIP)
	eventually(t, func() bool { return count(t, c, &discoveryv1.EndpointSliceList{}) == 2 })

	w.Set([]*gatewayv1.Gateway{stays}, ports, PodAt("10.0.0.1"), corev1.ServiceTypeClusterIP)
	eventually(t, func() bool { return count(t, c, &discoveryv1.EndpointSliceList{}) == 1 })
	if n := count(t, c, &corev1.ServiceList{}); n != 2 {
		t.Errorf("%d Services, want both: the address must not be lost", n)
	}
	eventually(t, func() bool { return len(w.queue.Keys()) == 1 })

	w.Set([]*gatewayv1.Gateway{stays, leaves}, ports, PodAt("10.0.0.1"), corev1.ServiceTypeClusterIP)
	eventually(t, func() bool { return count(t, c, &discoveryv1.EndpointSliceList{}) == 2 })
}

// TestAGatewayThatLeftWhileNobodyLedLosesItsEndpoints: the next leader has never heard of it.
func TestAGatewayThatLeftWhileNobodyLedLosesItsEndpoints(t *testing.T) {
	stays, leaves, ends, others := gateway("stays", 0, 80), gateway("leaves", 0, 80), gateway("ends", 0, 80), gateway("others", 0, 80)
	leaves.Spec.GatewayClassName, others.Spec.GatewayClassName = "gone", "other"
	ports := Ports{
		key("stays"): {tcp(80): 20001}, key("leaves"): {tcp(80): 20002}, key("ends"): {tcp(80): 20003}, key("others"): {tcp(80): 20001},
	}
	class := &gatewayv1.GatewayClass{ObjectMeta: metav1.ObjectMeta{Name: "other"}, Spec: gatewayv1.GatewayClassSpec{ControllerName: "example.com/other"}}
	foreign := &discoveryv1.EndpointSlice{AddressType: discoveryv1.AddressTypeIPv4}
	foreign.Namespace, foreign.Name = "infra", "foreign"
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), gatewayv1.Install(scheme)); err != nil {
		t.Fatal(err)
	}
	made := fake.NewClientBuilder().WithScheme(scheme).WithObjects(foreign, class)
	for _, g := range []*gatewayv1.Gateway{stays, leaves, ends, others} {
		made = made.WithObjects(g, Service(g, ports[keyOf(g)], corev1.ServiceTypeClusterIP), EndpointSlices(g, ports[keyOf(g)], PodAt("10.0.0.1"))[0])
	}
	c := made.Build()
	now := metav1.Now()
	ends.DeletionTimestamp = &now // the API server removes what is its, with it
	w := NewWriter(Config{
		Controller: "example.com/ours", Client: c, Log: slog.New(slog.DiscardHandler), Warn: func(*gatewayv1.Gateway, string, string) {},
	})
	term := func(f func()) {
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { w.Run(ctx) })
		f()
		cancel()
		running.Wait()
	}
	term(func() {}) // nothing has been said yet
	if n := count(t, c, &discoveryv1.EndpointSliceList{}); n != 5 {
		t.Fatalf("%d EndpointSlices, want all", n)
	}
	w.Set([]*gatewayv1.Gateway{stays, ends}, ports, PodAt("10.0.0.1"), corev1.ServiceTypeClusterIP)
	gone := func() bool {
		name := client.ObjectKey{Namespace: leaves.Namespace, Name: sliceNames("leaves")[0]}
		return apierrors.IsNotFound(c.Get(t.Context(), name, &discoveryv1.EndpointSlice{}))
	}
	term(func() {
		eventually(t, gone)
		eventually(t, func() bool { return len(w.queue.Keys()) == 1 })
	})
	if slices, services := count(t, c, &discoveryv1.EndpointSliceList{}), count(t, c, &corev1.ServiceList{}); slices != 4 || services != 4 {
		t.Errorf("%d EndpointSlices and %d Services, want 4 and 4: the address must not be lost", slices, services)
	}
}

func count(t *testing.T, c client.Client, list client.ObjectList) int {
	t.Helper()
	if err := c.List(t.Context(), list); err != nil {
		t.Fatal(err)
	}
	switch l := list.(type) {
	case *corev1.ServiceList:
		return len(l.Items)
	case *discoveryv1.EndpointSliceList:
		return len(l.Items)
	}
	t.Fatalf("a list of what? %T", list)
	return 0
}

func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("still not so after 20 s")
		}
	}
}
