package toxic

import (
	"bytes"
	"errors"
	"fmt"
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
	// Packets is how many others pass each of them, 0 to 1000; with 0 only Delay counts.
	Packets int
	// Delay is how long each is held at most, in milliseconds, 0 to 60000; 0 stands for 1000 if Packets is set.
	Delay shape.Value
}

var _ Datagram = Reorder{}

// Holder is implemented by DatagramShapers that keep datagrams of their own, for what passes to decide about them.
type Holder interface {
	DatagramShaper
	// Next is the time at which Release is to be called, on the session's clock; Never if there is none.
	Next() time.Duration
	// Release emits what is not to be kept any longer at a time.
	Release(now time.Duration, emit func(Packet))
}

// Type implements proxy.Toxic.
func (Reorder) Type() string { return "udp_reorder" }

// Validate implements Datagram.
func (r Reorder) Validate() error {
	if r.Packets < 0 || r.Packets > 1000 {
		return fmt.Errorf("packets: %d is not within 0 and 1000", r.Packets)
	}
	if err := within("rate", r.Rate, 0, 1); err != nil {
		return err
	}
	if err := within("delay", r.Delay, 0, 60000); err != nil {
		return err
	}
	if r.Packets == 0 && r.Delay.Max() == 0 {
		return errors.New("packets: one of packets and delay must be above 0")
	}
	return nil
}

// NewDatagram implements Datagram.
func (r Reorder) NewDatagram(s Site) DatagramShaper {
	if r.Packets > 0 && r.Delay == (shape.Value{}) {
		r.Delay = shape.Const(1000)
	}
	return &reorderer{toxic: r, began: s.Began, rand: s.Rand}
}

func (r *Reorder) fields() []Field {
	return []Field{{"rate", &r.Rate, 1}, {"packets", &r.Packets, 1}, {"delay", &r.Delay, 1}}
}

// reorderer is the running form of Reorder.
type reorderer struct {
	toxic Reorder
	began time.Duration
	rand  *rand.Rand
	held  []heldPacket // in the order in which they came
}

type heldPacket struct {
	Packet     // Due is the latest
	left   int // others that have yet to pass
}

var _ Holder = (*reorderer)(nil)

// ShapePacket implements DatagramShaper.
func (r *reorderer) ShapePacket(p Packet, emit func(Packet)) {
	if p.Due == Never {
		emit(p)
		return
	}
	r.Release(p.Due, emit)
	at := since(p.Due, r.began)
	if r.rand.Float64() < r.toxic.Rate.At(at) {
		late := after(p.Due, milliseconds(r.toxic.Delay.At(at)))
		if r.toxic.Packets == 0 {
			emit(Packet{Data: p.Data, Due: late})
			return
		}
		r.held = append(r.held, heldPacket{Packet{bytes.Clone(p.Data), late}, r.toxic.Packets})
		return
	}
	now := p.Due
	emit(p)
	for i := range r.held {
		r.held[i].left--
	}
	r.Release(now, emit)
}

// Next implements Holder.
func (r *reorderer) Next() time.Duration {
	next := Never
	for _, h := range r.held {
		next = min(next, h.Due)
	}
	return next
}

// Release implements Holder.
func (r *reorderer) Release(now time.Duration, emit func(Packet)) {
	r.held = slices.DeleteFunc(r.held, func(h heldPacket) bool {
		isDue := h.left <= 0 || h.Due <= now
		if isDue {
			emit(Packet{Data: h.Data, Due: now})
		}
		return isDue
	})
}
