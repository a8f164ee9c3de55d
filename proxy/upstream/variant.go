package upstream

import (
	"context"
	"net"
	"sync"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/http1"
)

// Variant is a kind of connections to Endpoints that differs from the plain ones by what is put around them: toxics. It is
// pooled apart.
type Variant struct {
	// Key tells Variants apart. It must be comparable, and change whenever what Wrap puts around a connection does.
	Key any
	// Wrap puts something around a connection that has just been opened.
	Wrap func(net.Conn) net.Conn
}

// maxVariants bounds the idle connections with something around them, per Endpoint.
const maxVariants = 64

// variants keeps the idle connections of all Variants. Plain connections never come here, so one lock is enough.
type variants struct {
	mu   sync.Mutex
	idle map[key][]variantConn // guarded by mu; oldest first
}

type variantConn struct {
	idleConn
	variant any
}

// IdleVariant is Idle for a Variant.
func (e *Endpoint) IdleVariant(v *Variant) *http1.Conn {
	for {
		c := e.reg.variants.take(e.key, v.Key)
		if c == nil || c.Idle() {
			return c
		}
		c.Close()
	}
}

// DialVariant is Dial for a Variant.
func (e *Endpoint) DialVariant(ctx context.Context, v *Variant) (*http1.Conn, *proxy.Error) {
	nc, err := e.DialNet(ctx, "tcp")
	if err != nil {
		return nil, err
	}
	return http1.NewConn(v.Wrap(nc)), nil
}

// PutVariant is Put for a Variant.
func (e *Endpoint) PutVariant(v *Variant, c *http1.Conn) {
	if !e.reg.keepVariant(e.key, v.Key, c) {
		c.Close()
	}
}

// keepVariant reports false if the connection cannot be kept.
func (r *Registry) keepVariant(k key, variant any, c *http1.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.members[k] == nil { // nobody has the Endpoint any more; Release holds the lock, too
		return false
	}
	return r.variants.put(k, variantConn{idleConn{c, r.now.Load()}, variant})
}

func (p *variants) take(k key, variant any) *http1.Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	conns := p.idle[k]
	for i := len(conns) - 1; i >= 0; i-- {
		if conns[i].variant == variant {
			c := conns[i].c
			p.set(k, append(conns[:i], conns[i+1:]...))
			return c
		}
	}
	return nil
}

func (p *variants) put(k key, c variantConn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle[k]) >= maxVariants {
		return false
	}
	p.set(k, append(p.idle[k], c))
	return true
}

// set replaces the connections to an Endpoint. p.mu is held.
func (p *variants) set(k key, conns []variantConn) {
	if len(conns) == 0 {
		delete(p.idle, k)
		return
	}
	if p.idle == nil {
		p.idle = map[key][]variantConn{}
	}
	clear(conns[len(conns):min(len(conns)+1, cap(conns))])
	p.idle[k] = conns
}

// drop closes the connections that which selects.
func (p *variants) drop(which func(k key, c *variantConn) bool) {
	var old []variantConn
	p.mu.Lock()
	for k, conns := range p.idle {
		kept := conns[:0]
		for _, c := range conns {
			if which(k, &c) {
				old = append(old, c)
			} else {
				kept = append(kept, c)
			}
		}
		clear(conns[len(kept):])
		p.set(k, kept)
	}
	p.mu.Unlock()
	for _, c := range old {
		c.c.Close()
	}
}

// size returns the number of idle connections.
func (p *variants) size() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, conns := range p.idle {
		n += len(conns)
	}
	return n
}
