package http1

import (
	"io"
	"sync/atomic"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// requestBody reads the content of a request from the downstream connection. At any time one goroutine uses it: the
// connection's own, or the pump.
type requestBody struct {
	c       *serverConn
	chunked bool
	left    int64 // not chunked: bytes not read yet
	dec     chunkDecoder
	next    *buffer // chunked: what has been read beyond serverConn.in, in which the head must stay
	err     error   // sticky; io.EOF at the end
	taken   bool    // some of the content has been handed out, or lost

	// read is true once the last byte has been taken from the connection, so that the next request can be found.
	read atomic.Bool
	// awaited is true while the client waits for 100 Continue, as far as we know: the endpoint's time runs, not the client's.
	awaited atomic.Bool
}

var _ proxy.Body = (*requestBody)(nil)

func (b *requestBody) begin(f *requestFraming) {
	b.chunked, b.left, b.err, b.taken = f.chunked, f.length, nil, false
	none := !f.chunked && f.length == 0
	b.read.Store(none)
	if none {
		b.err = io.EOF
	}
	if f.chunked {
		b.dec.reset(&b.c.srv.cfg.Limits)
	}
}

func (b *requestBody) none() bool { return !b.chunked && b.left == 0 }

func (b *requestBody) release() {
	if b.next != nil {
		b.next.free()
		b.next = nil
	}
}

// buffered returns the whole content if it has already been read from the connection. It stays there, so that the request
// can be sent again. stream is true if the content has to be read while it is passed on.
func (b *requestBody) buffered() (content []byte, stream bool) {
	if b.none() {
		return nil, false
	}
	if b.chunked || b.left > int64(len(b.c.in.unread())) {
		return nil, true
	}
	return b.c.in.unread()[:b.left], false
}

// Trailer returns the trailer fields of a chunked body.
func (b *requestBody) Trailer() *proxy.Header {
	if !b.chunked {
		return nil
	}
	return &b.dec.trailer
}

// Read implements io.Reader.
func (b *requestBody) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	var n int
	if b.chunked {
		n, b.err = b.readChunked(p)
	} else {
		n, b.err = b.readLength(p)
	}
	b.taken = b.taken || n > 0
	if b.err == io.EOF {
		b.read.Store(true)
		if n > 0 {
			return n, nil
		}
	}
	return n, b.err
}

func (b *requestBody) readLength(p []byte) (n int, err error) {
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	if in := b.c.in.unread(); len(in) > 0 {
		n = copy(p, in)
		b.c.in.r += n
	} else if n, err = b.fromConn(p); err != nil {
		return n, err
	}
	if b.left -= int64(n); b.left == 0 {
		return n, io.EOF
	}
	return n, nil
}

func (b *requestBody) readChunked(p []byte) (n int, err error) {
	for {
		in := b.source()
		data, used, err := b.dec.next(in.unread())
		if err != nil {
			return n, err
		}
		if m := copy(p[n:], data); m < len(data) { // hand the rest back
			b.dec.unread(len(data) - m)
			used -= len(data) - m
			data = data[:m]
		}
		n += len(data)
		in.r += used
		switch {
		case b.dec.done():
			return n, io.EOF
		case used > 0 && n < len(p):
			continue
		case n > 0:
			return n, nil
		}
		if err := b.more(); err != nil {
			return 0, err
		}
	}
}

// await waits until Read has something to return. Meanwhile no large buffer is held, where the connection can tell: a client may take
// as long as it likes for what comes next.
func (b *requestBody) await() {
	for b.err == nil {
		if in := b.source(); len(in.unread()) > 0 {
			if !b.chunked {
				return
			}
			used, found, err := b.dec.skip(in.unread())
			in.r += used
			if b.err = err; found || err != nil {
				return
			}
		}
		b.leaveHead()
		b.next = b.next.shrink()
		if _, b.err = b.fromConn(nil); b.err != nil || !b.chunked {
			return
		}
		b.err = b.more()
	}
}

