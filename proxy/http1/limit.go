package http1

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// limit is an exact timeout on an Exchange, for the Routes that ask for one. Unlike the coarse timeouts it costs a timer.
type limit struct {
	hit atomic.Uint32 // the cause, once the time is up
	// rules is true while the Route says how long a response head may take, and Timeouts.UpstreamHeader does not hold.
	rules atomic.Bool

	mu  sync.Mutex
	seq uint64 // guarded by mu; counts the timers that have been set, and taken back
}

// enterUpstream notes that the connection's goroutine waits for the endpoint, and that the client is to be watched. flags are added
// to the kind of the phase.
func (c *serverConn) enterUpstream(s *sock, deadline, flags uint64) cause {
	if why := c.main.enter(s, deadline, watchClient|flags); why != causeNone {
		return why
	}
	if why := c.overdue(); why != causeNone {
		c.main.leave()
		return why
	}
	return causeNone
}

// overdue is why the connection's goroutine is not to wait for the endpoint any more.
func (c *serverConn) overdue() cause {
	if c.isCut() {
		return causeFault
	}
	return cause(c.limit.hit.Load())
}

// arm ends the waiting for the endpoint with a cause when d has passed. The returned function takes that back.
func (c *serverConn) arm(d time.Duration, why cause) (disarm func()) {
	l := &c.limit
	l.mu.Lock()
	l.seq++
	seq := l.seq
	l.mu.Unlock()
	l.rules.Store(true)
	t := time.AfterFunc(d, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.seq == seq {
			l.hit.Store(uint32(why))
			c.main.interrupt(watchClient, why)
		}
	})
	return func() {
		t.Stop()
		l.mu.Lock()
		l.seq++
		l.hit.Store(0)
		l.mu.Unlock()
		l.rules.Store(false)
	}
}

// headDeadline is until when an endpoint must have begun its response; 0 is no limit but what the Route has set a timer for.
func (c *serverConn) headDeadline() uint64 {
	if c.limit.rules.Load() {
		return 0
	}
	return c.srv.watch.after(c.srv.cfg.Timeouts.UpstreamHeader)
}

// Limit ends d's Exchange with 504 if it still waits for its endpoint when after has passed (Gateway API, GEP-1742); a response that has
// begun is cut off. It takes the place of Timeouts.UpstreamHeader. 0 is no limit. The returned function takes the limit back; it must
// be called before another is set and before the Exchange ends.
func Limit(d proxy.Responder, after time.Duration) (disarm func()) {
	c, ok := d.(*serverConn)
	if !ok || after <= 0 {
		return func() {}
	}
	return c.arm(after, causeRequest)
}

// Unlimited is the opposite of Limit: d's endpoint may take as long as it likes to begin its response (GEP-1742: a timeout of 0s).
func Unlimited(d proxy.Responder) (disarm func()) {
	c, ok := d.(*serverConn)
	if !ok {
		return func() {}
	}
	c.limit.rules.Store(true)
	return func() { c.limit.rules.Store(false) }
}
