package toxic

import (
	"sync"
	"sync/atomic"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// detaching is the part of a link that lets a Conn wait until nothing is held, and take the link off again.
type detaching struct {
	isOn  atomic.Bool // both directions exist
	mu    sync.Mutex
	isOff bool // guarded by mu; the connections are not the link's any more

	paused  chan struct{} // both directions have stopped
	resumed chan bool     // they go on; false: they do not

	to        proxy.Direction // towards the peer of the Conn
	endSent   bool            // that direction had been ended before the link began
	delivered atomic.Int64    // bytes, to that peer
	news      chan struct{}   // of delivered; nil if nobody asks
	isCut     chan struct{}   // closed once a toxic has ended the link; nil if nobody asks
	isFinal   chan struct{}   // closed once delivered stays as it is, because the link has ended; nil if nobody asks
	final     sync.Once
}

// init is for a link that carries a Conn with its peer on a side.
func (d *detaching) init(side Side) {
	d.paused, d.resumed, d.news = make(chan struct{}), make(chan bool), make(chan struct{}, 1)
	d.isCut, d.isFinal = make(chan struct{}), make(chan struct{})
	d.to = proxy.Upstreamward
	if side == ClientSide {
		d.to = proxy.Downstreamward
	}
}

// wrote notes what a direction has delivered.
func (d *detaching) wrote(which proxy.Direction, n int) {
	if d.news == nil || which != d.to {
		return
	}
	d.delivered.Add(int64(n))
	select {
	case d.news <- struct{}{}:
	default:
	}
}

// cut notes, once, that a toxic ends the link, before anything can be seen of that.
func (d *detaching) cut() {
	if d.isCut != nil {
		close(d.isCut)
	}
}

// stopped notes that a direction delivers nothing more, if the link has ended.
func (l *link) stopped(which proxy.Direction) {
	if l.detaching.isFinal != nil && which == l.detaching.to && l.state.Load() > pausing {
		l.detaching.final.Do(func() { close(l.detaching.isFinal) })
	}
}

// carry runs both directions until the link ends. It reports whether the link has been taken off, or is parked, instead.
func (l *link) carry() (isLeft bool) {
	l.detaching.isOn.Store(true)
	for {
		var w sync.WaitGroup
		w.Go(l.directions[1].run)
		l.directions[0].run()
		w.Wait()
		if l.state.Load() != pausing {
			l.stopped(l.detaching.to) // it may have stopped to pause, and a toxic have ended the link since
			return false
		}
		if l.leave() {
			return true
		}
		for _, d := range l.directions {
			d.src.armed.known, d.dst.armed.known = false, false // stop has changed the deadlines
		}
	}
}

// leave does what both directions have stopped for. It reports false if they go on.
func (l *link) leave() bool {
	if l.parking != nil {
		return l.park()
	}
	l.detaching.paused <- struct{}{}
	return !<-l.detaching.resumed
}

// stop stops both directions. It reports false if they do not run.
func (l *link) stop() bool {
	l.mu.Lock()
	isCarrying := l.detaching.isOn.Load() && l.state.CompareAndSwap(carrying, pausing)
	l.mu.Unlock()
	if isCarrying {
		l.kick()
	}
	return isCarrying
}

// goOn is to be called before both directions run again.
func (l *link) goOn() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state.CompareAndSwap(pausing, carrying)
}

// pause stops both directions; resume or takeOff must follow. It reports false if the link has not begun yet, or has
// ended, with done.
func (l *link) pause(done <-chan struct{}) bool {
	if !l.stop() {
		return false
	}
	select {
	case <-l.detaching.paused:
		return true
	case <-done:
		return false
	}
}

func (l *link) resume() {
	l.goOn()
	l.detaching.resumed <- true
}

// takeOff ends a paused link and leaves its connections open.
func (l *link) takeOff() {
	l.detaching.mu.Lock()
	l.detaching.isOff = true
	l.detaching.mu.Unlock()
	l.detaching.resumed <- false
}

// drop cuts the link whose connections have been closed. One that has not begun yet finds out by itself.
func (l *link) drop(side Side) {
	if l.detaching.isOn.Load() {
		l.cut(side)
	}
}

// holds reports whether a paused link has bytes or an end that it has not passed on.
func (l *link) holds() bool {
	for _, d := range l.directions {
		d.advance()
		if !d.chain.idle() || d.chain.blocks.n > 0 || d.atEOF || d.isShut || d.isGone {
			return true
		}
	}
	return false
}

// isQuiet reports whether nothing waits, in either direction, and no end.
func (m *memory) isQuiet() bool { return m.in.isQuiet() && m.out.isQuiet() }

func (p *half) isQuiet() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.n == 0 && p.readErr == nil && p.writeErr == nil
}

// Drain waits until the peer's host has been sent all that was written to c, or nothing more will be, and returns true; it returns
// false once stop has something to tell. It may take as long as toxics hold bytes back.
func (c *Conn) Drain(stop <-chan struct{}) bool {
	c.mu.Lock()
	l, done := c.running, c.done
	c.mu.Unlock()
	for l != nil && l.detaching.delivered.Load() < c.written.Load() {
		select {
		case <-l.detaching.news:
		case <-l.detaching.isCut:
			return true
		case <-done:
			return true
		case <-stop:
			return false
		}
	}
	return true
}

// Cut reports whether a toxic has ended the connection, and how many of the bytes written to c the peer's host has not been sent and
// will not be.
func (c *Conn) Cut() (lost int64, isCut bool) {
	c.mu.Lock()
	l := c.running
	c.mu.Unlock()
	if l == nil {
		return 0, false
	}
	select {
	case <-l.detaching.isCut:
		<-l.detaching.isFinal // at once
		return max(c.written.Load()-l.detaching.delivered.Load(), 0), true
	default:
		return 0, false
	}
}

// Written counts the bytes that have been written since toxics began to act; it may begin anew while none does.
func (c *Conn) Written() int64 { return c.written.Load() }

// Quiet reports whether c holds nothing that Read would return: neither bytes nor an end. What waits below c is not looked at. It
// must not be called while another goroutine reads or writes.
func (c *Conn) Quiet() bool { return c.settle() }

// Unwrap takes c off the connection below, which can be used by itself from then on, as c cannot. It reports false, and does
// nothing, while a toxic acts or c holds something. It must not be called while another goroutine reads or writes.
func (c *Conn) Unwrap() bool {
	if !c.slot.Empty() {
		return false
	}
	c.unwatch()
	if c.slot.Empty() && c.settle() {
		return true
	}
	stop := c.slot.watch(c.changed)
	c.mu.Lock()
	c.unwatch = stop
	isClosed := c.isClosed
	c.mu.Unlock()
	if isClosed { // meanwhile
		stop()
	}
	c.changed(bothDirections)
	return false
}

// settle takes the link off if nothing acts and nothing is held, and reports whether there is none now.
func (c *Conn) settle() bool {
	c.mu.Lock()
	l, done := c.running, c.done
	c.mu.Unlock()
	if l == nil {
		return true
	}
	if !c.slot.Empty() || !resumes(c.below) || !l.pause(done) {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isClosed || !c.slot.Empty() || l.holds() || !c.near.Load().isQuiet() {
		l.resume()
		return false
	}
	l.takeOff() // what it does yet concerns nobody
	c.near.Store(nil)
	c.running, c.done = nil, nil
	c.written.Store(0)
	_ = c.below.SetReadDeadline(c.reads)
	_ = c.below.SetWriteDeadline(c.writes)
	return true
}
