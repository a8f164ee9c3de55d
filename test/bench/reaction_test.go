package main

import (
	"slices"
	"strings"
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
	trips := []stream.Trip{{Sent: at(0), Back: at(1)}, {Sent: at(3), Back: at(15)}, {Sent: at(15), Back: at(26)}, {Sent: at(26), Back: at(30)}, {Sent: at(30), Back: at(31)}}
	var s session
	c := change{add: at(1), added: at(2), remove: at(28), removed: at(29)}
	if err := s.reportChanges("p", trips, []change{c}); err != nil {
		t.Fatal(err)
	}
	var got []float64
	for _, r := range s.report.Reactions {
		got = append(got, r.Max)
	}
	if want := []float64{1, 2, 1, 2, 4}; !slices.Equal(got, want) {
		t.Errorf("figures %v, want %v", got, want)
	}
	s, c.remove = session{}, at(2)
	if err := s.reportChanges("p", trips, []change{c}); err != nil || s.report.Reactions[1].Max != 1 || len(s.report.Warnings) != 1 {
		t.Errorf("a toxic that touches nothing: %v, %+v", err, s.report)
	}
	if err := s.reportChanges("p", trips[:3], []change{{add: at(1), remove: at(28)}}); err == nil || !strings.Contains(err.Error(), "never went") {
		t.Errorf("error %v", err)
	}
}
