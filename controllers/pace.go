package controllers

import "time"

// Bounds of the rest between two builds. A burst of changes is built once per rest, so that no change waits longer
// than maxRest for its build to begin, unless a build is under way.
const (
	minRest = 5 * time.Millisecond
	maxRest = 50 * time.Millisecond
)

// pace decides when to build. It has four states:
//
//	idle       nothing is pending and the rest is over: the next change is built at once
//	resting    nothing is pending, a build has ended a moment ago
//	collecting something is pending and the rest is not over: further changes join the batch
//	due        something is pending and the rest is over: build
//
// A build is followed by a rest as long as the build itself took, within bounds, so that building takes no more than
// half of one CPU in a burst and small configurations react at once. The zero pace is idle.
type pace struct {
	pending bool
	next    time.Time // when the rest is over
}

// add notes a change.
func (p *pace) add() { p.pending = true }

// wait returns how long to wait before the next build; ok is false if nothing is pending.
func (p *pace) wait(now time.Time) (d time.Duration, ok bool) {
	return max(0, p.next.Sub(now)), p.pending
}

// built notes a build of everything that was pending.
func (p *pace) built(began, ended time.Time) {
	p.pending = false
	p.next = ended.Add(min(max(ended.Sub(began), minRest), maxRest))
}
