package upstream

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// Config of a Registry. 0 in a field stands for its default.
type Config struct {
	DialTimeout time.Duration // for one attempt to connect; default 5 s
	IdleTimeout time.Duration // how long an unused connection is kept; default 60 s. It should be shorter than the endpoints'
	MaxIdle     int           // idle connections per Endpoint; default 1,024
	// AllowPrivateNames lets an Endpoint that is given by name (ExternalName) be dialled although the name resolves to a loopback,
	// link-local or unspecified address. The default is to refuse that at each dial.
	AllowPrivateNames bool
}

func (c Config) withDefaults() Config {
	if c.DialTimeout <= 0 {
		c.DialTimeout = 5 * time.Second
	}
	if c.IdleTimeout <= 0 {
		c.IdleTimeout = time.Minute
	}
	if c.MaxIdle <= 0 {
		c.MaxIdle = 1024
	}
	return c
}

// key is the identity that live state is kept under.
type key struct {
	backend  proxy.BackendID
	endpoint proxy.EndpointID
}

// Registry holds the live state of all Endpoints.
type Registry struct {
	cfg    Config
	dialer dialer
	now    atomic.Int64 // nanoseconds since start, as of the last sweep
	start  time.Time
	stop   chan struct{}
	done   chan struct{}

	mu      sync.Mutex
	members map[key]*member // guarded by mu

	variants variants
}

// member is the live state of one address. With thousands of them each request finds its own in no processor's cache:
// all of it fills one cache line of 64 bytes.
type member struct {
	inFlight atomic.Int64
	down     atomic.Int64 // until when, on the Registry's clock
	failures atomic.Int32 // to connect, in a row
	holders  int32        // guarded by Registry.mu
	pool     pool
}

// NewRegistry returns an empty Registry. It must be closed.
func NewRegistry(cfg Config) *Registry {
	cfg = cfg.withDefaults()
	r := &Registry{
		cfg: cfg, dialer: newDialer(cfg), start: time.Now(),
		stop: make(chan struct{}), done: make(chan struct{}), members: map[key]*member{},
	}
	r.now.Store(1)
	go r.run()
	return r
}

// Acquire returns the live form of e. It must be released when no Snapshot that serves names it any more.
func (r *Registry) Acquire(id proxy.BackendID, e proxy.Endpoint) *Endpoint {
	k := key{id, e.ID()}
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.members[k]
	if m == nil {
		m = &member{pool: pool{max: r.cfg.MaxIdle}}
		r.members[k] = m
	}
	m.holders++
	return &Endpoint{member: m, reg: r, config: e, key: k}
}

// Release gives e back. The last one to do so closes the idle connections; those in use are closed when their request has
// ended.
func (r *Registry) Release(e *Endpoint) {
	r.mu.Lock()
	m := r.members[e.key]
	if m == nil { // the Registry has been closed
		r.mu.Unlock()
		return
	}
	if m.holders--; m.holders > 0 {
		r.mu.Unlock()
		return
	}
	delete(r.members, e.key)
	r.mu.Unlock()
	m.pool.close()
	r.variants.drop(func(k key, _ *variantConn) bool { return k == e.key })
}

// Idle returns the number of idle connections to all Endpoints.
func (r *Registry) Idle() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, m := range r.members {
		n += m.pool.size()
	}
	return n + r.variants.size()
}

func (r *Registry) run() {
	defer close(r.done)
	ticker := time.NewTicker(sweep)
	defer ticker.Stop()
	for {
		select {
		case <-r.stop:
			return
		case t := <-ticker.C:
			now := int64(t.Sub(r.start)) + 1
			r.now.Store(now)
			r.expire(now - int64(r.cfg.IdleTimeout))
		}
	}
}

func (r *Registry) expire(then int64) {
	r.mu.Lock()
	members := make([]*member, 0, len(r.members))
	for _, m := range r.members {
		members = append(members, m)
	}
	r.mu.Unlock()
	for _, m := range members {
		m.pool.expire(then)
	}
	r.variants.drop(func(_ key, c *variantConn) bool { return c.since < then })
}

// Close closes every idle connection and ends the Registry's goroutine.
func (r *Registry) Close() {
	close(r.stop)
	<-r.done
	r.mu.Lock()
	defer r.mu.Unlock()
	for k, m := range r.members {
		m.pool.close()
		delete(r.members, k)
	}
	r.variants.drop(func(key, *variantConn) bool { return true })
}
