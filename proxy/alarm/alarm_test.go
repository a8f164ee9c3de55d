package alarm

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// rings notes what has been asked for.
type rings []time.Duration

func (r *rings) ring(at time.Duration) { *r = append(*r, at) }
func (r *rings) serve(func() bool)     {}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestQueue(t *testing.T) {
	const ms = time.Millisecond
	type step struct {
		timer   string // whose name begins with f if it has something to call
		at, now time.Duration
		do      string // set, unless it is stop or pass
	}
	for _, c := range []struct {
		name  string
		steps []step
		rings rings
		calls []string
	}{
		{"first", []step{{timer: "f", at: 5 * ms}}, rings{5 * ms}, nil},
		{"later one waits for the first", []step{{timer: "f", at: 5 * ms}, {timer: "f2", at: 7 * ms}}, rings{5 * ms}, nil},
		{"earlier one goes first", []step{{timer: "f", at: 5 * ms}, {timer: "f2", at: 3 * ms}}, rings{5 * ms, 3 * ms}, nil},
		{"set again", []step{{timer: "f", at: 5 * ms}, {timer: "f", at: 3 * ms}, {timer: "f", at: 7 * ms}}, rings{5 * ms, 3 * ms, 7 * ms}, nil},
		{"the same again", []step{{timer: "f", at: 5 * ms}, {timer: "f2", at: 5 * ms}, {timer: "f", at: 5 * ms, now: ms}}, rings{5 * ms}, nil},
		{"next after the first has rung", []step{{timer: "f", at: 5 * ms}, {timer: "f2", at: 7 * ms}, {do: "pass", now: 5 * ms}},
			rings{5 * ms, 7 * ms}, []string{"f"}},
		{"ring that comes early is asked for again", []step{{timer: "f", at: 5 * ms}, {do: "pass", now: 5*ms - 1}}, rings{5 * ms, 5 * ms}, nil},
		{"one that has passed is still called", []step{{timer: "f", at: 5 * ms, now: 6 * ms}, {do: "pass", now: 6 * ms}},
			rings{5 * ms}, []string{"f"}},
		{"stopped", []step{{timer: "f", at: 5 * ms}, {timer: "f", do: "stop"}, {do: "pass", now: 9 * ms}}, rings{5 * ms}, nil},
		{"stopped before another", []step{{timer: "f", at: 5 * ms}, {timer: "f2", at: 7 * ms}, {timer: "f", do: "stop"}, {do: "pass", now: 9 * ms}},
			rings{5 * ms, 7 * ms}, []string{"f2"}},
		{"stopped twice, and never set", []step{{timer: "f", do: "stop"}, {timer: "f2", at: 5 * ms}, {timer: "f2", do: "stop"}, {timer: "f2", do: "stop"}},
			rings{5 * ms}, nil},
		{"one that calls nothing lets the next one take its place once it has passed",
			[]step{{timer: "r", at: 5 * ms}, {timer: "r2", at: 7 * ms}, {timer: "r", do: "stop", now: 6 * ms}}, rings{5 * ms, 7 * ms}, nil},
		{"one that calls nothing and has passed rings nothing", []step{{timer: "r", at: 5 * ms, now: 6 * ms}}, nil, nil},
		{"one that waits to be called keeps its place", []step{{timer: "f", at: 5 * ms}, {timer: "r", at: 7 * ms, now: 6 * ms}, {do: "pass", now: 6 * ms}},
			rings{5 * ms, 7 * ms}, []string{"f"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got rings
			q := queue{bell: &got}
			timers := map[string]*Timer{}
			var called []string
			for _, s := range c.steps {
				if timers[s.timer] == nil {
					timers[s.timer] = &Timer{}
					if s.timer != "" && s.timer[0] == 'f' {
						timers[s.timer].f = func() { called = append(called, s.timer) }
					}
				}
				switch s.do {
				case "stop":
					q.stop(timers[s.timer], s.now)
				case "pass":
					for _, t := range q.passed(nil, s.now) {
						t.f()
					}
				default:
					q.set(timers[s.timer], s.at, s.now)
				}
			}
			if !slices.Equal(got, c.rings) || !slices.Equal(called, c.calls) {
				t.Errorf("rings %v, want %v; calls %v, want %v", got, c.rings, called, c.calls)
			}
		})
	}
}

// TestQueueCallsInOrder sets, moves and stops at random, beside a map.
func TestQueueCallsInOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		var bell rings
		q := queue{bell: &bell}
		var called *Timer
		timers := make([]Timer, 1+r.IntN(30))
		for i := range timers {
			timers[i].f = func() { called = &timers[i] }
		}
		set := map[*Timer]time.Duration{}
		for range 100 {
			timer := &timers[r.IntN(len(timers))]
			if r.IntN(4) == 0 {
				q.stop(timer, 0)
				delete(set, timer)
				continue
			}
			at := time.Duration(1 + r.IntN(50))
			q.set(timer, at, 0)
			set[timer] = at
		}
		for now := time.Duration(0); now <= 50; now++ {
			if len(set) > 0 && bell[len(bell)-1] < now {
				t.Fatalf("at %d a ring is asked for at %d", now, bell[len(bell)-1])
			}
			for _, timer := range q.passed(nil, now) {
				timer.f()
				if at, isSet := set[called]; !isSet || at != now {
					t.Fatalf("called at %d, was set to %d (%v)", now, at, isSet)
				}
				delete(set, called)
			}
		}
		if len(set) != 0 || len(q.timers) != 0 {
			t.Fatalf("%d have not been called, %d are left", len(set), len(q.timers))
		}
	}
}

func TestTimerIsCalledInTimeAndAgain(t *testing.T) {
	rung := make(chan time.Time)
	timer := NewTimer(func() { rung <- time.Now() })
	defer timer.Close()
	for range 3 {
		at := time.Now().Add(2 * time.Millisecond)
		timer.Set(at.Add(time.Hour))
		timer.Set(at)
		if early := at.Sub(<-rung); early > 0 {
			t.Errorf("it has rung %v early", early)
		}
	}
	timer.Set(time.Now().Add(-time.Hour))
	<-rung
}

// TestClocksGoroutineComesAndGoes: goleak sees one that stays.
func TestClocksGoroutineComesAndGoes(t *testing.T) {
	for range 100 {
		rung := make(chan bool, 1)
		a, b := NewTimer(func() { rung <- true }), NewTimer(func() {})
		b.Set(time.Now().Add(time.Hour))
		b.Close()
		a.Set(time.Now())
		<-rung
		a.Close()
	}
}

func TestTimerWithoutATimerfd(t *testing.T) {
	rung := make(chan bool)
	timer := &Timer{f: func() { rung <- true }}
	for range 2 {
		timer.setOwn(0)
		<-rung
	}
	(&Timer{}).setOwn(0)
}

func TestAfter(t *testing.T) {
	_, end := After(2 * time.Hour)
	defer end()
	rung, done := After(time.Millisecond)
	<-rung
	done()
}
