package http1

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// link returns the two ends of a connection in memory that can be half-closed. Nothing is buffered on the way: a write waits for
// its reader.
func link() (a, b *linkEnd) {
	ar, bw := net.Pipe()
	br, aw := net.Pipe()
	return &linkEnd{Conn: ar, w: aw}, &linkEnd{Conn: br, w: bw}
}

// linkEnd reads from one pipe and writes to another.
type linkEnd struct {
	net.Conn // the pipe that is read from
	w        net.Conn
}

func (l *linkEnd) Write(p []byte) (int, error)        { return l.w.Write(p) }
func (l *linkEnd) CloseWrite() error                  { return l.w.Close() }
func (l *linkEnd) Close() error                       { l.w.Close(); return l.Conn.Close() }
func (l *linkEnd) SetWriteDeadline(t time.Time) error { return l.w.SetWriteDeadline(t) }
func (l *linkEnd) SetReadDeadline(t time.Time) error  { return l.Conn.SetReadDeadline(t) }
func (l *linkEnd) SetDeadline(t time.Time) error {
	_ = l.w.SetDeadline(t)
	return l.Conn.SetDeadline(t)
}

// rig is a Server whose Handler sends every request on a new connection, with a client at one end and the endpoint at the other.
type rig struct {
	t        *testing.T
	srv      *Server
	client   net.Conn
	in       *bufio.Reader // from the Server to the client
	endpoint chan *endpoint
	limit    time.Duration     // of the Route; negative is Unlimited
	failed   chan *proxy.Error // what RoundTrip and Deliver returned, if not nil
}

// endpoint is the far end of an upstream connection.
type endpoint struct {
	t *testing.T
	net.Conn
	in *bufio.Reader
}

func newRig(t *testing.T, cfg Config) *rig {
	g := &rig{t: t, endpoint: make(chan *endpoint, 8), failed: make(chan *proxy.Error, 8)}
	g.srv = NewServer(cfg, g)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if g.client != nil {
			g.client.Close()
		}
		if err := g.srv.Shutdown(ctx); err != nil {
			t.Error("shutdown:", err)
		}
		for len(g.endpoint) > 0 {
			(<-g.endpoint).Close()
		}
	})
	g.connect()
	return g
}

// connect opens another connection to the Server.
func (g *rig) connect() {
	near, far := link()
	g.client, g.in = far, bufio.NewReader(far)
	go g.srv.ServeConn(near, 80, "http", func() {})
}

// Serve implements proxy.Handler.
func (g *rig) Serve(x *proxy.Exchange, r proxy.Responder) {
	near, far := link()
	g.endpoint <- &endpoint{g.t, far, bufio.NewReader(far)}
	u := NewConn(near)
	if g.limit < 0 {
		defer Unlimited(r)()
	} else {
		defer Limit(r, g.limit)()
	}
	if err := u.RoundTrip(x, r); err != nil {
		u.Close()
		g.failed <- err
		if err.Status == 0 {
			r.Abort()
			return
		}
		x.Response = proxy.Response{Status: err.Status, ContentLength: 4}
		_ = r.Deliver(x, &proxy.Text{Rest: "fail"})
		return
	}
	if err := r.Deliver(x, u); err != nil {
		g.failed <- err
	}
	if u.Finish() {
		u.Close()
	}
}

// send writes to the Server.
func (g *rig) send(s string) {
	g.t.Helper()
	if _, err := io.WriteString(g.client, s); err != nil {
		g.t.Fatalf("send %.40q: %v", s, err)
	}
}

// response reads a response and its whole body.
func (g *rig) response(method string) (*http.Response, string, error) {
	g.t.Helper()
	res, err := http.ReadResponse(g.in, &http.Request{Method: method})
	if err != nil {
		return nil, "", err
	}
	body, err := io.ReadAll(res.Body)
	return res, string(body), err
}

// wantStatus reads a response that must be whole.
func (g *rig) wantStatus(status int) string {
	g.t.Helper()
	res, body, err := g.response("GET")
	if err != nil {
		g.t.Fatal("read response:", err)
	}
	if res.StatusCode != status {
		g.t.Fatalf("status %d, want %d", res.StatusCode, status)
	}
	return body
}

// wantClosed expects the Server to close the connection without sending anything.
func (g *rig) wantClosed() {
	g.t.Helper()
	if b, err := g.in.ReadByte(); err == nil {
		g.t.Fatalf("got %q, want the connection closed", b)
	}
}

// next returns the endpoint's end of the next upstream connection.
func (g *rig) next() *endpoint {
	e := <-g.endpoint
	g.t.Cleanup(func() { e.Close() })
	return e
}

// head reads a request head and returns its lines.
func (e *endpoint) head() []string {
	e.t.Helper()
	var lines []string
	for {
		line, err := e.in.ReadString('\n')
		if err != nil {
			e.t.Fatalf("read request head: %v after %q", err, lines)
		}
		if line = strings.TrimSuffix(line, "\r\n"); line == "" {
			return lines
		}
		lines = append(lines, line)
	}
}

// read takes n bytes of the request's body.
func (e *endpoint) read(n int) string {
	e.t.Helper()
	p := make([]byte, n)
	if _, err := io.ReadFull(e.in, p); err != nil {
		e.t.Fatal("read request body:", err)
	}
	return string(p)
}

func (e *endpoint) send(s string) {
	e.t.Helper()
	if _, err := io.WriteString(e, s); err != nil {
		e.t.Errorf("endpoint: send %.40q: %v", s, err)
	}
}

const plainGet = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

func postOf(length int) string {
	return fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", length)
}

func okOf(length int) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", length)
}
