package infrastructure

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
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
