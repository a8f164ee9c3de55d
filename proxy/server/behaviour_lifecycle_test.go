package server

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/accept"
	"github.com/breakwater-gateway/breakwater/proxy/http1"
)

// trap is a Filter that panics where it is told to.
type trap struct{ where string }

func (f trap) New() proxy.Step { return f }

func (f trap) Request(x *proxy.Exchange) *proxy.Answer {
	if f.where == "request" && string(x.Request.Path) == "/trap" {
		panic("a bug in a Step")
	}
	return nil
}

func (f trap) Response(x *proxy.Exchange) {
	if f.where == "response" && string(x.Request.Path) == "/trap" {
		panic("a bug in a Step")
	}
}

func TestPanicInAStepEndsItsConnectionOnly(t *testing.T) {
	for _, where := range []string{"request", "response"} {
		for name, sent := range map[string]string{"GET": get("/trap"), "POST": "POST /trap HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nabc"} {
			t.Run(where+" "+name, func(t *testing.T) {
				closed := make(chan struct{}, 8)
				e := endpoint(t, func(_ int, c *wire) {
					answers(okHello)(0, c)
					closed <- struct{}{}
				})
				var log syncBuffer
				s, addr := serve(t, Config{Log: slog.New(slog.NewTextHandler(&log, nil))}, routed(backendOf("web", e.addr), func(r *proxy.Route) {
					r.Filters = []proxy.Filter{trap{where}}
				}))
				other := dialWire(t, addr)
				other.send(get("/"))
				other.want("GET", 200)
				c := dialWire(t, addr)
				c.send("%s", sent)
				if rest, err := c.rest(); rest != "" {
					t.Fatalf("%q %v", rest, err)
				}
				other.wantOpen()
				if where == "response" { // the connection that the response came on is in an unknown state
					within(t, "the upstream connection's end", closed)
				}
				if !strings.Contains(log.String(), "a bug in a Step") || !strings.Contains(log.String(), "behaviour_lifecycle_test.go") {
					t.Errorf("the log does not tell:\n%s", log.String())
				}
				c.Close()
				until(t, "nothing is in flight", func() bool { open, idle := s.http1.Count(); return open == 1 && idle == 1 })
			})
		}
	}
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer // guarded by mu
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func TestMaxConnections(t *testing.T) {
	e := endpoint(t, answers(okHello))
	addr := proxyTo(t, Config{Connections: accept.NewBound(2)}, e.addr)
	a, b := dialWire(t, addr), dialWire(t, addr)
	for _, c := range []*wire{a, b} {
		c.send(get("/"))
		c.want("GET", 200)
	}
	c := dialWire(t, addr)
	c.send(get("/"))
	if rest, _ := c.rest(); rest != "" {
		t.Fatalf("the third connection got %q", rest)
	}
	a.Close()
	until(t, "there is room again", func() bool {
		c := dialWire(t, addr)
		defer c.Close()
		c.send(get("/"))
		res, _, err := c.response("GET")
		return err == nil && res.StatusCode == 200
	})
	b.wantOpen()
}

func TestDrainTellsClients(t *testing.T) {
	reached, proceed := make(chan struct{}), make(chan struct{})
	e := endpoint(t, func(_ int, c *wire) {
		for head := c.head(); head != ""; head = c.head() {
			if strings.HasPrefix(head, "GET /slow") {
				close(reached)
				<-proceed
			}
			c.send(okHello)
		}
	})
	w := newWorld(t, Config{})
	if err := w.Apply(snapshotOf(backendOf("web", e.addr))); err != nil {
		t.Fatal(err)
	}
	addr := w.addr(testPort)
	idle, busy := dialWire(t, addr), dialWire(t, addr)
	idle.wantOpen()
	busy.send(get("/slow"))
	within(t, "the request", reached)
	w.Drain()
	close(proceed)
	fresh := dialWire(t, addr)
	fresh.send(get("/"))
	idle.send(get("/"))
	for name, c := range map[string]*wire{"served meanwhile": busy, "idle": idle, "opened later": fresh} {
		res, body, err := c.response("GET")
		if err != nil || body != "hello" || !res.Close {
			t.Fatalf("%s: %v %q %v; want a whole response that closes", name, res, body, err)
		}
		c.wantEnd()
	}
}

func TestShutdownLetsRequestsEnd(t *testing.T) {
	reached, proceed := make(chan struct{}), make(chan struct{})
	e := endpoint(t, func(_ int, c *wire) {
		for {
			head := c.head()
			if head == "" {
				return
			}
			if strings.HasPrefix(head, "GET /slow") {
				close(reached)
				<-proceed
			}
			c.send(okHello)
		}
	})
	w := newWorld(t, Config{})
	if err := w.Apply(snapshotOf(backendOf("web", e.addr))); err != nil {
		t.Fatal(err)
	}
	addr := w.addr(testPort)
	idle, silent, busy := dialWire(t, addr), dialWire(t, addr), dialWire(t, addr)
	idle.send(get("/"))
	idle.want("GET", 200)
	busy.send(get("/slow"))
	within(t, "the request", reached)
	until(t, "all are accepted", func() bool { open, _ := w.http1.Count(); return open == 3 })

	ended := make(chan error, 1)
	go func() { ended <- w.Shutdown(t.Context()) }()
	idle.wantEnd()
	silent.wantEnd()
	if w.Ready() == nil {
		t.Error("ready while it shuts down")
	}
	if c, err := net.Dial("tcp", addr); err == nil {
		c.Close()
		t.Error("the port is still open")
	}
	select {
	case err := <-ended:
		t.Fatal("shutdown did not wait:", err)
	default:
	}
	close(proceed)
	res, body, err := busy.response("GET")
	if err != nil || body != "hello" || !res.Close {
		t.Fatalf("%v %q %v; want a whole response that closes", res, body, err)
	}
	if err := within(t, "shutdown", ended); err != nil {
		t.Fatal(err)
	}
	if err := w.Apply(snapshotOf(backendOf("web", e.addr))); err == nil {
		t.Error("apply after shutdown")
	}
	if err := w.Shutdown(t.Context()); err != nil {
		t.Error("a second shutdown:", err)
	}
}

func TestShutdownCutsOffWhatTakesTooLong(t *testing.T) {
	for name, tc := range map[string]struct {
		request, answer string
		cut             CutError
	}{
		"waiting":  {get("/"), "", CutError{Requests: 1}},
		"download": {get("/"), "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nx", CutError{Requests: 1}},
		"upload":   {request("POST", 1000000) + "x", "", CutError{Requests: 1}},
		"tunnel":   {upgradeRequest, switching, CutError{Tunnels: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			reached, ended := make(chan struct{}), make(chan struct{})
			e := endpoint(t, func(_ int, c *wire) {
				c.head()
				c.send("%s", tc.answer)
				close(reached)
				c.rest()
				close(ended)
			})
			w := newWorld(t, Config{})
			if err := w.Apply(snapshotOf(backendOf("web", e.addr))); err != nil {
				t.Fatal(err)
			}
			c := dialWire(t, w.addr(testPort))
			c.send("%s", tc.request)
			within(t, "the request", reached)
			if tc.answer != "" {
				c.head()
			}
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			start := time.Now()
			dialWire(t, w.addr(testPort)) // is idle, and nothing that is cut off
			err := w.Shutdown(ctx)
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Fatal(err)
			}
			if cut := (&CutError{}); !errors.As(err, &cut) || cut.Requests != tc.cut.Requests || cut.Tunnels != tc.cut.Tunnels || cut.Streams != nil {
				t.Errorf("%v, want %+v", err, tc.cut)
			}
			if took := time.Since(start); took > patience/4 {
				t.Errorf("it took %v", took)
			}
			c.rest()
			within(t, "the endpoint's end", ended)
		})
	}
}

