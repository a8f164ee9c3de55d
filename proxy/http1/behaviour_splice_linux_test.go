package http1

import (
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/splice"
)

// Bytes of one stream must never stay in a pipe that another will use.
func TestInterruptedSpliceLeavesNothingInThePipe(t *testing.T) {
	client, src := tcpPair(t)
	dst, server := tcpPair(t)
	watch := newWatch()
	defer watch.close()
	for range 50 {
		var s slot
		type result struct {
			n    int64
			side proxy.Side
			err  error
		}
		done := make(chan result, 1)
		go func() {
			n, side, err := spliceN(dst, src, 100, spliceSlots{slot: &s, watch: watch})
			done <- result{n, side, err}
		}()
		eventually(t, "the phase has begun", func() bool { return s.word.Load() != 0 })
		s.word.Or(uint64(causePeer)) // the interruption comes while bytes arrive
		if err := client.write([]byte("secret")); err != nil {
			t.Fatal(err)
		}
		r := <-done
		if r.n != 0 || r.err == nil || r.side != proxy.Upstream {
			t.Fatalf("moved %d, %v, %v; want 0 and the loss reported", r.n, r.side, r.err)
		}
		p := splice.Get()
		if p == nil {
			t.Fatal("no pipe to be had")
		}
		if n, err := p.Read(make([]byte, 100)); n != 0 || err != syscall.EAGAIN {
			t.Fatalf("a pooled pipe holds %d bytes or more, %v", n, err)
		}
		splice.Put(p)
	}
	server.close()
}

// A stalled upload is 408 and a stalled endpoint 504 also where bytes move without passing through user space.
func TestSpliceTimeouts(t *testing.T) {
	for name, c := range map[string]struct {
		cfg    Timeouts
		sends  int
		status string
	}{
		"client stops":   {Timeouts{Body: tick}, 100, "HTTP/1.1 408"},
		"endpoint stops": {Timeouts{UpstreamWrite: tick}, 64 << 20, "HTTP/1.1 504"},
	} {
		t.Run(name, func(t *testing.T) {
			near, far := tcpPair(t)
			down, client := tcpPair(t)
			closed := make(chan struct{})
			s := NewServer(Config{Timeouts: c.cfg}, toConn{near.nc})
			go s.ServeConn(down.nc, 80, "http", func() { close(closed) })
			go func() {
				_, _ = io.WriteString(client.nc, postOf(64<<20))
				_, _ = client.nc.Write(make([]byte, c.sends))
			}()
			_ = client.nc.SetReadDeadline(time.Now().Add(20 * time.Second))
			p := make([]byte, len(c.status))
			if _, err := io.ReadFull(client.nc, p); err != nil || string(p) != c.status {
				t.Fatalf("%q %v, want %q", p, err, c.status)
			}
			client.close()
			far.close()
			<-closed
			if err := s.Shutdown(t.Context()); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// toConn sends one request on one connection.
type toConn struct{ nc net.Conn }

func (h toConn) Serve(x *proxy.Exchange, r proxy.Responder) {
	u := NewConn(h.nc)
	if err := u.RoundTrip(x, r); err != nil {
		u.Close()
		x.Response = proxy.Response{Status: err.Status}
		_ = r.Deliver(x, nil)
		return
	}
	_ = r.Deliver(x, u)
	u.Finish()
}

// A Route's time ends also a download that moves without passing through user space.
func TestLimitEndsASplicedDownload(t *testing.T) {
	near, far := tcpPair(t)
	down, client := tcpPair(t)
	closed := make(chan struct{})
	h := limited{toConn{near.nc}}
	s := NewServer(Config{}, h)
	go s.ServeConn(down.nc, 80, "http", func() { close(closed) })
	const size = 1 << 40
	go func() {
		_, _ = io.WriteString(far.nc, "HTTP/1.1 200 OK\r\nContent-Length: 1099511627776\r\n\r\n")
		block := make([]byte, 1<<20)
		for {
			if _, err := far.nc.Write(block); err != nil {
				return
			}
		}
	}()
	_, _ = io.WriteString(client.nc, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") // a 504, on a busy machine, is an end too
	if n, err := io.Copy(io.Discard, client.nc); n >= size || n == 0 {
		t.Fatal(n, err)
	}
	<-closed
	far.close()
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
}

type limited struct {
	proxy.Handler
}

func (h limited) Serve(x *proxy.Exchange, r proxy.Responder) {
	defer Limit(r, 300*time.Millisecond)()
	h.Handler.Serve(x, r)
}

// An endpoint may answer as soon as it has the last byte: by then it must be known that the client's connection can go on.
func TestSpliceTellsWhenTheSourceIsDrained(t *testing.T) {
	client, src := tcpPair(t)
	dst, server := tcpPair(t)
	watch := newWatch()
	defer watch.close()
	block := make([]byte, 1<<20)
	for range 5 { // the receiver's kernel makes room more than once
		_ = dst.nc.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
		for dst.write(block) == nil {
		}
	}
	_ = dst.nc.SetWriteDeadline(time.Time{})
	if err := client.write(block[:1000]); err != nil {
		t.Fatal(err)
	}
	var s slot
	var drained atomic.Bool
	done := make(chan error, 1)
	go func() {
		_, _, err := spliceN(dst, src, 1000, spliceSlots{slot: &s, watch: watch, drained: &drained})
		done <- err
	}()
	eventually(t, "the source is drained", drained.Load)
	select {
	case err := <-done:
		t.Fatal("the destination took it:", err)
	default:
	}
	server.close()
	if err := <-done; err == nil {
		t.Error("a write to a connection that is closed has not failed")
	}
}
