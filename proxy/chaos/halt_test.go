package chaos

import (
	"log/slog"
	"testing"
	"testing/synctest"

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

// A halt that arose here ends when the cluster says that it is lifted, which it says with the number of that halt or a later one. Until
// the cluster has heard of it, as while it cannot be reached, nobody there can have lifted it.
func TestAHaltIsLiftedForAllReplicas(t *testing.T) {
	x := anExperiment("x", abort(503))
	e := newEngine(t, Config{Log: slog.New(slog.DiscardHandler)}, clusterHalt(x, 1, false))
	e.order[0].stop("test")
	revised := x.Revision
	for _, c := range []struct {
		when   string
		halts  uint64
		told   uint64 // the number under which the cluster hears of it; 0: not yet
		others bool   // a halt is in force in the cluster
		phase  proxy.ExperimentPhase
	}{
		{"the cluster has not heard of it", 1, 0, false, proxy.ExperimentHalted},
		{"another replica's halt", 2, 0, true, proxy.ExperimentHalted},
		{"another replica's halt has been lifted", 2, 0, false, proxy.ExperimentHalted},
		{"the cluster has heard of it", 2, 3, false, proxy.ExperimentHalted},
		{"and says so", 3, 0, true, proxy.ExperimentHalted},
		{"lifted", 3, 0, false, proxy.ExperimentActive},
	} {
		if c.told > 0 {
			e.ToldHalt(x.UID, status(t, e, "x").HaltedAt, c.told)
		}
		revised++
		e.Apply(snapshot(with(clusterHalt(x, c.halts, c.others), func(x *proxy.Experiment) { x.Revision = revised })))
		if s := status(t, e, "x"); s.Phase != c.phase || s.HaltedAt.IsZero() != (c.phase == proxy.ExperimentActive) {
			t.Errorf("%s: %+v", c.when, s)
		}
	}
}

// What a guard has measured up to a halt counts no more once that is lifted, in the replicas too that another one's guard has halted:
// armed again, they would halt at the next request.
func TestGuardBeginsAnewWithWhatIsArmedAgain(t *testing.T) {
	for name, halt := range map[string]func(*proxy.Experiment) []*proxy.Experiment{
		"a halt of another replica": func(x *proxy.Experiment) []*proxy.Experiment {
			return []*proxy.Experiment{clusterHalt(x, 1, true), clusterHalt(x, 1, false)}
		},
		"one that was lifted before it was heard of": func(x *proxy.Experiment) []*proxy.Experiment {
			return []*proxy.Experiment{clusterHalt(x, 1, false)}
		},
		"one without a number": func(x *proxy.Experiment) []*proxy.Experiment {
			return []*proxy.Experiment{clusterHalt(x, 0, true), clusterHalt(x, 0, false)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := guarded()
				e := newEngine(t, Config{Log: slog.New(slog.DiscardHandler)}, x)
				fail := func(want proxy.ExperimentPhase) {
					t.Helper()
					sessions(t, e, 1)[0].lost(true)
					if got := status(t, e, "x").Phase; got != want {
						t.Errorf("%v, want %v", got, want)
					}
				}
				for range 4 {
					fail(proxy.ExperimentActive)
				}
				for _, cfg := range halt(x) {
					e.Apply(snapshot(cfg))
				}
				for range 4 {
					fail(proxy.ExperimentActive)
				}
				e.Apply(snapshot(clusterHalt(x, e.order[0].cfg.Halts, false))) // a change that is of something else
				fail(proxy.ExperimentHalted)
			})
		})
	}
}

// The cluster may say that a halt is lifted before it is known here that it has heard of it. What is told late is not another halt's.
func TestAHaltIsToldLate(t *testing.T) {
	x := anExperiment("x", abort(503))
	e := newEngine(t, Config{Log: slog.New(slog.DiscardHandler)}, x)
	e.order[0].stop("first")
	first := status(t, e, "x").HaltedAt
	e.Apply(snapshot(clusterHalt(x, 1, false)))
	e.ToldHalt("another object", first, 1)
	e.ToldHalt(x.UID, first, 0) // a CRD that does not count
	if s := status(t, e, "x"); s.Phase != proxy.ExperimentHalted {
		t.Errorf("before: %+v", s)
	}
	e.ToldHalt(x.UID, first, 1)
	if s := status(t, e, "x"); s.Phase != proxy.ExperimentActive || serve(e, request()) == "" {
		t.Errorf("lifted: %+v", s)
	}
	e.order[0].stop("second")
	if e.ToldHalt(x.UID, first.Add(-1), 1); status(t, e, "x").Phase != proxy.ExperimentHalted {
		t.Error("the second halt is lifted with the first")
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
