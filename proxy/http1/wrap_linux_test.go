package http1

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// shouting is a wrapper that turns small letters into capital ones, in both directions, and can be taken off when told so.
type shouting struct {
	*net.TCPConn
	off    *atomic.Bool
	closed atomic.Bool
}

func (s *shouting) NetConn() net.Conn { return s.TCPConn }
func (s *shouting) Quiet() bool       { return true }
func (s *shouting) Unwrap() bool      { return s.off.Load() }

func (s *shouting) Close() error {
	s.closed.Store(true)
	return s.TCPConn.Close()
}

func (s *shouting) Read(p []byte) (int, error) {
	n, err := s.TCPConn.Read(p)
	copy(p, bytes.ToUpper(p[:n]))
	return n, err
}

func (s *shouting) Write(p []byte) (int, error) { return s.TCPConn.Write(bytes.ToUpper(p)) }

// shoutServer serves h on loopback and returns a client's connection to it.
func shoutServer(t *testing.T, h handlerFunc) (*Server, net.Conn, *bufio.Reader) {
	t.Helper()
	s, c, in := shoutServerToEnd(t, h)
	t.Cleanup(func() {
		c.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Error("shutdown:", err)
		}
	})
	return s, c, in
}

// shoutServerToEnd is shoutServer for tests that end the Server.
func shoutServerToEnd(t *testing.T, h handlerFunc) (*Server, net.Conn, *bufio.Reader) {
	t.Helper()
	near, far := tcpPair(t)
	s := NewServer(Config{}, h)
	s.watch.mu.Lock()
	s.watch.parkTicks = 1
	s.watch.mu.Unlock()
	go s.ServeConn(near.nc, 80, "http", func() {})
	_ = far.nc.SetDeadline(time.Now().Add(20 * time.Second))
	return s, far.nc, bufio.NewReader(far.nc)
}

// shout puts a wrapper around w's connection.
func shout(w proxy.Responder, off *atomic.Bool) bool {
	return Wrap(w, func(nc net.Conn) net.Conn { return &shouting{TCPConn: nc.(*net.TCPConn), off: off} })
}

func readAll(b proxy.Body) string {
	if b == nil {
		return ""
	}
	p, _ := io.ReadAll(b)
	return string(p)
}

// From Wrap on, the content that has not been read yet and the response pass through the wrapper; so do the requests that follow,
// until it can be taken off.
func TestWrapCarriesWhatFollows(t *testing.T) {
	var off atomic.Bool
	wrapped := make(chan bool, 3)
	served := 0
	arrived := make(chan struct{})
	_, c, in := shoutServer(t, func(x *proxy.Exchange, w proxy.Responder) {
		wrapped <- Wrapped(w) != nil
		if served++; served == 1 {
			if !shout(w, &off) || shout(w, &off) {
				t.Error("it can be wrapped once")
			}
			close(arrived)
		}
		body := readAll(x.Request.Body) + string(x.Request.Path)
		x.Response = proxy.Response{Status: 200, ContentLength: int64(len(body))}
		if err := w.Deliver(x, &proxy.Text{Rest: body}); err != nil {
			t.Error(err)
		}
		if served == 2 {
			off.Store(true)
		}
	})
	_, _ = io.WriteString(c, "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc")
	<-arrived
	_, _ = io.WriteString(c, "def")
	for i, want := range []string{"ABCDEF/A", "/B", "/c"} {
		if i > 0 {
			_, _ = io.WriteString(c, "GET "+[]string{"", "/b", "/c"}[i]+" HTTP/1.1\r\nHost: a\r\n\r\n")
		}
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(res.Body); err != nil || string(body) != want {
			t.Errorf("request %d: %q %v, want %q", i, body, err, want)
		}
	}
	for i, want := range []bool{false, true, false} {
		if got := <-wrapped; got != want {
			t.Errorf("wrapped at the beginning of request %d: %v", i, got)
		}
	}
}

