package toxic

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy/shape"
)

// Corrupt flips bits of the payload: of each byte, with a chance, one bit. On a stream this is what no network does, since TCP's
// checksum lets damaged segments be lost instead (see PacketLoss for that): it stands for what checksums miss, and for broken
// senders and middleboxes. Lengths and order stay.
type Corrupt struct {
	// Rate is the share of bytes of which a bit is flipped, 0 to 1.
	Rate shape.Value
}

var (
	_ Stream   = Corrupt{}
	_ Datagram = Corrupt{}
)

// Type implements proxy.Toxic.
func (Corrupt) Type() string { return "corrupt" }

// Validate implements Stream and Datagram.
func (c Corrupt) Validate() error { return within("rate", c.Rate, 0, 1) }

// New implements Stream.
func (c Corrupt) New(s Site) Shaper {
	f := flipper{rate: c.Rate, began: s.Began, rand: s.Rand}
	return ShaperFunc(func(c Chunk, emit func(Chunk)) {
		f.flip(c.Data, c.Due)
		emit(c)
	})
}

// NewDatagram implements Datagram.
func (c Corrupt) NewDatagram(s Site) DatagramShaper {
	f := flipper{rate: c.Rate, began: s.Began, rand: s.Rand}
	return packetFunc(func(p Packet, emit func(Packet)) {
		f.flip(p.Data, p.Due)
		emit(p)
	})
}

func (c *Corrupt) fields() []Field { return []Field{{"rate", &c.Rate, unitless}} }

// flipper flips bits of successive bytes.
type flipper struct {
	rate  shape.Value
	began time.Duration
	rand  *rand.Rand
}

// flip draws the distances between the bytes to change, which are geometric, so that rare ones cost little.
func (f *flipper) flip(data []byte, at time.Duration) {
	rate := f.rate.At(since(at, f.began))
	if rate <= 0 {
		return
	}
	for i := f.gap(rate); i < len(data); i += 1 + f.gap(rate) {
		data[i] ^= 1 << f.rand.IntN(8)
	}
}

// gap is the number of bytes that are left alone before the next one to change.
func (f *flipper) gap(rate float64) int {
	if rate >= 1 {
		return 0
	}
	const most = 1 << 30
	return int(min(math.Log(1-f.rand.Float64())/math.Log1p(-rate), most))
}

// packetFunc is a DatagramShaper without a type of its own.
type packetFunc func(p Packet, emit func(Packet))

// ShapePacket implements DatagramShaper.
func (f packetFunc) ShapePacket(p Packet, emit func(Packet)) { f(p, emit) }

// since is the time of shapes that belongs to a due: 0 for what is withheld.
func since(due, began time.Duration) time.Duration {
	if due == Never {
		return 0
	}
	return due - began
}
