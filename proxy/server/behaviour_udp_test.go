package server

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/chaos"
	"github.com/breakwater-gateway/breakwater/proxy/shape"
	"github.com/breakwater-gateway/breakwater/proxy/stream"
	"github.com/breakwater-gateway/breakwater/proxy/telemetry"
	"github.com/breakwater-gateway/breakwater/proxy/toxic"
)

// packets is a UDP endpoint that sends everything back behind its name.
type packets struct {
	conn *net.UDPConn
	name string
	mu   sync.Mutex
	from map[string]int // guarded by mu; datagrams by source
}

func echoUDP(t testing.TB, addr string) *packets { return namedUDP(t, addr, "") }

func namedUDP(t testing.TB, addr, name string) *packets {
	t.Helper()
	a, err := net.ResolveUDPAddr("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.ListenUDP("udp", a)
	if err != nil {
		t.Fatal(err)
	}
	p := &packets{conn: conn, name: name, from: map[string]int{}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 1<<16)
		for {
			n, from, err := conn.ReadFromUDP(buf)
			if err != nil {
				return
			}
			p.mu.Lock()
			p.from[from.String()]++
			p.mu.Unlock()
			if len(name)+n <= 65507 {
				_, _ = conn.WriteToUDP(append([]byte(name), buf[:n]...), from)
			}
		}
	}()
	t.Cleanup(func() { conn.Close(); <-done })
	return p
}

func (p *packets) addr() string { return p.conn.LocalAddr().String() }

func (p *packets) sources() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.from)
}

// udpClient is a client of a UDP port.
type udpClient struct {
	t testing.TB
	*net.UDPConn
}

func (w *world) dialUDP(t testing.TB, port uint16) *udpClient {
	t.Helper()
	return dialUDP(t, w.addr(port|udpPort))
}

func dialUDP(t testing.TB, addr string) *udpClient {
	t.Helper()
	nc, err := net.Dial("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	return &udpClient{t, nc.(*net.UDPConn)}
}

// ask sends a datagram and returns the answer. None is lost on loopback, nor may the Server lose one of a session that lasts.
func (c *udpClient) ask(p string) string {
	c.t.Helper()
	if _, err := c.Write([]byte(p)); err != nil {
		c.t.Fatal(err)
	}
	buf := make([]byte, 1<<16)
	_ = c.SetReadDeadline(time.Now().Add(patience))
	n, err := c.Read(buf)
	if err != nil {
		c.t.Fatalf("no answer to %.20q: %v", p, err)
	}
	return string(buf[:n])
}

func (c *udpClient) wantEcho(p string) {
	c.t.Helper()
	if got := c.ask(p); got != p {
		c.t.Fatalf("%.40q, want %.40q", got, p)
	}
}

// wantInTheEnd sends a datagram again and again, since the first ones may be lost, until want is an answer. More answers may come
// afterwards: the client is not to ask anything else.
func (c *udpClient) wantInTheEnd(p, want string) {
	c.t.Helper()
	buf := make([]byte, 1<<16)
	until(c.t, "there is an answer", func() bool {
		if _, err := c.Write([]byte(p)); err != nil {
			return false // told of an earlier one
		}
		_ = c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		n, err := c.Read(buf)
		return err == nil && string(buf[:n]) == want
	})
}

func TestUDPSessionsAreByClient(t *testing.T) {
	e := echoUDP(t, "127.0.0.1:0")
	w := newWorld(t, Config{})
	w.apply(t, streamed(proxy.UDP, nil, backendOf("a", e.addr())))
	const clients = 5
	for i := range clients {
		c := w.dialUDP(t, testPort)
		for j := range 10 {
			c.wantEcho(fmt.Sprint(i, " ", j))
		}
	}
	if n := e.sources(); n != clients {
		t.Errorf("the endpoint sees %d addresses, want %d", n, clients)
	}
	if _, n := w.streams.Count(); n != clients {
		t.Errorf("%d sessions, want %d", n, clients)
	}
}

func TestUDPPassesTheLargestAndTheEmptyDatagram(t *testing.T) {
	e := echoUDP(t, "127.0.0.1:0")
	w := newWorld(t, Config{})
	w.apply(t, streamed(proxy.UDP, nil, backendOf("a", e.addr())))
	c := w.dialUDP(t, testPort)
	c.wantEcho(strings.Repeat("x", 65507))
	c.wantEcho("")
}

func TestUDPSharesByWeight(t *testing.T) {
	a, b := namedUDP(t, "127.0.0.1:0", "a"), namedUDP(t, "127.0.0.1:0", "b")
	w := newWorld(t, Config{})
	w.apply(t, streamed(proxy.UDP, func(l *proxy.Listener) { l.Stream.Backends[0].Weight = 3 }, backendOf("a", a.addr()), backendOf("b", b.addr())))
	seen := map[string]int{}
	for range 200 {
		c := w.dialUDP(t, testPort)
		first := c.ask("")
		if second := c.ask(""); second != first {
			t.Fatalf("one session goes to %q and %q", first, second)
		}
		seen[first]++
	}
	if seen["a"] < 110 || seen["a"] > 190 {
		t.Errorf("%v", seen)
	}
}

func TestUDPSilentSessionsEnd(t *testing.T) {
	e := echoUDP(t, "127.0.0.1:0")
	p := &place{slot: toxic.NewSlot()}
	w := newWorld(t, Config{Stream: stream.Config{Chaos: p, SessionIdle: 200 * time.Millisecond}})
	w.apply(t, streamed(proxy.UDP, nil, backendOf("a", e.addr())))
	c := w.dialUDP(t, testPort)
	began := time.Now()
	if _, err := c.Write([]byte("a")); err != nil { // its session may have ended before there is an answer
		t.Fatal(err)
	}
	until(t, "it arrives", func() bool { return e.sources() == 1 })
	w.settled(t)
	if took := time.Since(began); took < 200*time.Millisecond {
		t.Errorf("ended after %v", took)
	}
	c.wantInTheEnd("b", "b")
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.opened); n < 2 { // more if the machine is slow
		t.Errorf("%d sessions, want another one", n)
	}
}

