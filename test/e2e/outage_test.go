package e2e

import (
	"errors"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// What comes by informers of the cache, and by one of a lookup, is live after an outage within a time that has nothing to do with how
// long that was. The bound leaves room for a machine with much else to do; informers that slow down in an outage take up to twice as
// long as it was.
func TestChangesAreLiveSoonAfterAnOutage(t *testing.T) {
	const long, soon = 12 * time.Second, 6 * time.Second
	w := chaosWorld(t)
	b := start(t)
	before, after := w.backend("before"), w.backend("after")
	w.service("moved", before)
	w.create(w.ingress("moved", "moved.test", "moved"))
	off := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: systemNamespace, Name: "breakwater-chaos"}, Data: map[string]string{"chaos": "on"}}
	w.create(off)
	experiment := w.abort("a", "1h")
	w.create(experiment)
	b.expect(t, b.ingressPort, w.host(), broken())
	b.expect(t, b.ingressPort, "moved.test", healthy("before"))

	api.tell(t, "stop")
	time.Sleep(long)
	b.must(t, b.ingressPort, w.host(), broken())
	api.tell(t, "start")

	answers := func(host string, want reply) func() error {
		return func() error {
			got, err := b.ask(b.ingressPort, host)
			if err == nil && got != want {
				err = fmt.Errorf("got %v, want %v", got, want)
			}
			return err
		}
	}
	isGone := func() error { // the kill switch alone would make it heal
		if all := b.chaos.Status(); len(all) > 0 {
			return fmt.Errorf("there is %s", all[0].ID)
		}
		return nil
	}
	isOff := func() error {
		if b.chaos.Enabled() {
			return errors.New("chaos is on")
		}
		return nil
	}
	began := time.Now()
	update(w, &discoveryv1.EndpointSlice{ObjectMeta: w.meta("before")}, func(s *discoveryv1.EndpointSlice) { s.Ports[0].Port = &after.port })
	w.create(w.ingress("added", "added.test", "moved"))
	if err := api.Delete(t.Context(), experiment); err != nil {
		t.Fatal(err)
	}
	update(w, off, func(m *corev1.ConfigMap) { m.Data["chaos"] = "off" })
	written := time.Now()
	for _, change := range []struct {
		what string
		live func() error
	}{
		{"the endpoint", answers("moved.test", healthy("after"))},
		{"the Ingress", answers("added.test", healthy("after"))},
		{"the end of the experiment", isGone},
		{"the kill switch", isOff},
	} {
		eventually(t, change.what, change.live)
		t.Logf("%s is live %s after the first and %s after the last write", change.what, time.Since(began), time.Since(written))
		if time.Since(written) > soon {
			t.Errorf("%s is not live %s after an outage of %s", change.what, soon, long)
		}
	}
}
