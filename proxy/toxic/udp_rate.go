package toxic

import (
	"time"

	"github.com/breakwater-gateway/breakwater/proxy/shape"
)

// Rate lets datagrams through at a rate, each by itself as a whole, and has a queue before it that drops what finds no room
// (tail drop). It counts payload only.
type Rate struct {
	// Rate is in bytes per second, 0 or more; at 0 everything is dropped. The attribute is in KB/s, of 1000 bytes.
	Rate shape.Value
	// Queue is the room for datagrams that wait, that under way included, in bytes, 0 to 2^30; 0 stands for 65536. A datagram
	// that finds the queue empty is always let in.
	Queue shape.Value
}

var _ Datagram = Rate{}

// Type implements proxy.Toxic.
func (Rate) Type() string { return "udp_rate" }

// Validate implements Datagram.
func (r Rate) Validate() error {
	if err := within("rate", r.Rate, 0, maxRate); err != nil {
		return err
	}
	return within("queue", r.Queue, 0, 1<<30)
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
		perSecond := r.Rate.At(at)
		waiting := max(free-p.Due, 0)
		if perSecond <= 0 || waiting > 0 && waiting.Seconds()*perSecond+float64(len(p.Data)) > r.Queue.At(at) {
			return
		}
		free = after(p.Due, waiting+milliseconds(float64(len(p.Data))/perSecond*1000))
		p.Due = free
		emit(p)
	})
}

func (r *Rate) fields() []Field {
	return []Field{{"rate", bounded{&r.Rate, maxRate}, inKilobytesPerSec}, {"queue", &r.Queue, inBytes}}
}
