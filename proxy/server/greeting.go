package server

import (
	"net"
	"sync"
	"time"
)

// greeting holds the connections whose PROXY protocol header has not come yet. They serve nobody, so Shutdown ends them at once.
type greeting struct {
	mu     sync.Mutex
	conns  map[net.Conn]struct{} // guarded by mu
	closed bool                  // guarded by mu
}

// add notes nc until the function that it returns is called.
func (g *greeting) add(nc net.Conn) (remove func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.conns == nil {
		g.conns = map[net.Conn]struct{}{}
	}
	g.conns[nc] = struct{}{}
	if g.closed {
		_ = nc.SetReadDeadline(time.Unix(1, 0))
	}
	return func() {
		g.mu.Lock()
		delete(g.conns, nc)
		g.mu.Unlock()
	}
}

// close ends all that is in g, and all that is added later.
func (g *greeting) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	for nc := range g.conns {
		_ = nc.SetReadDeadline(time.Unix(1, 0))
	}
}
