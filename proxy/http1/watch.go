package http1

import (
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy/park"
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
	causeFault          // a fault ended the client's connection
)

// slot is where one goroutine notes the blocking phase that it is in. The word holds the deadline in milliseconds of the
// Watch's clock, the kind of the phase and the cause once it has been interrupted:
//
//	deadline<<16 | kind | cause
//
// An interruption sets a deadline in the past, for one direction of the target only: the other may belong to another goroutine.
// The goroutine that finds a cause finds the target interrupted, and nothing more to come: it must either close that
// connection or take the deadline back.
type slot struct {
	word   atomic.Uint64 // 0 outside a phase
	target atomic.Pointer[sock]
	mu     sync.Mutex // held while the target is interrupted
	seen   uint64     // the word at the last tick; only Watch uses it, as ticks
	ticks  uint32     // how many ticks have seen this word
}

const (
	causeMask   = 0xff
	parkedBit   = 1 << 8  // the connection is in the lot, or must not be put there
	idleBit     = 1 << 9  // waiting for a request
	watchClient = 1 << 10 // waiting for the endpoint: the client may leave meanwhile, or the Route's time run out
	awaitHead   = 1 << 11 // waiting for a response head: the request body's end or failure matters
	writing     = 1 << 12 // the phase writes; without it, it reads
	held        = 1 << 13 // waiting for what is held back on its way to the client, who may leave meanwhile
	inPhase     = 1 << 15 // in every phase
	kindMask    = 0xff00
	deadlineAt  = 16
)

// enter notes a phase that may block on s until deadline (0 is no limit). flags is the kind of the phase, inPhase is added. If
// the phase before was interrupted, enter returns the cause and no phase begins.
func (t *slot) enter(s *sock, deadline, flags uint64) cause {
	if t.target.Load() != s {
		// Nobody may see the word of one phase with the target of another.
		if t.word.Load() != 0 {
			if why := t.leave(); why != causeNone {
				return why
			}
		}
		t.target.Store(s)
	}
	for {
		w := t.word.Load()
		if w&causeMask != 0 {
			return t.leave()
		}
		if t.word.CompareAndSwap(w, deadline<<deadlineAt|flags|inPhase) {
			return causeNone
		}
	}
}

// extend changes the deadline of the phase that t is in, if it is of the kind, for another goroutine that has made progress.
func (t *slot) extend(deadline, kind uint64) {
	w := t.word.Load()
	if w&kind == kind && w&causeMask == 0 {
		t.word.CompareAndSwap(w, deadline<<deadlineAt|w&kindMask)
	}
}

// leave ends the phase.
func (t *slot) leave() cause { return t.ended(t.word.Swap(0)) }

// ended returns the cause in a word that the slot's goroutine has taken away, once the target has been interrupted.
func (t *slot) ended(word uint64) cause {
	why := cause(word & causeMask)
	if why == causeNone {
		return why
	}
	t.mu.Lock() // waits for expire
	defer t.mu.Unlock()
	return why
}

// interrupt ends the phase that t is in with a cause, if it is in one of the kind; 0 is any.
func (t *slot) interrupt(kind uint64, c cause) {
	for {
		w := t.word.Load()
		if w == 0 || w&kind != kind || w&causeMask != 0 || t.expire(w, c) {
			return
		}
	}
}

// expire interrupts the phase that has this word. It reports false if that phase is over.
func (t *slot) expire(w uint64, c cause) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.word.CompareAndSwap(w, w|uint64(c)) {
		return false
	}
	if s := t.target.Load(); s != nil {
		s.interruptHalf(w&writing != 0)
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
	full  bool                     // guarded by mu; no more connections are taken
	ended sync.WaitGroup           // the connections, until their last trace is gone
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

// send sends p, then q, on s in phases of t: it fails when nothing has moved for d. It returns how many bytes it has sent.
func (w *Watch) send(t *slot, s *sock, d time.Duration, p, q []byte) (sent int64, err error) {
	for len(p)+len(q) > 0 {
		if why := t.enter(s, w.after(d), writing); why != causeNone {
			return sent, causeError(why)
		}
		n, err := s.writeSome(p, q)
		sent += int64(n)
		if p, q = advance(p, q, n); err != nil || len(p)+len(q) == 0 {
			if why := t.leave(); why != causeNone {
				err = causeError(why)
			}
			return sent, err
		}
	}
	return sent, nil
}

// setDate renews the value of the Date field (RFC 9110 section 6.6.1).
func (w *Watch) setDate(t time.Time) {
	date := t.UTC().AppendFormat(make([]byte, 0, len(http.TimeFormat)), http.TimeFormat)
	if old := w.date.Load(); old == nil || string(*old) != string(date) {
		w.date.Store(&date)
	}
}

// add takes c in charge. It reports false if no more connections are taken.
func (w *Watch) add(c *serverConn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.full {
		return false
	}
	w.conns[c] = struct{}{}
	w.ended.Add(1)
	return true
}

// refuse makes add take no more connections, so that ended can be waited for.
func (w *Watch) refuse() {
	w.mu.Lock()
	w.full = true
	w.mu.Unlock()
}

func (w *Watch) remove(c *serverConn) {
	w.mu.Lock()
	delete(w.conns, c)
	w.mu.Unlock()
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
	if deadline := word >> deadlineAt; deadline != 0 && deadline <= now {
		w.expire(t, c, word, causeDeadline)
		return
	}
	switch {
	case t.ticks == 0:
	case word&(watchClient|held) != 0:
		if c.base.gone() {
			t.expire(word, causeGone)
		}
	case t.ticks >= w.parkTicks && word&(idleBit|parkedBit) == idleBit && park.Possible && c.base.raw != nil:
		t.expire(word, causePark)
	}
}

// expire interrupts an idle phase, also that of a connection that is in the lot.
func (w *Watch) expire(t *slot, c *serverConn, word uint64, why cause) {
	if t.expire(word, why) && word&parkedBit != 0 && c.srv.lot.Take(&c.parking) {
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
		c.main.interrupt(0, causeShutdown)
		c.pumping.interrupt(0, causeShutdown)
		if s := c.wrapped.Load(); s != nil {
			s.interrupt() // the wrapper uses the deadlines of what is inside for itself
			continue
		}
		c.base.interrupt()
	}
}

func (w *Watch) close() {
	close(w.stop)
	<-w.done
}
