package chaos

import (
	"cmp"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// The report says when an experiment has ceased to act, whatever its deadline was and however long ago that is.
func TestReportedEnd(t *testing.T) {
	const after, never = 10 * time.Minute, time.Duration(-1)
	suspended := func(x *proxy.Experiment) { x.Suspend = true }
	refused := func(exp *proxy.Experiment) *proxy.Snapshot {
		s := snapshot()
		s.Refused = []proxy.RefusedExperiment{{ID: exp.ID, UID: exp.UID, Reason: "TargetNotFound", Message: "gone"}}
		return s
	}
	off := func(e *Engine, _ *proxy.Experiment) { e.SetEnabled(false) }
	for _, c := range []struct {
		name   string
		at     func(*proxy.Experiment)              // its configuration at first; nil: one hour from now on
		then   func(e *Engine, x *proxy.Experiment) // after ten minutes
		want   time.Duration                        // from its start to its end; never: it has not ended
		phase  string
		window time.Duration // from its start to its deadline; 0 is an hour
	}{
		{name: "goes on", then: func(*Engine, *proxy.Experiment) {}, want: never, phase: "Active"},
		{name: "expires", then: func(*Engine, *proxy.Experiment) { time.Sleep(2 * time.Hour) }, want: time.Hour, phase: "Expired"},
		{name: "deleted", then: func(e *Engine, _ *proxy.Experiment) { e.Apply(snapshot()) }, want: after, phase: "Deleted"},
		{name: "deleted by a snapshot that cannot be served", then: func(e *Engine, _ *proxy.Experiment) { e.Withdraw(snapshot()) },
			want: after, phase: "Deleted"},
		{name: "deleted after its time", then: func(e *Engine, _ *proxy.Experiment) {
			time.Sleep(2 * time.Hour)
			e.Apply(snapshot())
		}, want: time.Hour, phase: "Deleted"},
		{name: "deleted and back", then: func(e *Engine, x *proxy.Experiment) {
			e.Apply(snapshot())
			time.Sleep(time.Minute)
			e.Apply(snapshot(x))
		}, want: never, phase: "Active"},
		{name: "halted", then: func(e *Engine, x *proxy.Experiment) { e.live[identity{x.ID, x.UID}].stop("test") }, want: after, phase: "Halted"},
		{name: "halted elsewhere", then: func(e *Engine, x *proxy.Experiment) {
			e.Apply(snapshot(with(x, func(x *proxy.Experiment) { x.Halted = true })))
		}, want: after, phase: "Halted"},
		{name: "halted, then armed again", then: func(e *Engine, x *proxy.Experiment) {
			e.live[identity{x.ID, x.UID}].stop("test")
			time.Sleep(time.Minute)
			e.Rearm(x.ID)
		}, want: never, phase: "Active"},
		{name: "suspended", then: func(e *Engine, x *proxy.Experiment) { e.Apply(snapshot(with(x, suspended))) }, want: after, phase: "Suspended"},
		{name: "suspended, its window shorter then", then: func(e *Engine, x *proxy.Experiment) {
			e.Apply(snapshot(with(x, suspended)))
			time.Sleep(time.Minute)
			e.Apply(snapshot(with(x, func(x *proxy.Experiment) { x.Window.Duration = after / 2 })))
		}, want: after, phase: "Expired", window: after / 2},
		{name: "switched off", then: off, want: after, phase: "Off"},
		{name: "switched off by a snapshot", then: func(e *Engine, x *proxy.Experiment) {
			s := snapshot(x)
			s.ChaosOff = true
			e.Apply(s)
		}, want: after, phase: "Off"},
		{name: "switched off and on", then: func(e *Engine, _ *proxy.Experiment) {
			e.SetEnabled(false)
			time.Sleep(time.Minute)
			e.SetEnabled(true)
		}, want: never, phase: "Active"},
		{name: "switched off for good", then: func(e *Engine, _ *proxy.Experiment) {
			e.SetEnabled(false)
			time.Sleep(2 * time.Hour)
		}, want: after, phase: "Expired"},
		{name: "refused", then: func(e *Engine, x *proxy.Experiment) { e.Apply(refused(x)) }, want: after, phase: "Refused"},
		{name: "invalid", then: func(e *Engine, x *proxy.Experiment) {
			e.Apply(snapshot(with(x, func(x *proxy.Experiment) { x.Toxics = append(x.Toxics, x.Toxics[0]) })))
		}, want: after, phase: "Invalid"},
		{name: "a dry run that ends", at: func(x *proxy.Experiment) { x.DryRun = true },
			then: func(e *Engine, _ *proxy.Experiment) { e.Apply(snapshot()) }, want: after, phase: "Deleted"},
		{name: "never acts", at: suspended, then: func(*Engine, *proxy.Experiment) { time.Sleep(2 * time.Hour) }, want: never, phase: "Expired"},
		{name: "deleted before its time", at: func(x *proxy.Experiment) { x.Window.Start = time.Now().Add(time.Hour) },
			then: func(e *Engine, _ *proxy.Experiment) { e.Apply(snapshot()) }, want: never, phase: "Deleted"},
		{name: "switched off at its second window", at: func(x *proxy.Experiment) {
			x.Window = proxy.Window{Schedule: "0 * * * *", Duration: 30 * time.Minute} // the first begins at once
		}, then: func(e *Engine, _ *proxy.Experiment) {
			e.SetEnabled(false)
			time.Sleep(time.Hour)
		}, want: after, phase: "Off", window: 90 * time.Minute},
		{name: "between windows", at: func(x *proxy.Experiment) {
			x.Window = proxy.Window{Schedule: "0 * * * *", Duration: 15 * time.Minute}
		}, then: func(*Engine, *proxy.Experiment) { time.Sleep(10 * time.Minute) }, want: 15 * time.Minute, phase: "Pending", window: 15 * time.Minute},
	} {
		for jump, clock := range map[time.Duration]string{0: "", -24 * time.Hour: ", the clock set back", 24 * time.Hour: ", the clock set forward"} {
			if jump != 0 && c.name != "deleted" && c.name != "suspended" && c.name != "expires" {
				continue
			}
			t.Run(c.name+clock, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { // begins at midnight
					clock := &wall{}
					exp := anExperiment("x", abort(503))
					if c.at != nil {
						c.at(exp)
					}
					e := newEngine(t, Config{Now: clock.now, Log: slog.New(slog.DiscardHandler)}, exp)
					defer e.Close()
					time.Sleep(after)
					clock.set(jump)
					c.then(e, exp)
					time.Sleep(5 * time.Minute)
					r := e.Report().Experiments[0]
					got, window := never, r.Deadline.Sub(*r.Start)
					if r.End != nil {
						got = r.End.Sub(*r.Start)
					}
					if got != c.want || r.Phase != c.phase || window != cmp.Or(c.window, time.Hour) {
						t.Errorf("%s, ended after %v of %v, want %s, after %v", r.Phase, got, window, c.phase, c.want)
					}
				})
			})
		}
	}
}

