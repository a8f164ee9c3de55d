package controllers

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestPaceBuildsAtOnceWhenIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pace
		if _, ok := p.wait(time.Now()); ok {
			t.Error("due with nothing pending")
		}
		p.add()
		if d, ok := p.wait(time.Now()); !ok || d != 0 {
			t.Errorf("waits %s, %v; want to build at once", d, ok)
		}
		p.built(time.Now(), time.Now())
		time.Sleep(minRest)
		p.add()
		if d, ok := p.wait(time.Now()); !ok || d != 0 {
			t.Errorf("waits %s, %v after the rest; want to build at once", d, ok)
		}
	})
}

func TestPaceRestsAsLongAsTheBuildTookWithinBounds(t *testing.T) {
	for took, rest := range map[time.Duration]time.Duration{
		0:                     minRest,
		time.Millisecond:      minRest,
		20 * time.Millisecond: 20 * time.Millisecond,
		time.Second:           maxRest,
	} {
		synctest.Test(t, func(t *testing.T) {
			var p pace
			began := time.Now()
			time.Sleep(took)
			p.built(began, time.Now())
			if _, ok := p.wait(time.Now()); ok {
				t.Error("due with nothing pending")
			}
			p.add()
			if d, ok := p.wait(time.Now()); !ok || d != rest {
				t.Errorf("after a build of %s waits %s, want %s", took, d, rest)
			}
			time.Sleep(rest / 2)
			p.add() // does not begin the rest anew
			if d, _ := p.wait(time.Now()); d != rest-rest/2 {
				t.Errorf("after half of the rest waits %s", d)
			}
		})
	}
}
