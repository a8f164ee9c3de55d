package chaos

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/shape"
	"github.com/breakwater-gateway/breakwater/proxy/toxic"
)

// wall is a wall clock that can be set. It runs with the monotonic one.
type wall struct{ ahead atomic.Int64 }

func (w *wall) now() time.Time { return time.Now().Round(0).Add(time.Duration(w.ahead.Load())) }

func (w *wall) set(ahead time.Duration) { w.ahead.Store(int64(ahead)) }

func TestDeadline(t *testing.T) {
	hour := func(x *proxy.Experiment) { x.Window.Duration = time.Hour }
	for _, c := range []struct {
		name string
		jump time.Duration // of the wall clock, half an hour after the beginning
		then func(e *Engine, exp *proxy.Experiment)
	}{
		{"nothing happens", 0, nil},
		{"the clock is set back", -24 * time.Hour, nil},
		{"the clock is set forward", 24 * time.Hour, nil},
		{"the clock is set back, and configuration comes", -24 * time.Hour, func(e *Engine, exp *proxy.Experiment) {
			e.Apply(snapshot(with(exp, func(x *proxy.Experiment) { x.Revision++ })))
		}},
		{"the clock is set back, and the duration is written anew", -24 * time.Hour, func(e *Engine, exp *proxy.Experiment) {
			e.Apply(snapshot(with(exp, func(x *proxy.Experiment) { x.Window.Duration = 50 * time.Minute })))
			e.Apply(snapshot(exp))
		}},
		{"configuration comes from an empty snapshot", 0, func(e *Engine, exp *proxy.Experiment) {
			e.Apply(snapshot(exp, anExperiment("y")))
		}},
		{"suspended and resumed", 0, func(e *Engine, exp *proxy.Experiment) {
			e.Apply(snapshot(with(exp, func(x *proxy.Experiment) { x.Suspend = true })))
			time.Sleep(10 * time.Minute)
			e.Apply(snapshot(exp))
		}},
		{"switched off and on", 0, func(e *Engine, _ *proxy.Experiment) {
			e.SetEnabled(false)
			time.Sleep(10 * time.Minute)
			e.SetEnabled(true)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				clock := &wall{}
				exp := with(anExperiment("x", abort(503)), hour)
				e := newEngine(t, Config{Now: clock.now}, exp)
				defer e.Close()
				began := time.Now()
				time.Sleep(30 * time.Minute)
				clock.set(c.jump)
				if c.then != nil {
					c.then(e, exp)
				}
				time.Sleep(time.Hour - time.Since(began) - time.Millisecond)
				if got := serve(e, request()); got != "a" {
					t.Error("ended before its deadline")
				}
				time.Sleep(2 * time.Millisecond)
				if got := serve(e, request()); got != "" {
					t.Error("acts after its deadline")
				}
				if s := status(t, e, "x"); s.Phase != proxy.ExperimentExpired || s.End.Sub(s.Start) != time.Hour {
					t.Errorf("%+v", s)
				}
				clock.set(-48 * time.Hour)
				e.Apply(snapshot(with(exp, func(x *proxy.Experiment) { x.Revision++ })))
				time.Sleep(time.Minute)
				if got := serve(e, request()); got != "" {
					t.Error("has come back")
				}
			})
		})
	}
}

