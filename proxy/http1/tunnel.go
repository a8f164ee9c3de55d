package http1

import (
	"errors"
	"io"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// tunnel answers 101 and passes bytes in both directions until both have ended (RFC 9110 section 7.8). It is only entered once the
// endpoint has switched protocols; what the client sent before is passed on now.
func (c *serverConn) tunnel(x *proxy.Exchange, u *Conn, head []byte) *proxy.Error {
	c.keepAlive = false
	u.broken = true // never used again
	if c.pump != nil {
		// The request's own content comes first; the endpoint has switched without waiting for it.
		<-c.pump.done
		if !c.pump.sent {
			return upstreamError("open tunnel", errors.New("switched protocols without reading the request"))
		}
	} else {
		c.body.discard()
	}
	var early []byte
	if u.in != nil {
		early = u.in.unread()
	}
	if err := c.writeOut(head, early); err != nil {
		return err
	}
	x.ResponseBytes += int64(len(early))
	var late []byte
	if next := c.body.next; next != nil {
		late = next.unread()
	} else {
		late = c.in.unread()
	}
	toEndpoint := tunnelHalf{c: c, mine: &c.pumping, other: &c.main, dst: u.s, src: c.down, moved: &x.RequestBytes}
	toClient := tunnelHalf{c: c, mine: &c.main, other: &c.pumping, dst: c.down, src: u.s, moved: &x.ResponseBytes}
	up := make(chan error, 1)
	go func() { up <- toEndpoint.copy(late) }()
	downErr := toClient.copy(nil)
	upErr := <-up
	for _, err := range []error{downErr, upErr} {
		if err != nil {
			return upstreamError("tunnel", err)
		}
	}
	return nil
}

// tunnelHalf moves the bytes of one direction of a tunnel. Each half keeps the other alive: a tunnel is idle when neither
// moves.
type tunnelHalf struct {
	c           *serverConn
	mine, other *slot
	dst, src    *sock
	moved       *int64
}

// copy moves first, and then bytes from src to dst until src ends, and then ends dst's direction. On error it ends the other
// half too.
func (t *tunnelHalf) copy(first []byte) (err error) {
	defer func() {
		if v := recover(); v != nil {
			t.c.srv.panicked(v)
			err = errPanicked
		}
		if err != nil || t.dst.closeWrite() != nil { // no half-close there: the tunnel ends
			t.dst.interrupt()
			t.src.interrupt()
		}
	}()
	if err := t.write(first); err != nil {
		return err
	}
	return t.run()
}

// run moves bytes until src ends.
func (t *tunnelHalf) run() error {
	watch, limit := t.c.srv.watch, t.c.srv.cfg.Timeouts.Tunnel
	if t.dst.tcp != nil && t.src.tcp != nil && spliceMin < 1<<30 {
		n, side, err := spliceN(t.dst, t.src, -1, spliceSlots{slot: t.mine, other: t.other, watch: watch, read: limit, write: limit})
		*t.moved += n
		if err == nil || side != proxy.Internal { // otherwise no pipe is to be had
			return err
		}
	}
	buf := getLargeBuffer()
	defer buf.free()
	for {
		deadline := watch.after(limit)
		t.mine.enter(t.src, deadline, 0)
		t.other.extend(deadline, inPhase)
		n, err := t.src.nc.Read(buf.data)
		if why := t.mine.leave(); why != causeNone {
			return causeError(why)
		}
		if err := t.write(buf.data[:n]); err != nil {
			return err
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// write sends p and counts it.
func (t *tunnelHalf) write(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	t.mine.enter(t.dst, t.c.srv.watch.after(t.c.srv.cfg.Timeouts.Tunnel), writing)
	err := t.dst.write(p)
	if why := t.mine.leave(); why != causeNone {
		return causeError(why)
	}
	if err == nil {
		*t.moved += int64(len(p))
	}
	return err
}
