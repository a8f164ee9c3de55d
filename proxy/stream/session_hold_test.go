package stream

import (
	"net"
	"syscall"
	"testing"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/telemetry"
	"github.com/breakwater-gateway/breakwater/proxy/upstream"
)

// sessionBed is a session whose outlets lead to a socket that nobody reads.
type sessionBed struct {
	*session
	t        *testing.T
	sink     *net.UDPConn
	registry *upstream.Registry
}

func newSessionBed(t *testing.T) *sessionBed {
	t.Helper()
	sink, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sink.Close() })
	registry := upstream.NewRegistry(upstream.Config{})
	t.Cleanup(registry.Close)
	return &sessionBed{&session{route: &Route{metrics: new(telemetry.Stream)}}, t, sink, registry}
}

func (b *sessionBed) outlet() *outlet {
	b.t.Helper()
	conn, err := net.DialUDP("udp", nil, b.sink.LocalAddr().(*net.UDPAddr))
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = conn.Close() })
	to := proxy.Endpoint{Address: AddrPort(conn.RemoteAddr())}
	o := &outlet{s: b.session, conn: conn, endpoint: b.registry.Acquire(proxy.BackendID{Name: "a"}, to)}
	o.put = o.write
	if o.raw, err = conn.SyscallConn(); err != nil {
		b.t.Fatal(err)
	}
	return o
}

// A system that refuses to send, as a firewall on the host does, must not keep the session busy for ever.
func TestDatagramThatTheSystemRefusesIsDropped(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EPERM, syscall.EHOSTUNREACH, syscall.ENETUNREACH} {
		b := newSessionBed(t)
		o, tries := b.outlet(), 0
		o.put = func(uintptr) bool {
			tries++
			o.errno = errno
			return true
		}
		b.pending = [][]byte{[]byte("hello")}
		b.open(o)
		if tries != 1 || len(b.pending) != 0 || !o.left.Load() || b.out.Load() != nil {
			t.Errorf("%v: tried %d times, %q waits, left: %v", errno, tries, b.pending, o.left.Load())
		}
	}
}

// A refusal of what was sent before says nothing about the datagram that learns of it.
func TestDatagramThatLearnsOfARefusalGoesElsewhere(t *testing.T) {
	b := newSessionBed(t)
	o := b.outlet()
	o.put = func(uintptr) bool {
		o.errno = syscall.ECONNREFUSED
		return true
	}
	b.pending = [][]byte{[]byte("hello")}
	b.open(o)
	if len(b.pending) != 1 || b.out.Load() != nil {
		t.Fatalf("%q waits", b.pending)
	}
	next := b.outlet()
	b.open(next)
	if len(b.pending) != 0 || b.out.Load() != next || b.up.Load() != 5 {
		t.Errorf("%q waits, %d bytes have been sent", b.pending, b.up.Load())
	}
}

// A datagram that meets an outlet which has just been closed does not stay behind.
func TestDatagramThatComesTooLateIsDropped(t *testing.T) {
	b := newSessionBed(t)
	old, next := b.outlet(), b.outlet()
	b.open(old)
	got := b.out.Load() // by who passes on what the client sends
	b.out.CompareAndSwap(old, nil)
	_ = old.conn.Close()
	b.open(next) // by the session's goroutine meanwhile
	if !got.send([]byte("hello")) || len(b.pending) > 0 {
		t.Errorf("%q waits although there is a way", b.pending)
	}
	if b.hold([]byte("hello")) != notNeeded {
		t.Error("a datagram is kept although there is a way")
	}
}

func TestPanicIsLogged(t *testing.T) {
	a, b := net.Pipe()
	defer b.Close()
	c := &conn{srv: New(Config{}), client: a, route: &Route{metrics: new(telemetry.Stream)}, closed: func() {}}
	if !c.srv.add(c) {
		t.Fatal("it is not taken")
	}
	func() {
		defer func() { c.finish(recover()) }()
		panic("boom")
	}()
	if c.entry.Outcome != telemetry.StreamReset || c.entry.Err == nil {
		t.Errorf("outcome %v, error %v; want %v and the panic", c.entry.Outcome, c.entry.Err, telemetry.StreamReset)
	}
}