func TestWindows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // begins on Saturday, 2000-01-01, at midnight UTC
		exp := with(anExperiment("x", abort(503)), func(x *proxy.Experiment) {
			x.Window = proxy.Window{Start: time.Now().Add(time.Hour), Duration: time.Hour}
		})
		e := newEngine(t, Config{}, exp)
		defer e.Close()
		acts := func(want bool, when string) {
			t.Helper()
			if got := serve(e, request()) != ""; got != want {
				t.Errorf("%s: acts is %v", when, got)
			}
		}
		acts(false, "before its start")
		if s := status(t, e, "x"); s.Phase != proxy.ExperimentPending || !s.Next.Equal(exp.Window.Start) {
			t.Errorf("%+v", s)
		}
		time.Sleep(time.Hour + time.Millisecond)
		acts(true, "after its start")
		e.Apply(snapshot(with(exp, func(x *proxy.Experiment) { x.Window.Duration = 2 * time.Hour })))
		time.Sleep(time.Hour)
		acts(true, "after somebody has made it longer")
		e.Apply(snapshot(with(exp, func(x *proxy.Experiment) { x.Window.Duration = 30 * time.Minute })))
		acts(false, "after somebody has made it shorter than what has passed")
		e.Apply(snapshot())
		acts(false, "after it has been deleted")
		old := with(exp, func(x *proxy.Experiment) { x.UID, x.Window.Start = "old", time.Now().Add(-50*time.Minute) })
		e.Apply(snapshot(old)) // as after a restart of the process
		acts(true, "with ten minutes left")
		time.Sleep(10*time.Minute + time.Millisecond)
		acts(false, "after its deadline, which was before the restart")
	})
}

func TestSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := &wall{}
		zone := "Asia/Kolkata" // +05:30
		exp := with(anExperiment("x", abort(503)), func(x *proxy.Experiment) {
			x.Created = time.Now()
			x.Window = proxy.Window{Schedule: "0 9 * * *", TimeZone: zone, Duration: time.Hour} // 03:30 UTC
		})
		e := newEngine(t, Config{Now: clock.now}, exp)
		defer e.Close()
		at := func(since time.Duration, want bool) {
			t.Helper()
			time.Sleep(time.Until(exp.Created.Add(since)))
			if got := serve(e, request()) != ""; got != want {
				t.Errorf("at %v: acts is %v", since, got)
			}
		}
		const tick = 3*time.Hour + 30*time.Minute
		at(time.Minute, false)
		if s := status(t, e, "x"); s.Phase != proxy.ExperimentPending || !s.Next.Equal(exp.Created.Add(tick)) {
			t.Errorf("%+v", s)
		}
		at(tick-time.Second, false)
		at(tick+time.Second, true)
		clock.set(-30 * time.Minute) // over the match once more
		at(tick+time.Hour-time.Second, true)
		at(tick+time.Hour+time.Second, false)
		at(tick+time.Hour+20*time.Minute, false)
		clock.set(0)
		at(24*time.Hour+tick-time.Second, false)
		at(24*time.Hour+tick+time.Second, true)
		if s := status(t, e, "x"); s.Phase != proxy.ExperimentActive || !s.Start.Equal(exp.Created.Add(24*time.Hour+tick)) {
			t.Errorf("%+v", s)
		}
		at(24*time.Hour+tick+time.Hour+time.Second, false)
	})
}

// A clock that was wrong for a while keeps no window from opening for long once it is right, and no match opens two.
func TestScheduleAfterAClockThatWasAhead(t *testing.T) {
	for ahead, late := range map[time.Duration]int{ // by so many hours the next window is late
		3 * time.Hour: 3, 23 * time.Hour: 23, 25 * time.Hour: 0, 10 * 365 * 24 * time.Hour: 0,
	} {
		t.Run(ahead.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				clock := &wall{}
				exp := with(anExperiment("x", abort(503)), func(x *proxy.Experiment) {
					x.Created = time.Now()
					x.Window = proxy.Window{Schedule: "0 * * * *", Duration: 10 * time.Minute}
				})
				e := newEngine(t, Config{Now: clock.now}, exp)
				defer e.Close()
				at := func(since time.Duration, want bool) {
					t.Helper()
					time.Sleep(time.Until(exp.Created.Add(since)))
					if got := serve(e, request()) != ""; got != want {
						t.Errorf("at %v: acts is %v", since, got)
					}
				}
				at(30*time.Minute, false)
				clock.set(ahead)
				at(61*time.Minute, true)
				at(66*time.Minute, true)
				clock.set(-5 * time.Minute) // 01:01, for which there is a window already
				at(69*time.Minute, true)
				for since := 71 * time.Minute; since < 2*time.Hour; since += time.Minute {
					at(since, false)
				}
				clock.set(0)
				for hour := range late + 2 {
					at(time.Duration(hour+2)*time.Hour+90*time.Second, hour >= late)
				}
			})
		})
	}
}