func TestUDPSessionsAreBounded(t *testing.T) {
	e := echoUDP(t, "127.0.0.1:0")
	m := telemetry.New()
	w := newWorld(t, Config{Stream: stream.Config{MaxSessions: 2}, Metrics: m})
	w.apply(t, streamed(proxy.UDP, nil, backendOf("a", e.addr())))
	a, b := w.dialUDP(t, testPort), w.dialUDP(t, testPort)
	a.wantEcho("a")
	b.wantEcho("b")
	c := w.dialUDP(t, testPort)
	_, _ = c.Write([]byte("c"))
	until(t, "the drop is counted", func() bool {
		return strings.Contains(scrape(t, m), `breakwater_stream_datagrams_dropped_total{reason="sessions",route="TCPRoute/default/r/0"} 1`)
	})
	a.wantEcho("still")
}

func TestUDPDropsWhatNobodyServes(t *testing.T) {
	m := telemetry.New()
	p := &place{slot: toxic.NewSlot()}
	w := newWorld(t, Config{Metrics: m, Stream: stream.Config{Chaos: p}})
	w.apply(t, streamed(proxy.UDP, nil, backendOf("a")))
	c := w.dialUDP(t, testPort)
	_, _ = c.Write([]byte("c"))
	until(t, "the drop is counted", func() bool {
		return strings.Contains(scrape(t, m), `breakwater_stream_datagrams_dropped_total{reason="no_endpoint",route="TCPRoute/default/r/0"} 1`)
	})
	if _, n := w.streams.Count(); n != 0 {
		t.Errorf("%d sessions", n)
	}
	until(t, "chaos is told", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.missed) == 1
	})
	p.wantFailures(t, 1)
	if got := p.missed[0]; got.Endpoint != (proxy.Endpoint{}) || got.Attempt != 1 || got.Route.Name == "" {
		t.Errorf("%+v", got)
	}
	e := echoUDP(t, "127.0.0.1:0")
	w.apply(t, streamed(proxy.UDP, nil, backendOf("a", e.addr())))
	c.wantEcho("now")
}

// A session whose Endpoints go is over, and has failed, once its client notices.
func TestUDPSessionWithoutEndpointsHasFailed(t *testing.T) {
	p := &place{slot: toxic.NewSlot()}
	w := newWorld(t, Config{Stream: stream.Config{Chaos: p}})
	w.apply(t, streamed(proxy.UDP, nil, backendOf("a", echoUDP(t, "127.0.0.1:0").addr())))
	c := w.dialUDP(t, testPort)
	c.wantEcho("a")
	w.apply(t, streamed(proxy.UDP, nil, backendOf("a")))
	_, _ = c.Write([]byte("b"))
	until(t, "the session is over", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.endings) == 1
	})
	p.wantFailures(t, 1)
}

