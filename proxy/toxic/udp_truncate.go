package toxic

import "github.com/breakwater-gateway/breakwater/proxy/shape"

// Truncate cuts datagrams off.
type Truncate struct {
	// Bytes is the most that is left of a datagram, 0 to 65535.
	Bytes shape.Value
}

var _ Datagram = Truncate{}

// Type implements proxy.Toxic.
func (Truncate) Type() string { return "udp_truncate" }

// Validate implements Datagram.
func (t Truncate) Validate() error { return within("bytes", t.Bytes, 0, 65535) }

// NewDatagram implements Datagram.
func (t Truncate) NewDatagram(s Site) DatagramShaper {
	return packetFunc(func(p Packet, emit func(Packet)) {
		p.Data = p.Data[:min(len(p.Data), int(t.Bytes.At(since(p.Due, s.Began))))]
		emit(p)
	})
}

func (t *Truncate) fields() []Field { return []Field{{"bytes", &t.Bytes, inBytes}} }
