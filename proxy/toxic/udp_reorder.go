package toxic

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy/shape"
)

// Reorder lets datagrams overtake others: it holds some back until Packets others have passed, or for Delay, whichever is
// sooner.
type Reorder struct {
	// Rate is the share of datagrams that are held back, 0 to 1.
	Rate shape.Value
	// Packets is how many others pass each of them, 0 to 1000, rounded; while it is 0 only Delay counts.
	Packets shape.Value
	// Delay is how long each is held at most, in milliseconds, 0 to 60000; 0 for ever stands for 1000 while Packets is above 0.
	Delay shape.Value
}

var _ Datagram = Reorder{}

// Holder is implemented by DatagramShapers that keep datagrams of their own, for what passes to decide about them.
type Holder interface {
	DatagramShaper
	// Next is the time at which Release is to be called, on the session's clock; Never if there is none.
	Next() time.Duration
	// Held is the size of what is kept, in bytes.
	Held() int
	// Release emits what is not to be kept any longer at a time.
	Release(now time.Duration, emit func(Packet))
}

// Type implements proxy.Toxic.
func (Reorder) Type() string { return "udp_reorder" }

// Validate implements Datagram.
func (r Reorder) Validate() error {
	if err := within("packets", r.Packets, 0, 1000); err != nil {
		return err
	}
	if err := within("rate", r.Rate, 0, 1); err != nil {
		return err
	}
	if err := within("delay", r.Delay, 0, 60000); err != nil {
		return err
	}
	if r.Packets.Max() == 0 && r.Delay.Max() == 0 {
		return errors.New("packets: one of packets and delay must be above 0")
	}
	return nil
}

// NewDatagram implements Datagram.
func (r Reorder) NewDatagram(s Site) DatagramShaper {
	return &reorderer{toxic: r, began: s.Began, rand: s.Rand, next: Never, soonest: math.MaxUint64}
}

func (r *Reorder) fields() []Field {
	return []Field{{"rate", &r.Rate, unitless}, {"packets", whole{&r.Packets}, unitless}, {"delay", &r.Delay, inMilliseconds}}
}

// reorderer is the running form of Reorder.
type reorderer struct {
	toxic  Reorder
	began  time.Duration
	rand   *rand.Rand
	passed uint64       // datagrams that were not held back
	held   []heldPacket // in the order in which they came
	bytes  int          // in held
	next   time.Duration
	// soonest is the least that is to have passed for one of them to be released.
	soonest uint64
}

type heldPacket struct {
	Packet        // Due is the latest
	after  uint64 // released once so many have passed
}

// mostHeld is how many datagrams are held back at a time; for one more, the oldest goes on.
const mostHeld = 1024

var _ Holder = (*reorderer)(nil)

// ShapePacket implements DatagramShaper.
func (r *reorderer) ShapePacket(p Packet, emit func(Packet)) {
	if p.Due == Never {
		emit(p)
		return
	}
	r.Release(p.Due, emit)
	at := since(p.Due, r.began)
	packets, delay := r.toxic.Packets.Whole(at), milliseconds(r.toxic.Delay.At(at))
	if packets > 0 && r.toxic.Delay == (shape.Value{}) {
		delay = time.Second
	}
	switch chosen := r.rand.Float64() < r.toxic.Rate.At(at); {
	case chosen && packets > 0:
		r.keep(p, after(p.Due, delay), uint64(packets), emit)
	case chosen && delay > 0:
		emit(Packet{Data: p.Data, Due: after(p.Due, delay)})
	default:
		now := p.Due
		emit(p)
		r.passed++
		r.Release(now, emit)
	}
}

// keep holds p back until so many others have passed, or until it is late.
func (r *reorderer) keep(p Packet, late time.Duration, others uint64, emit func(Packet)) {
	if len(r.held) == mostHeld {
		r.held[0].after = r.passed
		r.release(p.Due, emit)
	}
	r.held = append(r.held, heldPacket{Packet{bytes.Clone(p.Data), late}, r.passed + others})
	r.bytes += len(p.Data)
	r.next, r.soonest = min(r.next, late), min(r.soonest, r.passed+others)
}

// Next implements Holder.
func (r *reorderer) Next() time.Duration { return r.next }

// Held implements Holder.
func (r *reorderer) Held() int { return r.bytes }

// Release implements Holder.
func (r *reorderer) Release(now time.Duration, emit func(Packet)) {
	if r.next <= now || r.soonest <= r.passed {
		r.release(now, emit)
	}
}

func (r *reorderer) release(now time.Duration, emit func(Packet)) {
	r.next, r.soonest = Never, math.MaxUint64
	r.held = slices.DeleteFunc(r.held, func(h heldPacket) bool {
		if h.after > r.passed && h.Due > now {
			r.next, r.soonest = min(r.next, h.Due), min(r.soonest, h.after)
			return false
		}
		r.bytes -= len(h.Data)
		emit(Packet{Data: h.Data, Due: now})
		return true
	})
}
