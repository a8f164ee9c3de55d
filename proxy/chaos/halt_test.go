package chaos

import (
	"log/slog"
	"testing"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// clusterHalt returns the Experiment as the cluster has it after so many halts, of which the latest is in force or has been lifted.
func clusterHalt(x *proxy.Experiment, halts uint64, inForce bool) *proxy.Experiment {
	return with(x, func(x *proxy.Experiment) { x.Halts, x.Halted = halts, inForce })
}

// Arming again lifts the halts there have been, not those to come.
func TestArmingAgainLiftsOneHalt(t *testing.T) {
	for name, halt := range map[string]func(*Engine, *proxy.Experiment){
		"of another replica": func(e *Engine, x *proxy.Experiment) { e.Apply(snapshot(clusterHalt(x, 1, true))) },
		"of this one":        func(e *Engine, _ *proxy.Experiment) { e.order[0].stop("test") },
		"of both": func(e *Engine, x *proxy.Experiment) {
			e.order[0].stop("test")
			e.Apply(snapshot(clusterHalt(x, 1, true)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			x := anExperiment("x", abort(503))
			e := newEngine(t, Config{Log: slog.New(slog.DiscardHandler)}, x)
			want := func(when string, phase proxy.ExperimentPhase) {
				t.Helper()
				if s := status(t, e, "x"); s.Phase != phase || (serve(e, request()) != "") != (phase == proxy.ExperimentActive) {
					t.Errorf("%s: %+v", when, s)
				}
			}
			halt(e, x)
			want("halted", proxy.ExperimentHalted)
			if !e.Rearm(x.ID) {
				t.Error("not halted")
			}
			want("armed again", proxy.ExperimentActive)
			e.Apply(snapshot(with(clusterHalt(x, 1, true), func(x *proxy.Experiment) { x.Revision++ })))
			if name != "of this one" { // else the number of its halt in the cluster is not known here
				want("edited while the cluster has not heard of it", proxy.ExperimentActive)
			}
			e.Apply(snapshot(clusterHalt(x, 2, true)))
			want("the next halt", proxy.ExperimentHalted)
			e.Apply(snapshot(clusterHalt(x, 2, false)))
			want("lifted elsewhere", proxy.ExperimentActive)
			e.Apply(snapshot(clusterHalt(x, 0, false))) // somebody has restored the object without its status
			e.Apply(snapshot(clusterHalt(x, 1, true)))
			want("a halt after the count was lost", proxy.ExperimentHalted)
		})
	}
}

// A halt that arose here ends when the cluster says that it is lifted, which it says with the number of that halt or a later one.
func TestAHaltIsLiftedForAllReplicas(t *testing.T) {
	x := anExperiment("x", abort(503))
	e := newEngine(t, Config{Log: slog.New(slog.DiscardHandler)}, clusterHalt(x, 1, false))
	e.order[0].stop("test")
	for _, c := range []struct {
		when  string
		cfg   *proxy.Experiment
		phase proxy.ExperimentPhase
	}{
		{"the cluster has not heard of it", with(clusterHalt(x, 1, false), func(x *proxy.Experiment) { x.Revision++ }), proxy.ExperimentHalted},
		{"the cluster has heard of it", clusterHalt(x, 2, true), proxy.ExperimentHalted},
		{"lifted", clusterHalt(x, 2, false), proxy.ExperimentActive},
	} {
		e.Apply(snapshot(c.cfg))
		if s := status(t, e, "x"); s.Phase != c.phase || s.HaltedAt.IsZero() != (c.phase == proxy.ExperimentActive) {
			t.Errorf("%s: %+v", c.when, s)
		}
	}
}

// What was lifted is over once the cluster shows no halt: the next one counts, even if whoever tells of it does not count.
func TestAHaltWithoutANumberHalts(t *testing.T) {
	x := anExperiment("x", abort(503))
	e := newEngine(t, Config{Log: slog.New(slog.DiscardHandler)}, x)
	for i, halted := range []bool{true, false, true} {
		e.Apply(snapshot(clusterHalt(x, 0, halted)))
		if is := status(t, e, "x").Phase == proxy.ExperimentHalted; is != halted {
			t.Errorf("%d: halted %v", i, is)
		}
		if i == 0 {
			e.Rearm(x.ID)
			e.Apply(snapshot(clusterHalt(x, 0, true))) // it is still there
			if status(t, e, "x").Phase == proxy.ExperimentHalted {
				t.Error("halted although lifted")
			}
		}
	}
}
