package http1

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// Conn is a connection to an endpoint. It carries one Exchange at a time: RoundTrip, then Responder.Deliver with the Conn as the
// body, then Finish tells whether it can be used again. Between Exchanges it holds no buffer.
type Conn struct {
	s      *sock
	used   bool // has carried an Exchange before
	in     *buffer
	f      responseFraming
	dec    chunkDecoder
	left   int64 // of a body with Content-Length
	done   bool  // the response has been read to its end
	sent   bool  // the request has been written to its end
	broken bool
	fresh  bool        // no byte of the response has come yet
	c      *serverConn // of the current Exchange
	lim    *Limits     // of the responses, from the Server of the current Exchange
}

// NewConn makes a Conn of a connection that has just been opened.
func NewConn(nc net.Conn) *Conn {
	return &Conn{s: newSock(nc)}
}

// Used reports whether the Conn has carried an Exchange before: then the endpoint may close it at any moment.
func (u *Conn) Used() bool { return u.used }

// NetConn returns the connection that the Conn was made of. It is not to be read from or written to.
func (u *Conn) NetConn() net.Conn { return u.s.nc }

// Idle reports whether an unused Conn can still be used: it is open and nothing has arrived on it.
func (u *Conn) Idle() bool { return u.s.quiet() }

// Close closes the connection. It may be called by another goroutine only while the Conn is idle.
func (u *Conn) Close() {
	u.s.close()
	if u.in != nil {
		u.in.free()
		u.in = nil
	}
}

// RoundTrip sends x's request and reads the response head into x.Response; interim responses go to d at once. On error the Conn
// must be closed. Error.Retry is true if the endpoint cannot have seen the request, or if the connection was in use before,
// ended without any byte of a response, and the request may be sent twice.
func (u *Conn) RoundTrip(x *proxy.Exchange, d proxy.Responder) *proxy.Error {
	c, ok := d.(*serverConn)
	if !ok {
		return &proxy.Error{Side: proxy.Internal, Op: "round trip", Status: 500, Err: errors.ErrUnsupported}
	}
	u.c, u.done, u.sent, u.broken, u.fresh = c, false, false, false, true
	u.lim = &c.srv.responseLimits
	if err := u.send(x); err != nil {
		u.broken = true
		return err
	}
	err := u.receive(x)
	if err == nil {
		why := c.main.leave()
		if why == causeNone {
			return nil
		}
		err = u.interrupted("read response head", why)
	}
	c.main.leave()
	if c.pump != nil {
		c.pump.stop() // what it reads now is lost; the connection ends with the answer
	}
	u.broken = true
	return err
}

// send writes the request head and what there is of the body, and starts a pump for the rest.
func (u *Conn) send(x *proxy.Exchange) *proxy.Error {
	c := u.c
	if c.out == nil {
		c.out = getBuffer()
	}
	body, stream := c.body.buffered()
	x.RequestBytes = int64(len(body))
	p := appendRequestHead(c.out.data[:0], x, stream && c.body.chunked, stream && x.Request.Expect)
	c.out.adopt(p)
	if len(body) > 0 && len(p)+len(body) <= cap(p) {
		p = append(p, body...)
		body = nil
	}
	if u.s.raw != nil && !stream && len(body) == 0 {
		var failure *proxy.Error
		if p, failure = u.ask(x, p); failure != nil || len(p) == 0 {
			return failure
		}
	}
	// The phase lasts until the response head has come, unless a pump still has to send.
	deadline := c.headDeadline()
	if stream || deadline == 0 {
		deadline = c.srv.watch.after(c.srv.cfg.Timeouts.UpstreamWrite)
	}
	if why := c.enterUpstream(u.s, deadline, awaitHead|writing); why != causeNone {
		return u.interrupted("send request", why)
	}
	if n, err := u.s.write2(p, body); err != nil {
		if why := c.main.leave(); why != causeNone {
			return u.interrupted("send request", why)
		}
		return u.sendFailed(x, n, err)
	}
	if stream {
		c.releaseOut()
		c.startPump(x, u)
	} else {
		u.sent = true
	}
	return nil
}

// ask sends a request that is p as a whole and waits for the first bytes of the response. It returns what could not be sent
// without waiting.
func (u *Conn) ask(x *proxy.Exchange, p []byte) (rest []byte, failure *proxy.Error) {
	c := u.c
	if why := c.enterUpstream(u.s, c.headDeadline(), awaitHead); why != causeNone {
		return nil, u.interrupted("send request", why)
	}
	in, n, err := u.s.exchange(p)
	u.in = in
	switch {
	case n == len(p):
		u.sent = true
		if err != nil {
			return nil, u.readFailed(x, err, true)
		}
		u.fresh = false
	case err != nil:
		if why := c.main.leave(); why != causeNone {
			return nil, u.interrupted("send request", why)
		}
		return nil, u.sendFailed(x, int64(n), err)
	}
	return p[n:], nil
}

