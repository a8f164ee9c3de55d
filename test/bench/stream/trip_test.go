package stream

import (
	"context"
	"testing"
	"time"
)

// trips makes trips one after the other that took so many milliseconds each.
func trips(start time.Time, took ...int) []Trip {
	all := make([]Trip, len(took))
	for i, ms := range took {
		all[i] = Trip{start, start.Add(time.Duration(ms) * time.Millisecond)}
		start = all[i].Back
	}
	return all
}

func TestADelayActsFromTheFirstOfTwoLongTripsOn(t *testing.T) {
	start := time.Unix(1000, 0)
	all := trips(start, 1, 12, 1, 1, 11, 10, 10, 4, 1)
	for _, test := range []struct {
		from time.Duration
		want int // -1: none
	}{{0, 4}, {14 * time.Millisecond, 4}, {20 * time.Millisecond, 4}, {26 * time.Millisecond, 5}, {36 * time.Millisecond, -1}, {time.Second, -1}} {
		got, ok := FirstDelayed(all, start.Add(test.from), 10*time.Millisecond)
		if ok != (test.want >= 0) || ok && got != all[test.want] {
			t.Errorf("from %v: %v, %v; want trip %d", test.from, got.Sent.Sub(start), ok, test.want)
		}
	}
	if _, ok := FirstDelayed(nil, start, 1); ok {
		t.Error("a trip of none")
	}
}

func TestADelayHasGoneWithTheFirstShortTrip(t *testing.T) {
	start := time.Unix(1000, 0)
	all := trips(start, 10, 10, 10, 4, 1)
	if got, ok := FirstFree(all, start.Add(31*time.Millisecond), 10*time.Millisecond); !ok || got != all[3] {
		t.Errorf("released in flight: %v, %v", got, ok)
	}
	if got, ok := FirstFree(all, start.Add(34*time.Millisecond), 10*time.Millisecond); !ok || got != all[4] {
		t.Errorf("after that: %v, %v", got, ok)
	}
	if _, ok := FirstFree(all, start.Add(time.Second), 10*time.Millisecond); ok {
		t.Error("a trip after the last")
	}
}

func TestTripsFollowOneAnother(t *testing.T) {
	address := endpoint(t)
	for end := time.Now().Add(time.Minute); ; { // a slow machine may not make two trips meanwhile
		all := tripsBesidePingPong(t, address)
		for i, one := range all {
			if one.Took() <= 0 || i > 0 && one.Sent.Before(all[i-1].Back) {
				t.Errorf("trip %d overlaps with the one before, or took no time", i)
			}
		}
		if len(all) > 1 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d trips", len(all))
		}
	}
}

func tripsBesidePingPong(t *testing.T, address string) []Trip {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	type result struct {
		all []Trip
		err error
	}
	done := make(chan result, 1)
	go func() {
		all, err := Trips(ctx, address)
		done <- result{all, err}
	}()
	if _, err := PingPong(t.Context(), address, 5*time.Millisecond); err != nil {
		t.Error(err)
	}
	cancel()
	r := <-done
	if r.err != nil {
		t.Fatal(r.err)
	}
	return r.all
}
