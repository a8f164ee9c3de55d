package toxic

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy/shape"
)

// Jitter is a random delay: Mean and Amount are in milliseconds and may change over time.
type Jitter struct {
	Mean, Amount shape.Value
	Distribution Distribution
}

// New returns a source of delays for one goroutine.
func (j Jitter) New(r *rand.Rand) *Delays { return &Delays{jitter: j, sampler: j.Distribution.New(r)} }

// Delays draws random delays.
type Delays struct {
	jitter  Jitter
	sampler *Sampler
}

// Next returns the next delay at a time since the toxic came into force. It is not negative.
func (d *Delays) Next(at time.Duration) time.Duration {
	mean, amount := d.jitter.Mean.At(at), d.jitter.Amount.At(at)
	if amount == 0 && d.jitter.Distribution.Spread != Empirical {
		return milliseconds(mean)
	}
	return milliseconds(d.sampler.Next(at, mean, amount))
}

// InOrder makes the dues of successive pieces not go back: what is delayed by chance holds up what follows, as on one path
// without reordering. Its zero value begins at the beginning of the stream.
type InOrder struct{ last time.Duration }

// Due returns the later of due and all dues before.
func (o *InOrder) Due(due time.Duration) time.Duration {
	if due != Never {
		o.last = max(o.last, due)
		return o.last
	}
	return Never
}

// longest is the longest delay that a number of milliseconds gives: a year, far from overflow.
const longest = 365 * 24 * time.Hour

// milliseconds turns a number of milliseconds into a Duration within 0 and longest.
func milliseconds(ms float64) time.Duration {
	if !(ms > 0) {
		return 0
	}
	return time.Duration(min(math.Round(ms*float64(time.Millisecond)), float64(longest)))
}

// after returns due + delay, which is Never if either is, or if it would overflow.
func after(due, delay time.Duration) time.Duration {
	if due == Never || delay == Never || due > Never-delay {
		return Never
	}
	return due + delay
}
