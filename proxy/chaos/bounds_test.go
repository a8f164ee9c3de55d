package chaos

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/fault"
	"github.com/breakwater-gateway/breakwater/proxy/shape"
	"github.com/breakwater-gateway/breakwater/proxy/toxic"
)

// Two experiments of 60 % each, with a cap of 50 %: at no moment has more than half of the requests been touched.
func TestBudgetIsExact(t *testing.T) {
	for _, limit := range []float64{50, 33.3, 1, 100} {
		one := with(anExperiment("x", delay(1)), func(x *proxy.Experiment) { x.Percent = shape.Const(60) })
		two := with(anExperiment("y", delay(1)), func(x *proxy.Experiment) { x.Percent, x.MaxPercent = shape.Const(60), limit })
		gateway := with(anExperiment("z"), func(x *proxy.Experiment) { // concerns the same, with a cap that does not bind
			x.Targets = []proxy.ExperimentTarget{{Object: listenerID.Object}}
			x.MaxPercent = 100
		})
		e := newEngine(t, Config{}, one, two, gateway)
		touched, both := 0, 0
		const n = 5000
		for i := range n {
			got := serve(e, request())
			if got != "" {
				touched++
			}
			if len(got) == 2 {
				both++
			}
			if float64(touched) > limit/100*float64(i+1)+1e-6 {
				t.Fatalf("cap %v: %d of %d requests", limit, touched, i+1)
			}
		}
		if least := min(limit/100, 0.84) * n * 0.97; float64(touched) < least-2 {
			t.Errorf("cap %v: only %d of %d requests", limit, touched, n)
		}
		if both == 0 {
			t.Errorf("cap %v: a request that is touched may be touched by both", limit)
		}
		a, b := status(t, e, "x"), status(t, e, "y")
		if limit < 60 && (a.SkippedByCap == 0 || b.SkippedByCap == 0) || a.Injected+a.SkippedByCap < n*55/100 {
			t.Errorf("%+v\n%+v", a, b)
		}
	}
}

// What one cap denies costs the others nothing.
func TestTakeAllOrNothing(t *testing.T) {
	one, two := &budget{}, &budget{}
	one.request(whole)
	if takeAll([]share{{one, 0}, {two, 0}}) || !takeAll([]share{{one, 0}}) || takeAll([]share{{one, 0}}) {
		t.Error("took what it must not, or kept what it must give back")
	}
}

// A connection counts once, however often experiments change while it lives.
func TestChangesDoNotFillBudgets(t *testing.T) {
	exp := with(anExperiment("x", toxic.Noop{}), func(x *proxy.Experiment) { x.MaxPercent, x.Percent = 50, shape.Const(0) })
	e := newEngine(t, Config{}, exp)
	open := func(n int) (touched int) {
		for range n {
			c := e.Open(Place{Route: routeID, Listener: listenerID, Backend: backendID, Endpoint: endpointAt(1)})
			t.Cleanup(func() { c.Close(Outcome{}) })
			if !c.Slot.Empty() {
				touched++
			}
		}
		return touched
	}
	open(4)
	for range 5 {
		exp = with(exp, func(x *proxy.Experiment) { x.Revision++ })
		e.Apply(snapshot(exp))
	}
	e.Apply(snapshot(with(exp, func(x *proxy.Experiment) { x.Percent = shape.Const(100) })))
	if n := open(20); n != 12 {
		t.Errorf("%d of 24", n)
	}
}

func TestBudgetHoldsForManyCallers(t *testing.T) {
	e := newEngine(t, Config{}, with(anExperiment("x", delay(1)), func(x *proxy.Experiment) { x.MaxPercent = 25 }))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { run(e, 1000) })
	}
	wg.Wait()
	if s := status(t, e, "x"); s.Injected > 2000 || s.Injected < 1900 || s.Injected+s.SkippedByCap != 8000 {
		t.Errorf("%+v", s)
	}
}

func TestBudgetOfConnections(t *testing.T) {
	exp := with(anExperiment("x", toxic.Noop{}), func(x *proxy.Experiment) { x.MaxPercent = 50 })
	e := newEngine(t, Config{}, exp)
	touched := 0
	var open []*Connection
	for range 100 {
		c := e.Open(Place{Route: routeID, Listener: listenerID, Backend: backendID, Endpoint: endpointAt(1)})
		if !c.Slot.Empty() {
			touched++
		}
		open = append(open, c)
	}
	if touched != 50 {
		t.Errorf("%d of 100", touched)
	}
	e.Apply(snapshot(with(exp, func(x *proxy.Experiment) { x.Revision++ })))
	for range 20 {
		if c := e.Open(Place{Route: routeID, Backend: backendID, Endpoint: endpointAt(1)}); !c.Slot.Empty() {
			touched++
			defer c.Close(Outcome{})
		} else {
			c.Close(Outcome{})
		}
	}
	if touched != 60 {
		t.Errorf("%d of 120: a change must not count connections again", touched)
	}
	for i, c := range open {
		if c.Slot.Empty() != (i%2 == 0) {
			t.Errorf("connection %d has been decided anew", i)
		}
		c.Close(Outcome{})
	}
}

