package toxic

import "github.com/breakwater-gateway/breakwater/proxy/shape"

// SlowClose passes the end of a stream Delay milliseconds late. Who knows the length of a message, as HTTP does of nearly every
// response, does not wait for it.
type SlowClose struct{ Delay shape.Value }

var _ Stream = SlowClose{}

// Type implements proxy.Toxic.
func (SlowClose) Type() string { return "slow_close" }

// Validate implements Stream.
func (t SlowClose) Validate() error { return within("delay", t.Delay, 0, maxMilliseconds) }

// New implements Stream.
func (t SlowClose) New(s Site) Shaper {
	return ShaperFunc(func(c Chunk, emit func(Chunk)) {
		if c.End == FIN || c.End == Close {
			c.Due = after(c.Due, milliseconds(t.Delay.At(c.Due-s.Began)))
		}
		emit(c)
	})
}

func (t *SlowClose) fields() []Field { return []Field{{"delay", &t.Delay, inMilliseconds}} }