// source is the buffer with what has been read and not been used yet.
func (b *requestBody) source() *buffer {
	if b.next != nil {
		return b.next
	}
	return b.c.in
}

// leaveHead moves what is left of a chunked body out of the head's buffer, which must keep what it holds.
func (b *requestBody) leaveHead() {
	in := b.c.in
	if b.next != nil || len(in.unread()) == 0 {
		return
	}
	b.next = getLargeBuffer()
	b.next.w = copy(b.next.data, in.unread())
	in.r = in.w
}

// more reads more of a chunked body behind what has not been used yet.
func (b *requestBody) more() error {
	b.leaveHead()
	if b.next == nil {
		b.next = getLargeBuffer()
	} else if b.next = b.next.grow(largeBuffer); b.next.w == len(b.next.data) {
		return errChunk
	}
	n, err := b.fromConn(b.next.data[b.next.w:])
	b.next.w += n
	return err
}

// fromConn reads from the connection under the body timeout. With an empty p it only waits until there is something to read.
func (b *requestBody) fromConn(p []byte) (int, error) {
	c := b.c
	b.enterRead()
	if c.pump != nil && c.pump.stopped.Load() {
		c.pumping.leave()
		return 0, errStopped
	}
	n, err := c.down.readOrAwait(p)
	b.taken = b.taken || n > 0
	if n > 0 && b.awaited.CompareAndSwap(true, false) {
		c.main.extend(0, awaitHead) // the client sends without having been told to
	}
	switch why := c.pumping.leave(); {
	case why == causeDeadline:
		_ = c.down.nc.SetReadDeadline(time.Time{})
		return 0, errBodyTimeout
	case why != causeNone:
		return 0, errStopped
	case n > 0, len(p) == 0 && err == nil:
		return n, nil
	case err == io.EOF:
		return 0, errTruncated
	case err == nil:
		return 0, io.ErrNoProgress
	}
	return 0, err
}

// enterRead notes the wait for the client.
func (b *requestBody) enterRead() {
	c := b.c
	if b.awaited.Load() {
		c.pumping.enter(c.down, 0, 0)
		if b.awaited.Load() {
			return // continued sets the deadline
		}
	}
	c.pumping.enter(c.down, c.srv.watch.after(c.srv.cfg.Timeouts.Body), 0)
}

// continued notes that the client has been told to send the content.
func (b *requestBody) continued() {
	if b.awaited.CompareAndSwap(true, false) {
		b.c.pumping.extend(b.c.srv.watch.after(b.c.srv.cfg.Timeouts.Body), inPhase)
	}
}

var errBodyTimeout = &Refusal{408, "timed out reading the request body", KindBody}

// discard ends the reading of the body: it skips what has been read from the connection already, and reports whether that
// is all of it.
func (b *requestBody) discard() bool {
	if b.read.Load() {
		return true
	}
	if b.err != nil {
		return false
	}
	var sink [512]byte
	for !b.read.Load() {
		if !b.ready() {
			return false
		}
		if _, err := b.Read(sink[:]); err != nil && err != io.EOF {
			return false
		}
	}
	return true
}

// ready reports whether the rest of the body can be read without waiting for the client.
func (b *requestBody) ready() bool {
	if !b.chunked {
		return b.left <= int64(len(b.c.in.unread()))
	}
	in := b.c.in.unread()
	if b.next != nil {
		in = b.next.unread()
	}
	d := b.dec
	d.trailer = proxy.Header{}
	for !d.done() {
		_, used, err := d.next(in)
		if used == 0 || err != nil {
			return false
		}
		in = in[used:]
	}
	return true
}

// takeNext gives away the buffer that holds what was read beyond a chunked body, nil if there is none.
func (b *requestBody) takeNext() *buffer {
	n := b.next
	b.next = nil
	return n
}
