package http1

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// during serves one request whose Handler calls While with f and no other end in sight, and returns its error. f is given the
// client's end.
func during(t *testing.T, f func(ctx context.Context, s *Server, client *sock)) *proxy.Error {
	t.Helper()
	near, client := tcpPair(t)
	failed := make(chan *proxy.Error, 1)
	var s *Server
	s = NewServer(Config{}, handlerFunc(func(_ *proxy.Exchange, w proxy.Responder) {
		failed <- While(context.Background(), w, "connect", func(ctx context.Context) { f(ctx, s, client) })
		w.Abort()
	}))
	closed := make(chan struct{})
	go s.ServeConn(near.nc, 80, "http", func() { close(closed) })
	if _, err := io.WriteString(client.nc, plainGet); err != nil {
		t.Fatal(err)
	}
	err := <-failed
	<-closed
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	return err
}

func TestClientThatLeavesCancelsACall(t *testing.T) {
	err := during(t, func(ctx context.Context, _ *Server, client *sock) {
		client.close()
		<-ctx.Done()
	})
	if err == nil || err.Side != proxy.Downstream || err.Status != 0 || err.Retry {
		t.Errorf("got %+v, want one that says that the client has gone", err)
	}
}

// The call may end just before the Watch comes to look.
func TestClientThatLeavesIsSeenBehindALongCall(t *testing.T) {
	err := during(t, func(_ context.Context, s *Server, client *sock) {
		s.watch.mu.Lock() // it does not look meanwhile
		defer s.watch.mu.Unlock()
		client.close()
		for c := range s.watch.conns {
			eventually(t, "the client's end is seen", c.base.gone)
		}
		time.Sleep(tick)
	})
	if err == nil || err.Side != proxy.Downstream {
		t.Errorf("got %+v, want one that says that the client has gone", err)
	}
}

func TestCallIsNotDisturbed(t *testing.T) {
	err := during(t, func(ctx context.Context, _ *Server, _ *sock) {
		select {
		case <-ctx.Done():
			t.Error("canceled")
		case <-time.After(3 * tick):
		}
	})
	if err != nil {
		t.Error(err)
	}
}

func TestLimitAndShutdownCancelACall(t *testing.T) {
	call := func(limit time.Duration, want int) handlerFunc {
		return func(x *proxy.Exchange, w proxy.Responder) {
			defer Limit(w, limit)()
			for range 2 { // also one that begins later
				err := While(context.Background(), w, "connect", func(ctx context.Context) { <-ctx.Done() })
				if err == nil || err.Status != want {
					t.Errorf("got %+v, want status %d", err, want)
				}
				if want == 503 {
					break // there is nobody to interrupt another
				}
			}
			x.Response.Close = true
			answer(x, w, want)
		}
	}
	if status := exchange(t, call(1500*time.Millisecond, 504), 0); status != 504 {
		t.Error(status)
	}
	exchange(t, call(0, 503), time.Second)
}
