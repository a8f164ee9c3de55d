package toxic

import (
	"errors"
	"net"
	"os"
	"syscall"
	"time"
)

// departure is what a direction knows of a source that it does not read any more, or not for now.
type departure struct {
	isCounted bool // the source has ended what it sends, as far as the link is concerned
	isBroken  bool // the connection to it has failed, and the link has been told
	look      func(fd uintptr) bool
}

// tcpState is what the kernel knows of a connection.
type tcpState uint8

const (
	stillOpen tcpState = iota // or not known
	peerEnded                 // the peer has sent FIN
	allClosed                 // a reset has come, or both sides have sent FIN
)

const (
	// closedCheck is how often a direction that does not read looks whether its connection has been closed, if nothing can tell.
	closedCheck = time.Second
	// shortSleep is what is slept without a look at the source.
	shortSleep = 100 * time.Millisecond
)

// sleep waits without reading.
func (d *direction) sleep(due time.Duration) {
	gone := d.link.goneAt.Load()
	until := due
	if gone != 0 {
		until = min(due, time.Duration(gone))
	}
	isLong := until == Never || until-d.link.now() > shortSleep
	if isLong && d.src.raw != nil {
		d.watch(until, gone)
		return
	}
	if isLong {
		until = min(until, d.link.now()+closedCheck)
	}
	t := time.Until(d.link.deadline(until))
	if d.timer == nil {
		d.timer = time.NewTimer(t)
	} else {
		d.timer.Reset(t)
	}
	defer d.timer.Stop()
	if d.isStale() {
		return
	}
	select {
	case <-d.wake:
		return
	case <-d.timer.C:
	}
	d.checkEnds()
	if isLong && !d.isCut {
		d.src.armed.known = false
		if errors.Is(d.src.nc.SetReadDeadline(past), net.ErrClosed) {
			d.sourceEnded(net.ErrClosed)
		}
	}
}

// watch is sleep beside a socket, of which the poller tells when something has become of it. gone is the goneAt that until is from.
func (d *direction) watch(until time.Duration, gone int64) {
	if d.look == nil {
		d.look = d.hasDeparted
	}
	d.src.arm(d.link.deadline(until))
	if d.isStale() || d.link.goneAt.Load() != gone {
		return
	}
	err := d.src.known(d.src.raw.Read(d.look))
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		d.checkEnds()
	case err != nil:
		d.sourceEnded(err)
	default:
		d.departed()
	}
}

func (d *direction) checkEnds() {
	d.link.checkIdle()
	d.link.checkGone(d.from())
}

// hasDeparted is called by the runtime's poller: at once, and again each time something may have become of the source.
func (d *direction) hasDeparted(fd uintptr) bool {
	switch stateOfFD(int(fd)) {
	case allClosed:
		return !d.isCounted || !d.isBroken && !d.link.directions[1-d.which].hasSentEnd.Load()
	case peerEnded:
		return !d.isCounted
	}
	return false
}

// departed notes what has become of the source. Bytes of it that have not been read yet still are, if there comes to be room.
func (d *direction) departed() {
	state := stateOf(d.src.raw)
	d.countEnd()
	if state == allClosed && !d.isBroken && !d.link.directions[1-d.which].hasSentEnd.Load() {
		d.isBroken = true
		d.link.broken(d.from(), syscall.ECONNRESET)
	}
}

// countEnd notes, once, that the source has ended what it sends.
func (d *direction) countEnd() {
	if !d.isCounted {
		d.isCounted = true
		d.link.sourceEnded()
	}
}

// sourceEnded notes that a peer has ended what it sends. When both have, they may be gone for good although a toxic withholds the
// ends: they are kept for closingTime.
func (l *link) sourceEnded() {
	if l.ended.Add(1) == int32(len(l.directions)) {
		l.goneAt.Store(int64(l.now() + closingTime))
		l.kick()
	}
}

// checkGone ends the link if both peers have ended what they send and have waited long for what is withheld.
func (l *link) checkGone(side Side) {
	gone := time.Duration(l.goneAt.Load())
	if gone == 0 || l.now() < gone {
		return
	}
	for _, d := range l.directions {
		if d.isBusy.Load() || d.isStuck.Load() {
			l.goneAt.Store(int64(l.now() + closingTime))
			return
		}
	}
	l.end(Close, Result{Cause: ByPeers, Side: side})
}

// cut ends the link at once, without a thought for what is held back: a connection is gone, or both are.
func (l *link) cut(side Side) { l.end(RST, Result{Cause: ByReset, Side: side, Err: net.ErrClosed}) }