// The counters of a dry run are those of a later real run with the same seed, and nothing is touched.
func TestDryRun(t *testing.T) {
	exp := with(anExperiment("x", delay(1), abort(503)), func(x *proxy.Experiment) {
		x.Percent, x.MaxPercent, x.DryRun = shape.Const(70), 40, true
		x.Toxics[0].Toxicity, x.Toxics[1].Toxicity = shape.Const(0.5), shape.Const(0.3)
	})
	dry := newEngine(t, Config{}, exp)
	for i, got := range run(dry, 1000) {
		if got != "" {
			t.Fatalf("request %d was touched: %q", i, got)
		}
	}
	real := newEngine(t, Config{}, with(exp, func(x *proxy.Experiment) { x.DryRun = false }))
	run(real, 1000)
	a, b := status(t, dry, "x"), status(t, real, "x")
	if a.Matched != b.Matched || a.DryRun != b.Injected || a.SkippedByCap != b.SkippedByCap || a.Injected != 0 || b.DryRun != 0 || b.Injected == 0 {
		t.Errorf("dry run %+v\nreal run %+v", a, b)
	}
	for i, f := range dry.Faults() {
		if g := real.Faults()[i]; f.Decision == decidedInject || f.Ordinal != g.Ordinal || f.Toxic != g.Toxic {
			t.Fatalf("line %d: %+v and %+v", i, f, g)
		}
	}
}

// A connection that lives when a dry run becomes real is counted as what it is then.
func TestDryRunThatBecomesReal(t *testing.T) {
	exp := with(anExperiment("x", toxic.Noop{}), func(x *proxy.Experiment) { x.DryRun = true })
	e := newEngine(t, Config{}, exp)
	c := e.Open(Place{Route: routeID, Listener: listenerID, Backend: backendID, Endpoint: endpointAt(1)})
	defer c.Close(Outcome{})
	real := with(exp, func(x *proxy.Experiment) { x.DryRun = false })
	for range 3 {
		e.Apply(snapshot(real))
		e.Apply(snapshot(exp))
	}
	if s := status(t, e, "x"); s.Matched != 1 || s.DryRun != 1 || s.Injected != 1 {
		t.Errorf("%+v", s)
	}
}

// A dry run takes nothing of what others may touch.
func TestDryRunTakesNoBudget(t *testing.T) {
	real := with(anExperiment("x", delay(1)), func(x *proxy.Experiment) { x.MaxPercent = 50 })
	alone := newEngine(t, Config{}, real)
	run(alone, 500)
	beside := newEngine(t, Config{}, with(anExperiment("w", delay(1)), func(x *proxy.Experiment) { x.DryRun, x.MaxPercent = true, 10 }), real)
	run(beside, 500)
	if a, b := status(t, alone, "x"), status(t, beside, "x"); a.Injected != b.Injected {
		t.Errorf("%d alone, %d beside a dry run", a.Injected, b.Injected)
	}
	if s := status(t, beside, "w"); s.DryRun != 50 || s.Injected != 0 {
		t.Errorf("%+v", s)
	}
}

// respond makes requests end with a status after some time.
func respond(status int, after time.Duration) func(*proxy.Exchange) {
	return func(x *proxy.Exchange) {
		time.Sleep(after)
		x.Response.Status = status
	}
}

func TestGuardHaltsAtOnce(t *testing.T) {
	for _, c := range []struct {
		name  string
		guard proxy.Guard
		bad   func(*proxy.Exchange)
	}{
		{"errors", proxy.Guard{MaxErrorRate: 0.2}, respond(503, time.Millisecond)},
		{"no answer", proxy.Guard{MaxErrorRate: 0.2}, respond(0, time.Millisecond)},
		{"latency", proxy.Guard{MaxLatency: 100 * time.Millisecond, Quantile: 0.8}, respond(200, 101*time.Millisecond)},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c.guard.Window, c.guard.MinRequests = 10*time.Second, 20
				exp := with(anExperiment("x", delay(1)), func(x *proxy.Experiment) { x.Guard = &c.guard })
				told := make(chan string, 10)
				e := newEngine(t, Config{Halted: func(_ proxy.ObjectID, reason string) { told <- reason }}, exp)
				defer e.Close()
				for range 100 {
					serve(e, request(), respond(200, 50*time.Millisecond))
				}
				bad := 0
				for serve(e, request(), c.bad) != "" {
					if bad++; bad > 100 {
						t.Fatal("is not halted")
					}
				}
				if bad < 25 || bad > 26 { // 26 of 126 are the first to be more than a fifth
					t.Errorf("halted after %d bad requests", bad)
				}
				s := status(t, e, "x")
				if s.Phase != proxy.ExperimentHalted || s.HaltedReason == "" || <-told != s.HaltedReason || len(told) != 0 || s.Halts != 1 {
					t.Errorf("%+v", s)
				}
				e.Apply(snapshot(with(exp, func(x *proxy.Experiment) { x.Revision++ })))
				e.SetEnabled(false)
				e.SetEnabled(true)
				time.Sleep(time.Minute)
				if serve(e, request()) != "" {
					t.Error("a halt must last")
				}
				e.Apply(snapshot(with(exp, func(x *proxy.Experiment) { x.Rearm = "again" })))
				if serve(e, request()) == "" {
					t.Error("does not act after it has been re-armed")
				}
				for range 40 {
					serve(e, request(), c.bad)
				}
				if serve(e, request()) != "" || status(t, e, "x").Halts != 2 {
					t.Error("is not halted again")
				}
				if !e.Rearm(exp.ID) || serve(e, request()) == "" || e.Rearm(exp.ID) {
					t.Error("Rearm does not lift a halt")
				}
			})
		})
	}
}

