package server

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/accept"
	"github.com/breakwater-gateway/breakwater/proxy/balancer"
	"github.com/breakwater-gateway/breakwater/proxy/shape"
	"github.com/breakwater-gateway/breakwater/proxy/stream"
	"github.com/breakwater-gateway/breakwater/proxy/telemetry"
	"github.com/breakwater-gateway/breakwater/proxy/toxic"
	"github.com/breakwater-gateway/breakwater/proxy/upstream"
)

// streamed is a Snapshot with one stream Listener that shares connections or sessions evenly among backends; change may alter it.
func streamed(p proxy.Protocol, change func(*proxy.Listener), backends ...*proxy.Backend) *proxy.Snapshot {
	l := &proxy.Listener{
		ID:   proxy.ListenerID{Object: proxy.ObjectID{Kind: "Gateway", Namespace: "default", Name: "g"}, Section: string(p)},
		Port: testPort, Protocol: p,
		Stream: &proxy.StreamRoute{ID: proxy.ObjectID{Kind: "TCPRoute", Namespace: "default", Name: "r"}},
	}
	snap := &proxy.Snapshot{Listeners: []*proxy.Listener{l}, Backends: map[proxy.BackendID]*proxy.Backend{}}
	for _, b := range backends {
		b.ID.Stream, b.Protocol = p, p
		snap.Backends[b.ID] = b
		l.Stream.Backends = append(l.Stream.Backends, proxy.WeightedBackend{Backend: b.ID, Weight: 1})
	}
	if change != nil {
		change(l)
	}
	return snap
}

// greets is an endpoint that says its name and then sends back what it gets, to its end.
func greets(t testing.TB, name string) *scripted {
	return endpoint(t, func(_ int, c *wire) {
		if c.send("%s", name) {
			_, _ = io.Copy(c.TCPConn, c.in)
			_ = c.CloseWrite()
		}
	})
}

// apply makes w serve snap.
func (w *world) apply(t testing.TB, snap *proxy.Snapshot) {
	t.Helper()
	if err := w.Apply(snap); err != nil {
		t.Fatal(err)
	}
}

// wantReset expects the connection to be reset with nothing read.
func (w *wire) wantReset() {
	w.t.Helper()
	if got, err := w.rest(); got != "" || !errors.Is(err, syscall.ECONNRESET) {
		w.t.Fatalf("got %q and %v, want a reset", got, err)
	}
}

// wantRefusal expects a connection to be reset, perhaps before it is seen to be open.
func wantRefusal(t testing.TB, addr string) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err == nil {
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(patience))
		_, err = c.Read(make([]byte, 1))
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("got %v, want a reset", err)
	}
}

// settled waits until no connection or session is left.
func (w *world) settled(t testing.TB) {
	t.Helper()
	until(t, "all streams have ended", func() bool { c, s := w.streams.Count(); return c == 0 && s == 0 })
}

func TestTCPPassesBytesAndHalfClosesBothWays(t *testing.T) {
	const size = 3 << 20
	payload := make([]byte, size)
	for i := range payload {
		payload[i] = byte(rand.Uint32())
	}
	t.Run("client first", func(t *testing.T) {
		e := endpoint(t, func(_ int, c *wire) {
			all, err := io.ReadAll(c.in) // only its end makes it answer
			if err == nil {
				_, _ = c.Write(all)
			}
		})
		w := newWorld(t, Config{})
		w.apply(t, streamed(proxy.TCP, nil, backendOf("a", e.addr)))
		c := dialWire(t, w.addr(testPort))
		go func() {
			_, _ = c.Write(payload)
			_ = c.CloseWrite()
		}()
		got, err := c.rest()
		if err != nil || got != string(payload) {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
		w.settled(t)
	})
	t.Run("endpoint first", func(t *testing.T) {
		got := make(chan []byte, 1)
		e := endpoint(t, func(_ int, c *wire) {
			_, _ = c.Write(payload)
			_ = c.CloseWrite()
			all, _ := io.ReadAll(c.in)
			got <- all
		})
		w := newWorld(t, Config{})
		w.apply(t, streamed(proxy.TCP, nil, backendOf("a", e.addr)))
		c := dialWire(t, w.addr(testPort))
		if all, err := c.rest(); err != nil || all != string(payload) {
			t.Fatalf("%d bytes, %v", len(all), err)
		}
		c.send("still here")
		_ = c.CloseWrite()
		if all := within(t, "what the client sent late", got); string(all) != "still here" {
			t.Fatalf("%q", all)
		}
		w.settled(t)
	})
}

func TestTCPResetPassesThrough(t *testing.T) {
	ended := make(chan error, 1)
	e := endpoint(t, func(_ int, c *wire) {
		c.send("a")
		_, err := io.ReadAll(c.in)
		ended <- err
	})
	w := newWorld(t, Config{})
	w.apply(t, streamed(proxy.TCP, nil, backendOf("a", e.addr)))
	c := dialWire(t, w.addr(testPort))
	c.take(1)
	_ = c.SetLinger(0)
	c.Close()
	if err := within(t, "the endpoint's end", ended); !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("the endpoint sees %v, want a reset", err)
	}
	w.settled(t)
}

