package toxic

import (
	"time"

	"github.com/breakwater-gateway/breakwater/proxy/shape"
)

// Slicer cuts what passes into pieces of AverageSize bytes, give or take up to SizeVariation, sends each by a write of its own, and
// waits for Delay microseconds after each.
type Slicer struct {
	AverageSize, SizeVariation shape.Value // bytes
	Delay                      shape.Value // microseconds
}

var _ Stream = Slicer{}

// Type implements proxy.Toxic.
func (Slicer) Type() string { return "slicer" }

// Validate implements Stream.
func (t Slicer) Validate() error {
	if err := within("average_size", t.AverageSize, 0, 1<<30); err != nil {
		return err
	}
	if err := within("size_variation", t.SizeVariation, 0, 1<<30); err != nil {
		return err
	}
	return within("delay", t.Delay, 0, maxMilliseconds*1000)
}

// New implements Stream.
func (t Slicer) New(s Site) Shaper {
	return &cutter{toxic: t, site: s}
}

// cutter is the running form of Slicer.
type cutter struct {
	toxic Slicer
	site  Site
	free  time.Duration // when the next piece may go
}

// Shape implements Shaper.
func (k *cutter) Shape(c Chunk, emit func(Chunk)) {
	t := &k.toxic
	for len(c.Data) > 0 {
		due := max(c.Due, k.free)
		at := due - k.site.Began
		size := t.AverageSize.At(at) + (2*k.site.Rand.Float64()-1)*t.SizeVariation.At(at)
		n := len(c.Data)
		if t.AverageSize.At(at) > 0 {
			n = min(n, max(1, int(size+0.5)))
		}
		emit(Chunk{Data: c.Data[:n], Due: due, Apart: true})
		c.Data = c.Data[n:]
		k.free = after(due, milliseconds(t.Delay.At(at)/1000))
	}
	if c.End != None {
		c.Due = max(c.Due, k.free)
		emit(c)
	}
}

// Bound implements Bounded.
func (k *cutter) Bound() int {
	if k.toxic.AverageSize.Max() == 0 {
		return mostCut
	}
	return boundOf(k.toxic.AverageSize.Min() - k.toxic.SizeVariation.Max())
}

// mostCut is the most that waits in a toxic that cuts, in bytes.
const mostCut = 64 << 10

// boundOf bounds a toxic that cuts pieces of so many bytes, or more: to some thousand, since each takes memory beside its bytes.
func boundOf(smallest float64) int {
	const pieces, least = 1024, 4 << 10
	return int(min(max(pieces*smallest, least), mostCut))
}

func (t *Slicer) fields() []Field {
	return []Field{{"average_size", &t.AverageSize, inBytes}, {"size_variation", &t.SizeVariation, inBytes}, {"delay", &t.Delay, inMicroseconds}}
}