func TestUDPGoesElsewhereWhenNobodyListens(t *testing.T) {
	good := echoUDP(t, "127.0.0.1:0")
	gone := echoUDP(t, "127.0.0.9:0") // nobody else takes a port of this address
	bad := gone.addr()
	gone.conn.Close()
	w := newWorld(t, Config{})
	w.apply(t, streamed(proxy.UDP, nil, backendOf("a", bad, good.addr())))
	for range 6 {
		w.dialUDP(t, testPort).wantInTheEnd("a", "a")
	}
	// The only endpoint comes back.
	w.apply(t, streamed(proxy.UDP, nil, backendOf("b", bad)))
	c := w.dialUDP(t, testPort)
	for range 3 {
		_, _ = c.Write([]byte("lost"))
	}
	echoUDP(t, bad)
	c.wantInTheEnd("b", "b") // what was lost may come first
}

func TestUDPSessionThatNobodyAnswersHasFailed(t *testing.T) {
	good := echoUDP(t, "127.0.0.1:0")
	// A socket that is connected takes datagrams of its peer only: the kernel refuses others, and nobody else gets the port.
	gone := dialUDP(t, "127.0.0.1:9")
	for name, c := range map[string]struct {
		addr string
		want bool
	}{"answered": {good.addr(), false}, "refused": {gone.LocalAddr().String(), true}} {
		t.Run(name, func(t *testing.T) {
			p := &place{slot: toxic.NewSlot()}
			w := newWorld(t, Config{Stream: stream.Config{Chaos: p}})
			w.apply(t, streamed(proxy.UDP, nil, backendOf("a", c.addr)))
			client := w.dialUDP(t, testPort)
			if c.want {
				for range 3 {
					_, _ = client.Write([]byte("lost"))
				}
				until(t, "it has been tried again", func() bool {
					p.mu.Lock()
					defer p.mu.Unlock()
					return len(p.opened) > 1
				})
			} else {
				client.wantEcho("a")
			}
			w.apply(t, &proxy.Snapshot{}) // without the port, sessions end
			until(t, "the session has ended", func() bool {
				p.mu.Lock()
				defer p.mu.Unlock()
				return len(p.endings) == 1
			})
			if got := p.endings[0].Failed; got != c.want {
				t.Errorf("failed: %v, want %v", got, c.want)
			}
		})
	}
}

func TestUDPSessionsFollowTheEndpoints(t *testing.T) {
	a, b := namedUDP(t, "127.0.0.1:0", "a"), namedUDP(t, "127.0.0.1:0", "b")
	w := newWorld(t, Config{})
	w.apply(t, streamed(proxy.UDP, nil, backendOf("x", a.addr())))
	c := w.dialUDP(t, testPort)
	if got := c.ask("?"); got != "a?" {
		t.Fatal(got)
	}
	w.apply(t, streamed(proxy.UDP, nil, backendOf("x", b.addr(), a.addr())))
	if got := c.ask("?"); got != "a?" {
		t.Fatalf("the session has left an endpoint that stays: %q", got)
	}
	w.apply(t, streamed(proxy.UDP, nil, backendOf("x", b.addr())))
	c.wantInTheEnd("?", "b?")
	if _, n := w.streams.Count(); n != 1 {
		t.Errorf("%d sessions", n)
	}
}

func TestUDPAnswersFromTheAddressThatWasAsked(t *testing.T) {
	for _, network := range []string{"udp4", "udp"} {
		t.Run(network, func(t *testing.T) {
			e := echoUDP(t, "127.0.0.1:0")
			var port int
			w := newWorld(t, Config{ListenPacket: func(uint16) (*net.UDPConn, error) {
				conn, err := net.ListenUDP(network, nil)
				if err == nil {
					port = conn.LocalAddr().(*net.UDPAddr).Port
				}
				return conn, err
			}})
			w.apply(t, streamed(proxy.UDP, nil, backendOf("a", e.addr())))
			// A connected socket takes answers from the address that it has asked only.
			dialUDP(t, fmt.Sprintf("127.0.0.1:%d", port)).wantEcho("a")
			dialUDP(t, fmt.Sprintf("127.0.0.2:%d", port)).wantEcho("b")
			if conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv6loopback}); err == nil && network == "udp" {
				conn.Close()
				dialUDP(t, fmt.Sprintf("[::1]:%d", port)).wantEcho("c")
			}
			// One client that asks two addresses has two sessions.
			c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_, before := w.streams.Count()
			for _, ip := range []byte{3, 4} {
				to := &net.UDPAddr{IP: net.IPv4(127, 0, 0, ip), Port: port}
				if _, err := c.WriteToUDP([]byte{ip}, to); err != nil {
					t.Fatal(err)
				}
				buf := make([]byte, 10)
				_ = c.SetReadDeadline(time.Now().Add(patience))
				n, from, err := c.ReadFromUDP(buf)
				if err != nil || n != 1 || buf[0] != ip || from.String() != to.String() {
					t.Fatalf("%v from %v, want %d from %v; %v", buf[:n], from, ip, to, err)
				}
			}
			if _, n := w.streams.Count(); n != before+2 {
				t.Errorf("%d sessions more", n-before)
			}
		})
	}
}

