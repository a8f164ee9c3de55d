package chaos

import (
	"strings"
	"time"

	"github.com/adhocore/gronx"
)

// Ticks of a cron expression are looked for on the face of the clock, which is what a clock on the wall of the time zone shows,
// written as a time in UTC. From one change of the clock to the next both run alike, so each search is good for that long. A tick
// that the clock never shows is none. For one that it shows twice the rule is Vixie cron's: see goesOn.

// maxYears is how far ticks are looked for: a 29 February that is a Monday is 40 years away at the most. Some are found year after
// year, and the clock never shows them: half past two on the last Sunday of March, in Berlin.
const maxYears = 41

// lastTick returns the latest tick of a cron expression that is not after t, in t's time zone. It reports false if there is none.
func lastTick(expression string, t time.Time) (time.Time, bool) {
	for first := t.AddDate(-maxYears, 0, 0); t.After(first); {
		found, err := gronx.PrevTickBefore(expression, faceOf(t), true)
		if err != nil {
			return time.Time{}, false
		}
		at := t.Add(found.Sub(faceOf(t)))
		begin, _ := t.ZoneBounds()
		if begin.IsZero() || !at.Before(begin) && (goesOn(expression) || !shownBefore(at)) {
			return at, true
		}
		t = begin.Add(-1)
	}
	return time.Time{}, false
}

// nextTick returns the first tick of a cron expression after t, in t's time zone. It reports false if there is none, ever; that
// takes tens of milliseconds.
func nextTick(expression string, t time.Time) (time.Time, bool) {
	inclusive := false
	for last := t.AddDate(maxYears, 0, 0); t.Before(last); {
		found, err := gronx.NextTickAfter(expression, faceOf(t), inclusive)
		if err != nil {
			return time.Time{}, false
		}
		at := t.Add(found.Sub(faceOf(t)))
		end := steadyUntil(t)
		switch {
		case !end.IsZero() && !at.Before(end):
			t, inclusive = end, true
		case goesOn(expression) || !shownBefore(at):
			return at, true
		default:
			t, inclusive = at, false
		}
	}
	return time.Time{}, false
}

// goesOn reports whether the ticks of a cron expression are an interval apart, rather than at certain times of the day: then those
// that the clock shows twice count twice. So it is, as in Vixie cron, if the minute or the hour begins with an asterisk.
func goesOn(expression string) bool {
	fields := strings.Fields(expression)
	return strings.HasPrefix(fields[0], "*") || strings.HasPrefix(fields[1], "*")
}

// faceOf is what the clock shows at t.
func faceOf(t time.Time) time.Time {
	_, offset := t.Zone()
	return t.UTC().Add(time.Duration(offset) * time.Second)
}

// steadyUntil returns a time after t before which the clock is not changed, zero if it never is again.
func steadyUntil(t time.Time) time.Time {
	_, end := t.ZoneBounds()
	if !end.IsZero() && !end.After(t) { // on the last day of some leap years package time ends the year before that day
		return t.AddDate(0, 0, 1)
	}
	return end
}

// shownBefore reports whether the clock has shown the same as at t already, because it has been put back since.
func shownBefore(t time.Time) bool {
	begin, _ := t.ZoneBounds()
	return !begin.IsZero() && !faceOf(begin.Add(-1)).Before(faceOf(t))
}
