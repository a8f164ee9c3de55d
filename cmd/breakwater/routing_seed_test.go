package main

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

// oneSick are endpoints of the Service shop, and a fault for half of the requests that one of them gets.
func oneSick(t *testing.T, endpoints, seed int) string {
	t.Helper()
	var all strings.Builder
	for i := range endpoints {
		b := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		t.Cleanup(b.Close)
		_, _ = fmt.Fprintf(&all, `---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: shop-%d, labels: {kubernetes.io/service-name: shop}}
addressType: IPv4
endpoints: [{addresses: [127.0.0.1]}]
ports: [{port: %d}]
`, i, b.Listener.Addr().(*net.TCPAddr).Port)
	}
	_, _ = fmt.Fprintf(&all, `---
apiVersion: breakwater-gateway.io/v1alpha1
kind: NetworkChaos
metadata: {name: sick}
spec:
  targetRefs: [{kind: Ingress, name: shop}]
  at: Backend
  endpoints: {count: 1}
  duration: 1h
  seed: %d
  toxics: [{type: Abort, percent: 50, abort: {status: 418}}]
`, seed)
	return all.String()
}

// With a seed for routing as well, the same requests meet the same faults in each run, also where a fault is for one endpoint only, and a
// replay repeats them under another seed.
func TestRoutingSeedRepeatsFaultsOfOneEndpoint(t *testing.T) {
	manifests := ingress("a.example.com") + oneSick(t, 5, 1)
	log := filepath.Join(t.TempDir(), "faults.jsonl")
	run := func(manifests string, flags ...string) (statuses string) {
		s := serveFolder(t, manifests, flags...)
		defer s.end()
		s.eventually("it is ready", s.ready)
		for range 60 {
			if s.get("a.example.com") == http.StatusTeapot {
				statuses += "t"
			} else {
				statuses += "."
			}
		}
		return statuses
	}
	first := run(manifests, "--routing-seed", "7", "--fault-log", log)
	if n := strings.Count(first, "t"); n < 2 || n > 12 {
		t.Fatalf("%d of 12 requests to the sick endpoint: %s", n, first)
	}
	for range 3 {
		if got := run(manifests, "--routing-seed", "7"); got != first {
			t.Errorf("again:\n%s, want\n%s", got, first)
		}
	}
	if zero := run(manifests, "--routing-seed", "0"); zero != run(manifests, "--routing-seed", "0") {
		t.Errorf("the seed 0 does not repeat: %s", zero)
	}
	other := strings.Replace(manifests, "seed: 1\n", "seed: 2\n", 1)
	if got := run(other, "--routing-seed", "7", "--fault-replay", log); got != first {
		t.Errorf("replayed:\n%s, want\n%s", got, first)
	}
}
