package toxic

import "github.com/breakwater-gateway/breakwater/proxy/shape"

// Latency delays what passes, in order: each chunk by Latency give or take Jitter, both in milliseconds. Ends are not delayed,
// but never overtake bytes.
type Latency struct {
	Latency, Jitter shape.Value
	Distribution    Distribution // of the jitter
}

var (
	_ Stream   = Latency{}
	_ Datagram = Latency{}
)

// Type implements proxy.Toxic.
func (Latency) Type() string { return "latency" }

// Validate implements Stream.
func (l Latency) Validate() error {
	if err := within("latency", l.Latency, 0, maxMilliseconds); err != nil {
		return err
	}
	if err := within("jitter", l.Jitter, 0, maxMilliseconds); err != nil {
		return err
	}
	return l.Distribution.Validate()
}

// New implements Stream.
func (l Latency) New(s Site) Shaper {
	delays := Jitter{Mean: l.Latency, Amount: l.Jitter, Distribution: l.Distribution}.New(s.Rand)
	return ShaperFunc(func(c Chunk, emit func(Chunk)) {
		if len(c.Data) > 0 {
			c.Due = after(c.Due, delays.Next(c.Due-s.Began))
		}
		emit(c)
	})
}

func (l *Latency) fields() []Field {
	return []Field{
		{"latency", &l.Latency, inMilliseconds}, {"jitter", &l.Jitter, inMilliseconds}, {"correlation", option{&l.Distribution.Correlation}, unitless},
		{"distribution", &l.Distribution.Spread, unitless}, {"table", &l.Distribution.Table, unitless},
	}
}

// NewDatagram implements Datagram: each datagram is delayed for itself, so jitter changes their order.
func (l Latency) NewDatagram(s Site) DatagramShaper {
	delays := Jitter{Mean: l.Latency, Amount: l.Jitter, Distribution: l.Distribution}.New(s.Rand)
	return packetFunc(func(p Packet, emit func(Packet)) {
		p.Due = after(p.Due, delays.Next(p.Due-s.Began))
		emit(p)
	})
}
