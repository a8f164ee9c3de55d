package chaos

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/toxic"
)

// sessions opens UDP sessions of a Route on which exp acts.
func sessions(t *testing.T, e *Engine, n int) (all []*Connection) {
	for i := range n {
		c := e.Open(Place{Route: routeID, Listener: listenerID, Datagram: true, Attempt: 1,
			Client: netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), uint16(i+1))})
		t.Cleanup(func() { c.Close(Outcome{}) })
		all = append(all, c)
	}
	return all
}

func guarded() *proxy.Experiment {
	return with(anExperiment("x", toxic.Drop{}), func(x *proxy.Experiment) {
		x.Guard = &proxy.Guard{Window: time.Minute, MinRequests: 5, MaxErrorRate: 0.2}
	})
}

// A session whose first datagrams are lost counts as failed until one gets through.
func TestGuardFollowsASession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, Config{}, guarded())
		wantPhase := func(want proxy.ExperimentPhase, what string) {
			t.Helper()
			if got := status(t, e, "x").Phase; got != want {
				t.Fatalf("%v, want %v: %s", got, want, what)
			}
		}
		for _, c := range sessions(t, e, 20) {
			c.lost(true)
			c.lost(false)
			c.answered(0)
			wantPhase(proxy.ExperimentActive, "nothing has failed for good")
		}
		lost := sessions(t, e, 6) // of 26
		for i, c := range lost {
			wantPhase(proxy.ExperimentActive, fmt.Sprint(i, " have failed"))
			c.lost(true)
		}
		wantPhase(proxy.ExperimentHalted, "6 of 26 have failed")
		e.Rearm(proxy.ObjectID{Kind: "NetworkChaos", Namespace: "shop", Name: "x"})
		for _, c := range lost {
			c.lost(false) // what has been forgotten is not taken back
		}
		for range 2 { // of 8
			wantPhase(proxy.ExperimentActive, "6 have recovered")
			sessions(t, e, 1)[0].lost(true)
		}
		wantPhase(proxy.ExperimentHalted, "2 of 8 have failed")
	})
}

// What is counted early is not counted again at the end.
func TestGuardCountsASessionOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, Config{}, guarded())
		for range 4 {
			c := sessions(t, e, 1)[0]
			c.lost(true)
			c.Close(Outcome{})
		}
		if got := status(t, e, "x").Phase; got != proxy.ExperimentActive {
			t.Errorf("%v after 4", got)
		}
		r := e.Report().Experiments[0]
		if seen := r.InjectedTraffic; seen.Connections != 4 || seen.Failed != 4 {
			t.Errorf("%+v", seen)
		}
		sessions(t, e, 1)[0].cut()
		if got := status(t, e, "x").Phase; got != proxy.ExperimentHalted {
			t.Errorf("%v after 5", got)
		}
	})
}
