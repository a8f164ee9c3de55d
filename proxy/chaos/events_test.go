package chaos

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/shape"
)

// refusing is a Snapshot in which an object is not accepted.
func refusing(x *proxy.Experiment) *proxy.Snapshot {
	s := snapshot()
	s.Refused = []proxy.RefusedExperiment{{
		ID: x.ID, UID: x.UID, Revision: x.Revision + 1, Created: x.Created, Reason: "TargetNotFound", Message: "no such Route",
	}}
	return s
}

// An object that is refused is shown as that, whether it has acted before or not, and what it has done is not forgotten.
func TestRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, other := anExperiment("x", abort(503)), anExperiment("other", abort(503))
		e := newEngine(t, Config{}, x)
		defer e.Close()
		serve(e, request())
		want := func(when string, injected uint64) {
			t.Helper()
			s := status(t, e, "x")
			r := e.Report().Experiments[0]
			if s.Phase != proxy.ExperimentRefused || s.Problem != "TargetNotFound: no such Route" || s.Injected != injected ||
				r.Phase != "Refused" || r.Problem != s.Problem || r.Deleted || r.Injected != injected {
				t.Errorf("%s: %+v\n%+v", when, s, r)
			}
			if serve(e, request()) != "" {
				t.Errorf("%s: it acts", when)
			}
		}
		e.Apply(refusing(x))
		want("edited", 1)
		e.Withdraw(refusing(x))
		want("with a Snapshot that cannot be served", 1)
		e.Apply(snapshot(x))
		if s := status(t, e, "x"); s.Phase != proxy.ExperimentActive || s.Problem != "" || serve(e, request()) != "a" {
			t.Errorf("accepted again: %+v", s)
		}
		e.Withdraw(refusing(x))
		want("from one that acts to a Snapshot that cannot be served", 2)
		time.Sleep(2 * time.Hour)
		e.Apply(snapshot(x))
		if s := status(t, e, "x"); s.Phase != proxy.ExperimentExpired {
			t.Errorf("its time goes on while it is refused: %+v", s)
		}
		e.Apply(snapshot())
		if r := e.Report().Experiments; len(r) != 1 || r[0].Phase != "Deleted" || !r[0].Deleted {
			t.Errorf("%+v", r)
		}
		e.ForgetDeleted()
		if r := e.Report().Experiments; len(r) != 0 {
			t.Errorf("%+v", r)
		}
		e.Apply(refusing(other))
		if s := status(t, e, "other"); s.Phase != proxy.ExperimentRefused || e.Rearm(other.ID) {
			t.Errorf("new: %+v", s)
		}
	})
}

func TestAHaltOutlivesARefusal(t *testing.T) {
	x := with(anExperiment("x", abort(503)), func(x *proxy.Experiment) { x.Rearm = "1" })
	e := newEngine(t, Config{}, x)
	e.order[0].stop("test")
	e.Apply(refusing(x))
	mended := with(x, func(x *proxy.Experiment) { // as files say it, whose objects are made when they change
		x.Revision++
		x.Created = time.Now()
		x.Window.Start = x.Created
	})
	e.Apply(snapshot(mended))
	if s := status(t, e, "x"); s.Phase != proxy.ExperimentHalted || serve(e, request()) != "" {
		t.Errorf("%+v", s)
	}
	if n := len(e.Report().Experiments); n != 1 {
		t.Errorf("the report has it %d times", n)
	}
	e.Apply(snapshot(with(mended, func(x *proxy.Experiment) { x.Rearm = "2" })))
	if s := status(t, e, "x"); s.Phase != proxy.ExperimentActive || serve(e, request()) == "" {
		t.Errorf("armed again: %+v", s)
	}
}

// lockedText takes what several goroutines write.
type lockedText struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (l *lockedText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// take returns what has been written since the last call.
func (l *lockedText) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.text.Reset()
	return l.text.String()
}

