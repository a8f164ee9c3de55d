package toxic

import (
	"slices"
	"time"
)

// Hold is what one toxic does to the opening of a connection to an endpoint.
type Hold struct {
	Delay   time.Duration   // it is held up for so long
	Refused bool            // and fails then
	Gone    <-chan struct{} // is closed once that does not hold any more; nil: never
}

// InForce reports whether Gone has not been closed.
func (h *Hold) InForce() bool {
	select {
	case <-h.Gone:
		return false
	default:
		return true
	}
}

// Dial says what Holds make of the opening of a connection.
type Dial uint8

const (
	// DialGoes: it goes on, perhaps later.
	DialGoes Dial = iota
	// DialRefused: it fails, as if nobody listened.
	DialRefused
	// DialTimesOut: it fails after all the time that it may take, or since all that is sent for it is lost.
	DialTimesOut
	// DialInterrupted: pause has said so.
	DialInterrupted
)

// Await does to the opening of a connection what holds do, one after the other, which may take no longer than patience. pause waits for
// d, or until gone is closed, and returns false if nobody wants the connection any more.
func Await(holds []Hold, patience time.Duration, pause func(d time.Duration, gone <-chan struct{}) bool) Dial {
	for began, i := time.Now(), 0; i < len(holds); i++ {
		h, left := &holds[i], patience-time.Since(began)
		if h.Delay <= 0 || !h.InForce() {
			continue
		}
		if !pause(min(h.Delay, left), h.Gone) {
			return DialInterrupted
		}
		if h.InForce() && (h.Refused || h.Delay >= left) {
			return DialTimesOut
		}
	}
	if Refuses(holds) {
		return DialRefused
	}
	return DialGoes
}

// Refuses reports whether one of holds is in force and makes the opening of a connection fail, at once or later.
func Refuses(holds []Hold) bool {
	return slices.ContainsFunc(holds, func(h Hold) bool { return h.Refused && h.InForce() })
}
