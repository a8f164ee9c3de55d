package http1

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// hello answers every request.
type hello struct{}

func (hello) Serve(x *proxy.Exchange, r proxy.Responder) {
	x.Response.Status, x.Response.ContentLength = 200, 5
	_ = r.Deliver(x, &proxy.Text{Rest: "hello"})
}

// parkingServer returns a Server that parks after a tick, and its address.
func parkingServer(t *testing.T, cfg Config) (*Server, string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := NewServer(cfg, hello{})
	s.watch.mu.Lock()
	s.watch.parkTicks = 1
	s.watch.mu.Unlock()
	accepted := make(chan struct{})
	go func() {
		defer close(accepted)
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			go s.ServeConn(nc, 80, "http", func() {})
		}
	}()
	t.Cleanup(func() {
		ln.Close()
		<-accepted
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Error("shutdown:", err)
		}
	})
	return s, ln.Addr().String()
}

// eventually polls for a condition.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("waited in vain until", what)
		}
	}
}

func request(t *testing.T, c net.Conn, r *bufio.Reader) {
	t.Helper()
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(res.Body); err != nil || string(body) != "hello" {
		t.Fatalf("%q %v", body, err)
	}
}

func dial(t *testing.T, addr string) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	return c, bufio.NewReader(c)
}

func TestParkedConnectionServesAgain(t *testing.T) {
	s, addr := parkingServer(t, Config{})
	c, r := dial(t, addr)
	for range 3 {
		request(t, c, r)
		eventually(t, "the connection is parked", func() bool { return s.lot.Count() == 1 })
		if open, idle := s.Count(); open != 1 || idle != 1 {
			t.Fatalf("open %d, idle %d; want 1 and 1", open, idle)
		}
	}
	request(t, c, r)
}

func TestParkedConnectionThatClosesIsForgotten(t *testing.T) {
	s, addr := parkingServer(t, Config{})
	c, r := dial(t, addr)
	request(t, c, r)
	eventually(t, "the connection is parked", func() bool { return s.lot.Count() == 1 })
	c.Close()
	eventually(t, "the connection is gone", func() bool { open, _ := s.Count(); return open == 0 && s.lot.Count() == 0 })
}

func TestParkedConnectionTimesOut(t *testing.T) {
	s, addr := parkingServer(t, Config{Timeouts: Timeouts{Idle: 1500 * time.Millisecond}})
	eventually(t, "a connection is parked before it times out", func() bool { // a slow machine may need several
		c, r := dial(t, addr)
		request(t, c, r)
		isParked := false
		eventually(t, "the connection is parked, or gone", func() bool {
			open, _ := s.Count()
			isParked = s.lot.Count() == 1
			return isParked || open == 0
		})
		if _, err := r.ReadByte(); err != io.EOF {
			t.Fatalf("got %v, want the server to close", err)
		}
		eventually(t, "the connection is gone", func() bool { open, _ := s.Count(); return open == 0 && s.lot.Count() == 0 })
		return isParked
	})
}

func TestShutdownClosesParkedConnections(t *testing.T) {
	s, addr := parkingServer(t, Config{})
	for range 20 {
		c, r := dial(t, addr)
		request(t, c, r)
	}
	eventually(t, "all are parked", func() bool { return s.lot.Count() == 20 })
	s.closeIdle()
	eventually(t, "all are gone", func() bool { open, _ := s.Count(); return open == 0 })
}

func TestDrainLeavesParkedConnectionsTheirNextRequest(t *testing.T) {
	s, addr := parkingServer(t, Config{})
	c, r := dial(t, addr)
	request(t, c, r)
	eventually(t, "the connection is parked", func() bool { return s.lot.Count() == 1 })
	s.Drain()
	request(t, c, r)
	if _, err := r.ReadByte(); err != io.EOF {
		t.Errorf("got %v behind a response while draining, want the end", err)
	}
}