func TestScheduleDoesNotStartBeforeTheExperimentWasMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(30 * time.Minute)
		exp := with(anExperiment("x", abort(503)), func(x *proxy.Experiment) {
			x.Created = time.Now()
			x.Window = proxy.Window{Schedule: "0 * * * *", Duration: 45 * time.Minute}
		})
		e := newEngine(t, Config{}, exp)
		defer e.Close()
		if serve(e, request()) != "" {
			t.Error("acts in a window that began before it was made")
		}
		time.Sleep(30*time.Minute + time.Second)
		if serve(e, request()) == "" {
			t.Error("does not act in the first window")
		}
	})
}

func TestBadWindows(t *testing.T) {
	e := New(Config{})
	defer e.Close()
	for _, w := range []proxy.Window{
		{},
		{Duration: -1},
		{Duration: 1, Schedule: "x"},
		{Duration: 1, Schedule: "* * * *"},
		{Duration: 1, Schedule: "* * * * * *"},
		{Duration: 1, Schedule: "61 * * * *"},
		{Duration: 1, Schedule: "* * * * *", TimeZone: "Nowhere/Town"},
	} {
		e.Apply(snapshot(with(anExperiment("x", abort(503)), func(x *proxy.Experiment) { x.Window = w })))
		if s := e.Status()[0]; s.Phase != proxy.ExperimentInvalid || s.Problem == "" {
			t.Errorf("%+v: %+v", w, s)
		}
		if serve(e, request()) != "" {
			t.Errorf("%+v acts", w)
		}
	}
}

// Whatever ends an experiment, what it does to live connections ends at once.
func TestLiveConnections(t *testing.T) {
	for name, end := range map[string]func(e *Engine, exp *proxy.Experiment){
		"deadline": func(_ *Engine, _ *proxy.Experiment) { time.Sleep(time.Hour + time.Millisecond) },
		"switch":   func(e *Engine, _ *proxy.Experiment) { e.SetEnabled(false) },
		"snapshot's switch": func(e *Engine, exp *proxy.Experiment) {
			s := snapshot(exp)
			s.ChaosOff = true
			e.Apply(s)
		},
		"deleted": func(e *Engine, _ *proxy.Experiment) { e.Apply(snapshot()) },
		"suspended": func(e *Engine, exp *proxy.Experiment) {
			e.Apply(snapshot(with(exp, func(x *proxy.Experiment) { x.Suspend = true })))
		},
		"dry run": func(e *Engine, exp *proxy.Experiment) {
			e.Apply(snapshot(with(exp, func(x *proxy.Experiment) { x.DryRun = true })))
		},
		"halted elsewhere": func(e *Engine, exp *proxy.Experiment) {
			e.Apply(snapshot(with(exp, func(x *proxy.Experiment) { x.Halted = true })))
		},
		"halted here": func(e *Engine, exp *proxy.Experiment) { e.live[identity{exp.ID, exp.UID}].stop("test") },
		"closed":      func(e *Engine, _ *proxy.Experiment) { e.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				exp := anExperiment("x", toxic.Noop{})
				e := newEngine(t, Config{}, exp)
				defer e.Close()
				c := e.Open(Place{Route: routeID, Listener: listenerID, Backend: backendID, Endpoint: endpointAt(1)})
				defer c.Close(Outcome{})
				x := request()
				q := e.Begin(x, backendID)
				f := q.Client(x, nil)
				slot := toxic.NewSlot()
				f.Attach(slot)
				wait := e.Begin(x, backendID)
				gone := wait.Client(x, nil).toxics[0].toxics[0].gone
				defer wait.End(x, time.Now())
				defer q.End(x, time.Now())
				if c.Slot.Empty() || slot.Empty() {
					t.Fatal("nothing acts")
				}
				end(e, exp)
				if !c.Slot.Empty() || !slot.Empty() {
					t.Error("still acts")
				}
				select {
				case <-gone:
				default:
					t.Error("who waits is not told")
				}
				if e.Begin(request(), backendID) != nil && name != "dry run" {
					t.Error("looks at requests")
				}
			})
		})
	}
}