// Every event has one line, whatever else is brought up to date meanwhile.
func TestEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var text lockedText
		log := slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if slices.Contains([]string{"time", "level", "until", "at", "matched", "injected", "experiment"}, a.Key) {
				return slog.Attr{}
			}
			return a
		}}))
		e := New(Config{Log: log})
		defer e.Close()
		x := anExperiment("x", abort(503))
		edited := func(change func(*proxy.Experiment)) *proxy.Snapshot {
			x = with(x, func(x *proxy.Experiment) { x.Revision++; change(x) })
			return snapshot(x)
		}
		off := snapshot(x)
		off.ChaosOff = true
		for _, step := range []struct {
			do   func()
			says string
		}{
			{func() { e.Apply(snapshot()) }, ""},
			{func() { e.Apply(snapshot(x)) }, `msg="experiment begins" percent=100`},
			{func() { e.Apply(snapshot(x)) }, ""},
			{func() { serve(e, request()) }, ""},
			{func() { e.Apply(snapshot(with(x, func(x *proxy.Experiment) { x.Spared = []string{"z"} }))) }, ""}, // nobody has edited it
			{func() { e.Apply(edited(func(*proxy.Experiment) {})) }, `msg="experiment is changed"`},
			{func() { e.Apply(edited(func(x *proxy.Experiment) { x.DryRun = true })) }, `msg="experiment is changed" dryRun=true`},
			{func() { e.Apply(edited(func(x *proxy.Experiment) { x.DryRun = false })) }, `msg="experiment is changed" dryRun=false`},
			{func() { e.SetEnabled(false) }, `msg="chaos is off" switch="the admin endpoint"`},
			{func() { e.SetEnabled(false) }, ""},
			{func() { e.Apply(off) }, `msg="chaos is off" switch="the ConfigMap"`},
			{func() { e.SetEnabled(true) }, `msg="chaos stays off" released="the admin endpoint" usedStill="the ConfigMap"`},
			{func() { e.Apply(snapshot(x)) }, `msg="chaos is on" released="the ConfigMap"`},
			{func() { e.order[0].stop("test") }, `msg="experiment halted by its guard" reason=test`},
			{func() { e.Rearm(x.ID) }, `msg="experiment is armed again" msg="experiment begins" percent=100`},
			{func() { e.Apply(edited(func(x *proxy.Experiment) { x.Suspend = true })) }, `msg="experiment ends" reason=suspended`},
			{func() { e.Apply(edited(func(x *proxy.Experiment) { x.Suspend = false })) }, `msg="experiment begins" percent=100`},
			{func() { e.Apply(refusing(x)) }, `msg="experiment ends" reason="refused: TargetNotFound: no such Route"`},
			{func() { e.Apply(snapshot(x)) }, `msg="experiment begins" percent=100`},
			{func() { e.Apply(snapshot()) }, `msg="experiment ends" reason=deleted`},
			{func() { e.Apply(snapshot(x)) }, `msg="experiment begins" percent=100`},
			{func() { time.Sleep(2 * time.Hour); synctest.Wait() }, `msg="experiment ends" reason=expired`},
			{func() { e.Apply(snapshot()) }, ""},
		} {
			step.do()
			if got := strings.Join(strings.Fields(text.take()), " "); got != step.says {
				t.Errorf("got %q, want %q", got, step.says)
			}
		}
	})
}

// A switch is called what it is: one that could not be read yet is not one that somebody uses.
func TestSwitchesHaveNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := anExperiment("x", abort(503))
		unread, used := snapshot(x), snapshot(x)
		unread.ChaosOff, unread.ChaosSwitch = true, "ConfigMap a/b, which could not be read yet"
		used.ChaosOff, used.ChaosSwitch = true, "ConfigMap a/b"
		e := New(Config{Log: slog.New(slog.DiscardHandler)})
		defer e.Close()
		for i, step := range []struct {
			snapshot *proxy.Snapshot
			want     []string
		}{
			{unread, []string{unread.ChaosSwitch}}, {used, []string{used.ChaosSwitch}}, {snapshot(x), nil}, {unread, []string{unread.ChaosSwitch}},
		} {
			time.Sleep(time.Second)
			e.Apply(step.snapshot)
			var names []string
			for _, s := range e.Switches() {
				if names = append(names, s.Name); !s.Since.Equal(time.Now()) {
					t.Errorf("step %d: %+v", i, s)
				}
			}
			if s := e.Status()[0]; !slices.Equal(names, step.want) || !slices.Equal(s.SwitchedOff, step.want) {
				t.Errorf("step %d: %v, %+v", i, names, s)
			}
		}
		if e.Apply(snapshot()); len(e.Retired()) != 1 || e.Retired()[0].ID != x.ID {
			t.Errorf("%+v", e.Retired())
		}
	})
}

