package accept

import (
	"sync"
	"sync/atomic"
	"testing"
)

func TestBoundIsNeverExceeded(t *testing.T) {
	const most = 3
	b := NewBound(most)
	var open, exceeded atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 1000 {
				if !b.Take() {
					continue
				}
				if open.Add(1) > most {
					exceeded.Add(1)
				}
				open.Add(-1)
				b.Give()
			}
		})
	}
	all.Wait()
	if n := exceeded.Load(); n > 0 {
		t.Errorf("%d times more than %d", n, most)
	}
	for i := range most {
		if !b.Take() {
			t.Fatalf("no room for connection %d after all have ended", i+1)
		}
	}
	if b.Take() {
		t.Error("there is room for too many")
	}
}

func TestShareLeavesRoomForOthers(t *testing.T) {
	all := NewBound(3)
	share := all.Share(2)
	want := func(what string, got, want bool) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %v", what, got)
		}
	}
	want("the first of the share", share.Take(), true)
	want("the second", share.Take(), true)
	want("the third", share.Take(), false)
	want("somebody else", all.Take(), true)
	want("another", all.Take(), false)
	share.Give()
	want("another in the place of one of the share", all.Take(), true)
	want("the share when all is taken", share.Take(), false)
	all.Give()
	want("the share when there is room again", share.Take(), true)
}
