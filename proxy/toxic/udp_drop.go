package toxic

// Drop loses datagrams.
type Drop struct{ Loss Loss }

var _ Datagram = Drop{}

// Type implements proxy.Toxic.
func (Drop) Type() string { return "udp_drop" }

// Validate implements Datagram.
func (d Drop) Validate() error { return d.Loss.Validate() }

// NewDatagram implements Datagram.
func (d Drop) NewDatagram(s Site) DatagramShaper {
	process := newLossProcess(d.Loss, s.Rand)
	return packetFunc(func(p Packet, emit func(Packet)) {
		if !process.next(since(p.Due, s.Began)) {
			emit(p)
		}
	})
}

func (d *Drop) fields() []Field { return d.Loss.fields() }