// stuckLog is a slog.Handler that takes no line until the channel is closed.
type stuckLog chan struct{}

func (stuckLog) Enabled(context.Context, slog.Level) bool    { return true }
func (l stuckLog) Handle(context.Context, slog.Record) error { <-l; return nil }
func (l stuckLog) WithAttrs([]slog.Attr) slog.Handler        { return l }
func (l stuckLog) WithGroup(string) slog.Handler             { return l }

// A log that is stuck keeps no kill switch from being obeyed.
func TestStuckLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := make(stuckLog)
		e := New(Config{Log: slog.New(log)})
		go e.Apply(snapshot(anExperiment("x", abort(503))))
		synctest.Wait()
		if s := status(t, e, "x"); s.Phase != proxy.ExperimentActive {
			t.Errorf("%+v", s)
		}
		go e.SetEnabled(false)
		synctest.Wait()
		if s := status(t, e, "x"); s.Phase != proxy.ExperimentOff {
			t.Errorf("%+v", s)
		}
		close(log)
		synctest.Wait()
		e.Close()
	})
}

func TestPercentOf(t *testing.T) {
	x := anExperiment("x")
	if got := percentOf(x); got != 100.0 {
		t.Errorf("got %v", got)
	}
	x.Percent = shape.Value{Wave: shape.Ramp, Base: 5, To: 50, Period: time.Minute}
	if got := percentOf(x); got != "5 to 50" {
		t.Errorf("got %v", got)
	}
}

func TestSwitches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := New(Config{Disabled: true})
		defer e.Close()
		began := time.Now()
		time.Sleep(time.Minute)
		e.SetEnabled(false)
		got := e.Switches()
		if len(got) != 2 || got[0] != (Switch{"--chaos=false", began}) || got[1] != (Switch{"the admin endpoint", began.Add(time.Minute)}) {
			t.Errorf("%+v", got)
		}
		e.SetEnabled(true)
		if got = e.Switches(); len(got) != 1 || e.Enabled() {
			t.Errorf("%+v", got)
		}
	})
}

// What could inject, and has not, is told from what was never meant to, however it has ended.
func TestNeverActed(t *testing.T) {
	suspended := func(x *proxy.Experiment) { x.Suspend = true }
	for name, test := range map[string]struct {
		cfg  Config
		is   func(*proxy.Experiment)
		then func(e *Engine, x *proxy.Experiment)
		want bool
	}{
		"active":                {then: func(*Engine, *proxy.Experiment) {}},
		"suspended":             {is: suspended, want: true},
		"suspended and deleted": {is: suspended, then: func(e *Engine, _ *proxy.Experiment) { e.Apply(snapshot()) }, want: true},
		"suspended and expired": {is: suspended, then: func(*Engine, *proxy.Experiment) { time.Sleep(2 * time.Hour) }, want: true},
		"suspended and resumed": {is: suspended, then: func(e *Engine, x *proxy.Experiment) {
			e.Apply(snapshot(with(x, func(x *proxy.Experiment) { x.Suspend = false })))
		}},
		"active, then suspended": {then: func(e *Engine, x *proxy.Experiment) { e.Apply(snapshot(with(x, suspended))) }},
		"without chaos, expired": {cfg: Config{Disabled: true}, then: func(*Engine, *proxy.Experiment) { time.Sleep(2 * time.Hour) }, want: true},
		"active, then off":       {then: func(e *Engine, _ *proxy.Experiment) { e.SetEnabled(false) }},
		"a dry run":              {is: func(x *proxy.Experiment) { x.DryRun = true }, want: true},
		"to come":                {is: func(x *proxy.Experiment) { x.Window.Start = time.Now().Add(time.Hour) }, want: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := anExperiment("x", abort(503))
				if test.is != nil {
					test.is(x)
				}
				e := newEngine(t, test.cfg, x)
				defer e.Close()
				if test.then != nil {
					test.then(e, x)
				}
				synctest.Wait()
				if got := e.Report().Experiments[0].NeverActed; got != test.want {
					t.Errorf("got %v", got)
				}
			})
		})
	}
}
