package chaos

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// An object may be refused for a moment, because its target is missing for instance. It is the same one afterwards.
func TestWhatIsKeptWhileAnExperimentIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		exp := with(anExperiment("x", abort(503)), func(x *proxy.Experiment) {
			x.Created = time.Now()
			x.Sequence = []proxy.SequenceStep{{Count: 2, Toxics: []string{"a"}}, {Count: 1}, {Count: 1, Toxics: []string{"a"}}}
		})
		e := newEngine(t, Config{}, exp)
		defer e.Close()
		away := func() {
			t.Helper()
			e.Apply(snapshot())
			if serve(e, request()) != "" {
				t.Error("acts while it is away")
			}
			time.Sleep(time.Minute)
			again := *exp
			e.Apply(snapshot(&again))
		}
		got := serve(e, request())
		away()
		for range 4 {
			got += serve(e, request()) + "."
		}
		if got != "aa..a.." {
			t.Errorf("its sequence is %q", got)
		}
		e.live[identity{exp.ID, exp.UID}].stop("test")
		away()
		if s := status(t, e, "x"); s.Phase != proxy.ExperimentHalted || s.Halts != 1 || s.Matched != 5 || s.Injected != 3 {
			t.Errorf("%+v", s)
		}
		if n := len(e.Report().Experiments); n != 1 {
			t.Errorf("the report has it %d times", n)
		}
		e.Rearm(exp.ID)
		e.Apply(snapshot())
		time.Sleep(time.Until(exp.Window.Start.Add(time.Hour)))
		e.Apply(snapshot(exp))
		if s := status(t, e, "x"); s.Phase != proxy.ExperimentExpired {
			t.Errorf("after its time: %+v", s)
		}
		e.Apply(snapshot())
		e.Apply(snapshot(with(exp, func(x *proxy.Experiment) {
			x.Created = time.Now()
			x.Window.Start = time.Now()
		})))
		if s := status(t, e, "x"); s.Phase != proxy.ExperimentActive || s.Matched != 0 {
			t.Errorf("another object: %+v", s)
		}
	})
}

// A breach sets the flag at once and the state under a lock that a configuration may hold just then.
func TestHaltMeetsAConfiguration(t *testing.T) {
	exp := anExperiment("x", abort(503))
	e := newEngine(t, Config{}, exp)
	x := e.live[identity{exp.ID, exp.UID}]
	e.mu.Lock()
	halted := make(chan struct{})
	go func() {
		x.stop("one")
		close(halted)
	}()
	for !x.halted.Load() {
		runtime.Gosched()
	}
	again := with(exp, func(*proxy.Experiment) {})
	x.configure(again, newMatchers(again)) // as Apply does
	e.mu.Unlock()
	<-halted
	if !x.halted.Load() {
		t.Error("halted, but what acts at once is told that it is not")
	}
	x.stop("two")
	if s := status(t, e, "x"); s.Halts != 1 || s.HaltedReason != "one" {
		t.Errorf("%d halts, the reason is %q", s.Halts, s.HaltedReason)
	}
}

// Two toxics of one name would be taken for one and ended twice.
func TestToxicGivenTwiceIsRefused(t *testing.T) {
	exp := anExperiment("x", delay(1), delay(1))
	exp.Toxics[1].Name = exp.Toxics[0].Name
	e := New(Config{})
	t.Cleanup(e.Close)
	e.Apply(snapshot(exp))
	e.Apply(snapshot(with(exp, func(*proxy.Experiment) {})))
	if s := status(t, e, "x"); s.Problem != `toxic "a" is given twice` {
		t.Errorf("the problem is %q", s.Problem)
	}
	e.Apply(snapshot())
}

// A Snapshot that throws the kill switch ends all before anything of it is compiled.
func TestKillSwitchComesBeforeWhatTakesTime(t *testing.T) {
	exp := anExperiment("x", abort(503))
	e := newEngine(t, Config{}, exp)
	off := snapshot(with(exp, func(x *proxy.Experiment) { x.Percent.Base = 50 }))
	off.ChaosOff = true
	asked := false
	e.prepare(off, func(*proxy.Experiment) bool {
		asked = true
		if acted := serve(e, request()); acted != "" {
			t.Errorf("%q acts although the switch is thrown", acted)
		}
		return true
	})
	if !asked {
		t.Error("nothing is compiled")
	}
}
