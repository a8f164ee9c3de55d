package http1

import (
	"net"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
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

// Pause waits for d, exactly, on behalf of w's Exchange, as it would wait for an endpoint. It returns nil after d, and earlier an
// error that tells why: the client has left (its Status is 0), a Limit has been reached (504) or the Server stops (503). Only the
// goroutine that owns the Exchange may call it, before or during Deliver.
func Pause(w proxy.Responder, d time.Duration) *proxy.Error { return PauseUntil(w, d, nil) }

// PauseUntil is Pause, but also returns nil as soon as gone is closed.
func PauseUntil(w proxy.Responder, d time.Duration, gone <-chan struct{}) *proxy.Error {
	c, ok := w.(*serverConn)
	if ok {
		return c.pauseUntil(d, gone)
	}
	if d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
		case <-gone:
		}
	}
	return nil
}

func (c *serverConn) pause(d time.Duration) *proxy.Error { return c.pauseUntil(d, nil) }

func (c *serverConn) pauseUntil(d time.Duration, gone <-chan struct{}) *proxy.Error {
	if c.bell == nil {
		c.bell = newBell()
	}
	b := c.bell.nc.(*bell)
	if why := c.enterUpstream(c.bell, 0, 0); why != causeNone {
		return interruption("wait", why)
	}
	if d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
		case <-gone:
		case <-b.rung:
		}
	}
	why := c.main.leave()
	select {
	case <-b.rung: // it rang at the last moment, or for a phase that found its cause otherwise
	default:
	}
	if why != causeNone {
		return interruption("wait", why)
	}
	return nil
}