func TestTCPSharesByWeight(t *testing.T) {
	a, b, c := greets(t, "a"), greets(t, "b"), greets(t, "c")
	w := newWorld(t, Config{})
	w.apply(t, streamed(proxy.TCP, func(l *proxy.Listener) {
		l.Stream.Backends[0].Weight, l.Stream.Backends[1].Weight, l.Stream.Backends[2].Weight = 3, 1, 0
	}, backendOf("a", a.addr), backendOf("b", b.addr), backendOf("c", c.addr)))
	const n = 400
	seen := map[string]int{}
	for range n {
		c := dialWire(t, w.addr(testPort))
		seen[c.take(1)]++
		c.Close()
	}
	// 300 expected, deviation 8.7.
	if seen["a"] < 240 || seen["a"] > 360 || seen["c"] != 0 || seen["a"]+seen["b"] != n {
		t.Errorf("%v", seen)
	}
}

func TestTCPTriesAnotherEndpoint(t *testing.T) {
	for range 3 {
		e := greets(t, "a")
		w := newWorld(t, Config{})
		w.apply(t, streamed(proxy.TCP, nil, backendOf("a", unusedAddr(t), unusedAddr(t), e.addr)))
		for range 20 {
			c := dialWire(t, w.addr(testPort))
			if got := c.take(1); got != "a" {
				t.Fatalf("%q", got)
			}
			c.Close()
		}
	}
}

func TestTCPResetsWhatNobodyServes(t *testing.T) {
	e := greets(t, "a")
	for name, change := range map[string]func(*proxy.Listener, *proxy.Snapshot){
		"no route":          func(l *proxy.Listener, _ *proxy.Snapshot) { l.Stream = nil },
		"invalid route":     func(l *proxy.Listener, _ *proxy.Snapshot) { l.Stream.Invalid = "no" },
		"invalid reference": func(l *proxy.Listener, _ *proxy.Snapshot) { l.Stream.Backends[0].Invalid = "no" },
		"no backend":        func(l *proxy.Listener, _ *proxy.Snapshot) { l.Stream.Backends = nil },
		"no weight":         func(l *proxy.Listener, _ *proxy.Snapshot) { l.Stream.Backends[0].Weight = 0 },
		"unknown backend":   func(_ *proxy.Listener, s *proxy.Snapshot) { clear(s.Backends) },
		"no endpoint": func(l *proxy.Listener, s *proxy.Snapshot) {
			id := l.Stream.Backends[0].Backend
			s.Backends[id] = &proxy.Backend{ID: id, Protocol: proxy.TCP}
		},
		"endpoint is down": func(l *proxy.Listener, s *proxy.Snapshot) {
			id := l.Stream.Backends[0].Backend
			b := backendOf("a", unusedAddr(t))
			b.ID = id
			s.Backends[id] = b
		},
	} {
		t.Run(name, func(t *testing.T) {
			snap := streamed(proxy.TCP, nil, backendOf("a", e.addr))
			change(snap.Listeners[0], snap)
			p := &place{slot: toxic.NewSlot()}
			w := newWorld(t, Config{Stream: stream.Config{Chaos: p}})
			w.apply(t, snap)
			wantRefusal(t, w.addr(testPort))
			w.settled(t)
			p.wantFailures(t, 1)
			if isTried := name == "endpoint is down"; isTried == (len(p.missed) == 1) {
				t.Errorf("missed: %+v", p.missed)
			}
		})
	}
	if n := e.connections(); n != 0 {
		t.Errorf("%d connections reached the endpoint", n)
	}
}

