package http1

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// handlerFunc is a Handler without a type of its own.
type handlerFunc func(x *proxy.Exchange, w proxy.Responder)

func (f handlerFunc) Serve(x *proxy.Exchange, w proxy.Responder) { f(x, w) }

// answer delivers an empty response.
func answer(x *proxy.Exchange, w proxy.Responder, status int) {
	x.Response = proxy.Response{Status: status}
	_ = w.Deliver(x, nil)
}

// exchange runs h for one request in a bubble of its own and returns the response's status; 0 if there was none.
func exchange(t *testing.T, h handlerFunc, shutdown time.Duration) (status int) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		near, far := link()
		s := NewServer(Config{}, h)
		go s.ServeConn(near, 80, "http", func() {})
		answered := make(chan struct{})
		go func() {
			defer close(answered)
			_, _ = io.WriteString(far, plainGet)
			p, _ := io.ReadAll(far)
			if len(p) > 12 {
				status = int(p[9]-'0')*100 + int(p[10]-'0')*10 + int(p[11]-'0')
			}
		}()
		if shutdown > 0 {
			time.Sleep(shutdown)
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			if err := s.Shutdown(ctx); err == nil {
				t.Error("the context had ended")
			}
		}
		<-answered
		far.Close()
		if shutdown == 0 {
			_ = s.Shutdown(context.Background())
		}
	})
	return status
}

func TestPauseIsExact(t *testing.T) {
	for _, d := range []time.Duration{-1, 0, 1, time.Millisecond, 1234567 * time.Nanosecond, 3 * time.Second, time.Hour} {
		exchange(t, func(x *proxy.Exchange, w proxy.Responder) {
			x.Response.Close = true
			began := time.Now()
			if err := PauseUntil(w, d, nil); err != nil {
				t.Error(err)
			}
			if got := time.Since(began); got != max(d, 0) {
				t.Errorf("paused for %v, want %v", got, d)
			}
			x.Response = proxy.Response{Status: 200, Close: true}
			_ = w.Deliver(x, nil)
		}, 0)
	}
}

func TestPauseEndsWithEnough(t *testing.T) {
	exchange(t, func(x *proxy.Exchange, w proxy.Responder) {
		enough := make(chan struct{})
		began := time.Now()
		time.AfterFunc(time.Second, func() { close(enough) })
		for range 2 {
			if err := PauseUntil(w, time.Hour, enough); err != nil {
				t.Error(err)
			}
			if got := time.Since(began); got != time.Second {
				t.Error("paused for", got)
			}
		}
		x.Response = proxy.Response{Status: 200, Close: true}
		_ = w.Deliver(x, nil)
	}, 0)
}

// The Route's timeout ends a pause at its time, also one that begins later.
func TestLimitEndsAPause(t *testing.T) {
	exchange(t, func(x *proxy.Exchange, w proxy.Responder) {
		disarm := Limit(w, 1500*time.Millisecond)
		began := time.Now()
		for range 2 {
			err := PauseUntil(w, time.Hour, nil)
			if err == nil || err.Status != 504 || err.Side != proxy.Upstream || err.Retry {
				t.Errorf("%+v", err)
			}
			if got := time.Since(began); got != 1500*time.Millisecond {
				t.Error("paused for", got)
			}
		}
		disarm()
		if err := PauseUntil(w, time.Second, nil); err != nil {
			t.Error("the limit is over:", err)
		}
		x.Response = proxy.Response{Status: 504, Close: true}
		_ = w.Deliver(x, nil)
	}, 0)
}

func TestShutdownEndsAPause(t *testing.T) {
	exchange(t, func(x *proxy.Exchange, w proxy.Responder) {
		began := time.Now()
		err := PauseUntil(w, time.Hour, nil)
		if err == nil || err.Status != 503 || err.Side != proxy.Internal {
			t.Errorf("%+v", err)
		}
		if got := time.Since(began); got > 4*time.Second {
			t.Error("paused for", got)
		}
		answer(x, w, 503)
	}, 3*time.Second)
}

