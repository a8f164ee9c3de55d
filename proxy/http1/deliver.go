package http1

import (
	"errors"
	"io"
	"os"

	"github.com/breakwater-gateway/breakwater/proxy"
)

var _ proxy.Responder = (*serverConn)(nil)

// Inform implements proxy.Responder.
func (c *serverConn) Inform(status int, h *proxy.Header) error {
	if c.x.Request.Minor == 0 { // RFC 9110 section 15.2: never to an HTTP/1.0 client
		return nil
	}
	var buf [512]byte
	p := appendStatusLine(buf[:0], status, nil)
	p = appendFields(p, h)
	p = append(p, crlf...)
	err := c.write(p, nil)
	if status == 100 {
		c.body.continued()
	}
	return err
}

// write sends p and q to the client.
func (c *serverConn) write(p, q []byte) error {
	_, err := c.srv.watch.send(&c.main, c.down, c.srv.cfg.Timeouts.Write, p, q)
	return err
}

// Abort implements proxy.Responder.
func (c *serverConn) Abort() {
	c.headSent, c.keepAlive = true, false
}

// Reset implements proxy.Responder.
func (c *serverConn) Reset() {
	c.Abort()
	c.down.reset()
}

// delivery is how the content of a response is framed for the client.
type delivery uint8

const (
	noContent delivery = iota
	withLength
	chunked
	untilClose
)

// Deliver implements proxy.Responder.
func (c *serverConn) Deliver(x *proxy.Exchange, body proxy.Body) *proxy.Error {
	c.headSent = true
	how := c.framingFor(x, body)
	if x.Response.Close || !c.reusable() || how == untilClose {
		c.keepAlive = false
	}
	if c.out == nil {
		c.out = getBuffer()
	}
	head := c.appendResponseHead(c.out.data[:0], x, how)
	c.out.adopt(head)
	x.HeadBytes = int64(len(head))
	u, direct := body.(*Conn)
	if x.Response.Status == 101 {
		if !direct {
			return &proxy.Error{Side: proxy.Internal, Op: "open tunnel", Err: io.ErrUnexpectedEOF}
		}
		return c.tunnel(x, u, head)
	}
	var err *proxy.Error
	text, _ := body.(*proxy.Text)
	switch {
	case how == noContent || body == nil:
		err = c.writeOut(head, nil)
	case how == withLength && text != nil:
		x.ResponseBytes = int64(len(text.Rest))
		err = c.writeOut(append(head, text.Rest...), nil)
	case how == withLength && direct:
		err = c.relayLength(x, u, head)
	default:
		err = c.relay(x, body, head, how)
	}
	if err == nil {
		err = c.drain()
	}
	if err != nil {
		if c.isCut() {
			err = severed(opDeliver)
		}
		c.keepAlive = false
		c.undelivered = true
		if d, ok := err.Err.(*proxy.Damage); ok && d.Side != proxy.Upstream {
			c.endDamaged(d)
			return err
		}
		if how == untilClose || err.Side == proxy.Internal {
			c.down.reset() // nothing else tells the client that the content is not complete
		}
	}
	return err
}

// framingFor chooses the framing (RFC 9112 section 6.3).
func (c *serverConn) framingFor(x *proxy.Exchange, body proxy.Body) delivery {
	r := &x.Response
	switch {
	case string(x.Request.Method) == "HEAD" || r.Status < 200 || r.Status == 204 || r.Status == 304:
		return noContent
	case body == nil:
		r.ContentLength = 0
		return withLength
	case r.ContentLength >= 0:
		return withLength
	case x.Request.Minor == 0:
		return untilClose
	}
	return chunked
}

// reusable reports whether the connection can take another request after this one, as far as that is known before the response
// is sent: the client must be told then.
func (c *serverConn) reusable() bool {
	if !c.keepAlive || c.srv.draining.Load() {
		return false
	}
	if c.body.read.Load() {
		return true
	}
	return c.pump == nil && c.body.ready()
}

func (c *serverConn) appendResponseHead(p []byte, x *proxy.Exchange, how delivery) []byte {
	r := &x.Response
	p = appendStatusLine(p, r.Status, r.Reason)
	p = appendFields(p, &r.Header)
	if r.Status >= 200 && !r.Header.Has("Date") { // RFC 9110 section 6.6.1: to be added by who forwards
		p = append(append(append(p, "Date: "...), *c.srv.watch.date.Load()...), crlf...)
	}
	switch {
	case how == withLength, how == noContent && r.ContentLength >= 0 && r.Status >= 200 && r.Status != 204:
		p = appendLength(p, r.ContentLength)
	case how == chunked:
		p = append(p, "Transfer-Encoding: chunked\r\n"...)
	}
	switch {
	case r.Status == 101:
		p = append(p, "Connection: Upgrade\r\n"...)
	case !c.keepAlive:
		p = append(p, "Connection: close\r\n"...)
	case x.Request.Minor == 0:
		p = append(p, "Connection: keep-alive\r\n"...)
	}
	return append(p, crlf...)
}

func (c *serverConn) writeOut(p, q []byte) *proxy.Error {
	if err := c.write(p, q); err != nil {
		return &proxy.Error{Side: proxy.Downstream, Op: opDeliver, Err: err}
	}
	return nil
}

