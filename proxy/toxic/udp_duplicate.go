package toxic

import (
	"bytes"

	"github.com/breakwater-gateway/breakwater/proxy/shape"
)

// Duplicate delivers some datagrams several times.
type Duplicate struct {
	// Rate is the share of datagrams that are duplicated, 0 to 1.
	Rate shape.Value
	// Copies is how many more come of each of them, 0 to 10, rounded; 0 stands for 1.
	Copies shape.Value
	// Delay is how much later each copy comes than the one before, in milliseconds, 0 to 60000.
	Delay shape.Value
}

var _ Datagram = Duplicate{}

// Type implements proxy.Toxic.
func (Duplicate) Type() string { return "udp_duplicate" }

// Validate implements Datagram.
func (d Duplicate) Validate() error {
	if err := within("copies", d.Copies, 0, 10); err != nil {
		return err
	}
	if err := within("rate", d.Rate, 0, 1); err != nil {
		return err
	}
	return within("delay", d.Delay, 0, 60000)
}

// NewDatagram implements Datagram.
func (d Duplicate) NewDatagram(s Site) DatagramShaper {
	return packetFunc(func(p Packet, emit func(Packet)) {
		at := since(p.Due, s.Began)
		if s.Rand.Float64() >= d.Rate.At(at) {
			emit(p)
			return
		}
		original := bytes.Clone(p.Data) // what receives p may change it
		emit(p)
		for range max(d.Copies.Whole(at), 1) {
			p = Packet{Data: bytes.Clone(original), Due: after(p.Due, milliseconds(d.Delay.At(at)))}
			emit(p)
		}
	})
}

func (d *Duplicate) fields() []Field {
	return []Field{{"rate", &d.Rate, unitless}, {"copies", whole{&d.Copies}, unitless}, {"delay", &d.Delay, inMilliseconds}}
}
