package upstream

import (
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/http1"
)

// Endpoint is the live state of one proxy.Endpoint of one Backend.
type Endpoint struct {
	member *member // shared by all configurations of the same address
	reg    *Registry
	config proxy.Endpoint
	key    key
}

var _ proxy.Target = (*Endpoint)(nil)

// Endpoint implements proxy.Target.
func (e *Endpoint) Endpoint() proxy.Endpoint { return e.config }

// InFlight implements proxy.Target.
func (e *Endpoint) InFlight() int64 { return e.member.inFlight.Load() }

// Same reports whether e and o are the same address of the same Backend, perhaps configured differently.
func (e *Endpoint) Same(o *Endpoint) bool { return e.member == o.member }

// Begin counts a request in flight; End must follow.
func (e *Endpoint) Begin() { e.member.inFlight.Add(1) }

// End counts a request no longer in flight.
func (e *Endpoint) End() { e.member.inFlight.Add(-1) }

// Idle returns a pooled connection that is still open and quiet, nil if there is none.
func (e *Endpoint) Idle() *http1.Conn { return e.member.pool.take() }

// Put keeps a connection for another request.
func (e *Endpoint) Put(c *http1.Conn) { e.member.pool.put(c, e.reg.now.Load()) }

// Down reports whether the Endpoint could not be reached a moment ago and should be passed over if there is another.
func (e *Endpoint) Down() bool { return e.member.down.Load() > e.reg.now.Load() }

// Failed notes that the Endpoint could not be reached. Dialling does that by itself.
func (e *Endpoint) Failed() { e.member.failed(int64(time.Since(e.reg.start)) + 1) }

// Succeeded notes that the Endpoint has been reached. Dialling does that by itself.
func (e *Endpoint) Succeeded() { e.member.succeeded() }

const (
	firstPause = time.Second
	maxPause   = 30 * time.Second
)

// failed notes a failure to connect: the Endpoint is passed over for a second, twice as long after each further failure, at most
// half a minute. Removal from the Snapshot is the cure; this covers the time until then.
func (m *member) failed(now int64) {
	if m.down.Load() > now {
		return // one of several that failed together
	}
	n := m.failures.Add(1)
	pause := min(firstPause<<min(n-1, 8), maxPause)
	m.down.Store(now + int64(pause))
}

func (m *member) succeeded() {
	if m.failures.Load() != 0 {
		m.failures.Store(0)
		m.down.Store(0)
	}
}
