package toxic

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/alarm"
)

// direction is one half of a Link: it reads from one peer and writes to the other, in one goroutine. What it waits for (bytes,
// room to write, the time at which something is due, a change) it waits for in one place, under a deadline; who changes
// something sets a deadline that has passed.
type direction struct {
	link  *link
	which proxy.Direction
	src   *reader
	dst   *writer
	chain chain

	seen    *[]decided // the toxics that the chain has
	written int64
	passed  int64 // of them, those that no toxic has seen
	isUsed  bool  // firstOf has been called
	atEOF   bool  // the source has ended, or is not to be read any more
	isShut  bool  // the end has been passed on, or nobody is there to take it
	isGone  bool  // nobody is there to take anything
	isCut   bool  // we have closed a connection ourselves
	departure
	rings   time.Duration // when the alarm that was asked for last rings
	wake    chan struct{}
	timer   *time.Timer // of sleep
	early   int         // times in a row that reading gave up at once
	earlyAt time.Duration
	passer  *passer // nil until it is of use
	calm
	// isBusy says that bytes are on their way, for the idle timeout of the other direction; isStuck, that it waits, or is about to wait,
	// for room at the receiver, rather than for anything else.
	isBusy     atomic.Bool
	isStuck    atomic.Bool
	hasSentEnd atomic.Bool
}

// from returns the side that the direction reads from.
func (d *direction) from() Side {
	if d.which == proxy.Upstreamward {
		return ClientSide
	}
	return EndpointSide
}

// received returns how many bytes have come, in all.
func (d *direction) received() int64 { return d.passed + d.chain.taken }

// kick makes whatever the direction waits for return. It does not block. A direction says that it waits to write before it looks whether
// anything has changed, so one of the deadlines is enough; setting both takes twice the time, with thousands of connections to kick.
func (d *direction) kick() {
	if d.isStuck.Load() {
		_ = d.dst.nc.SetWriteDeadline(past)
	} else {
		_ = d.src.nc.SetReadDeadline(past)
	}
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// run carries bytes until the link ends.
func (d *direction) run() {
	defer func() {
		if p := recover(); p != nil {
			d.link.end(RST, Result{Cause: ByPanic, Toxic: d.chain.shaping(), Err: fmt.Errorf("panic: %v\n%s", p, debug.Stack())})
		}
		d.link.stopped(d.which)
	}()
	for d.step() {
	}
	d.link.stopped(d.which)
	if d.link.isClosing() {
		d.linger()
	}
}

// step does one thing, and waits at most once. It returns false when the link has ended.
func (d *direction) step() bool {
	if d.link.state.Load() != carrying {
		return false
	}
	d.advance()
	c := &d.chain
	if c.end.end != None && (c.end.urgent || c.out.n == 0) {
		c.end.by.by = c.end.end
		d.link.end(c.end.end, Result{Cause: ByToxic, Toxic: c.end.by.Active})
		return false
	}
	if d.isCut { // after the toxics, one of which may be about to end the connections in its own way
		d.link.cut(d.from())
		return false
	}
	switch {
	case c.out.n > 0:
		d.write()
	case c.outEnd != None && !d.isShut:
		d.passEnd(c.outEnd)
	default:
		d.fill()
	}
	return true
}

// advance moves what is due, through the toxics of this moment.
func (d *direction) advance() {
	list := d.link.slot.of[d.which].Load()
	if list == d.seen || d.isGone {
		d.seen = list
		if len(d.chain.stages) > 0 {
			d.chain.advance(d.link.now())
		}
		return
	}
	d.seen = list
	d.src.armed.known, d.dst.armed.known = false, false
	d.chain.set(*list, d.link.now())
}

// isStale reports whether the toxics have changed, or the link has ended. It is asked after a deadline has been set and before
// waiting, so that no kick is missed.
func (d *direction) isStale() bool {
	return d.link.slot.of[d.which].Load() != d.seen || d.link.state.Load() != carrying
}

// write sends what is ready.
func (d *direction) write() {
	p := d.chain.ready()
	n, err := d.dst.write(p, false)
	if n < len(p) && (err == nil || errors.Is(err, os.ErrDeadlineExceeded)) {
		d.sent(n)
		p = p[n:]
		due := Never
		if d.chain.hasPending() {
			due = d.chain.next()
		}
		d.isStuck.Store(true)
		defer d.isStuck.Store(false)
		d.dst.arm(d.link.deadline(due))
		if d.isStale() {
			return
		}
		n, err = d.dst.write(p, true)
	}
	d.sent(n)
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		d.giveUp(err)
	} else if n < len(p) {
		d.link.checkIdle()
	}
}

// first calls firstOf, once.
func (d *direction) first() {
	if !d.isUsed {
		d.isUsed = true
		d.link.firstOf(d.which)
	}
}

func (d *direction) sent(n int) {
	if n > 0 {
		if d.which == proxy.Downstreamward {
			d.first()
		}
		d.written += int64(n)
		d.chain.take(n)
		d.link.touch()
		d.link.options.moved(d.which, n)
		d.link.detaching.wrote(d.which, n)
	}
}

