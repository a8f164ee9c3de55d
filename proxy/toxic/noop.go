package toxic

// Noop passes everything.
type Noop struct{}

var (
	_ Stream   = Noop{}
	_ Datagram = Noop{}
)

// Type implements proxy.Toxic.
func (Noop) Type() string { return "noop" }

// Validate implements Stream.
func (Noop) Validate() error { return nil }

// New implements Stream.
func (Noop) New(Site) Shaper { return ShaperFunc(func(c Chunk, emit func(Chunk)) { emit(c) }) }

func (*Noop) fields() []Field { return nil }

// NewDatagram implements Datagram.
func (Noop) NewDatagram(Site) DatagramShaper {
	return packetFunc(func(p Packet, emit func(Packet)) { emit(p) })
}