// What has been counted in a window stays when another one begins, so the report is of the time from the first of them on.
func TestReportedStart(t *testing.T) {
	const idle = 10 * time.Minute
	edited := func(change func(*proxy.Experiment)) func(*Engine, *proxy.Experiment) {
		return func(e *Engine, x *proxy.Experiment) {
			e.Apply(snapshot(with(x, func(x *proxy.Experiment) {
				x.Window = proxy.Window{Start: time.Now(), Duration: 20 * time.Minute} // as of files: a change of the spec begins anew
				change(x)
			})))
		}
	}
	none := func(*proxy.Experiment) {}
	for _, c := range []struct {
		name            string
		at              func(*proxy.Experiment)
		then            func(*Engine, *proxy.Experiment) // ten minutes after the traffic
		start, deadline time.Duration                    // since the beginning; no deadline is 0
		end             time.Duration                    // likewise; 0: it goes on, or has never acted
		phase           string
		matched         uint64
	}{
		{name: "its duration edited", at: none, then: edited(none), deadline: idle + 20*time.Minute, phase: "Active", matched: 10},
		{name: "its start moved", at: none, then: edited(func(x *proxy.Experiment) { x.Window.Start = time.Now().Add(time.Hour) }),
			deadline: idle + 80*time.Minute, end: idle, phase: "Pending", matched: 10},
		{name: "edited while it is switched off", at: none, then: func(e *Engine, x *proxy.Experiment) {
			e.SetEnabled(false)
			time.Sleep(time.Minute)
			edited(none)(e, x)
		}, deadline: idle + 21*time.Minute, end: idle, phase: "Off", matched: 10},
		{name: "edited and deleted", at: none, then: func(e *Engine, x *proxy.Experiment) {
			edited(none)(e, x)
			time.Sleep(time.Minute)
			e.Apply(snapshot())
		}, deadline: idle + 20*time.Minute, end: idle + time.Minute, phase: "Deleted", matched: 10},
		{name: "a dry run before", at: func(x *proxy.Experiment) { x.DryRun = true },
			then: edited(func(x *proxy.Experiment) { x.DryRun = false }), deadline: idle + 20*time.Minute, phase: "Active", matched: 10},
		{name: "suspended before", at: func(x *proxy.Experiment) { x.Suspend = true },
			then: edited(func(x *proxy.Experiment) { x.Suspend = false }), start: idle, deadline: idle + 20*time.Minute, phase: "Active"},
		{name: "the second run of its schedule", at: func(x *proxy.Experiment) {
			x.Window = proxy.Window{Schedule: "0 * * * *", Duration: 15 * time.Minute} // the first begins at once
		}, then: func(*Engine, *proxy.Experiment) { time.Sleep(55 * time.Minute) }, deadline: 75 * time.Minute, phase: "Active", matched: 10},
		{name: "given a schedule whose time has not come", at: none, then: edited(func(x *proxy.Experiment) {
			x.Window = proxy.Window{Schedule: "0 12 * * *", Duration: time.Hour}
			x.Created = time.Now()
		}), end: idle, phase: "Pending", matched: 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // begins at midnight
				began := time.Now()
				exp := with(anExperiment("x", abort(503)), c.at)
				e := newEngine(t, Config{Log: slog.New(slog.DiscardHandler)}, exp)
				defer e.Close()
				for range 10 {
					serve(e, request())
				}
				time.Sleep(idle)
				c.then(e, exp)
				r := e.Report().Experiments[0]
				since := func(at *time.Time) time.Duration {
					if at == nil {
						return 0
					}
					return at.Sub(began)
				}
				if start, deadline, end := since(r.Start), since(r.Deadline), since(r.End); r.Start == nil || start != c.start || deadline != c.deadline || end != c.end ||
					r.Phase != c.phase || r.Matched != c.matched {
					t.Errorf("%s, from %v to %v, until %v, %d matched; want %s, %v, %v, %v, %d", r.Phase, start, end, deadline, r.Matched,
						c.phase, c.start, c.end, c.deadline, c.matched)
				}
			})
		})
	}
}

