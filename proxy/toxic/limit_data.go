package toxic

import (
	"time"

	"github.com/breakwater-gateway/breakwater/proxy/shape"
)

// LimitData lets exactly Bytes bytes of its direction through and then ends the connection. Changing it does not begin to count
// anew; removing it does. What has reached a limit without a byte of its own, as 0 at the start, or one that has been lowered, waits for
// the next byte: a request still passes where its answer may not.
type LimitData struct{ Bytes shape.Value }

var _ Stream = LimitData{}

// Type implements proxy.Toxic.
func (LimitData) Type() string { return "limit_data" }

// Validate implements Stream.
func (t LimitData) Validate() error { return within("bytes", t.Bytes, 0, 1<<53) }

// New implements Stream.
func (t LimitData) New(s Site) Shaper { return &limiter{limit: t.Bytes, began: s.Began} }

func (t *LimitData) fields() []Field { return []Field{{"bytes", &t.Bytes, inBytes}} }

// limiter is the running form of LimitData.
type limiter struct {
	limit   shape.Value
	began   time.Duration
	passed  int64 // bytes
	over    int   // bytes that came when the limit was reached
	isOver  bool
	wasOver bool // the one that this one replaces has ended the connection, which has been taken back
}

// Inherit implements Heir.
func (l *limiter) Inherit(old Shaper, held int) {
	if o, ok := old.(*limiter); ok {
		l.passed, l.wasOver = o.passed-int64(held-o.over), o.isOver
	}
}

// Shape implements Shaper.
func (l *limiter) Shape(c Chunk, emit func(Chunk)) {
	switch {
	case c.Injected, len(c.Data) == 0 && !l.isOver && !(c.Open && l.wasOver):
		emit(c)
		return
	case l.isOver:
		l.over += len(c.Data)
		withhold(c, emit)
		return
	}
	left := max(0, int64(l.limit.At(c.Due-l.began))-l.passed)
	n := min(left, int64(len(c.Data)))
	l.passed += n
	if n == left {
		l.isOver = true
		emit(Chunk{Data: c.Data[:n], Due: c.Due, End: Close, Injected: true})
		c.Data = c.Data[n:]
		l.over += len(c.Data)
		withhold(c, emit)
		return
	}
	emit(c)
}
