package node

import (
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// within is how soon a fault has to be gone once it is over.
const within = time.Second

// experiment answers every request to the Ingress with 418, for a duration.
func experiment(name, duration string) string {
	return fmt.Sprintf(`apiVersion: breakwater-gateway.io/v1alpha1
kind: NetworkChaos
metadata: {name: %s}
spec:
  targetRefs:
  - {kind: Ingress, name: whoami}
  duration: %s
  toxics:
  - type: Abort
    abort: {status: 418}
`, name, duration)
}

// watcher makes requests one after the other, over new connections so that they reach all replicas, and remembers when the last
// one met a fault and when the last one did not.
type watcher struct {
	fault, clean atomic.Int64 // Unix time in nanoseconds at which the request was sent
	faults       atomic.Int64
	err          atomic.Pointer[error]
	stop         chan struct{}
	done         chan struct{}
}

func watch(t *testing.T, address string) *watcher {
	w := &watcher{stop: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(w.done)
		c := &client{address: address, host: host, fresh: true}
		for {
			select {
			case <-w.stop:
				return
			case <-time.After(5 * time.Millisecond):
			}
			began := time.Now().UnixNano()
			switch status, answer, err := c.do("GET", "/api", ""); {
			case err == nil && status == 200:
				w.clean.Store(began)
			case err == nil && status == 418:
				w.fault.Store(began)
				w.faults.Add(1)
			default:
				err = fmt.Errorf("status %d %q, %w", status, answer, err)
				w.err.CompareAndSwap(nil, &err)
			}
		}
	}()
	t.Cleanup(func() {
		close(w.stop)
		<-w.done
		if err := w.err.Load(); err != nil {
			t.Error(*err)
		}
	})
	return w
}

// faulty waits until faults are met and nothing else, for half a second.
func (w *watcher) faulty(t *testing.T) {
	t.Helper()
	eventually(t, "faults", func() error {
		if fault, clean := w.fault.Load(), w.clean.Load(); fault < clean+int64(500*time.Millisecond) {
			return fmt.Errorf("the last fault was at %v, the last request without at %v", time.Unix(0, fault), time.Unix(0, clean))
		}
		return nil
	})
}

// cleanFrom waits until no fault is met for two seconds and returns how long after since the last one was.
func (w *watcher) cleanFrom(t *testing.T, since time.Time) time.Duration {
	t.Helper()
	eventually(t, "the end of faults", func() error {
		if fault, clean := w.fault.Load(), w.clean.Load(); clean < fault+int64(2*time.Second) || clean < since.UnixNano() {
			return fmt.Errorf("the last fault was at %v", time.Unix(0, fault))
		}
		return nil
	})
	return time.Unix(0, w.fault.Load()).Sub(since)
}

func TestNetworkChaos(t *testing.T) {
	n := onNode(t)
	ns := n.namespace(t, "chaos")
	n.kubectl(t, "-n", ns, "delete", "networkchaos", "--all") // those of the samples
	address := n.clusterIP(t, system, "breakwater")
	n.awaitRoute(t, address)
	w := watch(t, address)
	show := func(t *testing.T, name string, wants ...string) {
		t.Helper()
		eventually(t, "what kubectl shows", func() error {
			out := n.kubectl(t, "-n", ns, "get", "nchaos", name)
			for _, want := range wants {
				if !strings.Contains(out, want) {
					return fmt.Errorf("no %q in\n%s", want, out)
				}
			}
			t.Logf("kubectl get nchaos:\n%s", out)
			return nil
		})
	}

	t.Run("nothing is broken without the label", func(t *testing.T) {
		n.feed(t, experiment("unlabelled", "10m"), "-n", ns, "apply", "-f", "-")
		show(t, "unlabelled", "NotAccepted")
		reason := n.field(t, `.status.conditions[?(@.type=="Accepted")].reason`, "-n", ns, "nchaos", "unlabelled")
		if reason != "NamespaceNotEnabled" {
			t.Errorf("the reason is %q", reason)
		}
		if w.fault.Load() != 0 {
			t.Error("faults all the same")
		}
		n.kubectl(t, "-n", ns, "delete", "nchaos", "unlabelled")
	})
	n.kubectl(t, "label", "namespace", ns, "breakwater-gateway.io/chaos=enabled")

	t.Run("it ends when its time is over", func(t *testing.T) {
		n.feed(t, experiment("short", "15s"), "-n", ns, "apply", "-f", "-")
		w.faulty(t)
		show(t, "short", "Injecting")
		end, err := time.Parse(time.RFC3339, n.field(t, ".status.endTime", "-n", ns, "nchaos", "short"))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Until(end))
		// The time in the status is in whole seconds, and each replica counts from when it has seen the object.
		if late := w.cleanFrom(t, end); late > 2*within {
			t.Errorf("a fault %s after the end", late)
		} else {
			t.Logf("the last fault was %s after endTime", late)
		}
		show(t, "short", "Expired")
		// The status has the counts of the replica that leads; clients meet the faults of both.
		injected, err := strconv.ParseInt(n.field(t, ".status.counts.injected", "-n", ns, "nchaos", "short"), 10, 64)
		if met := w.faults.Load(); err != nil || injected == 0 || injected > met {
			t.Errorf("%d requests were injected, as the status says, and clients met %d (%v)", injected, met, err)
		}
	})

	t.Run("the kill switch ends it", func(t *testing.T) {
		n.feed(t, experiment("killed", "10m"), "-n", ns, "apply", "-f", "-")
		w.faulty(t)
		n.kubectl(t, "-n", system, "create", "configmap", "breakwater-chaos", "--from-literal=chaos=off")
		if late := w.cleanFrom(t, time.Now()); late > within {
			t.Errorf("a fault %s after the switch", late)
		} else {
			t.Logf("the last fault was %s after kubectl had returned", late)
		}
		show(t, "killed", "SwitchedOff")
		n.kubectl(t, "-n", system, "delete", "configmap", "breakwater-chaos")
		w.faulty(t)
	})

	t.Run("deleting it ends it", func(t *testing.T) {
		w.faulty(t)
		n.kubectl(t, "-n", ns, "delete", "nchaos", "killed")
		if late := w.cleanFrom(t, time.Now()); late > within {
			t.Errorf("a fault %s after the object was gone", late)
		} else {
			t.Logf("the last fault was %s after kubectl had returned", late)
		}
	})

	t.Run("the events tell what happened", func(t *testing.T) {
		out := n.kubectl(t, "-n", ns, "get", "events", "--field-selector=involvedObject.kind=NetworkChaos")
		t.Logf("\n%s", out)
		if !strings.Contains(out, "networkchaos/short") {
			t.Error("no events of an experiment that ran")
		}
	})
}
