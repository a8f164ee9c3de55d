package http1

import (
	"fmt"
	"math"
	"syscall"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// notASize begins a chunk with no chunk-size (RFC 9112 section 7.1): every recipient must refuse it.
var notASize = []byte("not-a-size\r\n")

// damage ends a message as a fault asks for. Deliver ends the connection then.
func (c *serverConn) damage(d *proxy.Damage, how delivery) *proxy.Error {
	switch {
	case d.Kind == proxy.Malformed && how == chunked:
		_ = c.write(notASize, nil)
	case d.Kind == proxy.Malformed: // nothing but a reset shows that something is wrong
		d = &proxy.Damage{Side: d.Side, Kind: d.Kind, Reset: true}
	case d.Kind == proxy.Overlong && how == withLength && !c.keepAlive: // the client has been told not to go on
		_ = c.write(d.Surplus, nil)
	}
	return &proxy.Error{Side: proxy.Downstream, Op: opDeliver, Err: d}
}

// damagedByEndpoint is the failure that the gateway sees when an endpoint does what a fault says.
func damagedByEndpoint(d *proxy.Damage) *proxy.Error {
	err := error(errTruncated)
	switch {
	case d.Kind == proxy.Malformed:
		err = errChunk
	case d.Reset:
		err = syscall.ECONNRESET
	}
	return upstreamError("read response body", fmt.Errorf("%w: %w", err, d))
}

// endDamaged ends the connection after a damaged message, of which the client gets all that was sent.
func (c *serverConn) endDamaged(d *proxy.Damage) {
	if !d.Reset {
		c.linger = true
		return
	}
	if c.drain() == nil {
		c.awaitSent()
	}
	c.down.reset()
}

// awaitSent waits until the client's host has all that was sent: RST would destroy what is on its way. It gives up if nothing
// moves for a second, the client has left or the Server stops.
func (c *serverConn) awaitSent() {
	const step, steps = 2 * time.Millisecond, 500
	least := math.MaxInt
	for still := 0; still < steps; still++ {
		left := c.base.unsent()
		if left == 0 {
			return
		}
		if left < least {
			least, still = left, 0
		}
		if c.pause(step, nil) != nil {
			return
		}
	}
}
