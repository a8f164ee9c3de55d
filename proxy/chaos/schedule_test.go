package chaos

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/adhocore/gronx"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// clockChanges are nights in which clocks are put back, and one in which one is put forward, in UTC.
var clockChanges = []struct {
	zone  string
	night time.Time
}{
	{"Europe/Berlin", time.Date(2026, 10, 24, 22, 0, 0, 0, time.UTC)},
	{"America/New_York", time.Date(2026, 11, 1, 4, 0, 0, 0, time.UTC)},
	{"Australia/Lord_Howe", time.Date(2026, 4, 4, 13, 0, 0, 0, time.UTC)}, // by half an hour
	{"Europe/Berlin", time.Date(2026, 3, 28, 23, 0, 0, 0, time.UTC)},
	{"UTC", time.Date(2026, 10, 24, 22, 0, 0, 0, time.UTC)},
}

var schedules = []string{
	"30 * * * *", "*/15 * * * *", "34-38 * * * *", "30 2 * * *", "45 1-2 * * *", "11 8-12 * * *",
}

// Ticks are those that one finds who looks at the clock every minute and does not count what it shows again.
func TestTicksInNightsInWhichTheClockIsChanged(t *testing.T) {
	for _, c := range clockChanges {
		zone, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		for _, schedule := range schedules {
			var ticks []time.Time
			latest := time.Time{}
			for i := -12 * 60; i < 14*60; i++ {
				at := c.night.Add(time.Duration(i) * time.Minute).In(zone)
				face := faceOf(at)
				if due, _ := gronx.New().IsDue(schedule, face); due && face.After(latest) {
					ticks = append(ticks, at)
				}
				if face.After(latest) {
					latest = face
				}
			}
			for i := 0; i+1 < len(ticks); i++ {
				for _, at := range []time.Time{ticks[i], ticks[i].Add(time.Second), ticks[i+1].Add(-time.Second)} {
					last, ok := lastTick(schedule, at)
					if !ok || !last.Equal(ticks[i]) {
						t.Errorf("%s %q: the last before %v is %v, %v; want %v", c.zone, schedule, at, last, ok, ticks[i])
					}
					next, ok := nextTick(schedule, at)
					if !ok || !next.Equal(ticks[i+1]) {
						t.Errorf("%s %q: the next after %v is %v, %v; want %v", c.zone, schedule, at, next, ok, ticks[i+1])
					}
				}
			}
		}
	}
}

// No window is outside its schedule or longer than its duration, and none comes twice, in the nights in which the clock is put back.
func TestWindowsInNightsInWhichTheClockIsChanged(t *testing.T) {
	const duration = 2 * time.Minute
	for _, c := range clockChanges[:4] {
		for _, schedule := range []string{"30 * * * *", "34-38 * * * *", "30 2 * * *"} {
			for _, late := range []time.Duration{0, 150 * time.Minute} { // when the process begins
				synctest.Test(t, func(t *testing.T) {
					zone, _ := time.LoadLocation(c.zone)
					clock := &wall{}
					clock.set(time.Until(c.night.Add(late)))
					exp := with(anExperiment("x", abort(503)), func(x *proxy.Experiment) {
						x.Created = clock.now().Add(-time.Hour)
						x.Window = proxy.Window{Schedule: schedule, TimeZone: c.zone, Duration: duration}
					})
					e := newEngine(t, Config{Now: clock.now}, exp)
					defer e.Close()
					seen := map[time.Time]bool{}
					time.Sleep(30 * time.Second)
					for range 5 * 60 {
						at := clock.now().In(zone)
						last, _ := lastTick(schedule, at)
						if acts := serve(e, request()) != ""; acts != (at.Sub(last) < duration && !last.Before(exp.Created)) {
							t.Errorf("%s %q: acts is %v at %v, the last tick was %v", c.zone, schedule, acts, at, last)
						} else if acts {
							seen[last] = true
						}
						time.Sleep(time.Minute)
					}
					if schedule == "30 2 * * *" && len(seen) > 1 {
						t.Errorf("%s: %q has started %d times in one night", c.zone, schedule, len(seen))
					}
				})
			}
		}
	}
}
