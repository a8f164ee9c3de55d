package stream

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/telemetry"
)

// maxDatagram is more than any datagram holds.
const maxDatagram = 64 << 10

// sessionCount is the number of UDP sessions of a Server, and its bound.
type sessionCount struct {
	n   atomic.Int64
	max int64
}

func (c *sessionCount) take() bool {
	if c.n.Add(1) > c.max {
		c.n.Add(-1)
		return false
	}
	return true
}

// Packets is a bound UDP port. Datagrams of one client address, to one local address, are a session.
type Packets struct {
	srv     *Server
	conn    *net.UDPConn
	current func() (*Route, uint64)
	start   time.Time
	local   localAddress

	mu       sync.Mutex
	sessions map[sessionKey]*session // guarded by mu
	draining bool                    // guarded by mu; no new sessions
}

// sessionKey is what a session is known by.
type sessionKey struct {
	client netip.AddrPort
	local  netip.Addr // zero if the port is bound to one address
}

// NewPackets takes conn, which it closes. current returns the Route of new sessions and the generation of the configuration; the Route
// is nil if there is none. Run must be called. It returns nil, and conn is closed, if the Server has been shut down.
func (s *Server) NewPackets(conn *net.UDPConn, current func() (*Route, uint64)) *Packets {
	p := &Packets{srv: s, conn: conn, current: current, start: time.Now(), sessions: map[sessionKey]*session{}}
	p.local.init(conn)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = conn.Close()
		return nil
	}
	s.packets[p] = struct{}{}
	s.ended.Add(1)
	return p
}

// Close ends the port and its sessions.
func (p *Packets) Close() { p.abort() }

// now is the time on the clock of the port's sessions.
func (p *Packets) now() int64 { return int64(time.Since(p.start)) }

// Run reads what clients send until the port is closed.
func (p *Packets) Run() {
	defer func() {
		p.abort() // sessions that came meanwhile
		p.srv.mu.Lock()
		delete(p.srv.packets, p)
		p.srv.mu.Unlock()
		p.srv.ended.Done()
	}()
	buf, oob := make([]byte, maxDatagram), make([]byte, p.local.size)
	for {
		n, oobn, _, client, err := p.conn.ReadMsgUDPAddrPort(buf, oob)
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			p.srv.cfg.Log.Error("reading datagrams failed", "address", p.conn.LocalAddr(), "error", err)
			time.Sleep(10 * time.Millisecond) // the kernel may be out of memory
			continue
		}
		client = netip.AddrPortFrom(client.Addr().Unmap(), client.Port())
		p.arrived(client, oob[:oobn], buf[:n])
	}
}

// arrived passes a datagram to its session, a new one if need be.
func (p *Packets) arrived(client netip.AddrPort, oob, datagram []byte) {
	key := sessionKey{client, p.local.of(oob)}
	for {
		var missed *Place
		p.mu.Lock()
		s := p.sessions[key]
		if s == nil {
			s, missed = p.open(key, oob) // keeps the lock short: it does not dial
		}
		p.mu.Unlock()
		if c := p.srv.cfg.Chaos; c != nil && missed != nil {
			c.Missed(*missed)
		}
		if s == nil || s.fromClient(datagram) {
			return
		}
		// It has just ended. Its goroutine takes it out of the map, which may take a moment.
		p.forget(s)
	}
}

// open begins a session, or returns nil if there can be none, and where it would have been if that is for want of an Endpoint. p.mu is
// held.
func (p *Packets) open(key sessionKey, oob []byte) (_ *session, missed *Place) {
	route, generation := p.current()
	if p.draining || route == nil {
		return nil, nil
	}
	s := &session{p: p, key: key, route: route, generation: generation}
	place := &Place{Listener: route.listener.ID, Route: route.cfg.ID, Client: key.client, Protocol: proxy.UDP, Attempt: 1}
	sh, err := route.share()
	if sh != nil {
		place.Backend = sh.cfg.Backend
	}
	if err == nil {
		s.backend = sh.backend
		s.x = &proxy.Exchange{}
		s.x.Request.Peer, s.x.Request.ClientIP = key.client, key.client.Addr()
		s.set, s.target = s.pick()
	}
	if s.target == nil {
		route.metrics.Drop(telemetry.DropNoEndpoint)
		return nil, place
	}
	if !p.srv.sessions.take() {
		route.metrics.Drop(telemetry.DropSessions)
		return nil, nil
	}
	s.reply = p.local.reply(oob)
	s.entry = telemetry.StreamEntry{
		Start: time.Now(), Protocol: proxy.UDP, Client: key.client, Listener: place.Listener, Route: route.id(), Backend: place.Backend,
	}
	s.last.Store(p.now())
	p.sessions[key] = s
	p.srv.ended.Add(1)
	route.metrics.Open()
	go s.run()
	return s, nil
}

// forget takes a session out of the map, if it is still there.
func (p *Packets) forget(s *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sessions[s.key] == s {
		delete(p.sessions, s.key)
	}
	if p.draining && len(p.sessions) == 0 {
		_ = p.conn.Close()
	}
}

// drain lets the sessions fall silent and begins no others. The port is closed with the last one.
func (p *Packets) drain() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.draining = true
	for _, s := range p.sessions {
		s.shorten()
	}
	if len(p.sessions) == 0 {
		_ = p.conn.Close()
	}
}

// abort closes the port and ends its sessions.
func (p *Packets) abort() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.draining = true
	_ = p.conn.Close()
	for _, s := range p.sessions {
		s.abort()
	}
}
