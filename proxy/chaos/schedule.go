package chaos

import (
	"time"

	"github.com/adhocore/gronx"
)

// Ticks of a cron expression are looked for on the face of the clock, which is what a clock on the wall of the time zone shows,
// written as a time in UTC: there no hour is missing and none comes twice. A tick that the clock shows twice is the first of the
// two; one that it never shows is none.

// lastTick returns the latest tick of a cron expression that is not after t, in t's time zone.
func lastTick(expression string, t time.Time) (time.Time, bool) {
	return tick(t, func(face time.Time) (time.Time, error) { return gronx.PrevTickBefore(expression, face, true) }, -time.Second)
}

// nextTick returns the first tick of a cron expression after t, in t's time zone. It reports false if there is none, ever; that takes
// tens of milliseconds.
func nextTick(expression string, t time.Time) (time.Time, bool) {
	return tick(t, func(face time.Time) (time.Time, error) { return gronx.NextTickAfter(expression, face, false) }, 0)
}

// tick looks for a tick from t on, with find. Where the clock does not show what is found it goes on from there, a step further.
func tick(t time.Time, find func(face time.Time) (time.Time, error), step time.Duration) (time.Time, bool) {
	face := latestFace(t)
	for {
		found, err := find(face)
		if err != nil {
			return time.Time{}, false
		}
		if at, ok := whenShown(found, t.Location()); ok {
			return at, true
		}
		face = found.Add(step)
	}
}

// faceOf is what the clock shows at t.
func faceOf(t time.Time) time.Time {
	_, offset := t.Zone()
	return t.UTC().Add(time.Duration(offset) * time.Second)
}

// latestFace is the latest that the clock has shown up to t: more than it shows at t, if it has been put back shortly before.
func latestFace(t time.Time) time.Time {
	shown := faceOf(t)
	if begin, _ := t.ZoneBounds(); !begin.IsZero() {
		if before := faceOf(begin.Add(-1)); before.After(shown) {
			return before
		}
	}
	return shown
}

// whenShown returns when the clock of a time zone first shows a face. It reports false if it never does.
func whenShown(face time.Time, zone *time.Location) (time.Time, bool) {
	const day = 24 * time.Hour
	for _, near := range []time.Duration{-day, day} { // with the offset before a change of the clock, then with that after it
		_, offset := face.Add(near).In(zone).Zone()
		if t := face.Add(-time.Duration(offset) * time.Second).In(zone); faceOf(t).Equal(face) {
			return t, true
		}
	}
	return time.Time{}, false
}
