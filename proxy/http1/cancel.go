package http1

import (
	"context"
	"net"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// canceler is a connection that carries nothing. It is the target of a phase that is a call with a context: interrupting it cancels
// that.
type canceler struct {
	net.Conn
	cancel context.CancelFunc
}

func (c canceler) interrupted() error {
	c.cancel()
	return nil
}

func (c canceler) SetDeadline(time.Time) error      { return c.interrupted() }
func (c canceler) SetReadDeadline(time.Time) error  { return c.interrupted() }
func (c canceler) SetWriteDeadline(time.Time) error { return c.interrupted() }

// While runs f, which waits for an endpoint on behalf of w's Exchange, for instance to connect. f's context ends also when the client
// has left, a Limit is reached or the Server stops, and While returns an error that tells, as Pause does. If f has taken so long that
// the client can have been missed, it is looked for once more. Only the goroutine that owns the Exchange may call it.
func While(ctx context.Context, w proxy.Responder, op string, f func(context.Context)) *proxy.Error {
	c, ok := w.(*serverConn)
	if !ok {
		f(ctx)
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	began := time.Now()
	why := c.enterUpstream(&sock{nc: canceler{cancel: cancel}}, 0, 0)
	if why == causeNone {
		f(ctx)
		why = c.main.leave()
	}
	if why == causeNone && time.Since(began) >= tick && c.base.gone() {
		why = causeGone
	}
	if why != causeNone {
		return interruption(op, why)
	}
	return nil
}
