package toxic

import (
	"math"
	"sync"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy/shape"
)

// Bandwidth lets through Rate bytes per second, of each connection and direction, or of all connections to the target
// together if Shared. At a rate of 0 nothing passes. After a pause at most 10 ms worth pass at once.
type Bandwidth struct {
	Rate   shape.Value // bytes per second; Toxiproxy's attribute is in KB/s, of 1000 bytes
	Shared bool
}

// maxRate is a rate that limits nothing, in bytes per second.
const maxRate = 1e12

var (
	_ Stream = Bandwidth{}
	_ Sharer = Bandwidth{}
)

// Type implements proxy.Toxic.
func (Bandwidth) Type() string { return "bandwidth" }

// Validate implements Stream.
func (b Bandwidth) Validate() error { return within("rate", b.Rate, 0, maxRate) }

// NewShared implements Sharer.
func (b Bandwidth) NewShared() any {
	if !b.Shared {
		return nil
	}
	return new(pace)
}

// New implements Stream.
func (b Bandwidth) New(s Site) Shaper {
	p := &pacer{rate: b.Rate, began: s.Began, pace: new(pace)}
	if shared, ok := s.Shared.(*pace); ok && b.Shared {
		p.pace, p.isShared = shared, true
	}
	return p
}

func (b *Bandwidth) fields() []Field {
	return []Field{{"rate", bounded{&b.Rate, maxRate}, inKilobytesPerSec}, {"shared", &b.Shared, unitless}}
}

// credit is how long a pause counts as time in which nothing was sent although it could have been.
const credit = 10 * time.Millisecond

// pace is the time at which the next byte may go, since the toxic came into force.
type pace struct {
	mu   sync.Mutex
	free time.Duration
}

// pacer is the running form of Bandwidth.
type pacer struct {
	rate     shape.Value
	began    time.Duration
	pace     *pace
	isShared bool
}

// Bound implements Bounded: what the next tenth of a second takes, so that a sender meets the bandwidth, not a buffer.
func (p *pacer) Bound() int {
	window, least := 0.1, 16<<10
	if p.isShared { // what one connection has claimed, others wait for
		window, least = 0.01, 1500
	}
	// Of a rate that takes minutes for so little a sender meets less.
	const patience, fewest = 10, 256 // seconds, bytes
	least = min(least, int(max(min(p.rate.Max(), 1<<20)*patience, fewest)))
	return max(least, int(min(p.rate.Max()*window, 1<<30)))
}

// Shape implements Shaper.
func (p *pacer) Shape(c Chunk, emit func(Chunk)) {
	p.pace.mu.Lock()
	defer p.pace.mu.Unlock()
	now := c.Due - p.began
	if c.Open {
		p.pace.free = max(p.pace.free, now)
		return
	}
	free := p.pace.free
	if free != Never {
		free = max(free, now-credit)
	}
	for len(c.Data) > 0 {
		n := len(c.Data)
		if free != Never {
			n = min(n, p.slice(free))
			free = p.after(free, n)
		}
		due := Never
		if free != Never {
			due = max(free+p.began, c.Due)
		}
		emit(Chunk{Data: c.Data[:n], Due: due})
		c.Data = c.Data[n:]
	}
	if p.rate.Wave != shape.Constant || free != Never {
		p.pace.free = free
	}
	if c.End != None {
		emit(c)
	}
}

// slice returns how many bytes are let through at a time: 10 ms worth, and no less than a packet unless that takes 100 ms.
func (p *pacer) slice(at time.Duration) int {
	rate := p.rate.At(max(at, 0))
	return max(1, int(min(max(rate/100, min(1448, rate/10)), 1<<30)))
}

// after returns when n bytes that begin at a time have been sent.
func (p *pacer) after(at time.Duration, n int) time.Duration {
	if at == Never {
		return Never
	}
	if p.rate.Wave == shape.Constant {
		return span(at, float64(n), p.rate.Base)
	}
	step := max(p.rate.Period/256, 100*time.Microsecond)
	left := float64(n)
	for range 1024 { // four periods; after them what is 0 remains so
		if at == Never {
			return Never
		}
		// The rate in the middle of the time that the rest takes, which may be much less than a step.
		if end := span(at, left, p.rate.At(at)); end != Never && end-at <= step {
			return span(at, left, p.rate.At(at+(end-at)/2))
		}
		left -= p.rate.At(at+step/2) * step.Seconds()
		if at += step; left <= 0 {
			return at
		}
	}
	return span(at, left, p.rate.At(at))
}

// span returns when so many bytes have been sent that begin at a time, at a rate.
func span(at time.Duration, bytes, rate float64) time.Duration {
	if rate <= 0 {
		return Never
	}
	d := math.Ceil(bytes / rate * float64(time.Second))
	if d > float64(longest) {
		return Never
	}
	return after(at, time.Duration(d))
}
