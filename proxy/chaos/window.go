package chaos

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/adhocore/gronx"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// window is the live state of an Experiment's Window. Wall-clock time is looked at when something is armed; from then on start and
// end hold on the monotonic clock, so no change of the wall clock ever makes a window longer.
type window struct {
	cfg   proxy.Window // what is armed
	armed bool

	start, end time.Time // on the monotonic clock; zero before the first is armed
	open       bool      // start has come and end has not
	over       bool      // the last window has ended
	tick       time.Time // with a Schedule: the match that the latest window stands for
	never      bool      // the Schedule has been found to match never again

	checked, checkedAt time.Time // when the Schedule was last looked at, on the monotonic and on the wall clock

	from, to, next time.Time // for people: the window now or the last one, and the next; on the wall clock
}

// recheck is how often the wall clock is looked at while a scheduled window is waited for.
const recheck = time.Minute

// setBack is how far back a clock may be set so that the matches which it comes to once more have no window again. If the latest match
// is further ahead, the clock was wrong at that time, and every match from now on has its window.
const setBack = 24 * time.Hour

func checkWindow(w *proxy.Window) error {
	if w.Duration <= 0 {
		return errors.New("window: the duration must be positive")
	}
	if w.Schedule == "" {
		return nil
	}
	_, err := location(w)
	if err != nil {
		return fmt.Errorf("window: time zone: %w", err)
	}
	if len(strings.Fields(w.Schedule)) != 5 || !gronx.IsValid(w.Schedule) {
		return fmt.Errorf("window: schedule %q: want a cron expression of five fields", w.Schedule)
	}
	return nil
}

func (w *window) advance(cfg *proxy.Experiment, now, wall time.Time) (wake time.Duration) {
	if cfg.Window.Schedule != "" {
		return w.advanceSchedule(cfg, now, wall)
	}
	if !w.armed || w.cfg.Schedule != "" || !w.cfg.Start.Equal(cfg.Window.Start) {
		start := cfg.Window.Start
		if start.IsZero() {
			start = wall
		}
		w.set(now, wall, start, cfg.Window.Duration)
	}
	if w.cfg.Duration != cfg.Window.Duration {
		w.end, w.to = w.start.Add(cfg.Window.Duration), w.from.Add(cfg.Window.Duration)
	}
	w.cfg, w.armed = cfg.Window, true
	w.open = !now.Before(w.start) && now.Before(w.end)
	w.over = !now.Before(w.end)
	w.next = time.Time{}
	switch {
	case w.over:
		return -1
	case w.open:
		return w.end.Sub(now)
	}
	w.next = w.from
	return w.start.Sub(now)
}

// set arms a window that starts at a time on the wall clock.
func (w *window) set(now, wall, start time.Time, d time.Duration) {
	w.start = now.Add(start.Sub(wall.Round(0)))
	w.end = w.start.Add(d)
	w.from, w.to = start, start.Add(d)
	w.cfg.Duration = d
}

// advanceSchedule is advance for a Window with a Schedule. A match before the Experiment was made starts nothing; a match stands
// for one window, even if the wall clock goes over it again.
func (w *window) advanceSchedule(cfg *proxy.Experiment, now, wall time.Time) (wake time.Duration) {
	c := &cfg.Window
	if !w.armed || w.cfg.Schedule != c.Schedule || w.cfg.TimeZone != c.TimeZone {
		*w = window{tick: w.tick}
	} else if w.cfg.Duration != c.Duration && w.open {
		w.end, w.to = w.start.Add(c.Duration), w.from.Add(c.Duration)
	}
	w.cfg, w.armed, w.over = *c, true, false
	w.open = !w.end.IsZero() && !now.Before(w.start) && now.Before(w.end)
	loc, err := location(c)
	if err != nil {
		w.open = false
		return -1
	}
	if w.never && !w.open {
		return -1
	}
	local := wall.Round(0).In(loc)
	if elapsed := now.Sub(w.checked); !w.open && elapsed < recheck && !local.Before(w.checkedAt) && local.Before(w.next) {
		return min(w.next.Sub(local), recheck-elapsed)
	}
	w.checked, w.checkedAt = now, local
	if !w.open && w.tick.After(local.Add(setBack)) {
		w.tick = local
	}
	if !w.open {
		last, ok := lastTick(c.Schedule, local)
		if ok && last.After(w.tick) && !last.After(local) && !last.Before(cfg.Created) && local.Before(last.Add(c.Duration)) {
			w.tick = last
			w.set(now, wall, last, c.Duration)
			w.open = !now.Before(w.start) && now.Before(w.end)
		}
	}
	next, ok := nextTick(c.Schedule, local)
	w.next, w.never = next, !ok
	switch {
	case w.open:
		return w.end.Sub(now)
	case w.never:
		return -1
	}
	return min(w.next.Sub(local), recheck)
}

func location(w *proxy.Window) (*time.Location, error) {
	if w.TimeZone == "" {
		return time.UTC, nil
	}
	return time.LoadLocation(w.TimeZone)
}