// pausing is a Body that pauses before it ends.
type pausing struct {
	w proxy.Responder
	d time.Duration
}

func (p *pausing) Read([]byte) (int, error) {
	if err := PauseUntil(p.w, p.d, nil); err != nil {
		return 0, err
	}
	return 0, io.EOF
}

func (*pausing) Trailer() *proxy.Header { return nil }

// A Body may pause; what ends the pause ends the response, with that error.
func TestABodyMayPause(t *testing.T) {
	exchange(t, func(x *proxy.Exchange, w proxy.Responder) {
		x.Response = proxy.Response{Status: 200, ContentLength: -1, Close: true}
		if err := w.Deliver(x, &pausing{w, time.Minute}); err != nil {
			t.Error(err)
		}
	}, 0)
	exchange(t, func(x *proxy.Exchange, w proxy.Responder) {
		defer Limit(w, time.Second)()
		x.Response = proxy.Response{Status: 200, ContentLength: -1}
		if err := w.Deliver(x, &pausing{w, time.Minute}); err == nil || err.Status != 504 {
			t.Error(err)
		}
	}, 0)
}

// fixed is a Body of any bytes that ends with an error.
type fixed struct {
	io.Reader
	end error
}

func (f *fixed) Read(p []byte) (int, error) {
	n, err := f.Reader.Read(p)
	if err == io.EOF && f.end != nil {
		err = f.end
	}
	return n, err
}

func (*fixed) Trailer() *proxy.Header { return nil }

// A Body that is not as long as its response says never makes two messages of one: what has been declared goes out at most, and
// the connection is reset.
func TestABodyOfTheWrongLengthEndsTheConnection(t *testing.T) {
	for _, content := range []string{"", "1234", "123456", strings.Repeat("x", 200<<10)} {
		near, far := tcpPair(t)
		served := make(chan *proxy.Error, 1)
		s := NewServer(Config{}, handlerFunc(func(x *proxy.Exchange, w proxy.Responder) {
			x.Response = proxy.Response{Status: 200, ContentLength: 5}
			served <- w.Deliver(x, &fixed{Reader: strings.NewReader(content)})
		}))
		go s.ServeConn(near.nc, 80, "http", func() {})
		_, _ = io.WriteString(far.nc, plainGet+plainGet)
		got, err := io.ReadAll(far.nc)
		if err == nil || strings.Count(string(got), "HTTP/1.1") > 1 {
			t.Errorf("%d bytes: got %q, %v", len(content), got, err)
		}
		if _, body, _ := strings.Cut(string(got), "\r\n\r\n"); len(body) > 5 {
			t.Errorf("%d bytes: content %.40q", len(content), body)
		}
		if err := <-served; err == nil || err.Side != proxy.Internal {
			t.Error(err)
		}
		_ = s.Shutdown(context.Background())
	}
}

// A client that reads slowly gets all that was sent before a reset.
func TestAResetComesBehindWhatWasSent(t *testing.T) {
	near, far := tcpPair(t)
	_ = far.nc.(*net.TCPConn).SetReadBuffer(64 << 10)
	const size = 1 << 20
	s := NewServer(Config{}, handlerFunc(func(x *proxy.Exchange, w proxy.Responder) {
		x.Response = proxy.Response{Status: 200, ContentLength: size + 1}
		err := w.Deliver(x, &fixed{strings.NewReader(strings.Repeat("x", size)), &proxy.Damage{Side: proxy.Downstream, Reset: true}})
		var d *proxy.Damage
		if err == nil || !errors.As(err, &d) {
			t.Error(err)
		}
	}))
	go s.ServeConn(near.nc, 80, "http", func() {})
	_, _ = io.WriteString(far.nc, plainGet)
	p, total := make([]byte, 32<<10), 0
	for {
		n, err := far.nc.Read(p)
		if total += n; err != nil {
			if err == io.EOF {
				t.Error("FIN")
			}
			break
		}
	}
	if total < size {
		t.Errorf("%d bytes", total)
	}
	_ = s.Shutdown(context.Background())
}
