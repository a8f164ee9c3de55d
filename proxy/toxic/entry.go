package toxic

import (
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/chance"
)

// Entry is one toxic in force for a target: a toxic of an experiment, or one made in another way. It is immutable. The same
// pointer means the same toxic, whose running state on live connections is kept when others change; another pointer with the
// same Name takes the place of the former, with what the former holds back.
type Entry struct {
	Name      string // unique in its Direction among those that are in force together
	Direction proxy.Direction
	// Toxicity is the share of connections that get the toxic, 0 to 1. It is decided once for each connection, by a pure
	// function of Key and the connection's ordinal, so no change of another toxic ever decides again.
	Toxicity float64
	Toxic    proxy.Toxic // acts on streams if it is a Stream, on datagrams if it is a Datagram, otherwise not at all
	Key      chance.Key
	Began    time.Time // when it came into force: the beginning of shapes over time; needs its monotonic reading
	// Shared is what the Toxic's NewShared returned, if it is a Sharer. Who makes the Entry calls it, once.
	Shared any
	// Observe, if not nil, is told of every decision, and what has become of it when the toxic is removed or the connection
	// ends. It is called concurrently and must not block.
	Observe func(Observation)
}

// Active is an Entry on one connection.
type Active struct {
	*Entry
	Ordinal uint64 // of the connection among those of the Entry's target
}

// decide tells whether the toxic acts on the connection.
func (a Active) decide() bool { return a.Key.Float(a.Ordinal) < a.Toxicity }

func (a Active) observe(o Observation) {
	if a.Observe != nil {
		o.Ordinal = a.Ordinal
		a.Observe(o)
	}
}

// Observation says what a toxic does, or has done, to one connection or session.
type Observation struct {
	Ordinal uint64
	Applied bool // what was decided; the rest is about connections where it is true
	// Final is false when it has just been decided, and true when the toxic has been removed from the connection or the
	// connection has ended.
	Final bool
	Bytes int64 // that came to it
	// Delay is the longest for which it held back bytes that it has passed on.
	Delay time.Duration
	Ended End // how it ended the connection; None if it did not
	Lost  int // datagrams that it dropped
}
