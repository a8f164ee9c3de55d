package http1

import (
	"net"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// What a connection that is put around another one may offer beyond net.Conn. Its deadlines must work as net.Conn says, and
// bytes that it holds must survive a deadline that passes.
type (
	// wrapper lets an idle connection be looked at. NetConn gives the connection inside, of which only the state is looked at; Quiet
	// reports whether the wrapper itself holds nothing that Read would return, neither bytes nor an end.
	wrapper interface {
		NetConn() net.Conn
		Quiet() bool
	}
	// unwrapper takes the wrapper off if nothing acts on the connection and nothing is held in either direction. If it reports
	// true the wrapper touches the connection inside no more.
	unwrapper interface{ Unwrap() bool }
	// drainer waits until all that was written has gone to the peer's host, or never will; it returns false once stop has something to
	// tell. Cut reports whether a fault has ended the connection, and how many bytes the peer's host has not got because of that.
	drainer interface {
		Drain(stop <-chan struct{}) bool
		Cut() (lost int64, isCut bool)
	}
	// resetter ends the connection with RST.
	resetter interface{ Reset() }
)

// Wrap puts wrap's result in the place of the client's connection, of which it is given what is there now: what has been read
// stays read, and the rest of the request's content and the response pass through the wrapper. It stays for the requests that
// follow; between two of them it is asked whether it can be taken off (Unwrap() bool), and is if it says so. See wrapper and its
// neighbours for what else a wrapper may offer. Wrap reports false, and does nothing, if there is a wrapper already or w has no
// connection of its own. It may be called by the Handler before the request is sent and before the response is delivered.
func Wrap(w proxy.Responder, wrap func(net.Conn) net.Conn) bool {
	c, ok := w.(*serverConn)
	if !ok || c.down != c.base {
		return false
	}
	c.down = &sock{nc: wrap(c.base.nc), inside: c.base}
	c.wrapped.Store(c.down)
	return true
}

// Wrapped returns what Wrap has put around w's connection, nil if there is nothing.
func Wrapped(w proxy.Responder) net.Conn {
	c, ok := w.(*serverConn)
	if !ok || c.down == c.base {
		return nil
	}
	return c.down.nc
}

// Ends reports whether w's connection is at its end with the response that has been delivered, so that no request follows. Where
// there is no connection of w's own it is false.
func Ends(w proxy.Responder) bool {
	c, ok := w.(*serverConn)
	return ok && c.headSent && !c.keepAlive
}

// Cut is to be called once the wrapper of w's connection tells that a fault has ended it: what waits for the endpoint, or in a pause,
// ends at once, as if the client had left, with a *proxy.Damage that says Severed. It may be called by any goroutine, and does not
// block.
func Cut(w proxy.Responder) {
	if c, ok := w.(*serverConn); ok {
		c.main.interrupt(watchClient, causeFault)
	}
}

// isCut reports whether a fault has ended the client's connection.
func (c *serverConn) isCut() bool {
	if c.down == c.base {
		return false
	}
	d, ok := c.down.nc.(drainer)
	if !ok {
		return false
	}
	_, isCut := d.Cut()
	return isCut
}

var errSevered = &proxy.Damage{Side: proxy.Downstream, Kind: proxy.Severed}

// severed describes that the client's connection has been ended by a fault.
func severed(op string) *proxy.Error {
	return &proxy.Error{Side: proxy.Downstream, Op: op, Err: errSevered}
}

// drain waits until what the wrapper holds back of the response has gone out: only then the response has been delivered.
func (c *serverConn) drain() *proxy.Error {
	if c.down == c.base {
		return nil
	}
	d, ok := c.down.nc.(drainer)
	if !ok {
		return nil
	}
	why := c.ringable(held, func(rung <-chan struct{}) { d.Drain(rung) })
	if why != causeNone {
		return &proxy.Error{Side: proxy.Downstream, Op: opDeliver, Err: causeError(why)}
	}
	if lost, isCut := d.Cut(); isCut && lost > 0 {
		return severed(opDeliver)
	}
	return nil
}

const opDeliver = "send response"

// unwrap takes the wrapper off if there is one and it agrees. It reports whether there is none now.
func (c *serverConn) unwrap() bool {
	if c.down == c.base {
		return true
	}
	if u, ok := c.down.nc.(unwrapper); !ok || !u.Unwrap() {
		return false
	}
	c.wrapped.Store(nil)
	c.down = c.base
	_ = c.base.nc.SetDeadline(time.Time{})
	return true
}