func TestUDPShutdownWaitsForSilence(t *testing.T) {
	const quiet = 50 * time.Millisecond
	e := echoUDP(t, "127.0.0.1:0")
	w := newWorld(t, Config{Stream: stream.Config{DrainQuiet: quiet}})
	w.apply(t, streamed(proxy.UDP, nil, backendOf("a", e.addr())))
	began := time.Now()
	w.dialUDP(t, testPort).wantEcho("a")
	done := make(chan error, 1)
	go func() { done <- w.Shutdown(context.Background()) }()
	if err := within(t, "the end", done); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took < quiet {
		t.Errorf("it ends %v after a datagram", took)
	}
}

func TestUDPShutdownServesSessionsAndBeginsNone(t *testing.T) {
	e := echoUDP(t, "127.0.0.1:0")
	w := newWorld(t, Config{Stream: stream.Config{DrainQuiet: time.Hour, SessionIdle: time.Hour}})
	w.apply(t, streamed(proxy.UDP, nil, backendOf("a", e.addr())))
	c := w.dialUDP(t, testPort)
	c.wantEcho("a")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- w.Shutdown(ctx) }()
	until(t, "it takes no new ports", func() bool {
		conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		p := w.streams.NewPackets(conn, func() (*stream.Route, uint64) { return nil, 0 })
		if p != nil {
			p.Close()
			p.Run()
		}
		return p == nil
	})
	other := w.dialUDP(t, testPort)
	for range 3 {
		_, _ = other.Write([]byte("c"))
	}
	c.wantEcho("d") // which the port reads after them
	if _, n := w.streams.Count(); n != 1 {
		t.Errorf("%d sessions, want no new ones", n)
	}
	select {
	case err := <-done:
		t.Fatalf("shut down with %v while a session lives", err)
	default:
	}
	cancel()
	wantCut(t, within(t, "the end", done), proxy.UDP)
}

func TestUDPShutdownCuts(t *testing.T) {
	e := echoUDP(t, "127.0.0.1:0")
	w := newWorld(t, Config{})
	w.apply(t, streamed(proxy.UDP, nil, backendOf("a", e.addr())))
	w.dialUDP(t, testPort).wantEcho("a")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	wantCut(t, w.Shutdown(ctx), proxy.UDP)
}

func TestUDPToxicsActOnSessions(t *testing.T) {
	e := echoUDP(t, "127.0.0.1:0")
	p := &place{slot: toxic.NewSlot()}
	w := newWorld(t, Config{Stream: stream.Config{Chaos: p}})
	w.apply(t, streamed(proxy.UDP, nil, backendOf("a", e.addr())))
	c := w.dialUDP(t, testPort)
	c.wantEcho("a")
	p.slot.Set(toxic.Active{Entry: &toxic.Entry{Name: "slow", Toxicity: 1, Toxic: toxic.Latency{Latency: shape.Const(300)}}})
	began := time.Now()
	if _, err := c.Write([]byte("b")); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 8)
	_ = c.SetReadDeadline(time.Now().Add(patience))
	if n, err := c.Read(buf); err != nil || string(buf[:n]) != "b" {
		t.Fatalf("%q %v", buf[:n], err)
	}
	if took := time.Since(began); took < 300*time.Millisecond {
		t.Errorf("after %v", took)
	}
	p.slot.Set()
	c.wantEcho("c")
	w.apply(t, &proxy.Snapshot{})
	w.settled(t)
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.opened) != 1 || p.closed != 1 || p.opened[0].Protocol != proxy.UDP {
		t.Errorf("%v opened, %d closed", p.opened, p.closed)
	}
}

