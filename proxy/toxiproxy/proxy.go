package toxiproxy

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/accept"
	"github.com/breakwater-gateway/breakwater/proxy/chaos"
	"github.com/breakwater-gateway/breakwater/proxy/toxic"
)

// proxyJSON is a proxy on the wire.
type proxyJSON struct {
	Name     string      `json:"name"`
	Listen   string      `json:"listen"`
	Upstream string      `json:"upstream"`
	Enabled  bool        `json:"enabled"`
	Toxics   []toxicJSON `json:"toxics"`
}

// proxyInput is a proxy as clients send it.
type proxyInput struct {
	Name     string `json:"name"`
	Listen   string `json:"listen"`
	Upstream string `json:"upstream"`
	Enabled  bool   `json:"enabled"`
}

// proxyChange is what a client wants to be different. A nil field keeps the value that it has when the change is made.
type proxyChange struct {
	Name     string  `json:"name"` // does nothing
	Listen   *string `json:"listen"`
	Upstream *string `json:"upstream"`
	Enabled  *bool   `json:"enabled"`
}

// of returns what a proxy becomes.
func (c proxyChange) of(now proxyJSON) proxyInput {
	in := proxyInput{Name: now.Name, Listen: now.Listen, Upstream: now.Upstream, Enabled: now.Enabled}
	if c.Listen != nil {
		in.Listen = *c.Listen
	}
	if c.Upstream != nil {
		in.Upstream = *c.Upstream
	}
	if c.Enabled != nil {
		in.Enabled = *c.Enabled
	}
	return in
}

func routeJSON(r Route, c *chain) proxyJSON {
	return proxyJSON{r.Name, r.Listen, r.Upstream, true, c.json()}
}

// proxyServer is a proxy made through the API.
type proxyServer struct {
	server *Server
	name   string
	chain  chain
	ended  sync.WaitGroup // the accept loop and the connections

	change  sync.Mutex // held while listen, upstream or enabled are changed: changes take turns
	deleted bool       // guarded by change

	mu       sync.Mutex // guards what follows; never held while anything waits
	listen   string
	upstream string
	ln       net.Listener    // nil: disabled
	ctx      context.Context // of the connections; nil: disabled
	cancel   context.CancelFunc
	conns    map[*conn]struct{}
	ordinal  uint64
	current  []*chaos.Manual
	off      bool // a kill switch is used: current does not act
}

// conn is one connection through a proxy.
type conn struct {
	ordinal  uint64
	slot     *toxic.Slot
	client   net.Conn
	upstream string
	opened   time.Time

	failed  atomic.Bool   // a toxic has ended it, or another fault
	latency atomic.Int64  // until the client got the first of an answer, in ns; 0 is not known
	meeting chaos.Meeting // guarded by proxyServer.mu

	cut   bool         // guarded by proxyServer.mu: closed by a change
	up    net.Conn     // guarded by proxyServer.mu; nil while dialling
	relay *toxic.Relay // guarded by proxyServer.mu; likewise
}

func newProxyServer(s *Server, in proxyInput) *proxyServer {
	p := &proxyServer{server: s, name: in.Name, listen: in.Listen, upstream: in.Upstream, conns: map[*conn]struct{}{}}
	p.chain = chain{seed: s.cfg.Seed, kind: "proxy", name: in.Name, engine: s.cfg.Chaos, changed: p.setToxics}
	return p
}

func (p *proxyServer) json() proxyJSON {
	toxics := p.chain.json()
	p.mu.Lock()
	defer p.mu.Unlock()
	return proxyJSON{p.name, p.listen, p.upstream, p.ln != nil, toxics}
}

// start makes the proxy listen. It does nothing if it does already.
func (p *proxyServer) start() *Error {
	p.change.Lock()
	defer p.change.Unlock()
	return p.startChanged()
}

func (p *proxyServer) startChanged() *Error {
	p.mu.Lock()
	listen, on := p.listen, p.ln != nil
	p.mu.Unlock()
	if on {
		return nil
	}
	if p.deleted {
		return errProxyNotFound
	}
	ln, err := p.server.listen(listen)
	if err != nil {
		return err
	}
	p.openChanged(ln)
	return nil
}

