package toxic

import (
	"math"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy/shape"
)

// Rate lets datagrams through at a rate, each by itself as a whole, and has a queue before it that drops what finds no room
// (tail drop). It counts payload only.
type Rate struct {
	// Rate is in kilobytes (1000 bytes) per second, 0 or more; at 0 everything is dropped.
	Rate shape.Value
	// Queue is the room for datagrams that wait, that under way included, in bytes, 0 or more; 0 stands for 65536. A datagram
	// that finds the queue empty is always let in.
	Queue shape.Value
}

var _ Datagram = Rate{}

// Type implements proxy.Toxic.
func (Rate) Type() string { return "udp_rate" }

// Validate implements Datagram.
func (r Rate) Validate() error {
	if err := within("rate", r.Rate, 0, math.Inf(1)); err != nil {
		return err
	}
	return within("queue", r.Queue, 0, math.Inf(1))
}

// NewDatagram implements Datagram.
func (r Rate) NewDatagram(s Site) DatagramShaper {
	const defaultQueue = 64 << 10
	if r.Queue == (shape.Value{}) {
		r.Queue = shape.Const(defaultQueue)
	}
	var free time.Duration // when all that is in the queue has left
	return packetFunc(func(p Packet, emit func(Packet)) {
		if p.Due == Never {
			emit(p)
			return
		}
		at := since(p.Due, s.Began)
		perSecond := r.Rate.At(at) * 1000
		waiting := max(free-p.Due, 0)
		if perSecond <= 0 || waiting > 0 && waiting.Seconds()*perSecond+float64(len(p.Data)) > r.Queue.At(at) {
			return
		}
		free = after(p.Due, waiting+milliseconds(float64(len(p.Data))/perSecond*1000))
		p.Due = free
		emit(p)
	})
}
