package server

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/accept"
	"github.com/breakwater-gateway/breakwater/proxy/stream"
	"github.com/breakwater-gateway/breakwater/proxy/telemetry"
)

var (
	trustLoopback = Forwarded{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	toldHeader    = stream.Header{Source: netip.MustParseAddrPort("192.0.2.7:1234"), Destination: netip.MustParseAddrPort("198.51.100.1:443")}
)

// headerOf is a PROXY protocol header that tells toldHeader.
func headerOf(t testing.TB, version uint8) string {
	t.Helper()
	b, err := stream.FormatHeader(version, toldHeader)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestProxyHeaderOutTellsTheClient(t *testing.T) {
	for _, version := range []uint8{1, 2} {
		got := make(chan stream.Header, 1)
		e := endpoint(t, func(_ int, c *wire) {
			h, err := stream.ReadHeader(c.in)
			if err != nil {
				t.Error(err)
			}
			got <- h
			_, _ = io.Copy(c.TCPConn, c.in)
		})
		b := backendOf("a", e.addr)
		b.ProxyProtocol = version
		w := newWorld(t, Config{})
		w.apply(t, streamed(proxy.TCP, nil, b))
		c := dialWire(t, w.addr(testPort))
		c.send("hello")
		want := stream.Header{Source: stream.AddrPort(c.LocalAddr()), Destination: stream.AddrPort(c.RemoteAddr())}
		if h := within(t, "the header", got); h != want {
			t.Errorf("version %d: %v, want %v", version, h, want)
		}
		if s := c.take(5); s != "hello" {
			t.Errorf("%q", s)
		}
	}
}

func TestProxyHeaderInTellsTheClient(t *testing.T) {
	told := make(chan stream.Header, 4)
	e := endpoint(t, func(_ int, c *wire) {
		h, err := stream.ReadHeader(c.in)
		if err != nil {
			t.Error(err)
		}
		told <- h
		_, _ = io.Copy(c.TCPConn, c.in)
		_ = c.CloseWrite()
	})
	b := backendOf("a", e.addr)
	b.ProxyProtocol = 2
	w := newWorld(t, Config{Forwarded: trustLoopback})
	w.apply(t, streamed(proxy.TCP, func(l *proxy.Listener) { l.ProxyProtocol = true }, b))
	for _, version := range []uint8{1, 2} {
		c := dialWire(t, w.addr(testPort))
		c.send("%s", headerOf(t, version)+"hello")
		if h := within(t, "the header", told); h != toldHeader {
			t.Errorf("version %d: %v", version, h)
		}
		if s := c.take(5); s != "hello" {
			t.Errorf("%q", s)
		}
		_ = c.CloseWrite()
		c.wantEnd()
	}
	c := dialWire(t, w.addr(testPort))
	c.send("PROXY UNKNOWN\r\n")
	if h := within(t, "the header", told); h.Source != stream.AddrPort(c.LocalAddr()) {
		t.Errorf("a health check comes from %v", h.Source)
	}
}

func TestProxyHeaderFailsClosed(t *testing.T) {
	e := greets(t, "a")
	h := endpoint(t, answers(okHello))
	for name, c := range map[string]struct {
		trusted Forwarded
		send    string
		slow    bool
	}{
		"no peer is trusted":     {send: headerOf(t, 1)},
		"another peer is":        {trusted: Forwarded{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}, send: headerOf(t, 2)},
		"no header":              {trusted: trustLoopback, send: get("/")},
		"malformed header":       {trusted: trustLoopback, send: "PROXY TCP4 1.2.3.4\r\n"},
		"header that never ends": {trusted: trustLoopback, send: "PROXY TCP4 1.2.", slow: true},
		"silence":                {trusted: trustLoopback, slow: true},
	} {
		for kind, snap := range map[string]*proxy.Snapshot{
			"tcp":  streamed(proxy.TCP, nil, backendOf("a", e.addr)),
			"http": snapshotOf(backendOf("web", h.addr)),
		} {
			t.Run(name+" "+kind, func(t *testing.T) {
				snap.Listeners[0].ProxyProtocol = true
				cfg := Config{Forwarded: c.trusted, Metrics: telemetry.New(), Connections: accept.NewBound(1)}
				if c.slow {
					cfg.HeaderTimeout = 50 * time.Millisecond
				}
				w := newWorld(t, cfg)
				w.apply(t, snap)
				nc, err := net.Dial("tcp", w.addr(testPort))
				if err == nil {
					defer nc.Close()
					_ = nc.SetDeadline(time.Now().Add(patience))
					_, _ = io.WriteString(nc, c.send)
					if got, _ := io.ReadAll(nc); len(got) != 0 {
						t.Fatalf("%q", got)
					}
				}
				until(t, "the refusal is counted", func() bool {
					return strings.Contains(scrape(t, cfg.Metrics), `requests_refused_total{reason="proxy_header"} 1`)
				})
				until(t, "there is room for another connection", cfg.Connections.Take)
			})
		}
	}
	if n := e.connections() + h.connections(); n != 0 {
		t.Errorf("%d connections reached an endpoint", n)
	}
}

func TestProxyHeaderTellsTheClientOfRequests(t *testing.T) {
	heads := make(chan string, 8)
	e := endpoint(t, func(_ int, c *wire) {
		for {
			head := c.head()
			if head == "" {
				return
			}
			heads <- head
			c.send(okHello)
		}
	})
	snap := snapshotOf(backendOf("web", e.addr))
	snap.Listeners[0].ProxyProtocol = true
	var log syncBuffer
	m := telemetry.New()
	access := telemetry.NewAccessLog(&log, telemetry.LogOptions{}, m)
	w := newWorld(t, Config{Forwarded: trustLoopback, AccessLog: access, Metrics: m})
	w.apply(t, snap)
	c := dialWire(t, w.addr(testPort))
	c.send("%s", headerOf(t, 2)+"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n"+get("/second"))
	for range 2 {
		c.want("GET", 200)
		// The client told is not a trusted proxy: what it says of itself is not believed.
		if head := within(t, "a request", heads); !strings.Contains(head, "X-Forwarded-For: 192.0.2.7\r\n") || !strings.Contains(head, "X-Real-IP: 192.0.2.7\r\n") {
			t.Errorf("%s", head)
		}
	}
	until(t, "both are logged", func() bool { return strings.Count(log.String(), `"clientIP":"192.0.2.7"`) == 2 })
	access.Close()
}

func TestProxyHeaderThatIsMissingDoesNotHoldUpShutdown(t *testing.T) {
	w := newWorld(t, Config{Forwarded: trustLoopback, HeaderTimeout: time.Hour})
	e := greets(t, "a")
	w.apply(t, streamed(proxy.TCP, func(l *proxy.Listener) { l.ProxyProtocol = true }, backendOf("a", e.addr)))
	c := dialWire(t, w.addr(testPort))
	until(t, "it waits for the header", func() bool {
		w.greeting.mu.Lock()
		defer w.greeting.mu.Unlock()
		return len(w.greeting.conns) == 1
	})
	if err := w.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if got, _ := c.rest(); got != "" {
		t.Errorf("%q", got)
	}
}

func TestStreamsAreCountedAndLogged(t *testing.T) {
	e := greets(t, "a")
	u := echoUDP(t, "127.0.0.1:0")
	var log syncBuffer
	m := telemetry.New()
	access := telemetry.NewAccessLog(&log, telemetry.LogOptions{}, m)
	tcp, udp := streamed(proxy.TCP, nil, backendOf("a", unusedAddr(t), e.addr)), streamed(proxy.UDP, func(l *proxy.Listener) {
		l.Stream.ID.Kind = "UDPRoute"
	}, backendOf("a", u.addr()))
	snap := &proxy.Snapshot{Listeners: append(tcp.Listeners, udp.Listeners...), Backends: tcp.Backends}
	for id, b := range udp.Backends {
		snap.Backends[id] = b
	}
	w := newWorld(t, Config{Metrics: m, AccessLog: access, Stream: stream.Config{SessionIdle: 100 * time.Millisecond}})
	w.apply(t, snap)
	for range 2 { // one of them is tried at the endpoint that is down
		c := dialWire(t, w.addr(testPort))
		c.take(1)
		c.send("hello")
		_ = c.CloseWrite()
		c.rest()
	}
	if _, err := w.dialUDP(t, testPort).Write([]byte("hello")); err != nil { // its session may have ended before there is an answer
		t.Fatal(err)
	}
	until(t, "it arrives", func() bool { return u.sources() == 1 })
	w.settled(t)
	access.Close()
	shown := scrape(t, m)
	for _, want := range []string{
		`breakwater_streams_total{end="done",route="TCPRoute/default/r/0"} 2`,
		`breakwater_streams_total{end="done",route="UDPRoute/default/r/0"} 1`,
		`breakwater_streams_open{route="TCPRoute/default/r/0"} 0`,
		`breakwater_stream_bytes_total{direction="upstream",route="TCPRoute/default/r/0"} 10`,
		`breakwater_stream_bytes_total{direction="downstream",route="TCPRoute/default/r/0"} 12`,
		`breakwater_stream_datagrams_total{direction="upstream",route="UDPRoute/default/r/0"} 1`,
		`breakwater_backend_retries_total{backend="default/a:80/tcp"} 1`,
		`breakwater_backend_attempts_total{backend="default/a:80/tcp",outcome="connect_failure"} 1`,
		`breakwater_backend_attempts_total{backend="default/a:80/tcp",outcome="ok"} 2`,
	} {
		if !strings.Contains(shown, want) {
			t.Errorf("no %s in\n%s", want, grep(shown, want[:20]))
		}
	}
	for _, want := range []string{`"protocol":"tcp","requestBytes":5,"responseBytes":6,`, `"endpoint":"` + e.addr + `"`, `"route":"TCPRoute/default/r/0"`, `"end":"done"`, `"protocol":"udp"`} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %s in\n%s", want, log.String())
		}
	}
	w.apply(t, &proxy.Snapshot{})
	if shown := scrape(t, m); strings.Contains(shown, "TCPRoute/default/r/0") {
		t.Errorf("the series outlive the route:\n%s", grep(shown, "TCPRoute"))
	}
}

// grep returns the lines of s that contain what.
func grep(s, what string) string {
	var b bytes.Buffer
	for line := range strings.Lines(s) {
		if strings.Contains(line, what) {
			b.WriteString(line)
		}
	}
	return b.String()
}

func TestProxyHeaderOutOnRequestsIsEachClientsOwn(t *testing.T) {
	told := make(chan stream.Header, 8)
	e := endpoint(t, func(_ int, c *wire) {
		h, err := stream.ReadHeader(c.in)
		if err != nil {
			t.Error(err)
			return
		}
		told <- h
		answers(okHello)(0, c)
	})
	b := backendOf("web", e.addr)
	b.ProxyProtocol = 1
	w := newWorld(t, Config{})
	w.apply(t, snapshotOf(b))
	for range 2 {
		c := dialWire(t, w.addr(testPort))
		for range 2 {
			c.send(get("/"))
			c.want("GET", 200)
			if h := within(t, "the header", told); h.Source != stream.AddrPort(c.LocalAddr()) {
				t.Errorf("%v", h)
			}
		}
	}
}