// openChanged accepts connections on ln from here on.
func (p *proxyServer) openChanged(ln net.Listener) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx == nil {
		p.ctx, p.cancel = context.WithCancel(p.server.stop)
	}
	p.ln, p.listen = ln, ln.Addr().String()
	p.ended.Add(1)
	go p.accept(p.ctx, ln)
}

// delete closes the listener and all connections, for good, and does not wait for them.
func (p *proxyServer) delete() {
	p.change.Lock()
	defer p.change.Unlock()
	p.deleted = true
	p.stopChanged(chaos.CutDeleted)
	p.chain.close()
}

// stopChanged closes the listener and all connections.
func (p *proxyServer) stopChanged(why chaos.Cut) {
	p.mu.Lock()
	if p.ln == nil {
		p.mu.Unlock()
		return
	}
	_ = p.ln.Close()
	p.cancel()
	p.ln, p.ctx, p.cancel = nil, nil, nil
	p.mu.Unlock()
	p.cutAll(why)
}

// wait returns when everything that the proxy had has ended.
func (p *proxyServer) wait() { p.ended.Wait() }

// update changes what a client may change. Toxics stay. After an error the proxy is as it was, connections included.
func (p *proxyServer) update(c proxyChange) *Error {
	return p.become(c, func() {})
}

// replace is update for a proxy that is made anew: its toxics go, and connections are counted from 0.
func (p *proxyServer) replace(in proxyInput) *Error {
	return p.become(proxyChange{Listen: &in.Listen, Upstream: &in.Upstream, Enabled: &in.Enabled}, func() {
		p.chain.clear()
		p.mu.Lock()
		defer p.mu.Unlock()
		p.ordinal = 0
	})
}

// become makes the proxy listen and lead as c says. If that is a change, it closes the connections, and calls between before there
// can be new ones.
func (p *proxyServer) become(c proxyChange, between func()) *Error {
	p.change.Lock()
	defer p.change.Unlock()
	if p.deleted {
		return errProxyNotFound
	}
	now := p.json()
	in := c.of(now)
	address, err := p.server.resolve(in.Listen)
	if err != nil {
		return err
	}
	differs := now.Listen != address.String() || now.Upstream != in.Upstream
	switch {
	case differs && in.Enabled:
		return p.moveChanged(in, address.Port, between)
	case in.Enabled:
		return p.startChanged()
	}
	p.stopChanged(chaos.CutDisabled)
	if differs {
		between()
		p.mu.Lock()
		defer p.mu.Unlock()
		p.listen, p.upstream = in.Listen, in.Upstream
	}
	return nil
}

// moveChanged opens the new listener, at a port or at any if that is 0, before anything is given up for it.
func (p *proxyServer) moveChanged(in proxyInput, port int, between func()) *Error {
	p.mu.Lock()
	old, listen := p.ln, p.listen
	p.mu.Unlock()
	ln, err := p.server.listen(in.Listen)
	if err != nil && old != nil && (port == 0 || port == old.Addr().(*net.TCPAddr).Port) { // perhaps because of the proxy itself
		_ = old.Close()
		if ln, err = p.server.listen(in.Listen); err != nil {
			p.reopenChanged(listen)
		}
	}
	if err != nil {
		return err
	}
	p.stopChanged(chaos.CutMoved)
	between()
	p.mu.Lock()
	p.upstream = in.Upstream
	p.mu.Unlock()
	p.openChanged(ln)
	return nil
}

// reopenChanged listens again where the proxy did, and leaves the connections alone.
func (p *proxyServer) reopenChanged(listen string) {
	ln, err := net.Listen("tcp", listen)
	if err != nil { // somebody was quicker
		p.server.cfg.Log.Error("toxiproxy API: a proxy cannot listen any more", "proxy", p.name, "listen", listen, "error", err)
		p.stopChanged(chaos.CutMoved)
		return
	}
	p.openChanged(ln)
}

// cutAll closes all connections.
func (p *proxyServer) cutAll(why chaos.Cut) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		p.cut(c, why)
	}
}

