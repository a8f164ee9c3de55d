package toxic

import (
	"math"

	"github.com/breakwater-gateway/breakwater/proxy/shape"
)

// Delay holds datagrams back. With jitter they overtake each other, as with netem, unless InOrder is set.
type Delay struct {
	// Latency and Jitter are in milliseconds, 0 or more.
	Latency, Jitter shape.Value
	Distribution    Distribution // of the jitter
	// InOrder lets no datagram overtake another.
	InOrder bool
}

var _ Datagram = Delay{}

// Type implements proxy.Toxic.
func (Delay) Type() string { return "udp_delay" }

// Validate implements Datagram.
func (d Delay) Validate() error {
	if err := within("latency", d.Latency, 0, math.Inf(1)); err != nil {
		return err
	}
	if err := within("jitter", d.Jitter, 0, math.Inf(1)); err != nil {
		return err
	}
	return d.Distribution.Validate()
}

// NewDatagram implements Datagram.
func (d Delay) NewDatagram(s Site) DatagramShaper {
	delays := Jitter{Mean: d.Latency, Amount: d.Jitter, Distribution: d.Distribution}.New(s.Rand)
	var order InOrder
	return packetFunc(func(p Packet, emit func(Packet)) {
		p.Due = after(p.Due, delays.Next(since(p.Due, s.Began)))
		if d.InOrder {
			p.Due = order.Due(p.Due)
		}
		emit(p)
	})
}

func (d *Delay) fields() []Field {
	return []Field{
		{"latency", &d.Latency, inMilliseconds}, {"jitter", &d.Jitter, inMilliseconds}, {"correlation", option{&d.Distribution.Correlation}, unitless},
		{"distribution", &d.Distribution.Spread, unitless}, {"table", &d.Distribution.Table, unitless}, {"in_order", &d.InOrder, unitless},
	}
}