func TestTCPConnectionsAreInFlightWhileTheyLive(t *testing.T) {
	a, b := greets(t, "a"), greets(t, "b")
	backend := backendOf("x", a.addr, b.addr)
	backend.Balancer = balancer.LeastRequest{}
	w := newWorld(t, Config{})
	w.apply(t, streamed(proxy.TCP, nil, backend))
	seen := map[string]int{}
	for range 20 {
		seen[dialWire(t, w.addr(testPort)).take(1)]++
	}
	if seen["a"] != 10 || seen["b"] != 10 {
		t.Errorf("least request spreads connections %v", seen)
	}
}

func TestTCPLiveConnectionsOutliveConfiguration(t *testing.T) {
	a, b := greets(t, "a"), greets(t, "b")
	w := newWorld(t, Config{})
	w.apply(t, streamed(proxy.TCP, nil, backendOf("a", a.addr)))
	addr := w.addr(testPort)
	old := dialWire(t, addr)
	old.take(1)
	alive := func(what string) {
		t.Helper()
		old.send("ping")
		if got := old.take(4); got != "ping" {
			t.Fatalf("%s: %q", what, got)
		}
	}
	w.apply(t, streamed(proxy.TCP, nil, backendOf("b", b.addr)))
	alive("after another backend has taken over")
	if got := dialWire(t, addr).take(1); got != "b" {
		t.Fatalf("a new connection goes to %q", got)
	}
	w.apply(t, &proxy.Snapshot{})
	alive("after the listener has gone")
	if nc, err := net.Dial("tcp", addr); err == nil {
		nc.Close()
		t.Error("the port is still open")
	}
	w.apply(t, streamed(proxy.TCP, nil, backendOf("a", a.addr)))
	alive("after the listener is back")
	_ = old.CloseWrite()
	old.wantEnd()
	if len(w.backends) != 1 {
		t.Errorf("%d backends are kept", len(w.backends))
	}
}

func TestTCPAndUDPAndHTTPPortsAreApart(t *testing.T) {
	e := greets(t, "a")
	u := echoUDP(t, "127.0.0.1:0")
	tcp := streamed(proxy.TCP, nil, backendOf("a", e.addr))
	udp := streamed(proxy.UDP, nil, backendOf("a", u.addr()))
	both := &proxy.Snapshot{Listeners: append(tcp.Listeners, udp.Listeners...), Backends: tcp.Backends}
	for id, b := range udp.Backends {
		both.Backends[id] = b
	}
	w := newWorld(t, Config{})
	w.apply(t, both)
	if got := dialWire(t, w.addr(testPort)).take(1); got != "a" {
		t.Fatalf("tcp: %q", got)
	}
	c := w.dialUDP(t, testPort)
	c.wantEcho("hello")
	w.apply(t, tcp) // without UDP
	dialWire(t, w.addr(testPort)).take(1)
	until(t, "the session has ended", func() bool { _, s := w.streams.Count(); return s == 0 })

	clash := &proxy.Snapshot{Listeners: append([]*proxy.Listener{}, tcp.Listeners[0], snapshotOf(backendOf("web", e.addr)).Listeners[0])}
	if err := w.Apply(clash); err == nil || !strings.Contains(err.Error(), "cannot share") {
		t.Errorf("two kinds on one port: %v", err)
	}
}

func TestTCPPortBecomesHTTPAndBack(t *testing.T) {
	e := greets(t, "a")
	h := endpoint(t, answers(okHello))
	w := newWorld(t, Config{})
	for range 2 {
		w.apply(t, streamed(proxy.TCP, nil, backendOf("a", e.addr)))
		addr := w.addr(testPort)
		if got := dialWire(t, addr).take(1); got != "a" {
			t.Fatalf("%q", got)
		}
		w.apply(t, snapshotOf(backendOf("web", h.addr)))
		if w.addr(testPort) != addr {
			t.Fatal("the port has been bound again")
		}
		c := dialWire(t, addr)
		c.send(get("/"))
		c.want("GET", 200)
	}
}

