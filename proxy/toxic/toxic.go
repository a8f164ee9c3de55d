// Package toxic injects faults into streams of bytes and into datagrams.
//
// A toxic is a plain value (Latency{...}); New makes its running form, a pure function over timed chunks: bytes enter with the
// time at which they arrived and leave with the time at which they are due. A toxic may withhold bytes but never lose them,
// unless it also ends the stream. One engine runs all toxics: it owns waiting, back-pressure, change, removal and the ends of
// streams (Link between two connections, Conn around one). Each toxic is one file, and one line in the list of list.go.
//
// The package knows nothing of experiments: whoever uses it says by Entry which toxics are in force.
package toxic

import (
	"math/rand/v2"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// Stream is a Toxic for a stream of bytes, such as a TCP connection.
type Stream interface {
	proxy.Toxic
	// New makes the running form for one direction of one connection.
	New(s Site) Shaper
	// Validate names the field (by its Toxiproxy attribute name) that is out of range, and the range.
	Validate() error
}

// Datagram is a Toxic for datagrams, such as those of one UDP session.
type Datagram interface {
	proxy.Toxic
	// NewDatagram makes the running form for one direction of one session.
	NewDatagram(s Site) DatagramShaper
	Validate() error
}

// Site is what a toxic's running form knows of the place where it runs.
type Site struct {
	Direction proxy.Direction
	// Rand is this toxic's own on this stream. It depends on the seed, the toxic's name and the connection's ordinal.
	Rand *rand.Rand
	// Began is the time on the stream's clock (see Chunk.Due) at which the toxic came into force for its target: the beginning
	// of shapes over time. It may be negative.
	Began time.Duration
	// Shared is what the toxic's NewShared returned, for toxics that share state over a whole target; otherwise nil.
	Shared any
}

// Sharer is implemented by toxics whose streams share state, for instance one bandwidth for all.
type Sharer interface {
	// NewShared returns state for all streams on which this toxic is in force. Its methods are called concurrently.
	NewShared() any
}

// End says how a stream ends after a Chunk.
type End uint8

const (
	// None: it goes on.
	None End = iota
	// FIN: the direction ends in an orderly way.
	FIN
	// RST: the connection is reset (TCP RST, RFC 9293 section 3.10.7.3).
	RST
	// Close: both directions end in an orderly way, as Toxiproxy's timeout and limit_data do.
	Close
)

// Never is the Due of bytes that are withheld until the toxic that holds them is removed or changed.
const Never = time.Duration(1<<63 - 1)

// Chunk is a run of bytes of one direction, or an end of it.
type Chunk struct {
	Data []byte // belongs to the engine: may be sliced and, by Corrupt only, changed; must not be kept
	// Due is when the bytes may be delivered, on the stream's clock: the time since the stream began. On entry into the first
	// toxic it is the time of arrival. Dues of successive chunks may go back; the engine never lets bytes overtake others.
	Due time.Duration
	End End // what follows Data
	// Open marks the first, empty chunk of every stream, which lets a toxic schedule an end before any byte has come. When a
	// toxic comes into force on a live stream it sees an Open chunk first, too, at that time.
	Open bool
	// Injected marks an End that a toxic has added. It acts at its Due, whatever the toxic withholds; another one replaces it. It is
	// cancelled when the toxic is removed or changed. What the toxic emits after it is withheld.
	Injected bool
	// Urgent marks an injected End for which bytes that were let through before it, but which the peer does not take, are not waited
	// for. RST is always urgent.
	Urgent bool
	// Apart marks Data that is to be sent by a write of its own.
	Apart bool
}

// Shaper is the running form of a Stream toxic. One goroutine uses it.
type Shaper interface {
	// Shape passes c on, as none, one or several chunks, by calling emit. What it emits of c.Data are slices of it, from its
	// beginning on and in order; what it does not emit is withheld. It cannot emit bytes of earlier calls. The engine passes data
	// and ends in chunks of their own; a shaper may emit both in one.
	Shape(c Chunk, emit func(Chunk))
}

// ShaperFunc is a Shaper without a type of its own.
type ShaperFunc func(c Chunk, emit func(Chunk))

// Shape implements Shaper.
func (f ShaperFunc) Shape(c Chunk, emit func(Chunk)) { f(c, emit) }

// Packet is one datagram on its way.
type Packet struct {
	Data []byte        // belongs to the engine; may be changed and sliced, must not be kept but by emitting it
	Due  time.Duration // as in Chunk
}

// DatagramShaper is the running form of a Datagram toxic. One goroutine uses it. Datagrams may be lost, doubled and overtake
// each other.
type DatagramShaper interface {
	ShapePacket(p Packet, emit func(Packet))
}