// relayLength passes on content of known length from an endpoint, together with the head while it is small.
func (c *serverConn) relayLength(x *proxy.Exchange, u *Conn, head []byte) *proxy.Error {
	var first []byte
	if u.in != nil {
		first = u.in.unread()
		if int64(len(first)) > u.left {
			first = first[:u.left]
		}
		u.in.r += len(first)
	}
	u.left -= int64(len(first))
	u.done = u.left == 0
	x.ResponseBytes += int64(len(first))
	var err *proxy.Error
	if len(head)+len(first) <= cap(head) {
		err = c.writeOut(append(head, first...), nil)
	} else {
		err = c.writeOut(head, first)
	}
	if err != nil || u.done {
		return err
	}
	if u.left >= spliceMin && u.s.tcp != nil && c.down.tcp != nil {
		c.releaseOut()
		u.in = u.in.shrink()
		n, side, err := spliceN(c.down, u.s, u.left, spliceSlots{
			slot: &c.main, watch: c.srv.watch, limit: &c.limit, flags: watchClient,
			read: c.srv.cfg.Timeouts.UpstreamBody, write: c.srv.cfg.Timeouts.Write,
		})
		u.left -= n
		u.done = u.left == 0
		x.ResponseBytes += n
		switch {
		case err == nil:
			return nil
		case side == proxy.Internal: // no pipe to be had
			return c.relay(x, u, nil, withLength)
		case side == proxy.Downstream: // the source of the bytes
			u.broken = true
			return bodyFailed(err)
		}
		return &proxy.Error{Side: proxy.Downstream, Op: opDeliver, Err: err}
	}
	return c.relay(x, u, nil, withLength)
}

// relay passes on content through a buffer. head, if any, goes before the first bytes.
func (c *serverConn) relay(x *proxy.Exchange, body proxy.Body, head []byte, how delivery) *proxy.Error {
	if len(head) > 0 && !contentReady(body) {
		// The endpoint may take its time for the first byte of the content: the client should not wait for the head.
		if err := c.writeOut(head, nil); err != nil {
			return err
		}
		head = nil
	}
	u, _ := body.(*Conn)
	for {
		if len(head) == 0 {
			c.releaseOut()
		}
		if u != nil {
			if err := u.await(); err != nil {
				return c.relayFailed(head, err, how)
			}
		}
		last, err := c.relaySome(x, body, head, how)
		if last || err != nil {
			return err
		}
		head = nil
	}
}

// releaseOut gives the buffer back that what has been written stood in: what follows may take long.
func (c *serverConn) releaseOut() {
	if c.out != nil {
		c.out.free()
		c.out = nil
	}
}

// relaySome passes on what one read of body brings. last is true if that is the end.
func (c *serverConn) relaySome(x *proxy.Exchange, body proxy.Body, head []byte, how delivery) (last bool, failed *proxy.Error) {
	buf := getLargeBuffer()
	defer buf.free()
	room := buf.data[chunkRoom : len(buf.data)-len(crlf)-len("0\r\n\r\n")]
	n, err := body.Read(room)
	if err != nil && err != io.EOF {
		return false, c.relayFailed(head, err, how)
	}
	x.ResponseBytes += int64(n)
	if how == withLength && (x.ResponseBytes > x.Response.ContentLength || err == io.EOF && x.ResponseBytes < x.Response.ContentLength) {
		return false, &proxy.Error{Side: proxy.Internal, Op: opDeliver, Err: errWrongLength}
	}
	u, _ := body.(*Conn)
	out := room[:n]
	last = err == io.EOF || u != nil && u.done // often the end is known with the last bytes: one write for both
	if how == chunked {
		if out = out[:0]; n > 0 {
			out = frameChunk(buf.data, n)
		}
		if last {
			out = appendLastChunk(out, body.Trailer())
		}
	}
	return last, c.writeWithHead(head, out)
}

// contentReady reports whether some content can be read without waiting.
func contentReady(body proxy.Body) bool {
	u, ok := body.(*Conn)
	if !ok || u.in == nil {
		return false
	}
	if !u.f.chunked {
		return len(u.in.unread()) > 0
	}
	d := u.dec
	d.trailer = proxy.Header{}
	data, _, err := d.next(u.in.unread())
	return err == nil && (len(data) > 0 || d.done())
}

// errWrongLength is for a Body that is not as long as its response says.
var errWrongLength = errors.New("body and declared length differ")

// relayFailed describes why content could not be read. The head may not have gone out yet; it does now, so that what the client
// sees is a response that breaks off.
func (c *serverConn) relayFailed(head []byte, err error, how delivery) *proxy.Error {
	if head != nil && err != errClientGone && err != error(errSevered) {
		_ = c.write(head, nil)
	}
	switch err := err.(type) {
	case *proxy.Error:
		return err
	case *proxy.Damage:
		if err.Side == proxy.Upstream {
			return damagedByEndpoint(err)
		}
		return c.damage(err, how)
	}
	return bodyFailed(err)
}

// bodyFailed describes why content could not be read from an endpoint.
func bodyFailed(err error) *proxy.Error {
	e := upstreamError("read response body", err)
	switch {
	case err == errClientGone, err == error(errSevered):
		e.Side, e.Status = proxy.Downstream, 0
	case errors.Is(err, os.ErrDeadlineExceeded):
		e.Status = 504
	}
	return e
}

// writeWithHead sends the head, if it has not gone out yet, and content in one write.
func (c *serverConn) writeWithHead(head, out []byte) *proxy.Error {
	switch {
	case len(head)+len(out) == 0:
		return nil
	case len(head) == 0:
		return c.writeOut(out, nil)
	case len(head)+len(out) <= cap(head):
		return c.writeOut(append(head, out...), nil)
	}
	return c.writeOut(head, out)
}