// A request that does not end breaks the bound on latency as soon as it is too slow, not when it ends.
func TestGuardSeesRequestsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		exp := with(anExperiment("x", delay(1)), func(x *proxy.Experiment) {
			x.Guard = &proxy.Guard{Window: time.Minute, MinRequests: 3, MaxLatency: time.Second, Quantile: 0.5}
		})
		e := newEngine(t, Config{}, exp)
		defer e.Close()
		for range 3 {
			go serve(e, request(), respond(200, time.Hour))
		}
		time.Sleep(time.Second)
		if e.Status()[0].Phase != proxy.ExperimentActive {
			t.Error("halted before the bound")
		}
		time.Sleep(time.Millisecond)
		if s := e.Status()[0]; s.Phase != proxy.ExperimentHalted {
			t.Errorf("%+v", s)
		}
		time.Sleep(2 * time.Hour)
	})
}

// How long a response of unknown length lasts is no latency, but how long it takes to begin is.
func TestGuardJudgesEndlessResponsesByTheirHeads(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		length int64
		head   time.Duration // when it comes
		halts  bool
	}{
		{"tunnel", 101, 0, 100 * time.Millisecond, false},
		{"events", 200, -1, 100 * time.Millisecond, false},
		{"late tunnel", 101, 0, 1100 * time.Millisecond, true},
		{"late events", 200, -1, 1100 * time.Millisecond, true},
		{"whole response", 200, 10, 100 * time.Millisecond, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				exp := with(anExperiment("x", delay(0)), func(x *proxy.Experiment) {
					x.Guard = &proxy.Guard{Window: time.Minute, MinRequests: 1, MaxLatency: time.Second}
				})
				e := newEngine(t, Config{}, exp)
				defer e.Close()
				x := request()
				q := e.Begin(x, backendID)
				time.Sleep(c.head)
				x.Response.Status, x.Response.ContentLength = c.status, c.length
				q.Head(x)
				time.Sleep(10 * time.Second)
				during := status(t, e, "x").Phase == proxy.ExperimentHalted
				q.End(x, time.Now())
				if after := status(t, e, "x").Phase == proxy.ExperimentHalted; during != c.halts || after != c.halts {
					t.Errorf("halted is %v, and %v at the end", during, after)
				}
			})
		})
	}
}

func TestGuardOfWhatIsNotTouched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		exp := with(anExperiment("x", delay(1)), func(x *proxy.Experiment) {
			x.Percent = shape.Const(50)
			x.Guard = &proxy.Guard{Window: 10 * time.Second, MinRequests: 10, MaxErrorRate: 0.5, OnlyUninjected: true, MaxLatency: time.Second}
		})
		e := newEngine(t, Config{}, exp)
		defer e.Close()
		one := func(badly func(touched bool) bool) {
			x := request()
			q := e.Begin(x, backendID)
			if q == nil {
				return
			}
			touched := act(q.Client(x, nil)) != ""
			x.Response.Status = 200
			if badly(touched) {
				time.Sleep(1100 * time.Millisecond)
				x.Response.Status = 500
			}
			q.End(x, time.Now())
		}
		for range 200 {
			one(func(touched bool) bool { return touched })
		}
		if s := e.Status()[0]; s.Phase != proxy.ExperimentActive {
			t.Fatalf("halted by what it does itself: %+v", s)
		}
		for range 200 {
			one(func(touched bool) bool { return !touched })
		}
		if s := e.Status()[0]; s.Phase != proxy.ExperimentHalted {
			t.Errorf("%+v", s)
		}
	})
}

func TestGuardWindowSlides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		exp := with(anExperiment("x", delay(1)), func(x *proxy.Experiment) {
			x.Guard = &proxy.Guard{Window: 10 * time.Second, MinRequests: 5, MaxErrorRate: 0.5}
		})
		e := newEngine(t, Config{}, exp)
		defer e.Close()
		for range 20 { // four bad ones in every eleven seconds
			for range 4 {
				serve(e, request(), respond(500, 0))
			}
			time.Sleep(11 * time.Second)
		}
		if s := e.Status()[0]; s.Phase != proxy.ExperimentActive {
			t.Errorf("%+v", s)
		}
	})
}

func withoutTimes(lines []Fault) string {
	var b strings.Builder
	for _, f := range lines {
		f.Time, f.Since = time.Time{}, time.Time{}
		text, _ := json.Marshal(f)
		b.Write(append(text, '\n'))
	}
	return b.String()
}

func logOf(t testing.TB, cfg Config, n int, experiments ...*proxy.Experiment) []Fault {
	t.Helper()
	e := newEngine(t, cfg, experiments...)
	run(e, n)
	return e.Faults()
}

func TestFaultLogRepeats(t *testing.T) {
	exp := with(anExperiment("x", delay(20), abort(503)), func(x *proxy.Experiment) {
		x.Percent, x.MaxPercent = shape.Const(40), 30
		x.Toxics[0].Toxicity = shape.Const(0.5)
	})
	first, again := logOf(t, Config{}, 400, exp), logOf(t, Config{}, 400, exp)
	if len(first) == 0 || sha256.Sum256([]byte(withoutTimes(first))) != sha256.Sum256([]byte(withoutTimes(again))) {
		t.Error("the same order gives another log")
	}
	exp = with(exp, func(x *proxy.Experiment) { x.MaxPercent = 0 })
	more := logOf(t, Config{}, 400, with(exp, func(x *proxy.Experiment) {
		x.Toxics = append(slices.Clone(x.Toxics), proxy.ExperimentToxic{Name: "added", Toxicity: shape.Const(0.5), Toxic: delay(3)})
	}), anExperiment("another", delay(9)))
	others := slices.DeleteFunc(more, func(f Fault) bool { return f.Toxic == "added" || strings.HasSuffix(f.Object, "another") })
	if before := logOf(t, Config{}, 400, exp); withoutTimes(others) != withoutTimes(before) {
		t.Error("adding a fault has changed the lines of others")
	}
}

