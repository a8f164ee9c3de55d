package http1

import (
	"net"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/alarm"
)

// bell is a connection that carries nothing. It is the target of the phases in which a goroutine waits for time to pass:
// interrupting it rings.
type bell struct {
	net.Conn
	rung chan struct{}
}

func newBell() *sock { return &sock{nc: &bell{rung: make(chan struct{}, 1)}} }

func (b *bell) ring() error {
	select {
	case b.rung <- struct{}{}:
	default:
	}
	return nil
}

func (b *bell) SetDeadline(time.Time) error      { return b.ring() }
func (b *bell) SetReadDeadline(time.Time) error  { return b.ring() }
func (b *bell) SetWriteDeadline(time.Time) error { return b.ring() }

// PauseUntil waits for d, exactly, on behalf of w's Exchange, as it would wait for an endpoint, or until enough is closed; nil is never.
// It returns nil then, and earlier an error that tells why: the client has left (its Status is 0), a Limit has been reached (504) or
// the Server stops (503). Only the goroutine that owns the Exchange may call it, before or during Deliver.
func PauseUntil(w proxy.Responder, d time.Duration, enough <-chan struct{}) *proxy.Error {
	c, ok := w.(*serverConn)
	if !ok {
		wait(d, nil, enough)
		return nil
	}
	return c.pause(d, enough)
}

func (c *serverConn) pause(d time.Duration, enough <-chan struct{}) *proxy.Error {
	if why := c.overdue(); why != causeNone {
		return interruption("wait", why)
	}
	why := c.ringable(watchClient, func(rung <-chan struct{}) {
		if c.overdue() == causeNone { // or it was hit just before the phase
			wait(d, rung, enough)
		}
	})
	if why == causeNone {
		why = c.overdue()
	}
	if why != causeNone {
		return interruption("wait", why)
	}
	return nil
}

// ringable runs f in a phase of a kind. f must return soon after rung has something to tell: the phase has been interrupted.
func (c *serverConn) ringable(kind uint64, f func(rung <-chan struct{})) cause {
	if c.bell == nil {
		c.bell = newBell()
	}
	if why := c.main.enter(c.bell, 0, kind); why != causeNone {
		return why
	}
	b := c.bell.nc.(*bell)
	f(b.rung)
	why := c.main.leave()
	select {
	case <-b.rung: // it rang at the last moment
	default:
	}
	return why
}

// wait returns after d, or when one of the two channels has something to tell.
func wait(d time.Duration, rung, enough <-chan struct{}) {
	if d <= 0 {
		return
	}
	passed, done := alarm.After(d)
	defer done()
	select {
	case <-passed:
	case <-rung:
	case <-enough:
	}
}
