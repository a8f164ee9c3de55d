package http1

import (
	"bytes"
	"errors"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/park"
)

// serverConn is a downstream connection. Its goroutine owns everything but the slots; while a pump runs, the pump
// reads from the connection and this goroutine writes to it.
type serverConn struct {
	srv    *Server
	down   *sock // the client's connection, perhaps wrapped (wrap.go); belongs to the connection's goroutines
	base   *sock // the same without a wrapper; never changes
	port   uint16
	scheme string
	peer   netip.AddrPort

	main    slot // of the connection's goroutine
	pumping slot // of the pump
	limit   limit
	wrapped atomic.Pointer[sock] // down if it is not base, for the Watch
	bell    *sock                // what pauses wait on; nil before the first (pause.go)

	tunnelled atomic.Bool // it has switched protocols, and ends with that

	in  *buffer // the request head; then bytes that have been read beyond it
	out *buffer // what is about to be written, to either side
	x   *proxy.Exchange

	framing requestFraming
	body    requestBody
	pump    *pump
	used    bool // a request has been served before

	headSent  bool // the final response head has gone out, or been refused
	keepAlive bool // another request may follow this one
	linger    bool // the client may still be sending: read for a while before closing
	// undelivered is true once a response could not be delivered: its endpoint's connection may have been interrupted.
	undelivered bool

	closed  func()
	parking park.Entry
}

var exchanges = sync.Pool{New: func() any {
	x := new(proxy.Exchange)
	x.Request.Header.Fields = make([]proxy.Field, 0, 24)
	x.Response.Header.Fields = make([]proxy.Field, 0, 16)
	return x
}}

// release gives back all that the connection borrowed.
func (c *serverConn) release() {
	c.body.release()
	if c.x != nil {
		c.x.Reset()
		exchanges.Put(c.x)
		c.x = nil
	}
	if c.in != nil {
		c.in.free()
		c.in = nil
	}
	c.releaseOut()
}

// serve serves requests until the connection ends or is parked.
func (c *serverConn) serve() (parked bool) {
	for {
		got := c.readRequest()
		if got == gotParked {
			return true
		}
		if got == gotNothing {
			break
		}
		c.srv.handler.Serve(c.x, c)
		if !c.headSent {
			// The Handler's own fault.
			c.keepAlive = false
			c.sendRefusal(&Refusal{500, "internal error", KindHead}, string(c.x.Request.Method) == "HEAD")
		}
		if !c.finish() {
			break
		}
	}
	if c.linger {
		c.lingerClose()
	}
	return false
}

// got is what waiting for a request has come to.
type got uint8

const (
	gotRequest got = iota
	gotNothing     // the connection is at its end
	gotParked      // the connection waits without a goroutine; it belongs to the lot now
)

// readRequest reads and parses a request head into c.x.
func (c *serverConn) readRequest() got {
	t := &c.srv.cfg.Timeouts
	deadline, flags := c.srv.watch.after(t.Header), uint64(idleBit)
	if c.used {
		deadline = c.srv.watch.after(t.Idle)
	}
	tried, started := 0, false
	for {
		if c.in != nil && len(c.in.unread()) > 0 {
			if !started {
				started = true
				c.begin()
				if c.used {
					deadline = c.srv.watch.after(t.Header)
				}
				flags = 0
			}
			if worthParsing(c.in.unread(), &tried) {
				complete, err := c.parse()
				if err != nil {
					c.refuse(err)
					return gotNothing
				}
				if complete {
					return gotRequest
				}
			}
			if room := c.in.w < len(c.in.data); !room {
				if len(c.in.unread()) >= c.srv.cfg.Limits.HeaderBytes {
					c.refuse(errHeadTooLarge)
					return gotNothing
				}
				c.in = c.in.grow(largeBuffer)
			}
		}
		if got := c.readMore(deadline, flags); got != gotRequest {
			return got
		}
	}
}

// readMore waits for bytes of a request head.
func (c *serverConn) readMore(deadline, flags uint64) got {
	if why := c.main.enter(c.down, deadline, flags); why != causeNone { // it ran out while it was parked
		return gotNothing
	}
	if c.srv.closing.Load() && flags&idleBit != 0 {
		c.main.leave()
		return gotNothing
	}
	var err error
	c.in, err = c.down.fill(c.in)
	switch why := c.main.leave(); {
	case why != causeNone && flags&idleBit != 0 && err == nil: // a request has come at the last moment
		_ = c.down.nc.SetReadDeadline(time.Time{})
		return gotRequest
	case why == causePark && errors.Is(err, os.ErrDeadlineExceeded):
		_ = c.down.nc.SetReadDeadline(time.Time{})
		return c.park(deadline)
	case why == causeDeadline && flags&idleBit == 0:
		c.refuse(&Refusal{408, "timed out reading the request head", KindHead})
	case why == causeNone && err == nil:
		return gotRequest
	}
	return gotNothing
}