func TestNothingLeaks(t *testing.T) {
	run := func() {
		e := endpoint(t, func(n int, c *wire) {
			for {
				req, err := http.ReadRequest(c.in)
				if err != nil {
					return
				}
				switch req.URL.Path {
				case "/die":
					return
				case "/big":
					c.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n%s", strings.Repeat("x", 1000000))
				case "/tunnel":
					c.send(switching)
					io.Copy(c.TCPConn, c.in)
					return
				default:
					io.Copy(io.Discard, req.Body)
					c.send(okHello)
				}
			}
		})
		s, addr := serve(t, Config{Timeouts: http1.Timeouts{Linger: 250 * time.Millisecond}}, snapshotOf(backendOf("web", e.addr, unusedAddr(t))))
		for i := range 10 {
			c := dialWire(t, addr)
			c.send(get("/"))
			c.want("GET", 200)
			c.send(get("/big"))
			c.want("GET", 200)
			c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n%s", strings.Repeat("x", 300000))
			c.want("POST", 200)
			switch i % 5 {
			case 0:
				c.send(get("/die"))
				_, _, _ = c.response("GET")
			case 1:
				c.send("GET /tunnel HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nping")
				c.head()
				c.take(4)
			case 2:
				c.send(get("/big"))
				c.take(10)
			case 3:
				c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\nx")
			case 4:
				c.send("nonsense\r\n\r\n")
				c.rest()
			}
			c.Close()
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		until(t, "the endpoint's connections have ended", func() bool {
			e.mu.Lock()
			defer e.mu.Unlock()
			return len(e.open) == 0
		})
		e.ln.Close()
	}
	run() // whatever is opened once
	heap()
	before := descriptors(t)
	for range 3 {
		run()
	}
	until(t, "as many descriptors are open as before", func() bool {
		heap() // pipes that the pool has dropped are closed by a cleanup
		return descriptors(t) <= before
	})
}
