package http1

import (
	"errors"
	"io"
	"os"
	"sync"

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
	c.tunnelled.Store(true)
	c.releaseOut()
	if u.in != nil {
		u.in.free()
		u.in = nil
	}
	var late []byte
	if next := c.body.next; next != nil {
		late = next.unread()
	} else {
		late = c.in.unread()
	}
	var end tunnelEnd
	toEndpoint := tunnelHalf{c: c, end: &end, mine: &c.pumping, other: &c.main, dst: u.s, src: c.down, moved: &x.RequestBytes}
	toClient := tunnelHalf{c: c, end: &end, mine: &c.main, other: &c.pumping, dst: c.down, src: u.s, moved: &x.ResponseBytes}
	done := make(chan struct{})
	go func() {
		defer close(done)
		toEndpoint.copy(late)
	}()
	toClient.copy(nil)
	<-done
	return end.err
}

// tunnelEnd is why a tunnel has ended before both directions had: what the half that ended it has met. The other half only sees that
// it is interrupted.
type tunnelEnd struct {
	once sync.Once
	err  *proxy.Error
}

// tunnelHalf moves the bytes of one direction of a tunnel. Each half keeps the other alive: a tunnel is idle when neither
// moves.
type tunnelHalf struct {
	c           *serverConn
	end         *tunnelEnd // of both halves
	mine, other *slot
	dst, src    *sock
	moved       *int64
}

// copy moves first, and then bytes from src to dst until src ends, and then ends dst's direction. If that is not possible it ends
// the other half too.
func (t *tunnelHalf) copy(first []byte) {
	var err *proxy.Error
	defer func() {
		if v := recover(); v != nil {
			t.c.srv.panicked(v)
			err = &proxy.Error{Side: proxy.Internal, Op: "tunnel", Err: errPanicked}
		}
		if err == nil && t.c.isCut() {
			err = severed("tunnel")
		}
		if err != nil || t.dst.closeWrite() != nil { // no half-close there: the tunnel ends
			t.end.once.Do(func() { t.end.err = err })
			t.dst.interrupt()
			t.src.interrupt()
		}
	}()
	if err = t.write(first); err == nil {
		err = t.run()
	}
}

// run moves bytes until src ends.
func (t *tunnelHalf) run() *proxy.Error {
	watch, limit := t.c.srv.watch, t.c.srv.cfg.Timeouts.Tunnel
	if t.dst.tcp != nil && t.src.tcp != nil && spliceMin < 1<<30 {
		n, side, err := spliceN(t.dst, t.src, -1, spliceSlots{slot: t.mine, other: t.other, watch: watch, read: limit, write: limit})
		*t.moved += n
		switch {
		case err == nil:
			return nil
		case side == proxy.Downstream: // the source
			return t.readFailed(err)
		case side == proxy.Upstream:
			return t.failed(t.dst, err)
		} // otherwise no pipe is to be had
	}
	buf := getLargeBuffer()
	defer buf.free()
	for {
		deadline := watch.after(limit)
		t.mine.enter(t.src, deadline, 0)
		t.other.extend(deadline, inPhase)
		n, err := t.src.nc.Read(buf.data)
		if why := t.mine.leave(); why != causeNone {
			return t.readFailed(causeError(why))
		}
		if err := t.write(buf.data[:n]); err != nil {
			return err
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return t.readFailed(err)
		}
	}
}

// write sends p and counts it.
func (t *tunnelHalf) write(p []byte) *proxy.Error {
	if len(p) == 0 {
		return nil
	}
	n, err := t.c.srv.watch.send(t.mine, t.dst, t.c.srv.cfg.Timeouts.Tunnel, p, nil)
	*t.moved += n
	if err != nil {
		return t.failed(t.dst, err)
	}
	return nil
}

// readFailed describes why nothing more can be read from src. If it took too long neither half has moved anything: that is nobody's
// fault more than the endpoint's.
func (t *tunnelHalf) readFailed(err error) *proxy.Error {
	e := t.failed(t.src, err)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		e.Side = proxy.Upstream
	}
	return e
}

// failed describes what has happened to the connection s.
func (t *tunnelHalf) failed(s *sock, err error) *proxy.Error {
	e := upstreamError("tunnel", err)
	if s == t.c.down {
		e.Side = proxy.Downstream
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		e.Status = 504
	}
	return e
}