// park gives the connection to the lot until there is something to read.
func (c *serverConn) park(deadline uint64) got {
	c.release()
	if !c.unwrap() {
		return gotRequest // wait on, and try again later
	}
	c.main.enter(nil, deadline, idleBit|parkedBit)
	if got := c.enterLot(); got != gotRequest {
		return got
	}
	c.main.leave()
	return c.readMore(deadline, idleBit|parkedBit) // it cannot be parked; do not try again
}

// enterLot returns gotRequest if the connection cannot be put into the lot.
func (c *serverConn) enterLot() got {
	if !c.srv.lot.Park(&c.parking, c.base.raw) {
		return gotRequest
	}
	// Whoever ended the phase before c was in the lot could not take it out of there; nor could the Server end it between two phases.
	ended := cause(c.main.word.Load()&causeMask) != causeNone || c.srv.closing.Load()
	if ended && c.srv.lot.Take(&c.parking) {
		return gotNothing
	}
	return gotParked
}

// begin takes an Exchange for the request whose first bytes have arrived.
func (c *serverConn) begin() {
	if c.x == nil {
		c.x = exchanges.Get().(*proxy.Exchange)
	}
	c.headSent = false
	c.keepAlive = false
	c.undelivered = false
}

// parse parses what has been read. It returns true when the head is complete.
func (c *serverConn) parse() (complete bool, err error) {
	x := c.x
	x.Reset()
	r := &x.Request
	f, more, err := parseRequest(c.in.unread(), r, &c.srv.cfg.Limits)
	if err != nil || more {
		return false, err
	}
	c.in.r += f.size
	c.framing = f
	c.keepAlive = f.keepAlive && !c.srv.draining.Load()
	x.Start = time.Now()
	r.Scheme = c.scheme
	r.Port = c.port
	r.Peer = c.peer
	r.ClientIP = c.peer.Addr()
	c.body.begin(&f)
	if c.body.awaited.Load() != r.Expect {
		c.body.awaited.Store(r.Expect)
	}
	if !c.body.none() {
		r.Body = &c.body
	}
	return true, nil
}

// refuse answers a request that has not reached the Handler. The connection is at its end then.
func (c *serverConn) refuse(err error) {
	var r *Refusal
	if !errors.As(err, &r) {
		r = errRequestLine
	}
	if c.srv.cfg.Refused != nil {
		c.srv.cfg.Refused(r)
	}
	c.keepAlive = false
	c.linger = true
	head := c.in != nil && bytes.HasPrefix(bytes.TrimLeft(c.in.unread(), "\r\n"), []byte("HEAD "))
	c.sendRefusal(r, head)
}

// sendRefusal writes a response of the engine's own and marks the connection to be closed. head says that the request was HEAD.
func (c *serverConn) sendRefusal(r *Refusal, head bool) {
	c.headSent = true
	if c.out == nil {
		c.out = getBuffer()
	}
	p := appendRefusal(c.out.data[:0], r, head)
	c.main.enter(c.down, c.srv.watch.after(c.srv.cfg.Timeouts.Write), writing)
	_ = c.down.write(p)
	c.main.leave()
}

// finish ends an Exchange and reports whether the connection can take another request.
func (c *serverConn) finish() bool {
	c.used = true
	if c.pump != nil {
		c.pump.stop()
		c.pump = nil
	}
	if !c.body.discard() {
		c.keepAlive, c.linger = false, true
	}
	if !c.keepAlive {
		c.linger = c.linger || len(c.in.unread()) > 0 || !c.down.quiet() // it has sent more than we shall read
		return false
	}
	c.unwrap()
	// Keep only what has been read beyond this request.
	next := c.body.takeNext()
	if next != nil {
		c.in.free()
		c.in = next
	}
	if len(c.in.unread()) > 0 {
		c.in.w = copy(c.in.data, c.in.unread())
		c.in.r = 0
		return true
	}
	c.release()
	return true
}

// lingerClose tells the client that nothing more comes and reads what it still sends for a while, so that the kernel
// does not answer that with a reset that would destroy the response on its way (RFC 9112 section 9.6).
func (c *serverConn) lingerClose() {
	if c.down.closeWrite() != nil {
		return
	}
	_ = c.down.nc.SetDeadline(time.Time{})
	if c.in == nil {
		c.in = getBuffer()
	}
	deadline := c.srv.watch.after(c.srv.cfg.Timeouts.Linger)
	for {
		c.main.enter(c.down, deadline, 0)
		c.in.r, c.in.w = 0, 0
		var err error
		c.in, err = c.down.fill(c.in)
		if why := c.main.leave(); err != nil || why != causeNone {
			return
		}
	}
}
