package main

import (
	"slices"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/test/bench/load"
	"github.com/breakwater-gateway/breakwater/test/bench/peer"
	"github.com/breakwater-gateway/breakwater/test/bench/stream"
)

func TestAHaltIsSeenFromTheAnswerThatBrokeTheBound(t *testing.T) {
	start := time.Unix(1000, 0)
	var answers []load.Answer
	for ms, status := range []int{599, 200, 599, 599, 200, 599, 599, 200, 200, 599} {
		answers = append(answers, load.Answer{At: start.Add(time.Duration(ms) * time.Millisecond), Status: status})
	}
	h := halt{armed: start.Add(time.Millisecond), over: start.Add(8 * time.Millisecond)} // the first and the last belong to others
	for failed, want := range map[int]struct {
		took  time.Duration
		after int
		ok    bool
	}{0: {}, 1: {4 * time.Millisecond, 3, true}, 2: {3 * time.Millisecond, 2, true}, 4: {0, 0, true}, 5: {}} {
		h.failed = failed
		took, after, err := h.seen(answers)
		if (err == nil) != want.ok || took != want.took || after != want.after {
			t.Errorf("%d failed: %v, %d, %v; want %+v", failed, took, after, err, want)
		}
	}
	if peer.GuardedStatus != 599 {
		t.Error("the test does not know the injected status")
	}
}

func TestAHaltIsReadFromTheStatus(t *testing.T) {
	one := func(phase, reason string) string {
		return `{"enabled":true,"experiments":[{"namespace":"default","name":"bench","phase":"` + phase + `","reason":"` + reason + `"}]}`
	}
	for text, want := range map[string]int{
		one("Halted", "98 of 103 requests failed in 1s: more than 50%"): 98,
		one("Active", ""): -1,
		one("Halted", "3 of 103 requests took longer than 1s in 1s: more than 1%"): -1,
		`{"experiments":[]}`: -1,
		`no JSON`:            -1,
	} {
		failed, ok := failedIn(text)
		if ok != (want >= 0) || ok && failed != want {
			t.Errorf("%s: %d, %v; want %d", text, failed, ok, want)
		}
	}
}

func TestChangesAreFoundInTheMessages(t *testing.T) {
	start := time.Unix(1000, 0)
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	trips := []stream.Trip{
		{Sent: at(0), Back: at(1)}, {Sent: at(3), Back: at(15)}, {Sent: at(15), Back: at(26)}, {Sent: at(26), Back: at(30)},
		{Sent: at(31), Back: at(33)}, {Sent: at(33), Back: at(36)},
	}
	figures := func(changes ...change) (all []float64, remarks int) {
		var s session
		s.reportChanges("p", trips, changes)
		for _, r := range s.report.Reactions {
			all = append(all, r.Max)
		}
		return all, len(s.report.Warnings)
	}
	c := change{add: at(2), added: at(3), remove: at(27), removed: at(29)}
	if got, remarks := figures(c); !slices.Equal(got, []float64{2, 3, 1, 3, 3}) || remarks != 0 {
		t.Errorf("figures %v, %d remarks", got, remarks)
	}
	c.remove = at(4) // before it has touched anything, as far as can be seen
	if got, remarks := figures(c); got[0] != 1 || remarks != 1 {
		t.Errorf("figures %v, %d remarks", got, remarks)
	}
	c.remove = at(27)
	if got, remarks := figures(c, change{add: at(28), added: at(28), remove: at(32), removed: at(32)}); got[2] != 1 || remarks != 1 {
		t.Errorf("figures %v, %d remarks", got, remarks)
	}
}
