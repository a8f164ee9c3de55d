package http1

import (
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// tick is how often Watch looks at the connections: a timeout fires at most this much late, and a client that leaves while its
// request waits for an endpoint is noticed within two ticks.
const tick = 250 * time.Millisecond

// cause is why a blocking phase was interrupted.
type cause uint8

const (
	causeNone     cause = iota
	causeDeadline       // the phase took too long
	causeGone           // the client closed its connection
	causeRequest        // a timeout of the Route
	causeShutdown       // the server stops
	causePark           // the connection is idle and should do without a goroutine
	causePeer           // the other goroutine of the Exchange ended it
)

// slot is where one goroutine notes the blocking phase that it is in. The word holds the deadline in milliseconds of the
// Watch's clock, the kind of the phase and the cause once it has been interrupted:
//
//	deadline<<8 | watchClient<<7 | idle<<6 | parked<<5 | cause
//
// Whoever sets the cause interrupts the target afterwards, possibly late: so a goroutine that finds a cause must close that
// connection, whatever the phase itself came to.
type slot struct {
	word   atomic.Uint64
	target atomic.Pointer[sock]
	seen   uint64 // the word at the last tick; only Watch uses it, as ticks
	ticks  uint32 // how many ticks have seen this word
}

const (
	causeMask   = 0x1f
	parkedBit   = 0x20 // the connection is in the lot, or must not be put there
	idleBit     = 0x40
	watchClient = 0x80
)

// enter notes a phase that may block on s until deadline (0 is no limit). flags is 0, watchClient, or idleBit and
// perhaps parkedBit. It returns the
// cause if the phase before was interrupted.
func (t *slot) enter(s *sock, deadline, flags uint64) cause {
	t.target.Store(s)
	return cause(t.word.Swap(deadline<<8|flags) & causeMask)
}

// extend moves the deadline of the phase that t is in, for another goroutine that has made progress.
func (t *slot) extend(deadline uint64) {
	w := t.word.Load()
	if w != 0 && w&causeMask == 0 && deadline > w>>8 {
		t.word.CompareAndSwap(w, deadline<<8|w&(parkedBit|idleBit|watchClient))
	}
}

// leave ends the phase.
func (t *slot) leave() cause { return cause(t.word.Swap(0) & causeMask) }

// interrupt ends the phase that t is in with a cause, if it is in one.
func (t *slot) interrupt(c cause) {
	for {
		w := t.word.Load()
		if w == 0 || w&causeMask != 0 {
			return
		}
		if t.expire(w, c) {
			return
		}
	}
}

// interruptWaiting ends the phase that t is in if it is one of waiting for the endpoint.
func (t *slot) interruptWaiting(c cause) {
	for {
		w := t.word.Load()
		if w&watchClient == 0 || w&causeMask != 0 || t.expire(w, c) {
			return
		}
	}
}

func (t *slot) expire(w uint64, c cause) bool {
	if !t.word.CompareAndSwap(w, w|uint64(c)) {
		return false
	}
	// The target is read last: phases in a row may have the same word, never the same target by chance.
	if s := t.target.Load(); s != nil {
		s.interrupt()
	}
	return true
}

// Watch enforces the timeouts of every connection of a Server with one goroutine, and counts them.
type Watch struct {
	now   atomic.Uint64 // milliseconds since start, as of the last tick; at least 1
	date  atomic.Pointer[[]byte]
	start time.Time
	stop  chan struct{}
	done  chan struct{}
	// parkTicks is for how many ticks a connection waits for a request before it gives up its goroutine: two seconds.
	parkTicks uint32

	mu    sync.Mutex
	conns map[*serverConn]struct{} // guarded by mu
}

func newWatch() *Watch {
	w := &Watch{start: time.Now(), stop: make(chan struct{}), done: make(chan struct{}), conns: map[*serverConn]struct{}{}, parkTicks: 8}
	w.now.Store(1)
	w.setDate(w.start)
	go w.run()
	return w
}

// after is the deadline that lies d ahead; 0 if d is 0.
func (w *Watch) after(d time.Duration) uint64 {
	if d <= 0 {
		return 0
	}
	return w.now.Load() + uint64(d/time.Millisecond) + 1
}

// setDate renews the value of the Date field (RFC 9110 section 6.6.1).
func (w *Watch) setDate(t time.Time) {
	date := t.UTC().AppendFormat(make([]byte, 0, len(http.TimeFormat)), http.TimeFormat)
	if old := w.date.Load(); old == nil || string(*old) != string(date) {
		w.date.Store(&date)
	}
}

func (w *Watch) add(c *serverConn) {
	w.mu.Lock()
	w.conns[c] = struct{}{}
	w.mu.Unlock()
}

func (w *Watch) remove(c *serverConn) {
	w.mu.Lock()
	delete(w.conns, c)
	w.mu.Unlock()
}

func (w *Watch) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.conns)
}

func (w *Watch) run() {
	defer close(w.done)
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case <-w.stop:
			return
		case t := <-ticker.C:
			w.now.Store(uint64(t.Sub(w.start)/time.Millisecond) + 1)
			w.setDate(t)
			w.sweep()
		}
	}
}

// sweep interrupts what is overdue.
func (w *Watch) sweep() {
	now := w.now.Load()
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.conns {
		w.check(&c.main, c, now)
		w.check(&c.pumping, c, now)
	}
}

func (w *Watch) check(t *slot, c *serverConn, now uint64) {
	word := t.word.Load()
	if word != t.seen {
		t.seen, t.ticks = word, 0
	} else {
		t.ticks++
	}
	if word == 0 || word&causeMask != 0 {
		return
	}
	if deadline := word >> 8; deadline != 0 && deadline <= now {
		w.expire(t, c, word, causeDeadline)
		return
	}
	switch {
	case t.ticks == 0:
	case word&watchClient != 0:
		if c.down.gone() {
			t.expire(word, causeGone)
		}
	case t.ticks >= w.parkTicks && word&(idleBit|parkedBit) == idleBit && canPark && c.down.raw != nil:
		t.expire(word, causePark)
	}
}

// expire interrupts an idle phase, also that of a connection that is in the lot.
func (w *Watch) expire(t *slot, c *serverConn, word uint64, why cause) {
	if t.expire(word, why) && word&parkedBit != 0 && c.srv.lot.take(c) {
		go c.end()
	}
}

// interruptIdle closes the connections that wait for a request.
func (w *Watch) interruptIdle() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.conns {
		if word := c.main.word.Load(); word&idleBit != 0 && word&causeMask == 0 {
			w.expire(&c.main, c, word, causeShutdown)
		}
	}
}

// interruptAll ends every phase of every connection.
func (w *Watch) interruptAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.conns {
		if word := c.main.word.Load(); word&parkedBit != 0 && word&causeMask == 0 {
			w.expire(&c.main, c, word, causeShutdown)
			continue
		}
		c.main.interrupt(causeShutdown)
		c.pumping.interrupt(causeShutdown)
		c.down.interrupt()
	}
}

func (w *Watch) close() {
	close(w.stop)
	<-w.done
}