// cut closes a connection, which has failed for its client if what is done to the proxy is to be a fault. p.mu is held.
func (p *proxyServer) cut(c *conn, why chaos.Cut) {
	if c.cut {
		return
	}
	c.cut = true
	if p.server.stop.Err() == nil { // otherwise everything ends
		p.server.cfg.Chaos.CountCut(p.name, why)
	}
	c.slot.Follow(toxic.Follower{}) // what becomes of it is not what its toxics do
	if why == chaos.CutDisabled || why == chaos.CutReleased {
		c.failed.Store(true)
	}
	c.slot.Set(toxic.Active{Entry: &toxic.Entry{Toxicity: 1, Toxic: toxic.Down{Reset: p.server.cfg.Strict}}}) // ends what only waits
	closeConn(c.client, p.server.cfg.Strict)
	if c.up != nil {
		closeConn(c.up, p.server.cfg.Strict)
		c.relay.Wake()
	}
}

// closeConn closes nc, with RST if asked for.
func closeConn(nc net.Conn, reset bool) {
	if tcp, ok := nc.(*net.TCPConn); ok && reset {
		_ = tcp.SetLinger(0)
	}
	_ = nc.Close()
}

// setToxics makes a changed chain act on the connections there are.
func (p *proxyServer) setToxics(toxics []*chaos.Manual, removed []*wrapper) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.current = toxics
	for c := range p.conns {
		switch {
		case c.cut, p.off:
		case !p.server.cfg.Strict && slices.ContainsFunc(removed, func(w *wrapper) bool { return w.held(c) }):
			p.cut(c, chaos.CutReleased) // with the toxics that it had: what they have held back stays back
		default:
			c.slot.Set(p.actives(c)...)
		}
	}
}

// held reports whether a toxic was one that makes a connection wait for its removal, which then ends it.
func (w *wrapper) held(c *conn) bool {
	return w.typ == "timeout" && w.entry.Key.Float(c.ordinal) < w.entry.Toxicity
}

// setOff makes the toxics stop acting, or act again.
func (p *proxyServer) setOff(off bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.off == off {
		return
	}
	p.off = off
	for c := range p.conns {
		if !c.cut {
			c.slot.Set(p.actives(c)...)
		}
	}
}

// actives returns what acts on a connection. p.mu is held.
func (p *proxyServer) actives(c *conn) []toxic.Active {
	if p.off || len(p.current) == 0 {
		return nil
	}
	if !c.meeting.HasMet() { // now it matters what its client sees
		c.slot.Follow(toxic.Follower{Cut: c.noteCut, Answered: c.noteAnswer})
	}
	return c.meeting.Actives(p.current, c.ordinal, c.upstream)
}

// noteCut is told that a toxic has ended the connection.
func (c *conn) noteCut() { c.failed.Store(true) }

// noteAnswer is told that the client has got the first of an answer, after it had sent nothing for some time.
func (c *conn) noteAnswer(quiet time.Duration) {
	c.latency.Store(int64(max(time.Since(c.opened)-quiet, 1)))
}

func (p *proxyServer) accept(ctx context.Context, ln net.Listener) {
	defer p.ended.Done()
	accept.Loop(ln, ctx.Done(), func(nc net.Conn) bool { return p.take(ctx, ln, nc) }, func(err error, retryIn time.Duration) {
		p.server.cfg.Log.Error("toxiproxy API: accepting a connection failed", "proxy", p.name, "error", err, "retryIn", retryIn)
	})
}

