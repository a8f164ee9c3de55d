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
	t := &tunnelHalves{c: c}
	up := make(chan error, 1)
	go func() {
		up <- t.copy(&c.pumping, &c.main, u.s, c.down, &x.RequestBytes, late)
	}()
	downErr := t.copy(&c.main, &c.pumping, c.down, u.s, &x.ResponseBytes, nil)
	if downErr != nil {
		c.down.interrupt() // ends the other half too
		u.s.interrupt()
	}
	upErr := <-up
	for _, err := range []error{downErr, upErr} {
		if err != nil {
			return upstreamError("tunnel", err)
		}
	}
	return nil
}

// tunnelHalves moves the bytes of a tunnel. Each half keeps the other alive: a tunnel is idle when neither moves.
type tunnelHalves struct{ c *serverConn }

// copy moves first, and then bytes from src to dst until src ends, and then ends dst's direction.
func (t *tunnelHalves) copy(mine, other *slot, dst, src *sock, moved *int64, first []byte) (err error) {
	defer func() {
		if v := recover(); v != nil {
			t.c.srv.panicked(v)
			dst.interrupt()
			src.interrupt()
			err = errPanicked
		}
	}()
	err = t.write(mine, dst, first)
	if err == nil {
		*moved += int64(len(first))
		err = t.run(mine, other, dst, src, moved)
	}
	if err != nil {
		dst.interrupt()
		src.interrupt()
		return err
	}
	if dst.closeWrite() != nil { // no half-close there: the tunnel ends
		dst.interrupt()
		src.interrupt()
	}
	return nil
}

func (t *tunnelHalves) run(mine, other *slot, dst, src *sock, moved *int64) error {
	watch, limit := t.c.srv.watch, t.c.srv.cfg.Timeouts.Tunnel
	if dst.tcp != nil && src.tcp != nil && spliceMin < 1<<30 {
		n, _, err := spliceN(dst, src, -1, spliceSlots{slot: mine, other: other, watch: watch, read: limit, write: limit})
		*moved += n
		return err
	}
	buf := getLargeBuffer()
	defer buf.free()
	for {
		deadline := watch.after(limit)
		mine.enter(src, deadline, 0)
		other.extend(deadline, inPhase)
		n, err := src.nc.Read(buf.data)
		if why := mine.leave(); why != causeNone {
			return causeError(why)
		}
		if n > 0 {
			if err := t.write(mine, dst, buf.data[:n]); err != nil {
				return err
			}
			*moved += int64(n)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (t *tunnelHalves) write(mine *slot, dst *sock, p []byte) error {
	if len(p) == 0 {
		return nil
	}
	mine.enter(dst, t.c.srv.watch.after(t.c.srv.cfg.Timeouts.Tunnel), writing)
	err := dst.write(p)
	if why := mine.leave(); why != causeNone {
		return causeError(why)
	}
	return err
}
