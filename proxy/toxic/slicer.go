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
	var free time.Duration
	return ShaperFunc(func(c Chunk, emit func(Chunk)) {
		for len(c.Data) > 0 {
			due := max(c.Due, free)
			at := due - s.Began
			size := t.AverageSize.At(at) + (2*s.Rand.Float64()-1)*t.SizeVariation.At(at)
			n := len(c.Data)
			if t.AverageSize.At(at) > 0 {
				n = min(n, max(1, int(size+0.5)))
			}
			emit(Chunk{Data: c.Data[:n], Due: due, Apart: true})
			c.Data = c.Data[n:]
			free = after(due, milliseconds(t.Delay.At(at)/1000))
		}
		if c.End != None {
			c.Due = max(c.Due, free)
			emit(c)
		}
	})
}

func (t *Slicer) fields() []Field {
	return []Field{{"average_size", &t.AverageSize, 1}, {"size_variation", &t.SizeVariation, 1}, {"delay", &t.Delay, 1}}
}
