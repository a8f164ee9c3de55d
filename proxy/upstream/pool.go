package upstream

import (
	"sync"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy/http1"
)

// maxShards bounds the number of locks of a pool.
const maxShards = 16

// shardsFor is how many locks callers share on so many processors: more would only spread the connections over more memory.
func shardsFor(processors int) int { return min((processors+7)/8, maxShards) }

// pool keeps idle connections, the latest used on top: so few stay warm and the others age and are closed.
type pool struct {
	shard []poolShard
	max   int // idle connections per shard
}

type poolShard struct {
	mu     sync.Mutex
	idle   []idleConn // guarded by mu
	closed bool       // guarded by mu
	_      [24]byte   // apart from the next shard's lock
}

type idleConn struct {
	c     *http1.Conn
	since int64
}

// take returns the latest used connection that is still good; those that are not are closed on the way.
func (p *pool) take(near uint32) *http1.Conn {
	n := uint32(len(p.shard))
	for i := range n {
		s := &p.shard[(near+i)%n]
		for {
			c := s.pop()
			if c == nil {
				break
			}
			if c.Idle() {
				return c
			}
			c.Close()
		}
	}
	return nil
}

func (s *poolShard) pop() *http1.Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := len(s.idle) - 1
	if last < 0 {
		return nil
	}
	c := s.idle[last].c
	s.idle[last] = idleConn{}
	s.idle = s.idle[:last]
	return c
}

// put keeps c, or closes it if there are enough.
func (p *pool) put(near uint32, c *http1.Conn, now int64) {
	s := &p.shard[near%uint32(len(p.shard))]
	s.mu.Lock()
	keep := !s.closed && len(s.idle) < p.max
	if keep {
		s.idle = append(s.idle, idleConn{c, now})
	}
	s.mu.Unlock()
	if !keep {
		c.Close()
	}
}

// expire closes the connections that have been idle since before then.
func (p *pool) expire(then int64) {
	for i := range p.shard {
		s := &p.shard[i]
		s.mu.Lock()
		n := 0
		for n < len(s.idle) && s.idle[n].since < then {
			n++
		}
		old := append([]idleConn(nil), s.idle[:n]...)
		if n > 0 {
			rest := copy(s.idle, s.idle[n:])
			clear(s.idle[rest:])
			s.idle = s.idle[:rest]
		}
		s.mu.Unlock()
		for _, o := range old {
			o.c.Close()
		}
	}
}

// close closes all idle connections, and each that comes back later.
func (p *pool) close() {
	for i := range p.shard {
		p.shard[i].mu.Lock()
		p.shard[i].closed = true
		p.shard[i].mu.Unlock()
	}
	p.expire(int64(^uint64(0) >> 1))
}

// size returns the number of idle connections.
func (p *pool) size() int {
	n := 0
	for i := range p.shard {
		p.shard[i].mu.Lock()
		n += len(p.shard[i].idle)
		p.shard[i].mu.Unlock()
	}
	return n
}

// sweep is how often idle connections are looked at.
const sweep = time.Second