func TestTCPSharesTheBoundOnConnections(t *testing.T) {
	e := greets(t, "a")
	w := newWorld(t, Config{Connections: accept.NewBound(2)})
	w.apply(t, streamed(proxy.TCP, nil, backendOf("a", e.addr)))
	first := dialWire(t, w.addr(testPort))
	first.take(1)
	second := dialWire(t, w.addr(testPort))
	second.take(1)
	if got, _ := dialWire(t, w.addr(testPort)).rest(); got != "" {
		t.Fatalf("a third connection gets %q", got)
	}
	first.Close()
	until(t, "there is room again", func() bool { return dialWire(t, w.addr(testPort)).take(1) == "a" })
}

func TestTCPIdleConnectionsEnd(t *testing.T) {
	e := greets(t, "a")
	w := newWorld(t, Config{Stream: stream.Config{Idle: 300 * time.Millisecond}})
	w.apply(t, streamed(proxy.TCP, nil, backendOf("a", e.addr)))
	began := time.Now()
	c := dialWire(t, w.addr(testPort))
	c.take(1)
	if got, _ := c.rest(); got != "" {
		t.Fatalf("%q", got)
	}
	if took := time.Since(began); took < 300*time.Millisecond {
		t.Errorf("ended after %v", took)
	}
	w.settled(t)
}

// place is a Chaos that acts on every connection in the same way.
type place struct {
	slot    *toxic.Slot
	delay   time.Duration
	mu      sync.Mutex
	refuse  func(stream.Place) bool // guarded by mu
	opened  []stream.Place          // guarded by mu
	missed  []stream.Place          // guarded by mu
	closed  int                     // guarded by mu
	endings []stream.Ending         // guarded by mu; of those that were not tried again
	gone    chan struct{}           // if not nil, closed when nothing is held up any more
	dialled chan struct{}           // if not nil, told of each dial
}

func (p *place) Open(at stream.Place) stream.Connection {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.opened = append(p.opened, at)
	return placed{p, at}
}

func (p *place) Missed(at stream.Place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.missed = append(p.missed, at)
}

type placed struct {
	p  *place
	at stream.Place
}

func (c placed) Slot() *toxic.Slot { return c.p.slot }

func (c placed) Dial() []toxic.Hold {
	if c.p.dialled != nil {
		c.p.dialled <- struct{}{}
	}
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	return []toxic.Hold{{Refused: c.p.refuse != nil && c.p.refuse(c.at), Delay: c.p.delay, Gone: c.p.gone}}
}

func (c placed) Experiments() []proxy.ObjectID { return nil }

func (c placed) Close(e stream.Ending) {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	c.p.closed++
	if !e.Retried {
		c.p.endings = append(c.p.endings, e)
	}
}

// wantFailures checks that so many connections have been opened and closed, or missed, and that all have failed.
func (p *place) wantFailures(t *testing.T, want int) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed != len(p.opened) || len(p.endings)+len(p.missed) != want {
		t.Errorf("%d opened, %d closed, %d ends, %d missed, want %d", len(p.opened), p.closed, len(p.endings), len(p.missed), want)
	}
	for _, e := range p.endings {
		if !e.Failed {
			t.Errorf("%+v", e)
		}
	}
}

func TestTCPClientThatLeavesDuringTheDialIsNoticed(t *testing.T) {
	for name, leave := range map[string]func(*wire){
		"reset":            func(c *wire) { _ = c.SetLinger(0); c.Close() },
		"reset after data": func(c *wire) { c.send("hello"); _ = c.SetLinger(0); c.Close() },
		"close":            func(c *wire) { c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			p := &place{slot: toxic.NewSlot(), delay: 24 * time.Hour, dialled: make(chan struct{}, 4)}
			m := telemetry.New()
			w := newWorld(t, Config{Stream: stream.Config{Chaos: p}, Metrics: m, Upstream: upstream.Config{DialTimeout: time.Hour}})
			w.apply(t, streamed(proxy.TCP, nil, backendOf("a", unusedAddr(t))))
			c := dialWire(t, w.addr(testPort))
			within(t, "the dial", p.dialled)
			leave(c)
			w.settled(t) // before the dial could have timed out
			const want = `breakwater_streams_total{end="canceled",route="TCPRoute/default/r/0"} 1`
			if shown := scrape(t, m); !strings.Contains(shown, want) {
				t.Errorf("no %s in\n%s", want, grep(shown, "breakwater_streams_total"))
			}
			p.mu.Lock()
			defer p.mu.Unlock()
			if len(p.opened) != 1 || p.closed != 1 {
				t.Errorf("%d opened, %d closed", len(p.opened), p.closed)
			}
		})
	}
}

