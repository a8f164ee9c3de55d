package chaos

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/shape"
	"github.com/breakwater-gateway/breakwater/proxy/toxic"
)

// capped is an experiment with a cap of 50 %, in force for a minute; beside it others have no cap of their own.
func capped(toxics ...proxy.Toxic) *proxy.Experiment {
	return with(anExperiment("x", toxics...), func(x *proxy.Experiment) {
		x.Percent, x.MaxPercent, x.Window.Duration = shape.Const(40), 50, time.Minute
	})
}

// stops are the ways to stop an experiment before its time, and what it takes to make it go on.
var stops = map[string]struct {
	stop, resume func(*Engine, *proxy.Experiment, ...*proxy.Experiment)
}{
	"by its guard": {
		func(e *Engine, x *proxy.Experiment, _ ...*proxy.Experiment) {
			e.live[identity{x.ID, x.UID}].stop("test")
		},
		func(e *Engine, x *proxy.Experiment, _ ...*proxy.Experiment) { e.Rearm(x.ID) },
	},
	"by another replica": {
		func(e *Engine, x *proxy.Experiment, others ...*proxy.Experiment) {
			halted := with(x, func(x *proxy.Experiment) { x.Halted = true })
			e.Apply(snapshot(append(others, halted)...))
		},
		func(e *Engine, x *proxy.Experiment, others ...*proxy.Experiment) {
			e.Apply(snapshot(append(others, x)...))
		},
	},
	"by suspend": {
		func(e *Engine, x *proxy.Experiment, others ...*proxy.Experiment) {
			suspended := with(x, func(x *proxy.Experiment) { x.Suspend = true })
			e.Apply(snapshot(append(others, suspended)...))
		},
		func(e *Engine, x *proxy.Experiment, others ...*proxy.Experiment) {
			e.Apply(snapshot(append(others, x)...))
		},
	},
}

// Whoever stops an experiment wants less damage: until its window is over, what it allows at the most still bounds the others.
func TestCapOfStoppedExperimentHolds(t *testing.T) {
	for name, c := range stops {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := capped(delay(1))
				other := with(anExperiment("y", abort(503)), func(x *proxy.Experiment) { x.Percent = shape.Const(90) })
				e := newEngine(t, Config{}, other, x)
				total, touched := 0, 0
				within := func(n int, what string) {
					t.Helper()
					for _, acted := range run(e, n) {
						total++
						if acted != "" {
							touched++
						}
					}
					if touched > total/2 || touched < total/2-2 {
						t.Errorf("%s: %d of %d requests were touched, want half", what, touched, total)
					}
				}
				within(200, "both act")
				c.stop(e, x, other)
				within(400, "stopped")
				c.resume(e, x, other)
				within(200, "both act again")
				c.stop(e, x, other)
				time.Sleep(time.Minute)
				synctest.Wait() // for the engine, whose timer is due at the same time
				before := status(t, e, "y").Injected
				run(e, 400)
				if n := status(t, e, "y").Injected - before; n < 320 {
					t.Errorf("after the end of the capped one: %d of 400", n)
				}
				e.Close()
			})
		})
	}
}

// A cap that comes into force while its experiment is stopped counts from then on, for routes that have been looked at as well.
func TestCapOfStoppedExperimentBegins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := with(capped(delay(1)), func(x *proxy.Experiment) {
			x.Suspend, x.Window.Start = true, time.Now().Add(time.Minute)
		})
		e := newEngine(t, Config{}, anExperiment("y", abort(503)), x)
		run(e, 100)
		if n := status(t, e, "y").Injected; n != 100 {
			t.Errorf("before the window of the capped one: %d of 100", n)
		}
		time.Sleep(time.Minute)
		synctest.Wait() // for the engine, whose timer is due at the same time
		run(e, 100)
		if n := status(t, e, "y").Injected; n != 150 {
			t.Errorf("in the window of the capped one: %d of 100", n-100)
		}
		e.Close()
	})
}

// A connection that a cap has denied is not touched because the experiment that has the cap is stopped, and a new one is counted for it.
func TestCapOfStoppedExperimentHoldsForConnections(t *testing.T) {
	for name, c := range stops {
		t.Run(name, func(t *testing.T) {
			x, other := capped(toxic.Noop{}), anExperiment("y", toxic.Noop{})
			e := newEngine(t, Config{}, other, x)
			var all []*Connection
			open := func(n int) {
				for range n {
					one := e.Open(Place{Route: routeID, Listener: listenerID, Backend: backendID, Endpoint: endpointAt(1)})
					t.Cleanup(func() { one.Close(Outcome{}) })
					all = append(all, one)
				}
			}
			touched := func() (n int) {
				for _, one := range all {
					if !one.Slot.Empty() {
						n++
					}
				}
				return n
			}
			open(20)
			c.stop(e, x, other)
			if n := touched(); n != 10 {
				t.Errorf("%d of 20 once the capped one is stopped", n)
			}
			open(20)
			if n := touched(); n != 20 {
				t.Errorf("%d of 40", n)
			}
			c.resume(e, x, other)
			if n := touched(); n != 20 {
				t.Errorf("%d of 40 when it goes on", n)
			}
		})
	}
}