// What toxics hold for longer than a session may be silent, or than it is waited for while the Server shuts down, arrives nevertheless.
func TestUDPSessionsWaitForWhatToxicsHold(t *testing.T) {
	for name, c := range map[string]struct {
		idle, quiet time.Duration
		isShut      bool
	}{
		"silent":        {idle: 20 * time.Millisecond},
		"shutting down": {idle: time.Hour, quiet: 20 * time.Millisecond, isShut: true},
	} {
		t.Run(name, func(t *testing.T) {
			e := echoUDP(t, "127.0.0.1:0")
			late := toxic.Entry{Name: "late", Direction: proxy.Upstreamward, Toxicity: 1, Toxic: toxic.Latency{Latency: shape.Const(400)}}
			p, held := &place{slot: toxic.NewSlot(toxic.Active{Entry: &late})}, toxic.NewBudget(1<<20)
			w := newWorld(t, Config{
				Stream: stream.Config{Chaos: p, SessionIdle: c.idle, DrainQuiet: c.quiet}, Toxics: toxic.Options{Budget: held},
			})
			w.apply(t, streamed(proxy.UDP, nil, backendOf("a", e.addr())))
			if _, err := w.dialUDP(t, testPort).Write([]byte("a")); err != nil {
				t.Fatal(err)
			}
			if c.isShut {
				until(t, "it is held", func() bool { return held.Used() > 0 || e.sources() == 1 })
				if err := w.Shutdown(context.Background()); err != nil {
					t.Error(err)
				}
			}
			until(t, "it arrives", func() bool { return e.sources() == 1 })
			w.settled(t)
		})
	}
}

// forever withholds datagrams until it is removed.
type forever struct{}

func (forever) Type() string                                        { return "forever" }
func (forever) Validate() error                                     { return nil }
func (f forever) NewDatagram(toxic.Site) toxic.DatagramShaper       { return f }
func (forever) ShapePacket(p toxic.Packet, emit func(toxic.Packet)) { p.Due = toxic.Never; emit(p) }

// What is still held when a session ends is lost, and the access log and the report say so.
func TestUDPSessionsTellWhatTheyLose(t *testing.T) {
	const sessions = 5
	for name, c := range map[string]struct {
		toxic proxy.Toxic
		idle  time.Duration
		isCut bool
		want  string // of the access log
	}{
		"held for ever does not keep a session": {toxic: forever{}, idle: 20 * time.Millisecond, want: `"end":"fault"`},
		"cut off":                               {toxic: toxic.Latency{Latency: shape.Const(3_600_000)}, idle: time.Hour, isCut: true, want: `"end":"cut"`},
	} {
		t.Run(name, func(t *testing.T) {
			exp := bounded(proxy.Client, c.toxic)
			exp.Toxics[0].Direction = proxy.Upstreamward
			engine, m, held := chaos.New(chaos.Config{}), telemetry.New(), toxic.NewBudget(1<<20)
			t.Cleanup(engine.Close)
			var log syncBuffer
			access := telemetry.NewAccessLog(&log, telemetry.LogOptions{}, m)
			w := newWorld(t, Config{
				Chaos: engine, Metrics: m, AccessLog: access, Stream: stream.Config{SessionIdle: c.idle}, Toxics: toxic.Options{Budget: held},
			})
			snap := streamed(proxy.UDP, nil, backendOf("a", echoUDP(t, "127.0.0.1:0").addr()))
			exp.Targets[0].Object = snap.Listeners[0].Stream.ID
			snap.Experiments = []*proxy.Experiment{exp}
			w.apply(t, snap)
			failed := func() uint64 { return engine.Report().Experiments[0].InjectedTraffic.Failed }
			for n := range uint64(sessions) {
				before := held.Used()
				if _, err := w.dialUDP(t, testPort).Write([]byte("a")); err != nil {
					t.Fatal(err)
				}
				until(t, "it is held, or lost", func() bool { return c.isCut && held.Used() > before || failed() == n+1 })
			}
			if c.isCut {
				if n := failed(); n != 0 {
					t.Errorf("%d have failed that are held", n)
				}
				ctx, cancel := context.WithCancel(context.Background())
				cancel()
				if err := w.Shutdown(ctx); err == nil {
					t.Error("nothing has been cut off")
				}
			}
			w.settled(t)
			access.Close()
			if n := failed(); n != sessions {
				t.Errorf("%d sessions have failed, want %d", n, sessions)
			}
			until(t, "the guard halts it", func() bool { return engine.Status()[0].Phase == proxy.ExperimentHalted })
			said := grep(log.String(), "datagrams that toxics held back to the end are lost: 1")
			if strings.Count(said, c.want) != sessions || strings.Count(said, `"requestBytes":0,`) != sessions {
				t.Errorf("%s", log.String())
			}
		})
	}
}