func TestTCPClientThatHasSentEverythingDoesNotLeave(t *testing.T) {
	e := endpoint(t, func(_ int, c *wire) {
		all, _ := io.ReadAll(c.in)
		_, _ = c.Write(bytes.ToUpper(all))
	})
	p := &place{slot: toxic.NewSlot(), delay: 600 * time.Millisecond} // longer than it takes to look at the client twice
	w := newWorld(t, Config{Stream: stream.Config{Chaos: p}})
	w.apply(t, streamed(proxy.TCP, nil, backendOf("a", e.addr)))
	c := dialWire(t, w.addr(testPort))
	c.send("hello")
	_ = c.CloseWrite()
	if got, err := c.rest(); got != "HELLO" || err != nil {
		t.Fatalf("%q %v", got, err)
	}
}

func TestTCPChaosRefusesTheDial(t *testing.T) {
	a, b := greets(t, "a"), greets(t, "b")
	p := &place{slot: toxic.NewSlot(), refuse: func(at stream.Place) bool { return at.Endpoint.String() == a.addr }}
	w := newWorld(t, Config{Stream: stream.Config{Chaos: p}})
	w.apply(t, streamed(proxy.TCP, nil, backendOf("x", a.addr, b.addr)))
	for range 6 {
		if got := dialWire(t, w.addr(testPort)).take(1); got != "b" {
			t.Fatalf("%q", got)
		}
	}
	if n := a.connections(); n != 0 {
		t.Errorf("%d connections although they are refused", n)
	}
	p.mu.Lock()
	p.refuse = func(stream.Place) bool { return true }
	at := p.opened[0]
	p.mu.Unlock()
	if at.Backend.Name != "x" || at.Listener.Section != "tcp" || at.Route.Kind != "TCPRoute" || at.Protocol != proxy.TCP || at.Attempt != 1 || !at.Client.IsValid() {
		t.Errorf("%+v", at)
	}
	wantRefusal(t, w.addr(testPort))
}

func TestTCPDialGoesOnWhenNothingHoldsItUpAnyMore(t *testing.T) {
	for name, refused := range map[string]bool{"held up": false, "held up and refused": true} {
		t.Run(name, func(t *testing.T) {
			a := greets(t, "a")
			p := &place{slot: toxic.NewSlot(), delay: time.Hour, dialled: make(chan struct{}, 4), gone: make(chan struct{})}
			p.refuse = func(stream.Place) bool { return refused }
			w := newWorld(t, Config{Stream: stream.Config{Chaos: p}, Upstream: upstream.Config{DialTimeout: time.Hour}})
			w.apply(t, streamed(proxy.TCP, nil, backendOf("x", a.addr)))
			c := dialWire(t, w.addr(testPort))
			within(t, "the dial", p.dialled)
			close(p.gone)
			if got := c.take(1); got != "a" {
				t.Errorf("got %q", got)
			}
		})
	}
}

// A dial takes no longer than it may, whatever holds it up.
func TestTCPDialThatIsHeldUpTimesOut(t *testing.T) {
	a := greets(t, "a")
	p := &place{slot: toxic.NewSlot(), delay: time.Hour}
	w := newWorld(t, Config{Stream: stream.Config{Chaos: p}, Upstream: upstream.Config{DialTimeout: 50 * time.Millisecond}})
	w.apply(t, streamed(proxy.TCP, nil, backendOf("x", a.addr)))
	wantRefusal(t, w.addr(testPort))
}

