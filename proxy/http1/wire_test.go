package http1

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// gateway is a Server with a ledger behind it. Upstream connections are used again, by whoever comes next, as in production.
type gateway struct {
	srv    *Server
	ledger ledger
	dial   func() net.Conn // connects to the endpoint; nil is the ledger

	mu      sync.Mutex
	sent    []belief // guarded by mu
	refused []*Refusal
	idle    []*Conn
}

// belief is a request of which the engine believes that the endpoint has read it to its end.
type belief struct {
	method, target, host string
	bytes                int64
}

func newGateway(tb testing.TB, cfg Config) *gateway {
	g := &gateway{}
	cfg.Refused = func(r *Refusal) {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.refused = append(g.refused, r)
	}
	g.srv = NewServer(cfg, g)
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := g.srv.Shutdown(ctx); err != nil {
			tb.Error("shutdown:", err)
		}
		for _, u := range g.idle {
			u.Close()
		}
		g.ledger.conns.Wait()
		if _, faults := g.ledger.take(); len(faults) > 0 {
			tb.Errorf("the endpoint found faults: %q", faults)
		}
	})
	return g
}

// Serve implements proxy.Handler.
func (g *gateway) Serve(x *proxy.Exchange, r proxy.Responder) {
	u := g.connect()
	b := belief{method: string(x.Request.Method), target: string(x.Request.Path), host: string(x.Request.Authority)}
	if x.Request.HasQuery {
		b.target += "?" + string(x.Request.Query)
	}
	if err := u.RoundTrip(x, r); err != nil {
		u.Close()
		if err.Status == 0 {
			r.Abort()
			return
		}
		x.Response = proxy.Response{Status: err.Status, ContentLength: 0}
		_ = r.Deliver(x, nil)
		return
	}
	b.bytes = x.RequestBytes
	g.mu.Lock()
	g.sent = append(g.sent, b)
	g.mu.Unlock()
	_ = r.Deliver(x, u)
	if u.Finish() {
		g.mu.Lock()
		g.idle = append(g.idle, u)
		g.mu.Unlock()
	}
}

// connect returns an idle connection to the ledger, or a new one.
func (g *gateway) connect() *Conn {
	g.mu.Lock()
	defer g.mu.Unlock()
	if n := len(g.idle); n > 0 {
		u := g.idle[n-1]
		g.idle = g.idle[:n-1]
		return u
	}
	if g.dial != nil {
		return NewConn(g.dial())
	}
	near, far := duplex()
	g.ledger.conns.Add(1)
	go g.ledger.serve(far)
	return NewConn(near)
}

// take returns what has happened since the last call.
func (g *gateway) take() (sent []belief, refused []*Refusal) {
	g.mu.Lock()
	defer g.mu.Unlock()
	sent, refused = g.sent, g.refused
	g.sent, g.refused = nil, nil
	return sent, refused
}

// exchange sends parts on a connection of their own, one write each, ends the client's direction and returns all that comes back. By
// then the Server has done with the connection.
func (g *gateway) exchange(parts ...string) string {
	near, far := duplex()
	closed := make(chan struct{})
	go g.srv.ServeConn(near, 80, "http", func() { close(closed) })
	go func() {
		for _, p := range parts {
			if _, err := io.WriteString(far, p); err != nil {
				break
			}
		}
		_ = far.CloseWrite()
	}()
	out, _ := io.ReadAll(far)
	_ = far.Close()
	<-closed
	return string(out)
}

// check fails the test unless the endpoint has seen exactly what the engine believes it sent. It returns what that was.
func (g *gateway) check(tb testing.TB, input string) (seen []entry, refused []*Refusal) {
	tb.Helper()
	sent, refused := g.take()
	seen, faults := g.ledger.take()
	if len(faults) > 0 {
		tb.Fatalf("%q: the endpoint found faults: %q", input, faults)
	}
	if len(seen) != len(sent) {
		tb.Fatalf("%q: the endpoint saw %d requests %v, the engine believes it sent %d: %v", input, len(seen), seen, len(sent), sent)
	}
	for i, e := range seen {
		if got := (belief{e.method, e.target, e.host, int64(len(e.body))}); got != sent[i] {
			tb.Fatalf("%q: the endpoint saw %v, the engine believes it sent %v", input, got, sent[i])
		}
	}
	return seen, refused
}

// responses parses what a client has received: the status of each response and whether it announces the end. rest is what is no response.
func responses(out string) (statuses []string, rest string) {
	in := bufio.NewReader(strings.NewReader(out))
	for {
		if _, err := in.Peek(1); err != nil {
			return statuses, ""
		}
		left := in.Buffered()
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			return statuses, out[len(out)-left:]
		}
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			return statuses, out[len(out)-left:]
		}
		s := fmt.Sprint(res.StatusCode)
		if res.Close {
			s += " close"
		}
		statuses = append(statuses, s)
	}
}

// duplex returns the two ends of a connection in memory that can be half-closed.
func duplex() (a, b *duplexEnd) {
	ar, bw := net.Pipe()
	br, aw := net.Pipe()
	return &duplexEnd{Conn: ar, out: aw}, &duplexEnd{Conn: br, out: bw}
}

type duplexEnd struct {
	net.Conn // read from
	out      net.Conn
}

func (d *duplexEnd) Write(p []byte) (int, error)        { return d.out.Write(p) }
func (d *duplexEnd) CloseWrite() error                  { return d.out.Close() }
func (d *duplexEnd) SetWriteDeadline(t time.Time) error { return d.out.SetWriteDeadline(t) }
func (d *duplexEnd) SetDeadline(t time.Time) error {
	_ = d.out.SetWriteDeadline(t)
	return d.Conn.SetReadDeadline(t)
}

func (d *duplexEnd) Close() error {
	_ = d.out.Close()
	return d.Conn.Close()
}