// take serves a connection that ln has accepted. It reports false if the proxy does not listen there any more.
func (p *proxyServer) take(ctx context.Context, ln net.Listener, nc net.Conn) bool {
	if !p.server.cfg.Connections.Take() {
		p.server.cfg.Log.Warn("toxiproxy API: a connection is closed at once, there are too many", "proxy", p.name)
		p.server.cfg.Chaos.CountCut(p.name, chaos.CutTooMany)
		closeConn(nc, p.server.cfg.Strict)
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ln != ln { // stopped meanwhile
		p.server.cfg.Connections.Give()
		closeConn(nc, p.server.cfg.Strict)
		return false
	}
	c := &conn{ordinal: p.ordinal, client: nc, slot: toxic.NewSlot(), upstream: p.upstream, opened: time.Now()}
	if actives := p.actives(c); len(actives) > 0 {
		c.slot.Set(actives...)
	}
	p.ordinal++
	p.conns[c] = struct{}{}
	p.ended.Add(1)
	go p.serve(ctx, c, p.listen)
	return true
}

// serve connects a client with the upstream. It may return before both have ended.
func (p *proxyServer) serve(ctx context.Context, c *conn, listen string) {
	up, err := p.server.dial(ctx, c.upstream, listen)
	if err != nil {
		p.server.cfg.Log.Warn("toxiproxy API: the upstream cannot be reached", "proxy", p.name, "upstream", c.upstream, "error", err)
		closeConn(c.client, p.server.cfg.Strict)
		p.forget(c, toxic.Result{Cause: toxic.ByReset, Side: toxic.EndpointSide})
		return
	}
	o := p.server.cfg.Held
	o.Lot = &p.server.lot
	relay := toxic.NewRelay(c.client, up, c.slot, o, func(r toxic.Result) {
		defer p.forget(c, r)
		p.report(r, c.upstream, listen)
	})
	p.mu.Lock()
	c.up, c.relay = up, relay
	cut := c.cut
	p.mu.Unlock()
	if cut {
		closeConn(up, p.server.cfg.Strict)
		p.forget(c, toxic.Result{})
		return
	}
	relay.Run()
}

// forget notes that a connection has ended, and how.
func (p *proxyServer) forget(c *conn, r toxic.Result) {
	p.mu.Lock()
	delete(p.conns, c)
	p.mu.Unlock() // from here on nobody finds it
	broke := !c.cut && (r.Cause == toxic.ByToxic || r.Cause == toxic.ByReset && r.Side == toxic.EndpointSide)
	o := chaos.Outcome{Failed: broke || c.failed.Load(), Upstream: r.Upstream, Downstream: r.Downstream}
	c.meeting.Close(o, time.Duration(c.latency.Load()))
	p.server.cfg.Connections.Give()
	p.ended.Done()
}

// report tells what has become of a connection.
func (p *proxyServer) report(r toxic.Result, upstream, listen string) {
	if r.Cause == toxic.ByPanic {
		p.server.cfg.Log.Error("toxiproxy API: a toxic panicked", "proxy", p.name, "error", r.Err)
	}
	if report := p.server.cfg.Traffic; report != nil {
		up, down := proxy.Upstreamward, proxy.Downstreamward
		report(Traffic{up.String(), p.name, listen, upstream, r.Received[up], r.Upstream})
		report(Traffic{down.String(), p.name, listen, upstream, r.Received[down], r.Downstream})
	}
}

// listen opens a listening socket within the bounds of the configuration.
func (s *Server) listen(address string) (net.Listener, *Error) {
	ports := s.cfg.Ports
	if ports == (PortRange{}) {
		ln, err := net.Listen("tcp", address)
		if err != nil {
			return nil, internal(err)
		}
		return ln, nil
	}
	at, failure := s.resolve(address)
	if failure != nil {
		return nil, failure
	}
	candidates := []int{at.Port}
	if at.Port == 0 {
		candidates = candidates[:0]
		for n := int(ports.First); n <= int(ports.Last); n++ {
			candidates = append(candidates, n)
		}
	}
	var last error
	for _, n := range candidates {
		host := ""
		if at.IP != nil {
			host = at.IP.String()
		}
		ln, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(n)))
		if err == nil {
			return ln, nil
		}
		last = err
	}
	return nil, internal(last)
}

// resolve reports why no proxy could ever listen at an address, and otherwise what the address is.
func (s *Server) resolve(address string) (*net.TCPAddr, *Error) {
	at, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return nil, internal(err)
	}
	ports := s.cfg.Ports
	if ports != (PortRange{}) && at.Port != 0 && (at.Port < int(ports.First) || at.Port > int(ports.Last)) {
		return nil, badBody(fmt.Errorf("listen: port %d is not in the range %d-%d that this API may bind", at.Port, ports.First, ports.Last))
	}
	return at, nil
}
