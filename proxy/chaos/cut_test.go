package chaos

import (
	"fmt"
	"testing"
)

// Whoever cuts connections of ever new proxies makes nothing grow, and loses no count.
func TestCutsAreBounded(t *testing.T) {
	e := newEngine(t, Config{})
	const n = 2 * maxOwners
	for i := range n {
		e.CountCut(fmt.Sprint("p", i), CutDeleted)
	}
	e.CountCut(fmt.Sprint("p", n-1), CutDisabled)
	all := e.Report().Cut
	sum := uint64(0)
	for _, c := range all {
		sum += c.Connections
	}
	if last := all[len(all)-1]; sum != n+1 || len(all) != maxOwners+2 || last != (CutReport{"", "deleted", n - maxOwners}) {
		t.Errorf("%d in %d rows, the last is %+v", sum, len(all), last)
	}
	e.ForgetDeleted()
	if all := e.Report().Cut; len(all) != 0 {
		t.Errorf("forgotten, but %+v", all)
	}
	if got, want := fmt.Sprint(e.CutCounts()), "map[deleted:200 disabled:1 moved:0 released:0 too_many:0]"; got != want {
		t.Errorf("the counters are %s, want %s", got, want)
	}
}
