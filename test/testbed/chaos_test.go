package testbed_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/test/testbed"
)

// An experiment in these tests is in a file of its own, chaos.yaml; more are in files called after them.

// experiment is a NetworkChaos with these lines in its spec.
func experiment(name string, lines ...string) string {
	return fmt.Sprintf(`
apiVersion: breakwater-gateway.io/v1alpha1
kind: NetworkChaos
metadata: {name: %s}
spec:
  %s
---
`, name, strings.Join(lines, "\n  "))
}

// onIngress is an experiment of an hour on the Ingress shop.
func onIngress(name string, lines ...string) string {
	return experiment(name, append([]string{"duration: 1h", "targetRefs: [{kind: Ingress, name: shop}]"}, lines...)...)
}

// abort is a toxic that answers with a status.
func abort(status int) string {
	return fmt.Sprintf("toxics: [{type: Abort, abort: {status: %d}}]", status)
}

// shopBed serves the Ingress shop for shop.example.com with one backend, and these experiments.
func shopBed(t *testing.T, experiments string, options ...testbed.Option) (*testbed.Bed, *testbed.Backend) {
	t.Helper()
	tb := testbed.New(t, oneIngress("shop.example.com", "shop"), options...)
	shop := tb.Backend("shop", nil)
	writeChaos(tb, experiments)
	return tb, shop
}

// writeChaos writes chaos.yaml; all in it must be accepted.
func writeChaos(tb *testbed.Bed, experiments string) {
	if experiments != "" {
		tb.Write("chaos.yaml", experiments)
	}
}

// get asks the Ingress shop, and returns the status.
func get(tb *testbed.Bed, path string, header ...string) int {
	return tb.Get("shop.example.com", path, header...).Status
}

// statuses asks n times and returns the statuses, one letter for each: "." is 200, "a" 503, "b" 504, "c" 418, "!" no answer.
func statuses(tb *testbed.Bed, n int) string {
	var all strings.Builder
	letters := map[int]byte{200: '.', 503: 'a', 504: 'b', 418: 'c'}
	for range n {
		letter := byte('!')
		if res, err := tb.Do(testbed.Request{Host: "shop.example.com", Path: "/"}); err == nil {
			if letter = letters[res.Status]; letter == 0 {
				letter = '?'
			}
		}
		all.WriteByte(letter)
	}
	return all.String()
}

// state returns what has become of an experiment.
func state(t testing.TB, tb *testbed.Bed, name string) proxy.ExperimentStatus {
	t.Helper()
	for _, s := range tb.Chaos.Status() {
		if s.ID.Name == name {
			return s
		}
	}
	t.Fatalf("there is no experiment %q; the report says\n%s", name, tb.Report())
	return proxy.ExperimentStatus{}
}