// sendFailed describes why a request could not be sent, after n bytes of it.
func (u *Conn) sendFailed(x *proxy.Exchange, n int64, err error) *proxy.Error {
	e := upstreamError("send request", err)
	// The connection was gone before the request, which nobody has seen, or while it was sent.
	e.Retry = u.used && gone(err) && (n == 0 || x.Request.Idempotent())
	return e
}

// gone reports whether err says that the peer had closed the connection.
func gone(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.ErrClosedPipe) || errors.Is(err, net.ErrClosed)
}

// interrupted describes why a phase was ended from outside.
func (u *Conn) interrupted(op string, why cause) *proxy.Error {
	if why == causePeer && u.c.pump != nil {
		<-u.c.pump.done
		if err := u.c.pump.err; err != nil {
			return err
		}
	}
	return interruption(op, why)
}

// interruption describes why the waiting for an endpoint was ended from outside.
func interruption(op string, why cause) *proxy.Error {
	switch why {
	case causeGone:
		return &proxy.Error{Side: proxy.Downstream, Op: op, Err: errClientGone}
	case causePeer:
		return &proxy.Error{Side: proxy.Downstream, Op: op, Err: errStopped}
	case causeFault:
		return severed(op)
	case causeShutdown:
		return &proxy.Error{Side: proxy.Internal, Op: op, Status: 503, Err: causeError(why)}
	}
	return &proxy.Error{Side: proxy.Upstream, Op: op, Status: 504, Err: causeError(why)}
}

var errClientGone = errors.New("client closed the connection")

// causeError turns a cause into an error.
func causeError(why cause) error {
	switch why {
	case causeGone:
		return errClientGone
	case causePeer:
		return errStopped
	case causeFault:
		return errSevered
	case causeShutdown:
		return errors.New("shutting down")
	}
	return os.ErrDeadlineExceeded
}

// receive reads response heads up to the final one.
func (u *Conn) receive(x *proxy.Exchange) *proxy.Error {
	interim := 0
	for {
		if err := u.readHead(x); err != nil {
			return err
		}
		status := x.Response.Status
		switch {
		case status == 101:
			if len(x.Request.Upgrade) == 0 || !u.f.upgrade {
				return upstreamError("read response head", errors.New("unexpected 101"))
			}
			return nil
		case status < 200:
			if interim++; interim > maxInterim {
				return upstreamError("read response head", errors.New("too many interim responses"))
			}
			if err := u.c.Inform(status, &x.Response.Header); err != nil {
				return &proxy.Error{Side: proxy.Downstream, Op: "send interim response", Err: err}
			}
			continue
		}
		u.left = u.f.length
		if u.f.chunked {
			u.dec.reset(u.lim)
		}
		u.done = !u.f.chunked && !u.f.untilClose && u.left == 0
		return nil
	}
}

// maxInterim bounds the interim responses to one request.
const maxInterim = 32

// readHead reads one response head.
func (u *Conn) readHead(x *proxy.Exchange) *proxy.Error {
	head := string(x.Request.Method) == "HEAD"
	tried, deadline := 0, uint64(0)
	for {
		if u.in != nil && len(u.in.unread()) > 0 {
			if worthParsing(u.in.unread(), &tried) {
				x.Response.Header.Fields = x.Response.Header.Fields[:0]
				x.Response.Reason = nil
				f, more, err := parseResponse(u.in.unread(), &x.Response, u.lim, head)
				if err != nil {
					return upstreamError("read response head", err)
				}
				if !more {
					u.f = f
					u.in.r += f.size
					return nil
				}
			}
			if u.in.w == len(u.in.data) {
				if len(u.in.unread()) >= u.lim.HeaderBytes {
					return upstreamError("read response head", errHeadTooLarge)
				}
				u.in = u.in.grow(largeBuffer)
			}
		}
		if err := u.enterHead(&deadline); err != nil {
			return err
		}
		var err error
		u.in, err = u.s.fill(u.in)
		if err != nil {
			return u.readFailed(x, err, u.fresh)
		}
		u.fresh = false
	}
}

// sending reports whether the client's content is on its way: then it is not the endpoint that has to move.
func (c *serverConn) sending() bool {
	return c.pump != nil && !c.pump.ended.Load() && !c.body.awaited.Load()
}

// enterHead notes the wait for a response head. While content is being sent there is no deadline: the endpoint's time begins when it
// has the whole request. The pump ends the phase or changes its deadline.
func (u *Conn) enterHead(deadline *uint64) *proxy.Error {
	c := u.c
	for {
		sending := c.sending()
		if sending {
			*deadline = 0
		} else if *deadline == 0 {
			*deadline = c.headDeadline()
		}
		if why := c.enterUpstream(u.s, *deadline, awaitHead); why != causeNone {
			return u.interrupted("read response head", why)
		}
		if c.pump == nil {
			return nil
		}
		if err := c.pump.failed(); err != nil {
			return err
		}
		if sending == c.sending() {
			return nil
		}
	}
}

