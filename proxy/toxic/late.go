package toxic

import "time"

// Late says how late n bytes would be that come now, in the toxic's direction, on a stream on which it has just come into force. It
// is 0 if the toxic is not for streams, is decided not to act, or does not let all of them pass. What streams share, such as one
// bandwidth for all, has carried the bytes then.
func (a Active) Late(n int) time.Duration {
	t, ok := a.Toxic.(Stream)
	if !ok || !a.decide() {
		return 0
	}
	s := Site{Direction: a.Direction, Rand: a.Key.Rand(a.Ordinal), Shared: a.Shared}
	if !a.Began.IsZero() {
		s.Began = min(-time.Since(a.Began), 0)
	}
	var last time.Duration
	passed := 0
	take := func(c Chunk) {
		if !c.Injected && c.Due != Never {
			last, passed = max(last, c.Due), passed+len(c.Data)
		}
	}
	shaper := t.New(s)
	shaper.Shape(Chunk{Open: true}, take)
	shaper.Shape(Chunk{Data: make([]byte, n)}, take)
	if passed < n {
		return 0
	}
	return last
}