// Where an experiment acts is known only of one that has been accepted.
func TestReportedPoint(t *testing.T) {
	exp := with(anExperiment("x", abort(503)), func(x *proxy.Experiment) { x.At = proxy.AtBackend })
	e := newEngine(t, Config{Log: slog.New(slog.DiscardHandler)})
	for _, c := range []struct {
		name string
		snap *proxy.Snapshot
		want string
	}{
		{"refused from the beginning", refusing(exp), ""},
		{"then accepted", snapshot(exp), "Backend"},
		{"then refused again", refusing(exp), "Backend"},
	} {
		e.Apply(c.snap)
		if got := e.Report().Experiments[0].At; got != c.want {
			t.Errorf("%s: at %q, want %q", c.name, got, c.want)
		}
	}
}

// What this process never had a chance to let act says so, whatever becomes of it later.
func TestReportedAsMissed(t *testing.T) {
	long := func(x *proxy.Experiment) { x.Window.Start = x.Window.Start.Add(-2 * time.Hour) }
	for _, c := range []struct {
		name string
		at   func(*proxy.Experiment)
		then func(e *Engine, x *proxy.Experiment)
		want bool
	}{
		{"over when it was loaded", long, func(*Engine, *proxy.Experiment) {}, true},
		{"then deleted", long, func(e *Engine, _ *proxy.Experiment) { e.Apply(snapshot()) }, true},
		{"then given more time", long, func(e *Engine, x *proxy.Experiment) {
			e.Apply(snapshot(with(x, func(x *proxy.Experiment) { x.Window.Duration = 24 * time.Hour })))
		}, false},
		{"in its time", func(*proxy.Experiment) {}, func(*Engine, *proxy.Experiment) { time.Sleep(2 * time.Hour) }, false},
		{"in its time, switched off", func(*proxy.Experiment) {}, func(e *Engine, _ *proxy.Experiment) {
			e.SetEnabled(false)
			time.Sleep(2 * time.Hour)
		}, false},
		{"suspended, its time came", func(x *proxy.Experiment) { x.Suspend = true }, func(*Engine, *proxy.Experiment) { time.Sleep(2 * time.Hour) }, false},
		{"suspended when it was loaded", func(x *proxy.Experiment) {
			long(x)
			x.Suspend = true
		}, func(*Engine, *proxy.Experiment) {}, false},
		{"to come", func(x *proxy.Experiment) { x.Window.Start = time.Now().Add(time.Hour) }, func(*Engine, *proxy.Experiment) {}, false},
		{"to come by a schedule", func(x *proxy.Experiment) {
			x.Window = proxy.Window{Schedule: "30 12 * * *", Duration: time.Minute}
		}, func(*Engine, *proxy.Experiment) {}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				exp := with(anExperiment("x", abort(503)), c.at)
				e := newEngine(t, Config{Log: slog.New(slog.DiscardHandler)}, exp)
				defer e.Close()
				c.then(e, exp)
				if x := e.Report().Experiments[0]; x.Missed != c.want {
					t.Errorf("%+v", x)
				}
			})
		})
	}
}