// readFailed describes why no response came.
func (u *Conn) readFailed(x *proxy.Exchange, err error, fresh bool) *proxy.Error {
	if why := u.c.main.leave(); why != causeNone {
		return u.interrupted("read response head", why)
	}
	if err == io.EOF {
		err = errNoResponse
	}
	e := upstreamError("read response head", err)
	if fresh && u.used {
		e.Retry = u.c.rewindBody() && (x.Request.Idempotent() || x.Request.Body != nil && x.RequestBytes == 0)
	}
	return e
}

var errNoResponse = errors.New("connection closed without a response")

// Finish ends the Exchange and reports whether the Conn can carry another one: the request has been written and the response
// read to their ends, both sides want to go on, and nothing else has arrived. Otherwise it closes the Conn.
func (u *Conn) Finish() bool {
	c := u.c
	u.c = nil
	if c != nil {
		if why := c.main.leave(); why != causeNone || c.undelivered {
			u.broken = true // it may have been interrupted just after its last byte
		}
		if c.pump != nil && c.pump.u == u {
			u.sent = c.pump.settle()
		}
	}
	extra := u.in != nil && len(u.in.unread()) > 0
	if u.broken || !u.done || !u.sent || !u.f.keepAlive || extra {
		u.Close()
		return false
	}
	if u.in != nil {
		u.in.free()
		u.in = nil
	}
	u.used = true
	return true
}

// Trailer returns the trailer fields of a chunked response.
func (u *Conn) Trailer() *proxy.Header {
	if !u.f.chunked {
		return nil
	}
	return &u.dec.trailer
}

// Read implements io.Reader for the content of the response.
func (u *Conn) Read(p []byte) (n int, err error) {
	if u.done {
		return 0, io.EOF
	}
	switch {
	case u.f.chunked:
		return u.readChunked(p)
	case u.f.untilClose:
		if n, err = u.readRaw(p); err == errTruncated {
			u.done = true
			err = io.EOF
		}
		return n, err
	}
	if int64(len(p)) > u.left {
		p = p[:u.left]
	}
	n, err = u.readRaw(p)
	u.left -= int64(n)
	u.done = u.left == 0
	return n, err
}

// readRaw reads from the buffer or, when that is empty, from the connection.
func (u *Conn) readRaw(p []byte) (int, error) {
	if u.in != nil && len(u.in.unread()) > 0 {
		n := copy(p, u.in.unread())
		u.in.r += n
		return n, nil
	}
	return u.fromConn(p)
}

// await waits until Read has something to return. Meanwhile no large buffer is held, where the connection can tell: an endpoint may
// take as long as it likes for what comes next.
func (u *Conn) await() error {
	for !u.done {
		if u.in != nil && len(u.in.unread()) > 0 {
			if !u.f.chunked {
				return nil
			}
			used, found, err := u.dec.skip(u.in.unread())
			u.in.r += used
			if err != nil {
				u.broken = true
				return err
			}
			if found {
				return nil
			}
		}
		u.in = u.in.shrink()
		if _, err := u.fromConn(nil); err != nil || !u.f.chunked {
			return err
		}
		if err := u.more(); err != nil {
			return err
		}
	}
	return nil
}

// more reads more of a chunked body behind u.in's unread bytes.
func (u *Conn) more() error {
	if u.in == nil {
		u.in = getLargeBuffer()
	} else if u.in = u.in.grow(largeBuffer); u.in.w == len(u.in.data) {
		return errChunk
	}
	n, err := u.fromConn(u.in.data[u.in.w:])
	u.in.w += n
	return err
}

// fromConn reads from the connection under the body timeout. With an empty p it only waits until there is something to read.
func (u *Conn) fromConn(p []byte) (int, error) {
	c := u.c
	if why := c.enterUpstream(u.s, c.srv.watch.after(c.srv.cfg.Timeouts.UpstreamBody), 0); why != causeNone {
		u.broken = true
		return 0, causeError(why)
	}
	n, err := u.s.readOrAwait(p)
	if n > 0 || len(p) == 0 && err == nil {
		return n, nil
	}
	if why := c.main.leave(); why != causeNone {
		err = causeError(why)
	} else if err == io.EOF {
		return 0, errTruncated
	} else if err == nil {
		err = io.ErrNoProgress
	}
	u.broken = true
	return 0, err
}

// readChunked fills p with as much content as has arrived, and waits only if none has.
func (u *Conn) readChunked(p []byte) (n int, err error) {
	for {
		if u.in == nil {
			u.in = getBuffer()
		}
		data, used, err := u.dec.next(u.in.unread())
		if err != nil {
			u.broken = true
			return n, err
		}
		if m := copy(p[n:], data); m < len(data) {
			u.dec.unread(len(data) - m)
			used -= len(data) - m
			data = data[:m]
		}
		n += len(data)
		u.in.r += used
		switch {
		case u.dec.done():
			u.done = true
			if n > 0 {
				return n, nil
			}
			return 0, io.EOF
		case used > 0 && n < len(p):
			continue
		case n > 0:
			return n, nil
		}
		if err := u.more(); err != nil {
			return 0, err
		}
	}
}
