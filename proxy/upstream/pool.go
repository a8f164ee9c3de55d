package upstream

import (
	"sync"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy/http1"
)

// pool keeps idle connections, the latest used on top: so few stay warm and the others age and are closed. It has one
// lock for all processors: with several lists each would keep its own connections warm, and those that are in no
// processor's cache are what many Endpoints cost.
type pool struct {
	mu   sync.Mutex
	idle []idleConn // guarded by mu
	max  int        // guarded by mu; 0 once closed
}

type idleConn struct {
	c     *http1.Conn
	since int64
}

// take returns the latest used connection that is still good; those that are not are closed on the way.
func (p *pool) take() *http1.Conn {
	for {
		c := p.pop()
		if c == nil || c.Idle() {
			return c
		}
		c.Close()
	}
}

func (p *pool) pop() *http1.Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := len(p.idle) - 1
	if last < 0 {
		return nil
	}
	c := p.idle[last].c
	p.idle[last] = idleConn{}
	p.idle = p.idle[:last]
	return c
}

// put keeps c, or closes it if there are enough.
func (p *pool) put(c *http1.Conn, now int64) {
	p.mu.Lock()
	keep := len(p.idle) < p.max
	if keep {
		p.idle = append(p.idle, idleConn{c, now})
	}
	p.mu.Unlock()
	if !keep {
		c.Close()
	}
}

// expire closes the connections that have been idle since before then.
func (p *pool) expire(then int64) {
	p.mu.Lock()
	n := 0
	for n < len(p.idle) && p.idle[n].since < then {
		n++
	}
	old := append([]idleConn(nil), p.idle[:n]...)
	if n > 0 {
		rest := copy(p.idle, p.idle[n:])
		clear(p.idle[rest:])
		p.idle = p.idle[:rest]
	}
	p.mu.Unlock()
	for _, o := range old {
		o.c.Close()
	}
}

// close closes all idle connections, and each that comes back later.
func (p *pool) close() {
	p.mu.Lock()
	p.max = 0
	p.mu.Unlock()
	p.expire(int64(^uint64(0) >> 1))
}

// size returns the number of idle connections.
func (p *pool) size() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.idle)
}

// sweep is how often idle connections are looked at.
const sweep = time.Second
