package upstream

import (
	"sync/atomic"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/http1"
)

// Endpoint is the live state of one proxy.Endpoint of one Backend.
type Endpoint struct {
	reg      *Registry
	key      key
	config   proxy.Endpoint
	inFlight *atomic.Int64 // shared by all configurations of the same address
	pool     *pool
	health   *health
}

var _ proxy.Target = (*Endpoint)(nil)

// Endpoint implements proxy.Target.
func (e *Endpoint) Endpoint() proxy.Endpoint { return e.config }

// InFlight implements proxy.Target.
func (e *Endpoint) InFlight() int64 { return e.inFlight.Load() }

// Same reports whether e and o are the same address of the same Backend, perhaps configured differently.
func (e *Endpoint) Same(o *Endpoint) bool { return e.pool == o.pool }

// Begin counts a request in flight; End must follow.
func (e *Endpoint) Begin() { e.inFlight.Add(1) }

// End counts a request no longer in flight.
func (e *Endpoint) End() { e.inFlight.Add(-1) }

// Idle returns a pooled connection that is still open and quiet, nil if there is none. near is any number that spreads callers
// over the pool; a caller does best to use the same one each time.
func (e *Endpoint) Idle(near uint32) *http1.Conn { return e.pool.take(near) }

// Put keeps a connection for another request.
func (e *Endpoint) Put(near uint32, c *http1.Conn) { e.pool.put(near, c, e.reg.now.Load()) }

// Down reports whether the Endpoint could not be reached a moment ago and should be passed over if there is another.
func (e *Endpoint) Down() bool { return e.health.until.Load() > e.reg.now.Load() }

// Failed notes that the Endpoint could not be reached. Dialling does that by itself.
func (e *Endpoint) Failed() { e.health.failed(int64(time.Since(e.reg.start)) + 1) }

// Succeeded notes that the Endpoint has been reached. Dialling does that by itself.
func (e *Endpoint) Succeeded() { e.health.succeeded() }

// health remembers failures to connect.
type health struct {
	until    atomic.Int64 // on the Registry's clock
	failures atomic.Int32 // in a row
}

const (
	firstPause = time.Second
	maxPause   = 30 * time.Second
)

// failed notes a failure to connect: the Endpoint is passed over for a second, twice as long after each further failure, at most
// half a minute. Removal from the Snapshot is the cure; this covers the time until then.
func (h *health) failed(now int64) {
	if h.until.Load() > now {
		return // one of several that failed together
	}
	n := h.failures.Add(1)
	pause := min(firstPause<<min(n-1, 8), maxPause)
	h.until.Store(now + int64(pause))
}

func (h *health) succeeded() {
	if h.failures.Load() != 0 {
		h.failures.Store(0)
		h.until.Store(0)
	}
}
