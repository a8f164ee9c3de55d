package stream

import (
	"context"
	"fmt"
	"time"
)

// Trip is a message that went to the endpoint and came back.
type Trip struct{ Sent, Back time.Time }

// Took is how long it was under way.
func (t Trip) Took() time.Duration { return t.Back.Sub(t.Sent) }

// Trips sends one message after the other over one connection, each when the one before has come back, until ctx ends.
func Trips(ctx context.Context, address string) ([]Trip, error) {
	s, err := open(context.WithoutCancel(ctx), address, echoes)
	if err != nil {
		return nil, err
	}
	defer s.close()
	message := make([]byte, messageSize)
	trips := make([]Trip, 0, 1<<17)
	for ctx.Err() == nil {
		t := Trip{Sent: time.Now()}
		if err = s.write(message); err == nil {
			err = s.readFull(message)
		}
		if err != nil {
			return trips, fmt.Errorf("message %d: %w", len(trips), err)
		}
		t.Back = time.Now()
		trips = append(trips, t)
	}
	return trips, nil
}

// FirstDelayed is the first trip that was under way at from, or later, took at least delay, and was followed by another one that
// did: one alone may have waited for a processor.
func FirstDelayed(trips []Trip, from time.Time, delay time.Duration) (Trip, bool) {
	for i, t := range trips[:max(len(trips)-1, 0)] {
		if t.Back.After(from) && t.Took() >= delay && trips[i+1].Took() >= delay {
			return t, true
		}
	}
	return Trip{}, false
}

// FirstFree is the first trip that was under way at from, or later, and took less than delay.
func FirstFree(trips []Trip, from time.Time, delay time.Duration) (Trip, bool) {
	for _, t := range trips {
		if t.Back.After(from) && t.Took() < delay {
			return t, true
		}
	}
	return Trip{}, false
}