// A connection that waits with a wrapper is served like any other; once the wrapper can be taken off it is parked, and wakes up.
func TestWrappedConnectionsParkOnceTheyCan(t *testing.T) {
	var off atomic.Bool
	first := true
	s, c, in := shoutServer(t, func(x *proxy.Exchange, w proxy.Responder) {
		if first {
			first = false
			shout(w, &off)
		}
		answer(x, w, 204)
	})
	ask := func() {
		t.Helper()
		_, _ = io.WriteString(c, plainGet)
		res, err := http.ReadResponse(in, nil)
		if err != nil || res.StatusCode != 204 {
			t.Fatal(res, err)
		}
	}
	ask()
	time.Sleep(5 * tick) // it would be parked by now
	if s.lot.Count() != 0 {
		t.Fatal("parked with a wrapper")
	}
	ask()
	off.Store(true)
	eventually(t, "it is parked", func() bool { return s.lot.Count() == 1 })
	ask()
	eventually(t, "it is parked again", func() bool { return s.lot.Count() == 1 })
}

// A client that leaves is noticed through a wrapper, although the wrapper's Read is not called.
func TestClientsLeaveWrappedConnections(t *testing.T) {
	var off atomic.Bool
	got := make(chan *proxy.Error, 1)
	_, c, _ := shoutServer(t, func(_ *proxy.Exchange, w proxy.Responder) {
		shout(w, &off)
		got <- PauseUntil(w, time.Hour, nil)
		w.Abort()
	})
	_, _ = io.WriteString(c, plainGet)
	c.Close()
	if err := <-got; err == nil || err.Side != proxy.Downstream || err.Status != 0 {
		t.Error(err)
	}
}

// The Server's end closes wrapped connections, by way of the wrapper, whatever they wait for.
func TestShutdownEndsWrappedConnections(t *testing.T) {
	for name, request := range map[string]string{"idle": "", "head": "GET", "body": postOf(10) + "abc"} {
		var off atomic.Bool
		wrapper := make(chan *shouting, 1)
		s, c, in := shoutServerToEnd(t, func(x *proxy.Exchange, w proxy.Responder) {
			if Wrapped(w) == nil {
				shout(w, &off)
				wrapper <- Wrapped(w).(*shouting)
			}
			readAll(x.Request.Body)
			answer(x, w, 204)
		})
		_, _ = io.WriteString(c, plainGet)
		if _, err := http.ReadResponse(in, nil); err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(c, request)
		time.Sleep(10 * time.Millisecond)
		ctx, cancel := context.WithTimeout(t.Context(), tick)
		_ = s.Shutdown(ctx)
		cancel()
		if !(<-wrapper).closed.Load() {
			t.Error(name, "was not closed by way of the wrapper")
		}
	}
}

// Reset reaches the client through a wrapper.
func TestResetOfAWrappedConnection(t *testing.T) {
	var off atomic.Bool
	_, c, _ := shoutServer(t, func(_ *proxy.Exchange, w proxy.Responder) {
		shout(w, &off)
		w.Reset()
	})
	_, _ = io.WriteString(c, plainGet)
	if _, err := io.ReadAll(c); err == nil {
		t.Error("the connection ended in an orderly way")
	}
}

// A connection to an endpoint is looked at through its wrapper before it is used.
func TestIdleLooksThroughWrappers(t *testing.T) {
	var off atomic.Bool
	for name, spoil := range map[string]func(net.Conn){
		"closed": func(c net.Conn) { c.Close() }, "with data": func(c net.Conn) { _, _ = io.WriteString(c, "x") },
	} {
		near, far := tcpPair(t)
		u := NewConn(&shouting{TCPConn: near.tcp, off: &off})
		if !u.Idle() {
			t.Error("not idle when it is new")
		}
		spoil(far.nc)
		eventually(t, name+" is noticed", func() bool { return !u.Idle() })
		u.Close()
	}
}

func contextOf(t *testing.T, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), d)
}