// A connection that is there already gets what comes later, and what is not changed keeps its state.
func TestLaterChangesReachLiveConnections(t *testing.T) {
	e := newEngine(t, Config{})
	c := e.Open(Place{Route: routeID, Listener: listenerID, Backend: backendID, Endpoint: endpointAt(1)})
	defer c.Close(Outcome{})
	if !c.Slot.Empty() {
		t.Fatal("something acts")
	}
	exp := anExperiment("x", toxic.Noop{})
	e.Apply(snapshot(exp))
	if c.Slot.Empty() {
		t.Fatal("nothing acts")
	}
	before := c.actives[0]
	e.Apply(snapshot(with(exp, func(x *proxy.Experiment) {
		x.Revision++
		x.Toxics = append(x.Toxics, proxy.ExperimentToxic{Name: "other", Toxicity: shape.Const(1), Toxic: toxic.Stall{}})
	}), anExperiment("y", toxic.Noop{})))
	if len(c.actives) != 3 || c.actives[0] != before {
		t.Errorf("%v, before %v", c.actives, before)
	}
	e.Apply(snapshot(with(exp, func(x *proxy.Experiment) { x.Toxics[0].Toxicity = shape.Const(0.999999999) })))
	if len(c.actives) != 1 || c.actives[0].Entry == before.Entry {
		t.Error("a changed toxic is the same as before")
	}
	injected := len(e.Faults())
	e.Apply(snapshot(with(exp, func(x *proxy.Experiment) { x.Toxics[0].Toxicity = shape.Const(0.999999998) })))
	if len(e.Faults()) != injected+1 {
		t.Error("the changed toxic is not in the slot")
	}
	if s := status(t, e, "x"); s.Matched != 1 || s.Injected != 1 {
		t.Errorf("%+v: one connection counts once", s)
	}
}

// Nobody looks twice for the times of a schedule that has none: that takes long, and everything else waits.
func TestScheduleThatNeverMatches(t *testing.T) {
	cfg := with(anExperiment("x"), func(x *proxy.Experiment) { x.Window = proxy.Window{Schedule: "0 0 30 2 *", Duration: time.Hour} })
	w, now := window{}, time.Now()
	for i := range 3 {
		at := now.Add(time.Duration(i) * 24 * time.Hour)
		if wake := w.advance(cfg, at, at); wake >= 0 || w.open || !w.never || w.checked != now {
			t.Errorf("look %d: again in %v, %+v", i, wake, w)
		}
	}
	cfg = with(cfg, func(x *proxy.Experiment) { x.Window.Schedule = "0 0 28 2 *" })
	if wake := w.advance(cfg, now, now); wake < 0 || w.never || w.next.IsZero() {
		t.Errorf("with another schedule: again in %v, %+v", wake, w)
	}
}

// The kill switch does not wait for anything that may take its time, and the windows' times may.
func TestKillSwitchComesFirst(t *testing.T) {
	for name, off := range map[string]func(e *Engine, exp *proxy.Experiment){
		"switch": func(e *Engine, _ *proxy.Experiment) { e.SetEnabled(false) },
		"snapshot's switch": func(e *Engine, exp *proxy.Experiment) {
			s := snapshot(with(exp, func(x *proxy.Experiment) { x.Revision++ }), anExperiment("y", abort(503)))
			s.ChaosOff = true
			e.Apply(s)
		},
	} {
		t.Run(name, func(t *testing.T) {
			var e *Engine
			switched, looks := false, 0
			now := func() time.Time {
				if switched {
					if looks++; serve(e, request()) != "" {
						t.Error("acts while the windows are looked at")
					}
				}
				return time.Now()
			}
			exp := anExperiment("x", abort(503))
			e = newEngine(t, Config{Now: now}, exp)
			switched = true
			off(e, exp)
			switched = false
			if looks == 0 {
				t.Error("the windows have not been looked at")
			}
		})
	}
}
