package toxic

import "github.com/breakwater-gateway/breakwater/proxy/shape"

// ResetPeer resets the connection on both sides Timeout milliseconds after it has come into force or, on connections made later,
// after they were made, whether anything is sent on them or not. It withholds everything until then.
type ResetPeer struct{ Timeout shape.Value }

var _ Stream = ResetPeer{}

// Type implements proxy.Toxic.
func (ResetPeer) Type() string { return "reset_peer" }

// Validate implements Stream.
func (t ResetPeer) Validate() error { return within("timeout", t.Timeout, 0, maxMilliseconds) }

// New implements Stream.
func (t ResetPeer) New(s Site) Shaper {
	return withholder(func(c Chunk, emit func(Chunk)) {
		if c.Open {
			emit(Chunk{Due: after(c.Due, milliseconds(t.Timeout.At(c.Due-s.Began))), End: RST, Injected: true})
		}
		withhold(c, emit)
	})
}

func (t *ResetPeer) fields() []Field { return []Field{{"timeout", &t.Timeout, inMilliseconds}} }
