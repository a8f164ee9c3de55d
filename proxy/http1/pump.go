package http1

import (
	"errors"
	"io"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// errStopped ends a pump whose Exchange has ended.
var errStopped = errors.New("exchange ended")

// pump passes a request body on to the endpoint in a goroutine of its own, while the connection's goroutine waits for the
// response: an endpoint may answer before it has read everything.
type pump struct {
	c       *serverConn
	u       *Conn
	stopped atomic.Bool
	done    chan struct{} // closed when the goroutine touches the Exchange no more
	ended   atomic.Bool   // what follows is valid
	err     *proxy.Error
	sent    bool // the whole body has been sent
}

// startPump begins to send x's body on u.
func (c *serverConn) startPump(x *proxy.Exchange, u *Conn) {
	p := &pump{c: c, u: u, done: make(chan struct{})}
	c.pump = p
	go p.run(x)
}

func (p *pump) run(x *proxy.Exchange) {
	defer close(p.done)
	p.err = p.contained(x)
	p.sent = p.err == nil
	p.ended.Store(true)
	if p.failed() != nil {
		p.c.main.interrupt(awaitHead, causePeer) // there will be no response
		return
	}
	// If the endpoint has stopped reading it may have answered. Either way its time begins now.
	p.c.main.extend(p.c.headDeadline(), awaitHead)
}

// contained is copy, but that a panic ends only this Exchange.
func (p *pump) contained(x *proxy.Exchange) (err *proxy.Error) {
	defer func() {
		if v := recover(); v != nil {
			p.c.srv.panicked(v)
			err = &proxy.Error{Side: proxy.Internal, Op: "send request body", Status: 500, Err: errPanicked}
		}
	}()
	return p.copy(x)
}

func (p *pump) copy(x *proxy.Exchange) *proxy.Error {
	b := &p.c.body
	canSplice := !b.chunked && p.c.down.tcp != nil && p.u.s.tcp != nil
	for {
		if canSplice && b.left >= spliceMin && !b.awaited.Load() {
			if done, err := p.splice(x); done {
				return err
			}
			canSplice = false
		}
		b.await()
		if last, err := p.copySome(x); last || err != nil {
			return err
		}
	}
}

// copySome passes on what one read of the body brings. last is true if that is the end.
func (p *pump) copySome(x *proxy.Exchange) (last bool, failed *proxy.Error) {
	b := &p.c.body
	buf := getLargeBuffer()
	defer buf.free()
	room := buf.data[chunkRoom : len(buf.data)-len(crlf)-len(lastChunk)]
	n, err := b.Read(room)
	if n > 0 {
		x.RequestBytes += int64(n)
		out := room[:n]
		if b.chunked {
			out = frameChunk(buf.data, n)
		}
		if err := p.write(out); err != nil {
			return false, err
		}
	}
	switch {
	case err == nil:
		return false, nil
	case err != io.EOF:
		return false, downstreamError("read request body", err)
	case b.chunked:
		return true, p.write(appendLastChunk(buf.data[:0], &b.dec.trailer))
	}
	return true, nil
}

// splice moves the body without bringing it into user space. It reports false if that cannot be done.
func (p *pump) splice(x *proxy.Exchange) (done bool, failed *proxy.Error) {
	b, c := &p.c.body, p.c
	if in := c.in.unread(); len(in) > 0 {
		in = in[:min(int64(len(in)), b.left)]
		b.taken = true
		x.RequestBytes += int64(len(in))
		if err := p.write(in); err != nil {
			return true, err
		}
		c.in.r += len(in)
		b.left -= int64(len(in))
	}
	n, side, err := spliceN(p.u.s, c.down, b.left, spliceSlots{
		slot: &c.pumping, watch: c.srv.watch, stopped: &p.stopped, drained: &b.read,
		read: c.srv.cfg.Timeouts.Body, write: c.srv.cfg.Timeouts.UpstreamWrite,
	})
	b.left -= n
	b.taken = b.taken || n > 0 || side == proxy.Upstream
	x.RequestBytes += n
	if b.left == 0 {
		b.read.Store(true)
	}
	if b.read.Load() {
		b.left, b.err = 0, io.EOF
	}
	switch {
	case err == nil:
		return true, nil
	case side == proxy.Internal: // no pipe to be had
		return false, nil
	case side == proxy.Downstream: // the source
		if errors.Is(err, os.ErrDeadlineExceeded) {
			_ = c.down.nc.SetReadDeadline(time.Time{})
			err = errBodyTimeout
		}
		b.err = err
		return true, downstreamError("read request body", err)
	}
	return true, sendFailed(err)
}

func (p *pump) write(out []byte) *proxy.Error {
	c := p.c
	c.pumping.enter(p.u.s, c.srv.watch.after(c.srv.cfg.Timeouts.UpstreamWrite), writing)
	if p.stopped.Load() {
		c.pumping.leave()
		return sendFailed(errStopped)
	}
	if _, err := c.srv.watch.send(&c.pumping, p.u.s, c.srv.cfg.Timeouts.UpstreamWrite, out, nil); err != nil {
		return sendFailed(err)
	}
	return nil
}

// sendFailed describes why the endpoint could not be sent the body.
func sendFailed(err error) *proxy.Error {
	e := upstreamError("send request body", err)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		e.Status = 504
	}
	return e
}

// stop ends the pump if it is still running and reports whether it had sent everything.
func (p *pump) stop() bool {
	if !p.ended.Load() {
		p.stopped.Store(true)
		p.c.pumping.interrupt(0, causePeer)
	}
	<-p.done
	return p.sent
}

// settle ends the pump after the response has been read, and reports whether it had sent everything. A pump that has read the
// whole body is given the moment it needs to return from its last write: the endpoint's connection can be used again then.
func (p *pump) settle() bool {
	if !p.c.body.read.Load() {
		return p.stop()
	}
	for range 4 {
		if p.ended.Load() {
			return p.stop()
		}
		runtime.Gosched()
	}
	t := time.NewTimer(settleTime)
	defer t.Stop()
	select {
	case <-p.done:
	case <-t.C:
	}
	return p.stop()
}

// settleTime is enough for a goroutine to get its turn on a busy machine.
const settleTime = 20 * time.Millisecond

// failed returns the error of a pump that has ended in a way that no response can follow: because of the client, or because the
// endpoint has neither read nor answered for too long. It returns nil otherwise.
func (p *pump) failed() *proxy.Error {
	if p.ended.Load() && p.err != nil && (p.err.Side != proxy.Upstream || p.err.Status == 504) {
		return p.err
	}
	return nil
}

// rewindBody makes the request ready for another attempt. It reports false if content has been handed out that cannot be had
// again.
func (c *serverConn) rewindBody() bool {
	if c.pump == nil {
		return true
	}
	c.pump.stop()
	c.pump = nil
	if c.body.taken || c.body.err != nil && c.body.err != errStopped {
		return false
	}
	c.body.err = nil
	_ = c.down.nc.SetReadDeadline(time.Time{}) // the pump may have been interrupted there
	return true
}

// downstreamError describes a failure to read from the client; its Status is the answer.
func downstreamError(op string, err error) *proxy.Error {
	e := &proxy.Error{Side: proxy.Downstream, Op: op, Err: err}
	var r *Refusal
	if errors.As(err, &r) {
		e.Status = r.Status
	}
	return e
}

func upstreamError(op string, err error) *proxy.Error {
	return &proxy.Error{Side: proxy.Upstream, Op: op, Status: 502, Err: err}
}
