package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/test/bench/report"
)

func TestPingPongIsMeasuredBothWaysWhereProcessorsCanBeKeptAwake(t *testing.T) {
	both, idle := streamWorkloads(true), streamWorkloads(false)
	if len(both) != len(idle)+1 || both[1].name != both[0].name+report.KeptAwake || !both[1].awake {
		t.Errorf("first %q and %q of %d workloads, %d without", both[0].name, both[1].name, len(both), len(idle))
	}
	for i, w := range both {
		if w.awake != (i == 1) {
			t.Errorf("%s: awake %v", w.name, w.awake)
		}
	}
	for _, w := range idle {
		if w.awake || strings.HasSuffix(w.name, report.KeptAwake) {
			t.Errorf("%s: awake %v, although that is not possible", w.name, w.awake)
		}
	}
}

func TestARoundIsItsTurns(t *testing.T) {
	if n, d := (streamWorkload{seconds: 2}).turns(); time.Duration(n)*d != 2*time.Second || n < 10 {
		t.Errorf("%d turns of %v", n, d)
	}
	if n, d := (streamWorkload{seconds: 2, bulk: true}).turns(); n != 1 || d != 2*time.Second {
		t.Errorf("bulk: %d turns of %v", n, d)
	}
}

func TestEveryPathIsOnceInATurnAndAfterEachOther(t *testing.T) {
	const n = 4
	after := map[[2]int]bool{}
	for turn := range 10 * n {
		all := order(turn, n)
		if sorted := slices.Sorted(slices.Values(all)); !slices.Equal(sorted, []int{0, 1, 2, 3}) || !slices.Equal(order(turn, n), all) {
			t.Errorf("turn %d: paths %v", turn, all)
		}
		for i := range n - 1 {
			after[[2]int{all[i], all[i+1]}] = true
		}
	}
	if len(after) != n*(n-1) {
		t.Errorf("only these come after one another: %v", after)
	}
}

func TestTheFloorTakesPartInPingPongAlone(t *testing.T) {
	paths := []path{{name: report.Direct}, {name: "ours", pid: 1}, {name: report.Floor, pid: 2, floor: true}}
	for _, test := range []struct {
		w    streamWorkload
		want []string
	}{
		{streamWorkload{}, []string{report.Direct, "ours", report.Floor}},
		{streamWorkload{bulk: true}, []string{report.Direct, "ours"}},
	} {
		lanes, err := (&session{}).lanes(t.Context(), test.w, paths)
		var got []string
		for _, l := range lanes {
			got = append(got, l.row.Peer)
		}
		if err != nil || !slices.Equal(got, test.want) {
			t.Errorf("bulk %v: %q, %v; want %q", test.w.bulk, got, err, test.want)
		}
	}
}

func TestARefusalToStayAwakeIsTold(t *testing.T) {
	for _, program := range []string{"/bin/false", "/nonexistent"} {
		if _, err := startAwake(program, time.Second); err == nil {
			t.Errorf("%s: no error", program)
		}
	}
}