func TestReplay(t *testing.T) {
	var log bytes.Buffer
	exp := with(anExperiment("x", delay(20), delay(30)), func(x *proxy.Experiment) {
		x.Percent, x.MaxPercent = shape.Const(40), 20
		x.Toxics[0].Toxicity = shape.Const(0.5)
	})
	first := New(Config{FaultLog: &log})
	first.Apply(snapshot(exp))
	want := run(first, 300)
	first.Close()
	replay, err := ReadReplay(&log)
	if err != nil {
		t.Fatal(err)
	}
	got := newEngine(t, Config{Replay: replay}, with(exp, func(x *proxy.Experiment) {
		x.Seed, x.Percent, x.MaxPercent, x.Toxics[0].Toxicity = 99, shape.Const(1), 0, shape.Const(1)
	}), anExperiment("y", delay(1)))
	for i, w := range want {
		if g := serve(got, request()); g != w+"a" { // y is not in the log and decides for itself
			t.Fatalf("request %d: %q, want %q", i, g, w)
		}
	}
}

// Which datagrams of a session are lost is not in the log: the seed is.
func TestReplayOfDatagrams(t *testing.T) {
	lossy := func(seed uint64) *proxy.Experiment {
		x := anExperiment("x", toxic.Drop{Loss: toxic.Loss{Rate: shape.Const(0.4)}})
		x.Seed = seed
		return x
	}
	arrived := func(cfg Config, seed uint64) (got string) {
		e := New(cfg)
		defer e.Close()
		e.Apply(snapshot(lossy(seed)))
		for range 2 {
			c := e.Open(Place{Route: routeID, Listener: listenerID, Datagram: true, Attempt: 1})
			l := toxic.NewDatagramLink(c.Slot, func(_ proxy.Direction, p []byte) { got += string(p) }, toxic.Options{})
			for i := range 40 {
				l.Pass(proxy.Downstreamward, []byte{byte('A' + i)})
			}
			l.Close()
			c.Close(Outcome{})
		}
		return got
	}
	for _, seed := range []uint64{0, 1} {
		var log bytes.Buffer
		want, other := arrived(Config{FaultLog: &log}, seed), arrived(Config{}, 2)
		replay, err := ReadReplay(&log)
		if err != nil {
			t.Fatal(err)
		}
		if got := arrived(Config{Replay: replay}, 2); got != want || other == want {
			t.Errorf("seed %d: got %q, want %q; otherwise it is %q", seed, got, want, other)
		}
	}
}

// Jitter is not drawn again: a request waits as long as it did.
func TestReplayOfDelays(t *testing.T) {
	jittery := func(seed uint64) *proxy.Experiment {
		x := anExperiment("x", fault.Delay{Latency: shape.Const(20), Jitter: shape.Const(10)})
		x.Seed = seed
		return x
	}
	delays := func(cfg Config, seed uint64) (all []float64) {
		for _, f := range logOf(t, cfg, 20, jittery(seed)) {
			all = append(all, f.Delay)
		}
		return all
	}
	want, other := delays(Config{}, 1), delays(Config{}, 2)
	var log bytes.Buffer
	first := New(Config{FaultLog: &log})
	first.Apply(snapshot(jittery(1)))
	run(first, 20)
	first.Close()
	replay, err := ReadReplay(&log)
	if err != nil {
		t.Fatal(err)
	}
	if got := delays(Config{Replay: replay}, 2); !slices.Equal(got, want) || slices.Equal(other, want) {
		t.Errorf("got %v, want %v; otherwise it is %v", got, want, other)
	}
}

// The seed is that of the first fault that was injected, or else of the first line that has one; 0 is one as any other.
func TestReplayedSeed(t *testing.T) {
	const object, other = "NetworkChaos/shop/x", "NetworkChaos/shop/y"
	for text, want := range map[string]uint64{
		"":                                  99,
		"inject":                            99,
		"inject 0":                          0,
		"inject 7":                          7,
		"inject 0,inject 7":                 0,
		"inject 7,inject 0":                 7,
		"inject,inject 0":                   0,
		"dryRun 0":                          0,
		"dryRun 3,cap 4":                    3,
		"dryRun 3,inject 0,inject 4,cap 5":  0,
		"cap 3,dryRun 4,inject 5,inject 0":  5,
		"dryRun 3,inject,inject 4":          3,
		"end 0,inject 4,dryRun 5, inject 6": 4,
	} {
		log := ""
		for line := range strings.SplitSeq(text, ",") {
			decision, seed, ok := strings.Cut(strings.TrimSpace(line), " ")
			if ok {
				seed = `,"seed":` + seed
			}
			if decision != "" {
				log += fmt.Sprintf(`{"object":%q,"toxic":"a","decision":%q%s}`+"\n", object, decision, seed)
			}
		}
		r, err := ReadReplay(strings.NewReader(log))
		if err != nil {
			t.Fatal(err)
		}
		if got := r.seed(object, 99); got != want {
			t.Errorf("%s: %d, want %d", text, got, want)
		}
		if got := r.seed(other, 99); got != 99 {
			t.Errorf("%s: of another experiment %d", text, got)
		}
	}
	if got := (*Replay)(nil).seed(object, 99); got != 99 {
		t.Errorf("without a replay: %d", got)
	}
}