func TestTCPShutdownDrainsThenCuts(t *testing.T) {
	e := greets(t, "a")
	w := newWorld(t, Config{})
	w.apply(t, streamed(proxy.TCP, nil, backendOf("a", e.addr)))
	polite, stubborn := dialWire(t, w.addr(testPort)), dialWire(t, w.addr(testPort))
	polite.take(1)
	stubborn.take(1)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Shutdown(ctx) }()
	until(t, "the port is closed", func() bool {
		nc, err := net.Dial("tcp", w.addr(testPort))
		if err == nil {
			nc.Close()
		}
		return err != nil
	})
	polite.send("ping")
	if got := polite.take(4); got != "ping" {
		t.Fatalf("a live connection gets %q", got)
	}
	_ = polite.CloseWrite()
	polite.wantEnd()
	select {
	case err := <-done:
		t.Fatalf("shut down with %v while a connection lives", err)
	default:
	}
	until(t, "only one connection is left", func() bool { n, _ := w.streams.Count(); return n == 1 })
	cancel()
	err := within(t, "the end", done)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	wantCut(t, err, proxy.TCP)
	stubborn.wantReset()
}

// wantCut checks that one connection or session of the route of streamed was cut off, and nothing else.
func wantCut(t *testing.T, err error, protocol proxy.Protocol) {
	t.Helper()
	cut := &CutError{}
	if !errors.As(err, &cut) || cut.Requests+cut.Tunnels != 0 || len(cut.Streams) != 1 {
		t.Fatalf("%v", err)
	}
	if l := cut.Streams[0]; l.Protocol != protocol || l.Count != 1 || l.Route.Object.Name == "" {
		t.Errorf("%+v", l)
	}
}

// What a toxic withholds for ever, in both directions and beyond what there is room for, does not hold up the end.
func TestTCPShutdownCutsWhatToxicsHold(t *testing.T) {
	e := endpoint(t, func(_ int, c *wire) {
		_, _ = c.Write(make([]byte, 4<<20)) // more than a toxic holds
		_, _ = io.Copy(io.Discard, c.in)
	})
	p := &place{slot: toxic.NewSlot(
		toxic.Active{Entry: &toxic.Entry{Name: "up", Direction: proxy.Upstreamward, Toxicity: 1, Toxic: toxic.Timeout{}}},
		toxic.Active{Entry: &toxic.Entry{Name: "down", Toxicity: 1, Toxic: toxic.Timeout{}}},
	)}
	w := newWorld(t, Config{Stream: stream.Config{Chaos: p}})
	w.apply(t, streamed(proxy.TCP, nil, backendOf("a", e.addr)))
	c := dialWire(t, w.addr(testPort))
	c.send("hello")
	_ = c.CloseWrite()
	until(t, "the endpoint is reached", func() bool { return e.connections() == 1 })
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	done := make(chan error, 1)
	go func() { done <- w.Shutdown(ctx) }()
	if err := within(t, "the end", done); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	c.wantReset()
}

func TestTCPToxicsComeAndGoOnLiveConnections(t *testing.T) {
	const size = 64 << 20
	e := endpoint(t, func(_ int, c *wire) {
		_, _ = io.Copy(c.TCPConn, c.in)
		_ = c.CloseWrite()
	})
	p := &place{slot: toxic.NewSlot()}
	w := newWorld(t, Config{Stream: stream.Config{Chaos: p}})
	w.apply(t, streamed(proxy.TCP, nil, backendOf("a", e.addr)))
	c := dialWire(t, w.addr(testPort))
	sent := make([]byte, size)
	for i := 0; i < size; i += 8 {
		sent[i], sent[i+1], sent[i+2], sent[i+3] = byte(i>>3), byte(i>>11), byte(i>>19), byte(i>>27)
	}
	go func() {
		_, _ = c.Write(sent)
		_ = c.CloseWrite()
	}()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				p.slot.Set()
				return
			case <-time.After(3 * time.Millisecond):
			}
			if i%2 == 0 {
				p.slot.Set(
					toxic.Active{Entry: &toxic.Entry{Name: "up", Direction: proxy.Upstreamward, Toxicity: 1, Toxic: toxic.Latency{Latency: shape.Const(5)}}},
					toxic.Active{Entry: &toxic.Entry{Name: "down", Toxicity: 1, Toxic: toxic.Latency{Latency: shape.Const(5)}}},
				)
			} else {
				p.slot.Set()
			}
		}
	})
	got, err := io.ReadAll(c.in)
	close(stop)
	wg.Wait()
	if err != nil || !bytes.Equal(got, sent) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
}
