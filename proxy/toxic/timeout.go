package toxic

import "github.com/breakwater-gateway/breakwater/proxy/shape"

// Timeout withholds everything, and ends the connection once its direction has been silent for Timeout milliseconds; 0 is to hold
// until the toxic is removed, which lets everything pass that was held. What is withheld counts towards Options.Buffer; when that is
// full, the sender is silent, too.
type Timeout struct{ Timeout shape.Value }

var (
	_ Stream   = Timeout{}
	_ Datagram = Timeout{}
)

// Type implements proxy.Toxic.
func (Timeout) Type() string { return "timeout" }

// Validate implements Stream.
func (t Timeout) Validate() error { return within("timeout", t.Timeout, 0, maxMilliseconds) }

// New implements Stream.
func (t Timeout) New(s Site) Shaper {
	return withholder(func(c Chunk, emit func(Chunk)) {
		if d := milliseconds(t.Timeout.At(c.Due - s.Began)); d > 0 && (c.Open || len(c.Data) > 0) {
			emit(Chunk{Due: after(c.Due, d), End: Close, Injected: true, Urgent: true})
		}
		withhold(c, emit)
	})
}

// NewDatagram implements Datagram: all datagrams are lost.
func (Timeout) NewDatagram(Site) DatagramShaper { return packetFunc(func(Packet, func(Packet)) {}) }

func (t *Timeout) fields() []Field { return []Field{{"timeout", &t.Timeout, inMilliseconds}} }

// withhold emits the bytes and the end of c so that they stay until the toxic is removed. What ends the connection because of a
// toxic before this one passes.
func withhold(c Chunk, emit func(Chunk)) {
	if !c.Injected {
		c.Due = Never
	}
	emit(c)
}

// withholder is a Shaper that lets few bytes wait in it: a black hole needs no more.
type withholder func(c Chunk, emit func(Chunk))

// Shape implements Shaper.
func (w withholder) Shape(c Chunk, emit func(Chunk)) { w(c, emit) }

// Bound implements Bounded.
func (withholder) Bound() int { return 1 << 20 }
