package chaos

import (
	"errors"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/fault"
	"github.com/breakwater-gateway/breakwater/proxy/http1"
	"github.com/breakwater-gateway/breakwater/proxy/toxic"
)

// Faults are what acts on a request at one Point. A nil *Faults does nothing. What has ended in the meantime, by a deadline or a
// switch, does nothing any more: waits end at once, and a body that is slowed down goes on as it is.
type Faults struct {
	// Slot holds toxics for the connection to the client, or to the Endpoint, nil if there are none. They are taken out of it when
	// the request ends, or before.
	Slot  *toxic.Slot
	steps []running
	w     proxy.Responder
}

// running is a fault.Step in force.
type running struct {
	fault.Step
	armed *armed
}

// step makes the running form of a fault.
func (t *armed) step(d *decision, w proxy.Responder) running {
	return running{armed: t, Step: t.fault.New(fault.Site{
		At: d.cfg.At, Rand: t.Key.Rand(d.ordinal), Began: time.Since(t.Began),
		Pause: func(wait time.Duration) *proxy.Error {
			if err := http1.PauseUntil(w, wait, t.gone); err != nil {
				return err
			}
			if !t.inForce() {
				return over
			}
			return nil
		},
	})}
}

// over is what a fault that wants to wait gets when it is not in force any more.
var over = &proxy.Error{Op: "wait", Err: errors.New("the fault is not in force any more")}

// Begin lets the faults act on the request, in order. If one takes the place of what would come next, that is returned: a Reply,
// an End, or why waiting has ended.
func (f *Faults) Begin(x *proxy.Exchange) (*fault.Reply, fault.End, *proxy.Error) {
	if f == nil {
		return nil, fault.None, nil
	}
	for i := range f.steps {
		s := &f.steps[i]
		if !s.armed.inForce() {
			continue
		}
		s.armed.stats.applied.Add(1)
		if s.Delay > 0 {
			if err := http1.PauseUntil(f.w, s.Delay, s.armed.gone); err != nil {
				return nil, fault.None, err
			}
			if !s.armed.inForce() {
				continue
			}
		}
		if s.Request != nil {
			s.Request(x)
		}
		if s.End != fault.None || s.Reply != nil {
			return s.Reply, s.End, nil
		}
	}
	return nil, fault.None, nil
}

// Respond lets the faults see the response head and wrap its body, the last one first: it is nearest to the Endpoint. b is what
// Responder.Deliver would have been given, and may be nil.
func (f *Faults) Respond(x *proxy.Exchange, b proxy.Body) proxy.Body {
	if f == nil {
		return b
	}
	for i := len(f.steps) - 1; i >= 0; i-- {
		s := &f.steps[i]
		if !s.armed.inForce() {
			continue
		}
		wrapped := fault.Respond([]fault.Step{s.Step}, x, b)
		if wrapped != b {
			wrapped = &passing{Body: wrapped, inner: b}
		}
		b = wrapped
	}
	return b
}

// passing is a damaged Body until its fault is over; then it is what was wrapped.
type passing struct {
	proxy.Body
	inner proxy.Body
}

func (p *passing) Read(b []byte) (int, error) {
	n, err := p.Body.Read(b)
	if e, ok := err.(*proxy.Error); ok && e == over {
		p.Body, err = p.inner, nil
		if n == 0 {
			return p.Body.Read(b)
		}
	}
	return n, err
}
