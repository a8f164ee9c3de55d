package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/telemetry"
)

// patience is how long a test waits for what must happen.
const patience = time.Minute

// scripted is an endpoint that does what a function says with each connection.
type scripted struct {
	t    testing.TB
	addr string
	ln   net.Listener
	wg   sync.WaitGroup

	mu       sync.Mutex
	open     map[net.Conn]struct{} // guarded by mu
	accepted int                   // guarded by mu
}

// endpoint starts an endpoint. It serves each connection with f, which gets the number of the connection, from 1.
func endpoint(t testing.TB, f func(n int, c *wire)) *scripted {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &scripted{t: t, ln: ln, addr: ln.Addr().String(), open: map[net.Conn]struct{}{}}
	s.wg.Add(1)
	go func() {
		defer s.wg.Done()
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.accepted++
			n := s.accepted
			s.open[c] = struct{}{}
			s.mu.Unlock()
			s.wg.Add(1)
			go func() {
				defer s.wg.Done()
				defer s.closed(c)
				_ = c.SetDeadline(time.Now().Add(2 * patience))
				f(n, &wire{t: t, TCPConn: c.(*net.TCPConn), in: bufio.NewReader(c)})
			}()
		}
	}()
	t.Cleanup(func() {
		ln.Close()
		s.mu.Lock()
		for c := range s.open {
			c.Close()
		}
		s.mu.Unlock()
		s.wg.Wait()
	})
	return s
}

func (s *scripted) closed(c net.Conn) {
	c.Close()
	s.mu.Lock()
	delete(s.open, c)
	s.mu.Unlock()
}

// connections returns how many connections have been accepted so far.
func (s *scripted) connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accepted
}

// wire is one end of a connection with the means to speak HTTP by hand.
type wire struct {
	t testing.TB
	*net.TCPConn
	in *bufio.Reader
}

// dialWire connects to the Server.
func dialWire(t testing.TB, addr string) *wire {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(2 * patience))
	return &wire{t: t, TCPConn: c.(*net.TCPConn), in: bufio.NewReader(c)}
}

// send writes and reports false if the connection is gone.
func (w *wire) send(format string, args ...any) bool {
	if len(args) > 0 {
		format = fmt.Sprintf(format, args...)
	}
	_, err := io.WriteString(w.TCPConn, format)
	return err == nil
}

// head reads a message head, without the empty line; "" when the connection ends before.
func (w *wire) head() string {
	var b strings.Builder
	for {
		line, err := w.in.ReadString('\n')
		if err != nil {
			return ""
		}
		if line == "\r\n" {
			return b.String()
		}
		b.WriteString(line)
	}
}

// take reads n bytes of content; fewer when the connection ends before.
func (w *wire) take(n int) string {
	p := make([]byte, n)
	m, _ := io.ReadFull(w.in, p)
	return string(p[:m])
}

// rest reads until the connection ends.
func (w *wire) rest() (string, error) {
	p, err := io.ReadAll(w.in)
	return string(p), err
}

// response reads a response with its body. An error means that it was not complete.
func (w *wire) response(method string) (*http.Response, string, error) {
	res, err := http.ReadResponse(w.in, &http.Request{Method: method})
	if err != nil {
		return nil, "", err
	}
	body, err := io.ReadAll(res.Body)
	return res, string(body), err
}

// want reads a response that must be complete and have this status, and returns its body.
func (w *wire) want(method string, status int) string {
	w.t.Helper()
	res, body, err := w.response(method)
	if err != nil {
		w.t.Fatalf("read response: %v (so far %q)", err, body)
	}
	if res.StatusCode != status {
		w.t.Fatalf("status %d %q, want %d", res.StatusCode, body, status)
	}
	return body
}

// wantEnd expects the connection to end in an orderly way with nothing more to read.
func (w *wire) wantEnd() {
	w.t.Helper()
	if rest, err := w.rest(); rest != "" || err != nil {
		w.t.Fatalf("got %q and %v, want the end of the connection", rest, err)
	}
}

// wantOpen expects the connection to serve another request.
func (w *wire) wantOpen() {
	w.t.Helper()
	if !w.send(get("/again")) {
		w.t.Fatal("the connection does not take another request")
	}
	w.want("GET", 200)
}

func get(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n" }

// request is a request with content of known length, of which only the head is returned.
func request(method string, length int, fields ...string) string {
	head := fmt.Sprintf("%s /p HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n", method, length)
	for _, f := range fields {
		head += f + "\r\n"
	}
	return head + "\r\n"
}

// answers serves each request of a connection, whose content it does not read, with the same answer.
func answers(answer string) func(int, *wire) {
	return func(_ int, c *wire) {
		for c.head() != "" && c.send(answer) {
		}
	}
}

const okHello = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

// within waits for a channel.
func within[T any](t testing.TB, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("waited in vain for", what)
		panic("unreachable")
	}
}

// until polls for a condition.
func until(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("waited in vain until", what)
		}
	}
}

// world is a Server whose ports are bound to whatever is free, for tests that Apply more than once.
type world struct {
	*Server
	mu    sync.Mutex
	addrs map[uint16]string         // guarded by mu
	deny  map[uint16]error          // guarded by mu; ports that cannot be bound
	lns   map[uint16][]net.Listener // guarded by mu
}

func newWorld(t testing.TB, cfg Config) *world {
	t.Helper()
	w := &world{addrs: map[uint16]string{}, deny: map[uint16]error{}, lns: map[uint16][]net.Listener{}}
	cfg.Listen = w.listen
	if cfg.ListenPacket == nil {
		cfg.ListenPacket = w.listenPacket
	}
	if cfg.Stream.DrainQuiet == 0 {
		cfg.Stream.DrainQuiet = 20 * time.Millisecond
	}
	w.Server = New(cfg)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := w.Shutdown(ctx); err != nil {
			t.Error("shutdown:", err)
		}
	})
	return w
}

func (w *world) listen(port uint16) (net.Listener, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.deny[port]; err != nil {
		return nil, err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err == nil {
		w.addrs[port] = ln.Addr().String()
		w.lns[port] = append(w.lns[port], ln)
	}
	return ln, err
}

// udpPort marks UDP ports in world.addrs.
const udpPort = 1 << 15

func (w *world) listenPacket(port uint16) (*net.UDPConn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err == nil {
		w.addrs[port|udpPort] = conn.LocalAddr().String()
	}
	return conn, err
}

func (w *world) addr(port uint16) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.addrs[port]
}

// backendOf is a Backend called name with these endpoints.
func backendOf(name string, addrs ...string) *proxy.Backend {
	b := &proxy.Backend{ID: proxy.BackendID{Kind: "Service", Namespace: "default", Name: name, Port: 80}, Protocol: proxy.HTTP1}
	for _, a := range addrs {
		b.Endpoints = append(b.Endpoints, proxy.Endpoint{Address: netip.MustParseAddrPort(a)})
	}
	return b
}

// routed is a Snapshot that sends everything on a port to b, by a Route that change may alter.
func routed(b *proxy.Backend, change func(*proxy.Route)) *proxy.Snapshot {
	snap := snapshotOf(b)
	if change != nil {
		change(snap.Listeners[0].Hosts[0].Routes[0])
	}
	return snap
}

// unusedAddr is an address on which nothing listens.
func unusedAddr(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// descriptors returns how many file descriptors the process has open.
func descriptors(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("no /proc here")
	}
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// scrape returns what m shows, as text.
func scrape(t testing.TB, m *telemetry.Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	promhttp.HandlerFor(telemetry.NewRegistry(m, "test"), promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	return w.Body.String()
}
