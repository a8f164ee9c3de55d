package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/telemetry"
	"github.com/breakwater-gateway/breakwater/proxy/toxic"
	"github.com/breakwater-gateway/breakwater/proxy/upstream"
)

// patience is how long a test waits for what must come.
const patience = time.Minute

// one is a Backend with one Endpoint.
type one struct {
	endpoint *upstream.Endpoint
	metrics  *telemetry.Backend
}

func (o one) Endpoints(uint64) (Endpoints, bool) { return o, true }
func (o one) Metrics() *telemetry.Backend        { return o.metrics }
func (o one) Has(*upstream.Endpoint) bool        { return true }
func (o one) Config() *proxy.Backend             { return &proxy.Backend{} }
func (o one) Pick(_ *proxy.Exchange, tried []*upstream.Endpoint) *upstream.Endpoint {
	if len(tried) > 0 {
		return nil
	}
	return o.endpoint
}

// parked is a TCP connection through a Server that waits without a goroutine.
type parked struct {
	*Server
	client, endpoint *net.TCPConn
	conn             *conn
	closed           chan struct{}
	returned         chan struct{} // ServeConn has returned
}

// tcpPair returns the two ends of a connection to ln.
func tcpPair(t *testing.T, ln net.Listener, dial func()) (accepted *net.TCPConn) {
	t.Helper()
	go dial()
	nc, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	return nc.(*net.TCPConn)
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

// newParked returns a connection that is parked. idle is the Server's; a slow machine may need several before one is parked in time.
func newParked(t *testing.T, idle time.Duration) *parked {
	t.Helper()
	for end := time.Now().Add(patience); ; {
		if p := tryParked(t, idle); p != nil {
			return p
		}
		if idle == 0 || time.Now().After(end) {
			t.Fatal("it is not parked")
		}
	}
}

// tryParked returns nil if the connection has come to its end before it was parked.
func tryParked(t *testing.T, idle time.Duration) *parked {
	t.Helper()
	p := &parked{Server: New(Config{Idle: idle, Toxics: toxic.Options{Calm: time.Millisecond}}), closed: make(chan struct{}), returned: make(chan struct{})}
	front, back := listen(t), listen(t)
	registry := upstream.NewRegistry(upstream.Config{})
	t.Cleanup(registry.Close)
	metrics := telemetry.New()
	id := proxy.BackendID{Name: "b"}
	backend := one{registry.Acquire(id, proxy.Endpoint{Address: AddrPort(back.Addr())}), metrics.Backend(id)}
	l := &proxy.Listener{Stream: &proxy.StreamRoute{Backends: []proxy.WeightedBackend{{Backend: id, Weight: 1}}}}
	route := NewRoute(l, metrics, nil, func(proxy.BackendID) Backend { return backend })
	clients := make(chan net.Conn, 1)
	near := tcpPair(t, front, func() {
		nc, err := net.Dial("tcp", front.Addr().String())
		if err != nil {
			t.Error(err)
		}
		clients <- nc
	})
	p.client = (<-clients).(*net.TCPConn)
	t.Cleanup(func() {
		p.client.Close()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := p.Shutdown(ctx); err != nil && ctx.Err() != nil {
			t.Error(err)
		}
	})
	p.endpoint = tcpPair(t, back, func() {
		defer close(p.returned)
		p.ServeConn(Incoming{Conn: near, Route: route}, func() { close(p.closed) })
	})
	for _, c := range []*net.TCPConn{p.client, p.endpoint} {
		_ = c.SetDeadline(time.Now().Add(patience))
	}
	if p.passes("hello") != nil {
		return nil
	}
	p.mu.Lock()
	for c := range p.live {
		p.conn = c
	}
	p.mu.Unlock()
	if p.conn == nil || !p.waits(t) {
		return nil
	}
	return p
}

// passes sends something to the endpoint.
func (p *parked) passes(s string) error {
	if _, err := io.WriteString(p.client, s); err != nil {
		return err
	}
	got := make([]byte, len(s))
	if _, err := io.ReadFull(p.endpoint, got); err != nil || string(got) != s {
		return fmt.Errorf("%q, %w", got, err)
	}
	return nil
}

func (p *parked) pass(t *testing.T, s string) {
	t.Helper()
	if err := p.passes(s); err != nil {
		t.Fatal(err)
	}
}

// waits waits until the connection is parked. It reports false if it comes to its end before.
func (p *parked) waits(t *testing.T) bool {
	t.Helper()
	within(t, "the goroutine is given up", p.returned)
	for end := time.Now().Add(patience); p.lot.Count() != 1; time.Sleep(time.Millisecond) {
		select {
		case <-p.closed:
			return false
		default:
		}
		if time.Now().After(end) {
			t.Fatal("it is not parked")
		}
	}
	return true
}

func (p *parked) wait(t *testing.T) {
	t.Helper()
	if !p.waits(t) {
		t.Fatal("it has ended")
	}
}

func within(t *testing.T, what string, happens <-chan struct{}) {
	t.Helper()
	select {
	case <-happens:
	case <-time.After(patience):
		t.Fatal("waited in vain until", what)
	}
}

// wantEnd expects the connection to have ended, and to have been counted and logged.
func (p *parked) wantEnd(t *testing.T, want telemetry.StreamEnd, up int64) {
	t.Helper()
	within(t, "it has ended", p.closed)
	if e := &p.conn.entry; e.Outcome != want || e.Up != up || e.End.IsZero() {
		t.Errorf("%v with %d bytes (%v), want %v with %d", e.Outcome, e.Up, e.Err, want, up)
	}
	if n, _ := p.Count(); n != 0 || p.lot.Count() != 0 {
		t.Errorf("%d connections are left, %d parked", n, p.lot.Count())
	}
}

func TestParkedConnectionIsPassedOn(t *testing.T) {
	p := newParked(t, 0)
	for range 3 {
		if n, _ := p.Count(); n != 1 {
			t.Errorf("%d connections", n)
		}
		p.pass(t, "ping")
		p.wait(t)
	}
	p.client.Close()
	if got, err := io.ReadAll(p.endpoint); err != nil || len(got) > 0 {
		t.Errorf("%q %v", got, err)
	}
	p.endpoint.Close()
	p.wantEnd(t, telemetry.StreamDone, 5+3*4)
	if up := p.conn.route.metrics.Up.Load(); up != 5+3*4 {
		t.Errorf("%d bytes are counted", up)
	}
}

func TestParkedConnectionsEnd(t *testing.T) {
	t.Run("idle", func(t *testing.T) {
		p := newParked(t, 300*time.Millisecond)
		p.wantEnd(t, telemetry.StreamIdle, 5)
	})
	t.Run("reset", func(t *testing.T) {
		p := newParked(t, 0)
		reset(p.endpoint)
		p.wantEnd(t, telemetry.StreamReset, 5)
	})
}

// A Server that shuts down lets parked connections be, until there is no time left.
func TestShutdownWithParkedConnections(t *testing.T) {
	p := newParked(t, 0)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := p.Shutdown(ctx); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}()
	for range 2 {
		p.pass(t, "ping")
		p.wait(t)
	}
	cancel()
	within(t, "it is shut down", done)
	p.wantEnd(t, telemetry.StreamCut, 5+2*4)
	for _, c := range []*net.TCPConn{p.client, p.endpoint} {
		if got, err := io.ReadAll(c); len(got) > 0 || !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%q %v, want a reset", got, err)
		}
	}
}