// giveUp stops the direction: its receiver is gone. The other direction, which reads from the same peer, ends by itself.
func (d *direction) giveUp(err error) {
	d.isCut = errors.Is(err, net.ErrClosed)
	d.link.broken(1-d.from(), err)
	d.isShut, d.atEOF, d.isGone = true, true, true
	d.chain.close()
	d.link.shut()
}

// passEnd passes on the end of the source.
func (d *direction) passEnd(end End) {
	d.isShut = true
	if end == RST {
		d.link.end(RST, Result{Cause: ByReset, Side: d.from(), Err: syscall.ECONNRESET})
		return
	}
	d.hasSentEnd.Store(true)
	_ = d.dst.closeWrite()
	d.link.shut()
	if m, ok := d.src.nc.(*memory); ok && m.isAlone() {
		d.link.end(Close, Result{Cause: ByPeers, Side: d.from()}) // nobody reads the other direction
	}
}

// fill waits for bytes, for the time at which something is due, or for a change.
func (d *direction) fill() {
	c := &d.chain
	due := c.next()
	room := c.room(d.link.options.Buffer)
	d.isBusy.Store(due != Never)
	d.ring(due)
	if d.atEOF || room <= 0 {
		d.sleep(due)
		return
	}
	if len(c.stages) == 0 && c.idle() && d.pass() {
		return
	}
	b, err := (*block)(nil), error(nil)
	if due != Never {
		b, err = d.src.tryRead(room)
	}
	if b == nil && err == nil {
		d.src.arm(d.link.deadline(due))
		if d.isStale() {
			return
		}
		b, err = d.src.read(room)
	}
	switch {
	case err == nil:
		d.early = 0
		d.link.touch()
		d.arrive(b)
	case errors.Is(err, os.ErrDeadlineExceeded) && !d.isTooEarly(due):
		d.link.checkIdle()
	default:
		d.sourceEnded(err)
	}
}

// ring asks for an alarm when something is due, once.
func (d *direction) ring(due time.Duration) {
	switch {
	case due == d.rings:
	case due == Never:
		alarm.Next()
	default:
		alarm.Set(d.link.began.Add(due))
	}
	d.rings = due
}

// arrive puts b through the toxics and writes what comes out at once.
func (d *direction) arrive(b *block) {
	if d.which == proxy.Upstreamward {
		d.first()
	}
	d.advance() // the toxics may have changed since we began to wait for b
	c := &d.chain
	c.arrive(b)
	if len(c.stages) == 0 {
		return
	}
	c.advance(c.now)
	for c.out.n > 0 && c.end.end == None {
		before := c.out.n
		p := c.ready()
		n, err := d.dst.write(p, false)
		d.sent(n)
		if err != nil || n < len(p) || c.out.n >= before {
			break // the next step sees to it
		}
	}
	c.shrink()
}

// sourceEnded passes the end of the source into the toxics.
func (d *direction) sourceEnded(err error) {
	d.atEOF = true
	d.countEnd()
	if len(d.chain.stages) > 0 {
		d.chain.advance(d.link.now())
	}
	other := d.link.directions[1-d.which]
	// The state comes first: once we have sent our end, an orderly end looks the same.
	if errors.Is(err, io.EOF) && stateOf(d.src.raw) == allClosed && !other.hasSentEnd.Load() {
		err = syscall.ECONNRESET // the other direction's write has been told of it
	}
	if errors.Is(err, io.EOF) && !d.link.wasReset(d.from()) {
		d.link.firstEnd(d.from())
		d.chain.finish(FIN)
		return
	}
	d.isCut = errors.Is(err, net.ErrClosed)
	d.isBroken = true
	d.link.broken(d.from(), err)
	d.chain.finish(RST)
}

// linger ends both directions in an orderly way: it sends FIN, and takes what the peer still sends for a moment, since closing a
// socket with unread bytes sends RST (RFC 2525 section 2.17), which destroys what the peer has not read yet.
func (d *direction) linger() {
	half, ok := d.dst.nc.(interface{ CloseWrite() error })
	if !ok {
		_ = d.dst.nc.Close()
		return
	}
	_ = half.CloseWrite()
	if d.atEOF {
		return
	}
	until := time.Now().Add(lingering)
	b := newBlock(largestClass)
	defer b.free()
	for time.Now().Before(until) {
		_ = d.src.nc.SetReadDeadline(until)
		if _, err := d.src.nc.Read(b.data); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
	}
}

// isTooEarly reports whether reading gives up at once, time and again, although nothing is due: the connection is broken, as is one
// with TLS whose handshake has been interrupted.
func (d *direction) isTooEarly(due time.Duration) bool {
	const many = 100_000 // above what changes of toxics cause
	now := d.link.now()
	if now-d.earlyAt > time.Millisecond || now >= due {
		d.early = 0
	}
	d.earlyAt = now
	d.early++
	return d.early > many
}

// lingering is how long linger takes what comes.
const lingering = 500 * time.Millisecond
