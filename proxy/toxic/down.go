package toxic

// Down ends connections as soon as it comes into force, and new ones as soon as they are made: in an orderly way, or with RST.
type Down struct{ Reset bool }

var (
	_ Stream   = Down{}
	_ Datagram = Down{}
)

// Type implements proxy.Toxic.
func (Down) Type() string { return "down" }

// Validate implements Stream.
func (Down) Validate() error { return nil }

// New implements Stream.
func (t Down) New(Site) Shaper {
	end := Close
	if t.Reset {
		end = RST
	}
	return withholder(func(c Chunk, emit func(Chunk)) {
		if c.Open {
			emit(Chunk{Due: c.Due, End: end, Injected: true, Urgent: true})
		}
		withhold(c, emit)
	})
}

// NewDatagram implements Datagram: all datagrams are lost.
func (Down) NewDatagram(Site) DatagramShaper { return packetFunc(func(Packet, func(Packet)) {}) }

func (t *Down) fields() []Field { return []Field{{"reset", &t.Reset, unitless}} }
