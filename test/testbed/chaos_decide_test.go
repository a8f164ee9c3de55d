package testbed_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/breakwater-gateway/breakwater/proxy/chaos"
	"github.com/breakwater-gateway/breakwater/test/testbed"
)

// faultLog is where a Bed writes its fault log.
type faultLog struct {
	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

func (l *faultLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// logged runs n requests against experiments, in the order of fields if there are any, and returns the statuses and the fault log.
func logged(t *testing.T, experiments string, n int, options ...testbed.Option) (string, string) {
	t.Helper()
	log := &faultLog{}
	tb, _ := shopBed(t, experiments, append(options, testbed.WithChaos(func(c *chaos.Config) { c.FaultLog = log }))...)
	seen := statuses(tb, n)
	tb.Chaos.Close() // writes what is left
	return seen, log.text.String()
}

// decisions is a fault log without what cannot be the same twice.
func decisions(t *testing.T, log, toxic string) (all []string) {
	t.Helper()
	for line := range strings.Lines(log) {
		var f chaos.Fault
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		if toxic == "" || f.Toxic == toxic {
			all = append(all, fmt.Sprint(f.Object, f.Toxic, f.Target, f.Ordinal, f.Decision, f.Attempt, f.Bytes, f.Delay))
		}
	}
	return all
}

func sameList(a, b []string) bool { return strings.Join(a, "\n") == strings.Join(b, "\n") }

func TestSeedRepeats(t *testing.T) {
	const n = 200
	some := func(seed int) string {
		return onIngress("x", "percent: 30", fmt.Sprint("seed: ", seed), abort(503))
	}
	seen, log := logged(t, some(7), n)
	again, logAgain := logged(t, some(7), n)
	if seen != again || !sameList(decisions(t, log, ""), decisions(t, logAgain, "")) {
		t.Errorf("the same seed and order:\n%s\n%s", seen, again)
	}
	if got := strings.Count(seen, "a"); got < n*20/100 || got > n*40/100 { // fixed by the seed: no chance in it
		t.Errorf("%d of %d have been hit, want about 30 %%", got, n)
	}
	if len(decisions(t, log, "")) != strings.Count(seen, "a") {
		t.Errorf("%d lines for %d faults", len(decisions(t, log, "")), strings.Count(seen, "a"))
	}
	if other, _ := logged(t, some(8), n); other == seen {
		t.Error("another seed hits the same requests")
	}
}

func TestEdgesOfPercent(t *testing.T) {
	for percent, want := range map[string]string{"0": "....", "100": "aaaa"} {
		for _, lines := range [][]string{
			{"percent: " + percent, abort(503)},
			{"toxics: [{type: Abort, percent: " + percent + ", abort: {status: 503}}]"},
		} {
			tb, _ := shopBed(t, onIngress("x", lines...))
			if got := statuses(tb, 4); got != want {
				t.Errorf("%v: %s", lines, got)
			}
		}
	}
}

// A toxic that is added, in front or behind, and an experiment that is added do not change what the others do.
func TestNeighboursKeepTheirDecisions(t *testing.T) {
	const (
		n      = 100
		header = "{name: mark, type: Headers, percent: 40, headers: {response: {set: [{name: X-Mark, value: m}]}}}"
		abort  = "{name: abort, type: Abort, percent: 30, abort: {status: 503}}"
	)
	of := func(toxics ...string) string {
		return onIngress("x", "seed: 3", "toxics: ["+strings.Join(toxics, ", ")+"]")
	}
	_, alone := logged(t, of(abort), n)
	want := decisions(t, alone, "abort")
	for name, experiments := range map[string]string{
		"in front":   of(header, abort),
		"behind":     of(abort, header),
		"experiment": of(abort) + onIngress("another", "seed: 3", "percent: 50", "toxics: ["+header+"]"),
		"earlier":    onIngress("a", "seed: 3", "percent: 50", "toxics: ["+header+"]") + of(abort),
	} {
		_, log := logged(t, experiments, n)
		var got []string
		for _, line := range decisions(t, log, "abort") {
			if strings.HasPrefix(line, "NetworkChaos/default/x") {
				got = append(got, line)
			}
		}
		if !sameList(got, want) {
			t.Errorf("%s:\n%s\nwant\n%s", name, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if marks := len(decisions(t, log, "mark")); marks == 0 || marks == n {
			t.Errorf("%s: %d marks", name, marks)
		}
	}
}

// What was decided by chance is decided by the log in a later run: with another seed and other percentages, and toxic by toxic.
func TestReplay(t *testing.T) {
	const n = 100
	of := func(percent, seed int) string {
		return onIngress("x", fmt.Sprint("percent: ", percent), fmt.Sprint("seed: ", seed),
			"toxics: [{name: gone, type: Abort, percent: 50, abort: {status: 503}}, {name: tea, type: Abort, percent: 50, abort: {status: 418}}]")
	}
	seen, log := logged(t, of(60, 1), n)
	replay, err := chaos.ReadReplay(strings.NewReader(log))
	if err != nil {
		t.Fatal(err)
	}
	again, logAgain := logged(t, of(100, 99), n, testbed.WithChaos(func(c *chaos.Config) { c.Replay = replay }))
	if seen != again || !sameList(decisions(t, log, ""), decisions(t, logAgain, "")) {
		t.Errorf("replayed:\n%s\nwant\n%s", again, seen)
	}
	if strings.Count(seen, "a") == 0 || strings.Count(seen, "c") == 0 || strings.Count(seen, ".") == 0 {
		t.Errorf("the run proves nothing: %s", seen)
	}
}

func TestDecideByDoesNotDependOnOrder(t *testing.T) {
	tb, _ := shopBed(t, onIngress("x", "percent: 50", "decideBy: {type: Header, name: X-Case}", abort(503)))
	first := map[int]int{}
	for i := range 40 {
		first[i] = get(tb, "/", "X-Case", fmt.Sprint(i))
	}
	hit := 0
	for i := 39; i >= 0; i-- {
		got := get(tb, "/", "x-case", fmt.Sprint(i))
		if got != first[i] {
			t.Errorf("case %d: %d and then %d", i, first[i], got)
		}
		if got == 503 {
			hit++
		}
	}
	if hit == 0 || hit == 40 {
		t.Errorf("%d of 40 have been hit", hit)
	}
}

func TestOneSickEndpointOfThree(t *testing.T) {
	tb, first := shopBed(t, "")
	all := []*testbed.Backend{first, tb.Extra("shop", "second", nil), tb.Extra("shop", "third", nil)}
	tb.Write("chaos.yaml", onIngress("x", "at: Backend", "endpoints: {count: 1}", abort(503)))
	const n = 60
	sick := func() (name string) {
		t.Helper()
		before := map[string]int64{}
		for _, b := range all {
			before[b.Name] = b.Requests.Load()
		}
		failed := strings.Count(statuses(tb, n), "a")
		if failed != n/3 {
			t.Errorf("%d of %d failed, want those of one of three", failed, n)
		}
		for _, b := range all {
			switch got := b.Requests.Load() - before[b.Name]; got {
			case 0:
				name += b.Name
			case n / 3:
			default:
				t.Errorf("%s has served %d", b.Name, got)
			}
		}
		return name
	}
	chosen := sick()
	if again := sick(); again != chosen || chosen == "" {
		t.Fatalf("%q is sick, and then %q", chosen, again)
	}
	// Another edit changes nothing about the choice, and neither does one that is healthy and leaves.
	tb.Write("chaos.yaml", onIngress("x", "at: Backend", "endpoints: {count: 1}", "toxics: [{type: Abort, abort: {status: 504}}]"))
	for _, b := range all[1:] {
		if b.Name != chosen {
			b.Leave()
			break
		}
	}
	for range 20 {
		if res := tb.Get("shop.example.com", "/"); res.Status == 200 && res.Header.Get(testbed.NameHeader) == chosen {
			t.Fatalf("%s has served", chosen)
		}
	}
	if got := strings.Count(statuses(tb, 20), "b"); got != 10 {
		t.Errorf("%d of 20 failed, want those of one of two", got)
	}
}

func TestEndpointsByZoneAndPod(t *testing.T) {
	tb, first := shopBed(t, "")
	second := tb.Extra("shop", "second", nil)
	second.Place("zone-b", "shop-1")
	tb.Write("pod.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: shop-1, labels: {app: sick}}\n")
	for _, selector := range []string{"zone: zone-b", "podSelector: {matchLabels: {app: sick}}"} {
		tb.Write("chaos.yaml", onIngress("x", "at: Backend", "endpoints: {"+selector+"}", abort(503)))
		before, at := first.Requests.Load(), second.Requests.Load()
		if got := statuses(tb, 20); strings.Count(got, "a") != 10 || second.Requests.Load() != at || first.Requests.Load() != before+10 {
			t.Errorf("%s: %s; %d and %d requests", selector, got, first.Requests.Load()-before, second.Requests.Load()-at)
		}
	}
	tb.Write("chaos.yaml", onIngress("x", "at: Backend", "endpoints: {podSelector: {matchLabels: {app: other}}}", abort(503)))
	if got := statuses(tb, 4); got != "...." {
		t.Errorf("no pod is selected: %s", got)
	}
}

func TestMatch(t *testing.T) {
	tb, _ := shopBed(t, onIngress("x", `match:
  - {path: {value: /cart}, method: POST}
  - {path: {type: Exact, value: /exact}}
  - {path: {type: RegularExpression, value: "/v[0-9]+/.*"}}
  - {headers: [{name: X-Canary, value: "yes"}], query: [{name: page, value: "2"}]}
  - {headers: [{name: X-Id, type: RegularExpression, value: "a.+"}]}`, abort(503)))
	for _, c := range []struct {
		method, path, header string
		hit                  bool
	}{
		{"GET", "/", "", false},
		{"POST", "/cart", "", true},
		{"POST", "/cart/1?x=y", "", true},
		{"POST", "/carts", "", false},
		{"GET", "/cart", "", false},
		{"GET", "/exact", "", true},
		{"GET", "/exact/", "", false},
		{"GET", "/v1/a", "", true},
		{"GET", "/a/v1/b", "", false},
		{"GET", "/?page=2", "", false},
		{"GET", "/", "X-Canary: yes", false},
		{"GET", "/?page=2", "x-canary: yes", true},
		{"GET", "/?page=3&page=2", "X-Canary: yes", false},
		{"GET", "/?page=2", "X-Canary: YES", false},
		{"GET", "/", "X-Id: abc", true},
		{"GET", "/", "X-Id: babc", false},
	} {
		t.Run(c.method+c.path+c.header, func(t *testing.T) {
			h := http.Header{}
			if name, value, ok := strings.Cut(c.header, ": "); ok {
				h.Set(name, value)
			}
			res := tb.Send(testbed.Request{Method: c.method, Host: "shop.example.com", Path: c.path, Header: h})
			if hit := res.Status == 503; hit != c.hit {
				t.Errorf("got %d, want a hit: %v", res.Status, c.hit)
			}
		})
	}
	if s := state(t, tb, "x"); s.Matched != 6 || s.Injected != 6 {
		t.Errorf("%d matched, %d injected", s.Matched, s.Injected)
	}
}

const script = "toxics: [{name: gone, type: Abort, abort: {status: 503}}, {name: tea, type: Abort, abort: {status: 418}}]"

func TestSequence(t *testing.T) {
	tb, _ := shopBed(t, onIngress("x", script, "sequence: {steps: [{count: 2, toxics: [gone]}, {}, {toxics: [tea]}]}"))
	if got := statuses(tb, 8); got != "aa.c...." {
		t.Error(got)
	}
	// An edit begins it anew, whatever it changes, and so does deleting it and writing it again.
	tb.Write("chaos.yaml", onIngress("x", script, "sequence: {steps: [{count: 2, toxics: [gone]}, {}, {toxics: [tea]}]}", "dryRun: false", "seed: 4"))
	if got := statuses(tb, 4); got != "aa.c" {
		t.Errorf("after an edit: %s", got)
	}
	tb.Delete("chaos.yaml")
	tb.Write("chaos.yaml", onIngress("x", script, "sequence: {steps: [{count: 2, toxics: [gone]}, {}, {toxics: [tea]}]}"))
	if got := statuses(tb, 5); got != "aa.c." {
		t.Errorf("anew: %s", got)
	}
}

func TestSequencePerClient(t *testing.T) {
	tb, _ := shopBed(t, onIngress("x", script, "sequence: {key: {type: Header, name: X-Client}, steps: [{toxics: [gone]}, {toxics: [tea]}]}"))
	want := map[string][]int{"a": {503, 418, 200}, "b": {503, 418, 200}, "": {503, 418, 200}}
	for i := range 3 {
		for client, statuses := range want {
			if got := get(tb, "/", "X-Client", client); got != statuses[i] {
				t.Errorf("request %d of %q: %d, want %d", i, client, got, statuses[i])
			}
		}
	}
}
