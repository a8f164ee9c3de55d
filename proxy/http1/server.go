package http1

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/park"
)

// Timeouts bound every state of a connection. 0 in a field stands for its default, a negative value for no limit. They are
// enforced to the next quarter of a second, never early.
type Timeouts struct {
	Header time.Duration // from the first byte of a request head (or from accept) to its end: 408. Default 10 s
	Idle   time.Duration // between requests: the connection is closed. Default 75 s
	Body   time.Duration // without progress in a request body: 408. Default 60 s
	Write  time.Duration // without progress in sending to the client: the connection is closed. Default 60 s

	UpstreamHeader time.Duration // from the sent request head (or the last byte of its body) to the response head, where no Limit or Unlimited holds: 504. Default 60 s
	UpstreamBody   time.Duration // without progress in a response body: the connection is closed. Default 60 s
	UpstreamWrite  time.Duration // without progress in sending a request: 504. Default 60 s
	Tunnel         time.Duration // without bytes in either direction of a tunnel: it is closed. Default 1 h
	Linger         time.Duration // for reading what a client still sends after an early answer. Default 5 s
}

func (t Timeouts) withDefaults() Timeouts {
	set := func(d *time.Duration, def time.Duration) {
		if *d == 0 {
			*d = def
		} else if *d < 0 {
			*d = 0
		}
		*d = (*d + tick - 1) / tick * tick // never early
	}
	set(&t.Header, 10*time.Second)
	set(&t.Idle, 75*time.Second)
	set(&t.Body, time.Minute)
	set(&t.Write, time.Minute)
	set(&t.UpstreamHeader, time.Minute)
	set(&t.UpstreamBody, time.Minute)
	set(&t.UpstreamWrite, time.Minute)
	set(&t.Tunnel, time.Hour)
	set(&t.Linger, 5*time.Second)
	return t
}

// Config of a Server.
type Config struct {
	Limits   Limits
	Timeouts Timeouts
	Log      *slog.Logger // nil is slog.Default
	// Refused, if not nil, is told of each request that was refused before it reached the Handler.
	Refused func(*Refusal)
}

// Server reads requests from connections and hands them to a Handler. Its methods may be called concurrently.
type Server struct {
	cfg      Config
	handler  proxy.Handler
	watch    *Watch
	lot      park.Lot    // connections that have been waiting for a request for a while
	draining atomic.Bool // every response is the last of its connection
	closing  atomic.Bool // connections that wait for a request are closed

	// responseLimits are those of cfg, but that an endpoint may name its fields as it likes.
	responseLimits Limits
}

// NewServer returns a Server that is ready for ServeConn. It must be ended with Shutdown.
func NewServer(cfg Config, h proxy.Handler) *Server {
	cfg.Limits, cfg.Timeouts = cfg.Limits.withDefaults(), cfg.Timeouts.withDefaults()
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	s := &Server{cfg: cfg, handler: h, watch: newWatch(), responseLimits: cfg.Limits}
	s.responseLimits.AllowUnderscores = true
	return s
}

// ServeConn serves a connection, closes it at its end and then calls closed. It may return before that: a connection that
// waits long for a request is given up by its goroutine and gets another one when the request comes. scheme is "http" or
// "https".
func (s *Server) ServeConn(nc net.Conn, port uint16, scheme string, closed func()) {
	s.ServeConnFrom(nc, addrPort(nc.RemoteAddr()), port, scheme, closed)
}

// ServeConnFrom is ServeConn for a connection whose client is not the far end of nc but peer, as a proxy before us has told.
func (s *Server) ServeConnFrom(nc net.Conn, peer netip.AddrPort, port uint16, scheme string, closed func()) {
	down := newSock(nc)
	c := &serverConn{srv: s, down: down, base: down, port: port, scheme: scheme, peer: peer, closed: closed}
	c.body.c, c.parking.Wake = c, c.run
	if !s.watch.add(c) { // Shutdown came first
		c.down.close()
		closed()
		return
	}
	c.run()
}

// run serves the connection until it ends or is parked.
func (c *serverConn) run() {
	parked := false
	defer func() {
		if p := recover(); p != nil {
			c.srv.panicked(p)
		}
		if !parked {
			c.end()
		}
	}()
	parked = c.serve()
}

// panicked tells the operator of a bug.
func (s *Server) panicked(v any) {
	s.cfg.Log.Error("request handling panicked", "panic", v, "stack", string(debug.Stack()))
}

var errPanicked = errors.New("panicked")

// end closes the connection. Nobody else uses it any more.
func (c *serverConn) end() {
	if c.pump != nil {
		c.pump.stop()
	}
	c.srv.watch.remove(c)
	c.release()
	c.down.close()
	c.closed()
	c.srv.watch.ended.Done()
}

// Count returns the number of open connections and how many of them wait for a request.
func (s *Server) Count() (open, idle int) {
	s.watch.mu.Lock()
	defer s.watch.mu.Unlock()
	for c := range s.watch.conns {
		if c.main.word.Load()&idleBit != 0 {
			idle++
		}
	}
	return len(s.watch.conns), idle
}

// Drain makes every response from now on the last of its connection, and tells the client so. Connections that wait for a request
// stay open: what they send may be on its way.
func (s *Server) Drain() { s.draining.Store(true) }

// closeIdle is Drain, but that connections that wait for a request are closed, and no others are taken.
func (s *Server) closeIdle() {
	s.Drain()
	s.closing.Store(true)
	s.watch.refuse()
	s.watch.interruptIdle()
}

// Shutdown lets the requests that are being served end, then returns. When ctx ends first it closes their connections and
// returns ctx's error. ServeConn closes what it is given from then on.
func (s *Server) Shutdown(ctx context.Context) error {
	s.closeIdle()
	done := make(chan struct{})
	go func() { s.watch.ended.Wait(); close(done) }()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	var err error
	for {
		select {
		case <-done:
			s.watch.close()
			s.lot.Close()
			return err
		case <-ticker.C:
			s.watch.interruptIdle() // those that have become idle since
			if err != nil {
				s.watch.interruptAll()
			}
		case <-ctx.Done():
			if err == nil {
				err = ctx.Err()
				s.watch.interruptAll()
			}
			ctx = context.Background()
		}
	}
}

// Live returns how many connections serve a request now, and how many have switched protocols.
func (s *Server) Live() (requests, tunnels int) {
	s.watch.mu.Lock()
	defer s.watch.mu.Unlock()
	for c := range s.watch.conns {
		switch {
		case c.tunnelled.Load():
			tunnels++
		case c.main.word.Load()&idleBit == 0:
			requests++
		}
	}
	return requests, tunnels
}

func addrPort(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		ap := t.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	if a != nil {
		if ap, err := netip.ParseAddrPort(a.String()); err == nil {
			return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
		}
	}
	return netip.AddrPort{}
}
