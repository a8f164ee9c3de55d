package fault

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/http1"
	"github.com/breakwater-gateway/breakwater/proxy/upstream"
)

// gateway is a real http1.Server on loopback in front of a real endpoint, with faults at both points.
type gateway struct {
	t        *testing.T
	addr     string
	endpoint *upstream.Endpoint
	backend  *backend

	mu       sync.Mutex
	plan     plan           // guarded by mu
	failures []*proxy.Error // guarded by mu
	attempts int            // guarded by mu
}

// plan says what happens to requests.
type plan struct {
	atClient  []Fault
	atBackend func(attempt int) []Fault // nil is none; attempts are counted from 1
	limit     time.Duration             // of the Route
}

// always returns an atBackend for all attempts.
func always(f ...Fault) func(int) []Fault { return func(int) []Fault { return f } }

func (g *gateway) set(p plan) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.plan = p
}

func newGateway(t *testing.T, answers map[string]string) *gateway {
	t.Helper()
	g := &gateway{t: t, backend: newBackend(t, answers)}
	reg := upstream.NewRegistry(upstream.Config{})
	t.Cleanup(reg.Close)
	g.endpoint = reg.Acquire(proxy.BackendID{Name: "web"}, proxy.Endpoint{Address: netip.MustParseAddrPort(g.backend.addr)})
	srv := http1.NewServer(http1.Config{}, g)
	ln := listen(t)
	g.addr = ln.Addr().String()
	accepted := make(chan struct{})
	go func() {
		defer close(accepted)
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			go srv.ServeConn(nc, 80, "http", func() {})
		}
	}()
	t.Cleanup(func() {
		ln.Close()
		<-accepted
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			t.Error("shutdown:", err)
		}
	})
	return g
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

func steps(faults []Fault, at proxy.Point, pause func(time.Duration) *proxy.Error) []Step {
	var all []Step
	for _, f := range faults {
		all = append(all, f.New(Site{At: at, Rand: rand.New(rand.NewPCG(1, 2)), Pause: pause}))
	}
	return all
}

// begin lets the steps act on the request, in order. If one of them takes the place of the endpoint, that is returned and the
// steps behind it do not see the request: a Reply, or an End, or the error of a pause.
func begin(steps []Step, x *proxy.Exchange, pause func(time.Duration) *proxy.Error) (*Reply, End, *proxy.Error) {
	for i := range steps {
		s := &steps[i]
		if s.Delay > 0 {
			if err := pause(s.Delay); err != nil {
				return nil, None, err
			}
		}
		if s.Request != nil {
			s.Request(x)
		}
		if s.End != None || s.Reply != nil {
			return s.Reply, s.End, nil
		}
	}
	return nil, None, nil
}

// Serve implements proxy.Handler as the server does, but without routing.
func (g *gateway) Serve(x *proxy.Exchange, w proxy.Responder) {
	pause := func(d time.Duration) *proxy.Error { return http1.PauseUntil(w, d, nil) }
	g.mu.Lock()
	p := g.plan
	g.mu.Unlock()
	client := steps(p.atClient, proxy.Client, pause)
	reply, end, err := begin(client, x, pause)
	var body proxy.Body
	var conn *http1.Conn
	switch {
	case err != nil:
	case end == FIN:
		w.Abort()
		return
	case end == RST:
		w.Reset()
		return
	case reply != nil:
		body = reply.Fill(x)
	default:
		body, conn, err = g.attempt(x, w, &p)
	}
	if err != nil {
		g.failed(err)
		if err.Status == 0 {
			w.Abort()
			return
		}
		body = (&Reply{Status: err.Status, Body: "failed\n"}).Fill(x)
	}
	body = Respond(client, x, body)
	if err := w.Deliver(x, body); err != nil {
		g.failed(err)
	}
	if conn != nil && conn.Finish() {
		g.endpoint.Put(conn)
	}
}

func (g *gateway) attempt(x *proxy.Exchange, w proxy.Responder, p *plan) (proxy.Body, *http1.Conn, *proxy.Error) {
	for n := 1; ; n++ {
		g.mu.Lock()
		g.attempts++
		g.mu.Unlock()
		var faults []Fault
		if p.atBackend != nil {
			faults = p.atBackend(n)
		}
		body, conn, err := g.try(x, w, faults, p.limit)
		if err == nil || !err.Retry || n == 3 {
			return body, conn, err
		}
	}
}

