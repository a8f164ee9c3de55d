package chaos

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/adhocore/gronx"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// clockChanges are nights in which clocks are put back, one in which one is put forward, and others, in UTC.
var clockChanges = []struct {
	zone  string
	night time.Time
}{
	{"Europe/Berlin", time.Date(2026, 10, 24, 22, 0, 0, 0, time.UTC)},
	{"America/New_York", time.Date(2026, 11, 1, 4, 0, 0, 0, time.UTC)},
	{"Australia/Lord_Howe", time.Date(2026, 4, 4, 13, 0, 0, 0, time.UTC)}, // by half an hour
	{"Europe/Berlin", time.Date(2026, 3, 28, 23, 0, 0, 0, time.UTC)},
	{"Europe/Berlin", time.Date(2040, 12, 31, 12, 0, 0, 0, time.UTC)}, // the end of a leap year far away
	{"UTC", time.Date(2026, 10, 24, 22, 0, 0, 0, time.UTC)},
}

// schedules tells of cron expressions whether times that the clock shows twice count twice.
var schedules = map[string]bool{
	"30 * * * *": true, "*/15 * * * *": true, "34-38 * * * *": true, "0 */2 * * *": true, "*/20 1-2 * * *": true,
	"30 2 * * *": false, "45 1-2 * * *": false, "11 8-12 * * *": false, "0-59/20 0-23/2 * * *": false,
}

// Ticks are those that one finds who looks at the clock every minute and, unless the schedule goes on and on, does not count what
// it shows again.
func TestTicksInNightsInWhichTheClockIsChanged(t *testing.T) {
	for _, c := range clockChanges {
		zone, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		for schedule, goesOn := range schedules {
			var ticks []time.Time
			latest := time.Time{}
			for i := -12 * 60; i < 14*60; i++ {
				at := c.night.Add(time.Duration(i) * time.Minute).In(zone)
				face := faceOf(at)
				if due, _ := gronx.New().IsDue(schedule, face); due && (goesOn || face.After(latest)) {
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

// FuzzTicks: what is found is a tick, and no minute around that is one is passed over, whatever the clock of the zone did then.
func FuzzTicks(f *testing.F) {
	for i, schedule := range []string{
		"0 3 * * MON-FRI", "*/15 1-2 1,15 * *", "5 4 15W * 5#3", "? ? L * 7", "0-59/7 0/3 1-31/2 */2 1-7/2", "0 0 29 2 1", "30 2 * * *", "0 * * * *",
	} {
		f.Add(schedule, int64(i)*1_000_003, uint8(i))
	}
	f.Add("* * * * *", int64(0), uint8(0))
	f.Add("30 1-2 * * *", int64(59_779), uint8(1)) // in the hour that Berlin's clock shows twice
	f.Add("0 12 * * *", int64(59_014), uint8(1))   // and the day before
	f.Fuzz(func(t *testing.T, schedule string, minutes int64, place uint8) {
		if len(schedule) > 64 || len(strings.Fields(schedule)) != 5 || !gronx.IsValid(schedule) {
			return
		}
		zone, err := time.LoadLocation([]string{"UTC", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu"}[place%4])
		if err != nil {
			t.Fatal(err)
		}
		const most = 60 * 24 * 365 * 30
		at := time.Unix(1_600_000_000, 0).Truncate(time.Minute).Add(time.Duration(minutes%most) * time.Minute).In(zone)
		isTick := func(at time.Time) bool {
			due, err := gronx.New().IsDue(schedule, faceOf(at))
			return err == nil && due && (goesOn(schedule) || !shownBefore(at))
		}
		next, some := nextTick(schedule, at)
		if some && (!next.After(at) || !isTick(next)) {
			t.Errorf("%q: %v is no tick after %v", schedule, next, at)
		}
		last, found := lastTick(schedule, at)
		if found && (last.After(at) || !isTick(last)) {
			t.Errorf("%q: %v is no tick before %v", schedule, last, at)
		}
		for i := range 200 {
			if minute := at.Add(time.Duration(i+1) * time.Minute); (!some || minute.Before(next)) && isTick(minute) {
				t.Fatalf("%q: the next after %v is %v, %v, and not %v", schedule, at, next, some, minute)
			}
			if minute := at.Add(-time.Duration(i) * time.Minute); (!found || minute.After(last)) && isTick(minute) {
				t.Fatalf("%q: the last before %v is %v, %v, and not %v", schedule, at, last, found, minute)
			}
		}
	})
}

// A schedule of nothing but times that the clock skips is one that never matches.
func TestTicksThatTheClockAlwaysSkips(t *testing.T) {
	for zone, schedule := range map[string]string{"Europe/Berlin": "30 2 * 3 0L", "Europe/London": "30 1 * 3 0L"} {
		at := clockChanges[0].night
		if loc, err := time.LoadLocation(zone); err != nil {
			t.Fatal(err)
		} else {
			at = at.In(loc)
		}
		if next, ok := nextTick(schedule, at); ok {
			t.Errorf("%s %q: next is %v", zone, schedule, next)
		}
		if last, ok := lastTick(schedule, at); ok {
			t.Errorf("%s %q: last was %v", zone, schedule, last)
		}
	}
}

// No window is outside its schedule or longer than its duration in the nights in which the clock is changed, and none comes twice
// that is to come once a day.
func TestWindowsInNightsInWhichTheClockIsChanged(t *testing.T) {
	const duration = 2 * time.Minute
	for _, c := range clockChanges[:4] {
		for _, schedule := range []string{"30 * * * *", "*/15 * * * *", "34-38 * * * *", "30 2 * * *"} {
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
