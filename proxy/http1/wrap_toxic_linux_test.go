package http1

import (
	"bytes"
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/shape"
	"github.com/breakwater-gateway/breakwater/proxy/toxic"
)

func delayed(d proxy.Direction, ms float64) toxic.Active {
	return toxic.Active{Entry: &toxic.Entry{
		Name: d.String(), Direction: d, Toxicity: 1, Toxic: toxic.Latency{Latency: shape.Const(ms)}, Began: time.Now(),
	}}
}

// poison puts toxics on w's connection and returns what takes them off.
func poison(w proxy.Responder, as ...toxic.Active) (cure func()) {
	slot := toxic.NewSlot(as...)
	Wrap(w, func(nc net.Conn) net.Conn { return toxic.NewConn(nc, slot, toxic.ClientSide, toxic.Options{}) })
	return func() { slot.Set() }
}

// A response has been delivered once toxics have let it out, so that they can be taken away then; the connection is a bare one for
// the next request.
func TestDeliverWaitsForToxics(t *testing.T) {
	const delay = 60 * time.Millisecond
	wrapped := make(chan bool, 8)
	var n atomic.Int32
	s, c, in := shoutServer(t, func(x *proxy.Exchange, w proxy.Responder) {
		wrapped <- Wrapped(w) != nil
		if n.Add(1)%2 == 1 {
			defer poison(w, delayed(proxy.Downstreamward, float64(delay/time.Millisecond)))()
		}
		answer(x, w, 204)
	})
	for i := range 6 {
		began := time.Now()
		_, _ = io.WriteString(c, plainGet)
		res, err := http.ReadResponse(in, nil)
		if err != nil || res.StatusCode != 204 {
			t.Fatal(res, err)
		}
		if took := time.Since(began); i%2 == 0 && took < delay {
			t.Errorf("request %d took %v", i, took)
		}
		if <-wrapped {
			t.Errorf("request %d finds a wrapper", i)
		}
		eventually(t, "the connection waits", func() bool { _, idle := s.Count(); return idle == 1 })
	}
}

// Long contents pass through toxics in both directions, byte by byte the same, and the connection is good for more.
func TestLongContentsPassThroughToxics(t *testing.T) {
	content := make([]byte, 3<<20)
	r := rand.NewChaCha8([32]byte{})
	_, _ = r.Read(content)
	want := sha256.Sum256(content)
	_, c, in := shoutServer(t, func(x *proxy.Exchange, w proxy.Responder) {
		defer poison(w, delayed(proxy.Downstreamward, 10), delayed(proxy.Upstreamward, 10))()
		body, err := io.ReadAll(x.Request.Body)
		if err != nil || sha256.Sum256(body) != want {
			t.Errorf("%d bytes, %v", len(body), err)
		}
		x.Response = proxy.Response{Status: 200, ContentLength: int64(len(body))}
		if err := w.Deliver(x, &fixed{Reader: bytes.NewReader(body)}); err != nil {
			t.Error(err)
		}
	})
	for range 3 {
		_, _ = io.WriteString(c, postOf(len(content)))
		go func() { _, _ = c.Write(content) }()
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(res.Body)
		if err != nil || sha256.Sum256(got) != want {
			t.Fatal(len(got), err)
		}
	}
}

// A client that leaves while toxics hold its response back ends the waiting, as does the Server's end.
func TestWaitingForToxicsEnds(t *testing.T) {
	for name, leaves := range map[string]bool{"client leaves": true, "server ends": false} {
		failed, begun := make(chan *proxy.Error, 1), make(chan struct{})
		s, c, _ := shoutServerToEnd(t, func(x *proxy.Exchange, w proxy.Responder) {
			defer poison(w, delayed(proxy.Downstreamward, 600_000))()
			close(begun)
			x.Response = proxy.Response{Status: 204}
			failed <- w.Deliver(x, nil)
		})
		_, _ = io.WriteString(c, plainGet)
		<-begun
		if leaves {
			c.Close()
			if err := <-failed; err == nil || err.Side != proxy.Downstream {
				t.Error(name, err)
			}
		}
		ctx, cancel := contextOf(t, tick)
		_ = s.Shutdown(ctx)
		cancel()
		if !leaves {
			if err := <-failed; err == nil {
				t.Error(name, "without an error")
			}
		}
	}
}

// A damaged message goes through the toxics before the connection is reset.
func TestResetComesBehindToxics(t *testing.T) {
	_, c, _ := shoutServer(t, func(x *proxy.Exchange, w proxy.Responder) {
		defer poison(w, delayed(proxy.Downstreamward, 50))()
		x.Response = proxy.Response{Status: 200, ContentLength: 10}
		_ = w.Deliver(x, &fixed{bytes.NewReader([]byte("01234")), &proxy.Damage{Side: proxy.Downstream, Reset: true}})
	})
	_, _ = io.WriteString(c, plainGet)
	got, err := io.ReadAll(c)
	if err == nil || !bytes.HasSuffix(got, []byte("\r\n\r\n01234")) {
		t.Errorf("%q, %v", got, err)
	}
}

// A tunnel passes through toxics, too.
func TestTunnelThroughToxics(t *testing.T) {
	near, far := tcpPair(t)
	_, c, in := shoutServer(t, func(x *proxy.Exchange, w proxy.Responder) {
		poison(w, delayed(proxy.Downstreamward, 20), delayed(proxy.Upstreamward, 20))
		u := NewConn(near.nc)
		if err := u.RoundTrip(x, w); err != nil {
			t.Error(err)
			return
		}
		_ = w.Deliver(x, u)
		u.Finish()
	})
	go func() {
		p := make([]byte, 4096)
		_, _ = far.nc.Read(p)
		_, _ = io.WriteString(far.nc, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		_, _ = io.Copy(far.nc, far.nc)
		_ = far.closeWrite()
	}()
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	res, err := http.ReadResponse(in, nil)
	if err != nil || res.StatusCode != 101 {
		t.Fatal(res, err)
	}
	began := time.Now()
	_, _ = io.WriteString(c, "hello")
	_ = c.(*net.TCPConn).CloseWrite()
	got, err := io.ReadAll(in)
	if string(got) != "hello" || err != nil || time.Since(began) < 40*time.Millisecond {
		t.Errorf("%q, %v after %v", got, err, time.Since(began))
	}
}