func (g *gateway) try(x *proxy.Exchange, w proxy.Responder, faults []Fault, limit time.Duration) (proxy.Body, *http1.Conn, *proxy.Error) {
	defer http1.Limit(w, limit)()
	pause := func(d time.Duration) *proxy.Error { return http1.PauseUntil(w, d, nil) }
	s := steps(faults, proxy.AtBackend, pause)
	reply, end, err := begin(s, x, pause)
	switch {
	case err != nil:
		return nil, nil, err
	case end != None:
		return nil, nil, end.Failure(x)
	case reply != nil:
		return Respond(s, x, reply.Fill(x)), nil, nil
	}
	conn := g.endpoint.Idle()
	if conn == nil {
		if conn, err = g.endpoint.Dial(g.t.Context()); err != nil {
			return nil, nil, err
		}
	}
	if err := conn.RoundTrip(x, w); err != nil {
		conn.Close()
		return nil, nil, err
	}
	return Respond(s, x, conn), conn, nil
}

func (g *gateway) tries() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.attempts
}

func (g *gateway) failed(err *proxy.Error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.failures = append(g.failures, err)
}

// failure returns the only failure so far, nil if there was none.
func (g *gateway) failure() *proxy.Error {
	g.t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	switch len(g.failures) {
	case 0:
		return nil
	case 1:
		return g.failures[0]
	}
	g.t.Fatalf("%d failures: %v", len(g.failures), g.failures)
	return nil
}

// backend is an endpoint that answers with given bytes by path, on connections that stay open.
type backend struct {
	addr    string
	answers map[string]string

	mu       sync.Mutex
	conns    int             // guarded by mu
	requests []*http.Request // guarded by mu
	open     map[net.Conn]struct{}
	wg       sync.WaitGroup
}

func newBackend(t *testing.T, answers map[string]string) *backend {
	ln := listen(t)
	b := &backend{addr: ln.Addr().String(), answers: answers, open: map[net.Conn]struct{}{}}
	b.wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			b.mu.Lock()
			b.conns++
			b.open[c] = struct{}{}
			b.mu.Unlock()
			b.wg.Go(func() { b.serve(c) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		b.mu.Lock()
		for c := range b.open {
			c.Close()
		}
		b.mu.Unlock()
		b.wg.Wait()
	})
	return b
}

// idle returns how many connections are open.
func (b *backend) idle() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.open)
}

func (b *backend) serve(c net.Conn) {
	defer func() {
		c.Close()
		b.mu.Lock()
		delete(b.open, c)
		b.mu.Unlock()
	}()
	in := bufio.NewReader(c)
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		b.mu.Lock()
		b.requests = append(b.requests, r)
		b.mu.Unlock()
		if _, err := io.WriteString(c, b.answers[r.URL.Path]); err != nil {
			return
		}
	}
}

// seen returns how many connections and requests have come.
func (b *backend) seen() (conns, requests int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.conns, len(b.requests)
}

// client is a raw connection to the gateway.
type client struct {
	t *testing.T
	net.Conn
}

func (g *gateway) dial() *client {
	g.t.Helper()
	nc, err := net.Dial("tcp", g.addr)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
	return &client{g.t, nc}
}

func (c *client) send(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		c.t.Fatal("send:", err)
	}
}

var dateField = regexp.MustCompile(`Date: [^\r]*\r\n`)

// rest reads to the end of the connection, and tells how it ended: nil for FIN, ECONNRESET for RST.
func (c *client) rest() (string, error) {
	p, err := io.ReadAll(c)
	return dateField.ReplaceAllString(string(p), ""), err
}

// request is a GET, unless said otherwise, as a client sends it that keeps its connection.
func request(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: a.example\r\n\r\n" }

// get sends a request with net/http's client and returns the response, its body and the body's error.
func (g *gateway) get(path string) (*http.Response, string, error) {
	g.t.Helper()
	tr := &http.Transport{DisableKeepAlives: false}
	g.t.Cleanup(tr.CloseIdleConnections)
	res, err := (&http.Client{Transport: tr, Timeout: 20 * time.Second}).Get("http://" + g.addr + path)
	if err != nil {
		return nil, "", err
	}
	defer res.Body.Close()
	p, err := io.ReadAll(res.Body)
	return res, string(p), err
}

// ok is an answer with a length, chunks one of the same content in two chunks.
func ok(body string) string {
	return "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: " + itoa(len(body)) + "\r\n\r\n" + body
}

func chunks(a, b string) string {
	return "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n" +
		hex(len(a)) + "\r\n" + a + "\r\n" + hex(len(b)) + "\r\n" + b + "\r\n0\r\n\r\n"
}

func itoa(n int) string { return fmt.Sprintf("%d", n) }
func hex(n int) string  { return fmt.Sprintf("%x", n) }

// isDamage reports whether err is what a Damage has come to.
func isDamage(err *proxy.Error) bool {
	var d *proxy.Damage
	return err != nil && errors.As(err.Err, &d)
}