// What a dry run would have done is not what was done: only a dry run repeats it.
func TestReplayOfADryRun(t *testing.T) {
	const n = 100
	dry := with(anExperiment("x", delay(20)), func(x *proxy.Experiment) { x.DryRun, x.Percent, x.Seed = true, shape.Const(50), 7 })
	real := with(dry, func(x *proxy.Experiment) { x.DryRun, x.Percent, x.Seed, x.Revision = false, shape.Const(20), 8, 1 })
	for name, c := range map[string]struct {
		runs []*proxy.Experiment
		seed uint64 // that what is drawn follows
	}{
		"before the real run": {[]*proxy.Experiment{dry, real}, 8}, "after it": {[]*proxy.Experiment{real, dry}, 8}, "alone": {[]*proxy.Experiment{dry}, 7},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			first := New(Config{FaultLog: &log})
			acted, rehearsed := slices.Repeat([]string{""}, n), uint64(0)
			for _, exp := range c.runs {
				first.Apply(snapshot(exp))
				if got := run(first, n); !exp.DryRun {
					acted = got
				}
			}
			rehearsed = status(t, first, "x").DryRun
			first.Close()
			replay, err := ReadReplay(&log)
			if err != nil {
				t.Fatal(err)
			}
			if got := replay.seed(real.ID.String(), 99); got != c.seed {
				t.Errorf("the seed is %d, want %d", got, c.seed)
			}
			if got := run(newEngine(t, Config{Replay: replay}, real), n); !slices.Equal(got, acted) {
				t.Errorf("the replay has other faults: %q, want %q", got, acted)
			}
			if name == "before the real run" || name == "alone" {
				again := newEngine(t, Config{Replay: replay}, dry)
				run(again, n)
				if got := status(t, again, "x").DryRun; got < rehearsed || got == 0 {
					t.Errorf("%d are rehearsed again, %d were", got, rehearsed)
				}
			}
		})
	}
}

// Whoever replays nothing but a dry run in earnest is told why nothing acts.
func TestReplayOfNothingButADryRunIsTold(t *testing.T) {
	for decision, warnings := range map[string]int{"dryRun": 1, "cap": 0, "inject": 0} {
		replay, err := ReadReplay(strings.NewReader(`{"object":"NetworkChaos/shop/x","toxic":"a","decision":"` + decision + `"}`))
		if err != nil {
			t.Fatal(err)
		}
		var text lockedText
		e := newEngine(t, Config{Replay: replay, Log: slog.New(slog.NewTextHandler(&text, nil))})
		exp := with(anExperiment("x", abort(503)), func(x *proxy.Experiment) { x.DryRun = true })
		e.Apply(snapshot(exp, anExperiment("y", abort(503))))
		if got := text.take(); strings.Contains(got, "level=WARN") {
			t.Errorf("%s, a dry run again: %s", decision, got)
		}
		e.Apply(snapshot(with(exp, func(x *proxy.Experiment) { x.DryRun, x.Revision = false, 1 })))
		if got := text.take(); strings.Count(got, "level=WARN") != warnings || strings.Count(got, "only dry runs") != warnings {
			t.Errorf("%s: %s", decision, got)
		}
	}
}

