package fault

import (
	"bytes"
	"fmt"
	"io"
	"math"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/shape"
)

// CutEvents ends a stream of server-sent events (WHATWG HTML, section 9.2) after so many events: those that a client would
// dispatch, which are those with data. Comments and what stands between events pass. A response that is no text/event-stream, or
// has a Content-Encoding, passes as it is.
//
// A client reconnects after any end of the stream, with the Last-Event-ID that it has seen.
type CutEvents struct {
	// Events that pass, at least 0, rounded; as they are when the response comes.
	Events shape.Value
	// End is how the stream ends: None gives the response its proper end, FIN and RST break it off.
	End End
}

var _ Fault = CutEvents{}

// Type returns "cut_events".
func (CutEvents) Type() string { return "cut_events" }

// Validate implements Fault.
func (f CutEvents) Validate() error {
	if f.End > RST {
		return fmt.Errorf("end: %d is none that there is", f.End)
	}
	return within("events", f.Events, 0, math.MaxInt64)
}

// New implements Fault.
func (f CutEvents) New(s Site) Step {
	age := s.age()
	return Step{Body: func(x *proxy.Exchange, b proxy.Body) proxy.Body {
		if !isEventStream(&x.Response.Header) {
			return b
		}
		c := &cutEvents{Body: b, site: s, left: f.Events.Whole(age()), end: io.EOF}
		if f.End == None {
			x.Response.ContentLength = -1 // it will be another one
		} else {
			c.end = &proxy.Damage{Side: s.side(), Kind: proxy.CutOff, Reset: f.End == RST}
		}
		return c
	}}
}

func isEventStream(h *proxy.Header) bool {
	if h.Has("Content-Encoding") {
		return false
	}
	typ, _, _ := bytes.Cut(h.Get("Content-Type"), []byte(";"))
	return proxy.EqualFold(bytes.TrimSpace(typ), "text/event-stream")
}

type cutEvents struct {
	proxy.Body
	site   Site
	events eventScanner
	left   int64
	rest   []byte // what has been read beyond the cut
	err    error  // and what came with it
	end    error
}

func (c *cutEvents) Read(p []byte) (int, error) {
	if c.left <= 0 {
		if c.site.inForce() {
			return 0, c.end
		}
		return c.readOn(p)
	}
	n, err := c.Body.Read(p)
	for at := 0; at < n; {
		used, complete := c.events.next(p[at:n])
		at += used
		if complete {
			c.left--
		}
		if c.left == 0 {
			c.rest, c.err = append(c.rest, p[at:n]...), err
			return at, nil
		}
	}
	return n, err
}

// readOn reads what the stream goes on with if it is not cut after all.
func (c *cutEvents) readOn(p []byte) (int, error) {
	if len(c.rest) > 0 {
		n := copy(p, c.rest)
		c.rest = c.rest[n:]
		return n, nil
	}
	if c.err != nil {
		return 0, c.err
	}
	return c.Body.Read(p)
}

// eventScanner finds the ends of events in a stream, in pieces of any size. It keeps no more of a line than tells whether it is
// a data field.
type eventScanner struct {
	line   [len("data:")]byte // the beginning of the current line
	length int                // of the current line, up to one more than len(line)
	data   bool               // the current event has a data field
	cr     bool               // the last byte was a CR: an LF belongs to it
	begun  bool               // the stream's first line is over
}

// byteOrderMark may begin a stream and is no part of its first line.
const byteOrderMark = "\xef\xbb\xbf"

// next scans p up to the end of an event, or all of it. It returns how many bytes it has used and whether they end with an
// event's blank line.
func (e *eventScanner) next(p []byte) (used int, complete bool) {
	for i := 0; i < len(p); i++ {
		b := p[i]
		wasCR := e.cr
		e.cr = b == '\r'
		switch {
		case b == '\n' && wasCR:
		case b == '\n' || b == '\r':
			if !e.endLine() {
				continue
			}
			if b == '\r' && i+1 < len(p) && p[i+1] == '\n' {
				i++
				e.cr = false
			}
			return i + 1, true
		default:
			e.add(b)
		}
	}
	return len(p), false
}

func (e *eventScanner) add(b byte) {
	if e.length < len(e.line) {
		e.line[e.length] = b
	}
	e.length = min(e.length+1, len(e.line)+1)
	if !e.begun && e.length == len(byteOrderMark) {
		e.begun = true
		if string(e.line[:e.length]) == byteOrderMark {
			e.length = 0
		}
	}
}

// endLine ends the current line and reports whether that dispatches an event.
func (e *eventScanner) endLine() bool {
	line := string(e.line[:min(e.length, len(e.line))])
	blank := e.length == 0
	e.begun, e.length = true, 0
	switch {
	case blank:
		complete := e.data
		e.data = false
		return complete
	case line == "data:", line == "data" && !blank:
		e.data = true
	}
	return false
}
