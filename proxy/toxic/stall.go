package toxic

import (
	"time"

	"github.com/breakwater-gateway/breakwater/proxy/shape"
)

// Stall lets nothing pass for a while and then goes on.
//
// If Bytes or EveryBytes is positive, each stall begins when so many bytes have passed: Bytes before the first one, EveryBytes
// between two, 0 being that there is no other. Otherwise the first one begins At milliseconds after the toxic has come into force
// on the stream, and the others Every milliseconds apart, 0 being that there is none.
type Stall struct {
	Duration          shape.Value // milliseconds
	At, Every         shape.Value // milliseconds
	Bytes, EveryBytes shape.Value
}

var _ Stream = Stall{}

// Type implements proxy.Toxic.
func (Stall) Type() string { return "stall" }

// Validate implements Stream.
func (t Stall) Validate() error {
	for _, f := range []struct {
		name string
		v    shape.Value
		most float64
	}{
		{"duration", t.Duration, maxMilliseconds}, {"at", t.At, maxMilliseconds}, {"every", t.Every, maxMilliseconds},
		{"bytes", t.Bytes, 1 << 53}, {"every_bytes", t.EveryBytes, 1 << 53},
	} {
		if err := within(f.name, f.v, 0, f.most); err != nil {
			return err
		}
	}
	return nil
}

// New implements Stream.
func (t Stall) New(s Site) Shaper {
	st := &staller{toxic: t, began: s.Began}
	st.byBytes = t.Bytes.Max() > 0 || t.EveryBytes.Max() > 0
	return st
}

func (t *Stall) fields() []Field {
	return []Field{
		{"duration", &t.Duration, inMilliseconds}, {"at", &t.At, inMilliseconds}, {"every", &t.Every, inMilliseconds},
		{"bytes", &t.Bytes, inBytes}, {"every_bytes", &t.EveryBytes, inBytes},
	}
}

// staller is the running form of Stall.
type staller struct {
	toxic   Stall
	began   time.Duration
	byBytes bool
	left    int64         // bytes before the next stall; Never if there is none
	begin   time.Duration // of the last stall that has been looked at, or of the next one; Never if there is none
	until   time.Duration // its end
}

// Shape implements Shaper.
func (s *staller) Shape(c Chunk, emit func(Chunk)) {
	if c.Injected {
		emit(c)
		return
	}
	at := c.Due - s.began
	switch {
	case c.Open && s.byBytes:
		first := s.toxic.Bytes
		if first.Max() == 0 {
			first = s.toxic.EveryBytes
		}
		s.left, s.begin = int64(first.At(at)), Never
	case c.Open:
		s.begin = after(c.Due, milliseconds(s.toxic.At.At(at)))
		s.until = s.end(s.begin)
	case s.byBytes:
		s.byCount(c, emit)
	default:
		s.byTime(c, emit)
	}
}

// Bound implements Bounded.
func (s *staller) Bound() int {
	if s.toxic.EveryBytes.Max() > 0 {
		if b := boundOf(s.toxic.EveryBytes.Min()); b < mostCut {
			return b
		}
	}
	return 0
}

func (s *staller) end(begin time.Duration) time.Duration {
	return after(begin, milliseconds(s.toxic.Duration.At(begin-s.began)))
}

func (s *staller) byTime(c Chunk, emit func(Chunk)) {
	for s.begin != Never && s.until <= c.Due {
		every := milliseconds(s.toxic.Every.At(s.begin - s.began))
		if every <= 0 {
			s.begin = Never
			break
		}
		s.begin = after(s.begin, max(every, (c.Due-s.until)/every*every))
		s.until = s.end(s.begin)
	}
	if s.begin <= c.Due {
		c.Due = max(c.Due, s.until)
	}
	emit(c)
}

func (s *staller) byCount(c Chunk, emit func(Chunk)) {
	for len(c.Data) > 0 {
		due := max(c.Due, s.until)
		n := min(s.left, int64(len(c.Data)))
		if n > 0 {
			emit(Chunk{Data: c.Data[:n], Due: due})
			c.Data = c.Data[n:]
		}
		if s.left == int64(Never) {
			continue
		}
		if s.left -= n; s.left > 0 {
			continue
		}
		s.until = s.end(due)
		if s.left = int64(s.toxic.EveryBytes.At(due - s.began)); s.left <= 0 {
			s.left = int64(Never)
		}
	}
	if c.End != None {
		c.Due = max(c.Due, s.until)
		emit(c)
	}
}