// Each run begins with the same ordinals: what several have injected together none has.
func TestReplayOfSeveralRuns(t *testing.T) {
	const n = 60
	one := func(seed uint64) *proxy.Experiment {
		return with(anExperiment("x", delay(20)), func(x *proxy.Experiment) { x.Percent, x.Seed = shape.Const(20), seed })
	}
	runs := func(times int) (log bytes.Buffer, last []string) {
		for i := range times {
			e := New(Config{FaultLog: &log, Log: slog.New(slog.DiscardHandler)})
			e.Apply(snapshot(one(uint64(i))))
			last = run(e, n)
			e.Close()
		}
		return log, last
	}
	for name, c := range map[string]struct {
		log     func() (bytes.Buffer, []string)
		several bool
	}{
		"one process":   {func() (bytes.Buffer, []string) { return runs(1) }, false},
		"two processes": {func() (bytes.Buffer, []string) { return runs(2) }, true},
		"two processes, the later first": {func() (bytes.Buffer, []string) {
			log, last := runs(2)
			lines := slices.Collect(strings.Lines(log.String()))
			slices.Reverse(lines)
			return *bytes.NewBufferString(strings.Join(lines, "")), last
		}, true},
		"an object made anew": {func() (log bytes.Buffer, last []string) {
			e := New(Config{FaultLog: &log, Log: slog.New(slog.DiscardHandler)})
			defer e.Close()
			for i := range uint64(3) {
				e.Apply(snapshot(with(one(i), func(x *proxy.Experiment) { x.UID = fmt.Sprint(i) })))
				last = run(e, n)
			}
			e.Close()
			return log, last
		}, true},
		"an object that has been away": {func() (log bytes.Buffer, last []string) {
			e := New(Config{FaultLog: &log, Log: slog.New(slog.DiscardHandler)})
			for range 2 {
				e.Apply(snapshot(one(1)))
				last = append(last, run(e, n/2)...)
				e.Apply(snapshot())
			}
			e.Close()
			return log, last
		}, false},
	} {
		log, want := c.log()
		replay, err := ReadReplay(&log)
		if err != nil {
			t.Fatal(err)
		}
		var text lockedText
		e := newEngine(t, Config{Replay: replay, Log: slog.New(slog.NewTextHandler(&text, nil))}, with(one(9), func(x *proxy.Experiment) { x.Percent = shape.Const(100) }))
		if got := run(e, n); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
		if got := text.take(); strings.Contains(got, "has several runs") != c.several {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// Whoever replays the wrong log gets other faults than they think.
func TestReplayOfOthers(t *testing.T) {
	for name, warnings := range map[string]int{"x": 0, "z": 1} {
		replay, err := ReadReplay(strings.NewReader(`{"object":"NetworkChaos/shop/` + name + `","toxic":"a","decision":"inject"}`))
		if err != nil {
			t.Fatal(err)
		}
		var text lockedText
		e := newEngine(t, Config{Replay: replay, Log: slog.New(slog.NewTextHandler(&text, nil))})
		for range 2 {
			e.Apply(snapshot(anExperiment("x", abort(503)), anExperiment("y", abort(503))))
		}
		if got := text.take(); strings.Count(got, "all decide anew") != warnings {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// A process that is killed leaves half a line behind.
func TestReplayOfACutLog(t *testing.T) {
	line := `{"object":"NetworkChaos/shop/x","toxic":"a","ordinal":7,"decision":"inject","delay":1e9}`
	for cut := 1; cut < len(line); cut++ {
		r, err := ReadReplay(strings.NewReader(line + "\n" + line[:cut]))
		if err != nil || !r.IsCut() || !slices.Equal(r.Names(), []string{"NetworkChaos/shop/x"}) || !r.acts("NetworkChaos/shop/x", "a", 7, false) {
			t.Fatalf("%q: %v", line[:cut], err)
		}
		if d := r.delay("NetworkChaos/shop/x", "a", 7); d != time.Hour {
			t.Errorf("delay %v", d)
		}
		if _, err := ReadReplay(strings.NewReader(line[:cut] + "\n" + line)); err == nil || !strings.Contains(err.Error(), "line 1") {
			t.Fatalf("%q in the middle: %v", line[:cut], err)
		}
		if _, err := ReadReplay(strings.NewReader(line + "\n" + line[:cut] + "\n")); err == nil || !strings.Contains(err.Error(), "line 2") {
			t.Fatalf("%q with a line feed: %v", line[:cut], err)
		}
	}
}

func TestBadReplay(t *testing.T) {
	for text, want := range map[string]string{
		"{}":                 "line 1: no object",
		"\n{\"object\":1}":   "line 2",
		"not json":           "line 1",
		"[" + "\n" + "]":     "line 1",
		`{"object":"a"}`:     "no toxic",
		"{\"time\":\"yes\"}": "line 1",
	} {
		if _, err := ReadReplay(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// FuzzReplay: of any text, whatever is read can be asked; and a line that the engine may write, cut or not, says what it said.
func FuzzReplay(f *testing.F) {
	f.Add([]byte(`{"object":"a","toxic":"b","ordinal":1,"attempt":300,"decision":"inject"}`), uint64(1), 300, uint8(0), 0.5, uint8(9))
	f.Add([]byte("\n{}"), uint64(1<<60), 0, uint8(1), 1e300, uint8(255))
	f.Add([]byte("\"\xff"), uint64(0), -1, uint8(2), -1.0, uint8(1))
	f.Add([]byte("["), uint64(7), 1, uint8(0), 7200.0, uint8(0))
	f.Fuzz(func(t *testing.T, text []byte, ordinal uint64, attempt int, decision uint8, delay float64, cut uint8) {
		if r, err := ReadReplay(bytes.NewReader(text)); err == nil {
			_ = r.knows("a") && r.acts("a", "b", 1, false)
		}
		told := Fault{
			Object: "NetworkChaos/a/" + strings.ToValidUTF8(string(text), ""), Toxic: "b", Ordinal: ordinal &^ attemptBits, Attempt: attempt, Seed: 3,
			Decision: []string{decidedInject, decidedDryRun, decidedCap, decidedEnd}[decision%4], Delay: delay,
		}
		line, err := json.Marshal(told)
		if err != nil || len(line) > maxLine/2 {
			return // not a number, for instance
		}
		again := line[:min(int(cut), len(line))]
		r, err := ReadReplay(io.MultiReader(bytes.NewReader(line), strings.NewReader("\n"), bytes.NewReader(again)))
		if err != nil || r.IsCut() != (len(again) > 0 && len(again) < len(line)) {
			t.Fatalf("%s, then %d bytes of it: cut %v, %v", line, len(again), r.IsCut(), err)
		}
		what := attemptOrdinal(told.Ordinal, max(attempt, 1))
		for _, dryRun := range []bool{false, true} {
			want := told.Decision == decidedInject || told.Decision == decidedDryRun && dryRun
			if r.acts(told.Object, "b", what, dryRun) != want || r.acts(told.Object, "c", what, dryRun) {
				t.Errorf("%s: in a dry run (%v) it acts: %v", line, dryRun, !want)
			}
		}
		wanted := 0.0
		if told.Decision == decidedInject {
			wanted = min(max(delay, 0), 3600)
		}
		if d := r.delay(told.Object, "b", what).Seconds(); math.Abs(d-wanted) > 1e-6 || r.seed(told.Object, 99) != 3 {
			t.Errorf("%s: the delay is %v, the seed %d", line, d, r.seed(told.Object, 99))
		}
	})
}

// stuck is a writer that never returns until it is told to.
type stuck chan struct{}

func (s stuck) Write(p []byte) (int, error) { <-s; return len(p), nil }

func TestSlowFaultLogHoldsNobodyUp(t *testing.T) {
	w := make(stuck)
	e := New(Config{FaultLog: w})
	e.Apply(snapshot(anExperiment("x", delay(1))))
	run(e, linesAhead+1000)
	if n := e.DroppedFaults(); n < 990 || n > 1000 {
		t.Errorf("%d lines dropped", n)
	}
	if n := len(e.Faults()); n != ringSize {
		t.Errorf("%d lines kept", n)
	}
	if f := e.Faults(); f[0].Ordinal+ringSize != f[len(f)-1].Ordinal+1 {
		t.Errorf("from %d to %d", f[0].Ordinal, f[len(f)-1].Ordinal)
	}
	close(w)
	e.Close()
	if r := e.Report(); r.Dropped < 990 {
		t.Errorf("%+v", r)
	}
}

func TestReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		exp := with(anExperiment("x", delay(20)), func(x *proxy.Experiment) {
			x.Sequence = []proxy.SequenceStep{{Count: 3, Toxics: []string{"a"}}}
		})
		e := newEngine(t, Config{}, exp)
		defer e.Close()
		for i := range 10 {
			x := request()
			q := e.Begin(x, backendID)
			_, _, _ = q.Client(x, nil).Begin(x)
			respond([]int{200, 503, 0, 404}[i%4], time.Duration(i+1)*time.Millisecond)(x)
			x.Attempts, x.RequestBytes, x.ResponseBytes = 2, 10, 100
			q.End(x, time.Now())
		}
		e.Apply(snapshot())
		r := e.Report()
		if len(r.Experiments) != 1 {
			t.Fatalf("%+v", r)
		}
		x := r.Experiments[0]
		if !x.Deleted || x.Matched != 10 || x.Injected != 3 || x.Toxics[0].Decided != 3 || x.Toxics[0].Type != "delay" {
			t.Errorf("%+v", x)
		}
		if d := x.Toxics[0].Delay; d.Count != 3 || d.Max != 0.02 || d.P50 < 0.0199 || d.P50 > 0.0226 {
			t.Errorf("%+v", d)
		}
		in, un := x.InjectedTraffic, x.UninjectedTraffic
		if in.Requests != 3 || un.Requests != 7 || in.Failed != 2 || un.Failed != 3 || un.Retries != 7 || un.DownstreamBytes != 700 ||
			fmt.Sprint(un.Status) != "map[2xx:2 4xx:2 5xx:2 none:1]" {
			t.Errorf("%+v\n%+v", in, un)
		}
		if q := un.Latency; q.Count != 7 || q.Max != 0.01 || q.P50 < 0.007 || q.P50 > 0.0085 {
			t.Errorf("%+v", q)
		}
		if text, err := json.Marshal(r); err != nil || !strings.Contains(string(text), `"injectedTraffic":{"requests":3,`) {
			t.Error(string(text), err)
		}
	})
}

func TestHistogram(t *testing.T) {
	for n := range uint64(200_000) {
		if b := bucketOf(n); upperEnd(b) < n || b > 0 && upperEnd(b-1) >= n {
			t.Fatalf("%d is in bucket %d, which ends at %d", n, b, upperEnd(b))
		}
	}
	for _, n := range []uint64{1 << 31, 1<<40 + 12345, 1<<63 + 1, ^uint64(0)} {
		bucketOf(n)
	}
}

// The real run that a dry run becomes is what was rehearsed: it has the same ordinals, the sequence from its beginning and no savings.
func TestARealRunIsWhatWasRehearsed(t *testing.T) {
	for name, change := range map[string]func(*proxy.Experiment){
		"percent":  func(x *proxy.Experiment) { x.Percent = shape.Const(30) },
		"toxicity": func(x *proxy.Experiment) { x.Toxics[0].Toxicity = shape.Const(0.3) },
		"cap":      func(x *proxy.Experiment) { x.Percent, x.MaxPercent = shape.Const(30), 30 },
		"sequence": func(x *proxy.Experiment) {
			x.Sequence = []proxy.SequenceStep{{Count: 2, Toxics: []string{"a"}}, {Count: 1}, {Count: 40, Toxics: []string{"a"}}}
		},
		"sequence of clients": func(x *proxy.Experiment) {
			x.Sequence, x.SequenceKey = []proxy.SequenceStep{{Count: 2, Toxics: []string{"a"}}}, proxy.Key{Type: proxy.ClientIPKey}
		},
	} {
		t.Run(name, func(t *testing.T) {
			exp := with(anExperiment("x", delay(1)), change)
			e := newEngine(t, Config{}, exp)
			edit := func(dryRun bool) {
				exp = with(exp, func(x *proxy.Experiment) { x.DryRun = dryRun; x.Revision++ })
				e.Apply(snapshot(exp))
			}
			run(e, 50) // a dry run does not always come first
			for i := range 2 {
				edit(true)
				before := status(t, e, "x")
				for _, got := range run(e, 100) {
					if got != "" {
						t.Fatal("a dry run touches requests")
					}
				}
				dry := status(t, e, "x")
				edit(false)
				run(e, 100)
				real := status(t, e, "x")
				rehearsed, injected := dry.DryRun-before.DryRun, real.Injected-before.Injected
				if rehearsed != injected || rehearsed == 0 || real.SkippedByCap-dry.SkippedByCap != dry.SkippedByCap-before.SkippedByCap {
					t.Errorf("round %d: %d rehearsed, %d injected: %+v, %+v", i, rehearsed, injected, dry, real)
				}
			}
		})
	}
}

// So it is for connections that live when a dry run becomes real: they are decided, in the order in which they came, as if they came now.
func TestARealRunOnLiveConnectionsIsWhatWasRehearsed(t *testing.T) {
	exp := with(anExperiment("x", toxic.Noop{}), func(x *proxy.Experiment) { x.Percent, x.DryRun = shape.Const(50), true })
	e := newEngine(t, Config{}, exp)
	var live liveStreams
	live.open(t, e, 40)
	rehearsed := status(t, e, "x").DryRun
	e.Apply(snapshot(with(exp, func(x *proxy.Experiment) { x.DryRun = false; x.Revision++ })))
	if n := len(live.sick()); uint64(n) != rehearsed || n == 0 || n == 40 {
		t.Errorf("%d are touched, %d were to be", n, rehearsed)
	}
	live.open(t, e, 41)
	if s := status(t, e, "x"); s.Matched != 41 || live[40].decisions[0].ordinal != 40 {
		t.Errorf("%+v, the next has the ordinal %d", s, live[40].decisions[0].ordinal)
	}
}

// What a real run has decided for a live connection stays, also if the Experiment is rehearsed meanwhile: that counts what it would do.
func TestADryRunInBetweenDecidesNothingAnew(t *testing.T) {
	for name, change := range map[string]func(*proxy.Experiment){
		"percent":  func(x *proxy.Experiment) { x.Percent = shape.Const(50) },
		"sequence": func(x *proxy.Experiment) { x.Sequence = []proxy.SequenceStep{{Count: 9, Toxics: []string{"a"}}} },
	} {
		t.Run(name, func(t *testing.T) {
			exp := with(anExperiment("x", toxic.Noop{}), change)
			e := newEngine(t, Config{}, exp)
			edit := func(dryRun bool) {
				exp = with(exp, func(x *proxy.Experiment) { x.DryRun = dryRun; x.Revision++ })
				e.Apply(snapshot(exp))
			}
			var live liveStreams
			live.open(t, e, 40)
			first := live.sick()
			edit(true)
			if s := status(t, e, "x"); len(live.sick()) != 0 || s.DryRun != uint64(len(first)) {
				t.Errorf("the dry run counts %d, want %d, and acts on %v", s.DryRun, len(first), live.sick())
			}
			live.open(t, e, 80)
			rehearsed := status(t, e, "x").DryRun
			edit(false)
			again := live.sick()
			of := slices.IndexFunc(again, func(i int) bool { return i > 40 })
			if of < 0 {
				of = len(again)
			}
			if !slices.Equal(again[:of], first) {
				t.Errorf("%v, then %v", first, again[:of])
			}
			if name == "percent" && uint64(len(again)) != rehearsed {
				t.Errorf("%d were rehearsed, %d are touched", rehearsed, len(again))
			}
		})
	}
}

// An edit begins a sequence anew. A change of what it selects is none, and what is dealt stays.
func TestAnEditBeginsASequenceAnew(t *testing.T) {
	exp := with(anExperiment("x", toxic.Noop{}), func(x *proxy.Experiment) {
		x.Sequence = []proxy.SequenceStep{{Count: 2, Toxics: []string{"a"}}}
	})
	e := newEngine(t, Config{}, exp)
	var live liveStreams
	live.open(t, e, 3)
	e.Apply(snapshot(with(exp, func(x *proxy.Experiment) { x.Spared = []string{"other"} })))
	live.open(t, e, 4)
	if got := live.sick(); !slices.Equal(got, []int{1, 2}) {
		t.Errorf("before the edit: %v", got)
	}
	e.Apply(snapshot(with(exp, func(x *proxy.Experiment) { x.Revision++ })))
	live.open(t, e, 7)
	if got := live.sick(); !slices.Equal(got, []int{1, 2, 5, 6}) {
		t.Errorf("after it: %v", got)
	}
}

// What a cap allows is saved up for ten faults at the most: a long time without any is not followed by nothing but faults.
func TestBudgetSavesUpLittle(t *testing.T) {
	exp := with(anExperiment("x", delay(1)), func(x *proxy.Experiment) {
		x.Percent, x.MaxPercent = shape.Const(0), 10
	})
	e := newEngine(t, Config{}, exp)
	for _, quiet := range []int{50, 10_000} {
		e.Apply(snapshot(with(exp, func(x *proxy.Experiment) { x.Revision++ })))
		run(e, quiet)
		e.Apply(snapshot(with(exp, func(x *proxy.Experiment) { x.Percent = shape.Const(100) })))
		atOnce := 0
		for serve(e, request()) != "" {
			atOnce++
		}
		if want := map[int]int{50: 5, 10_000: 11}[quiet]; atOnce != want { // the eleventh is what the ten themselves have added
			t.Errorf("after %d requests without faults %d in a row have one, want %d", quiet, atOnce, want)
		}
	}
}
