package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
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

// gate is a Filter that holds requests between routing and the Backend.
type gate struct{ reached, open chan struct{} }

func (f gate) New() proxy.Step { return f }

func (f gate) Request(*proxy.Exchange) *proxy.Answer {
	f.reached <- struct{}{}
	<-f.open
	return nil
}

func (f gate) Response(*proxy.Exchange) {}

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
	addr := proxyTo(t, Config{MaxConnections: 2}, e.addr)
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
	for name, tc := range map[string]struct{ request, answer string }{
		"waiting":  {get("/"), ""},
		"download": {get("/"), "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nx"},
		"upload":   {request("POST", 1000000) + "x", ""},
		"tunnel":   {upgradeRequest, switching},
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
			if err := w.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatal(err)
			}
			if took := time.Since(start); took > patience/4 {
				t.Errorf("it took %v", took)
			}
			c.rest()
			within(t, "the endpoint's end", ended)
		})
	}
}

// Neither a change of endpoints nor one of routes may cost a request.
func TestApplyUnderTraffic(t *testing.T) {
	const endpoints = 4
	var addrs []string
	for range endpoints {
		addrs = append(addrs, endpoint(t, func(_ int, c *wire) {
			for {
				head := c.head()
				if head == "" {
					return
				}
				if strings.HasPrefix(head, "POST") {
					c.take(5)
				}
				c.send(okHello)
			}
		}).addr)
	}
	w := newWorld(t, Config{})
	version := func(i int) *proxy.Snapshot {
		// Every version has another backend by another name; the endpoints of all come and go.
		b := backendOf(fmt.Sprintf("web-%d", i%3), addrs[i%endpoints], addrs[(i+1)%endpoints])
		return routed(b, func(r *proxy.Route) { r.ID.Rule = i % 5 })
	}
	if err := w.Apply(version(0)); err != nil {
		t.Fatal(err)
	}
	addr := w.addr(testPort)
	stop := make(chan struct{})
	var served atomic.Int64
	var wg sync.WaitGroup
	for i := range 4 {
		c := dialWire(t, addr)
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				if (n+i)%3 == 0 {
					c.send(request("POST", 5) + "hello")
				} else {
					c.send(get("/"))
				}
				res, body, err := c.response("GET")
				if err != nil || res.StatusCode != 200 || body != "hello" {
					t.Errorf("request %d: %v %q %v", n, res, body, err)
					return
				}
				served.Add(1)
			}
		})
	}
	for i := 1; i <= 300; i++ {
		if err := w.Apply(version(i)); err != nil {
			t.Error(err)
		}
		if want := served.Load() + 4; i%10 == 0 {
			until(t, "requests are served in between", func() bool { return served.Load() >= want || t.Failed() })
		}
	}
	close(stop)
	wg.Wait()
}

// A request that was routed before its Backend left ends as it began.
func TestRequestSurvivesTheRemovalOfItsBackend(t *testing.T) {
	e := endpoint(t, answers(okHello))
	w := newWorld(t, Config{})
	g := gate{make(chan struct{}), make(chan struct{})}
	old := routed(backendOf("old", e.addr), func(r *proxy.Route) { r.Filters = []proxy.Filter{g} })
	if err := w.Apply(old); err != nil {
		t.Fatal(err)
	}
	c := dialWire(t, w.addr(testPort))
	c.send(get("/"))
	within(t, "the request", g.reached)
	if err := w.Apply(snapshotOf(backendOf("new", e.addr))); err != nil {
		t.Fatal(err)
	}
	close(g.open)
	c.want("GET", 200)
	until(t, "the removed endpoint's connections are closed", func() bool { return w.registry.Idle() == 0 })
	c.wantOpen()
}

func TestRemovedEndpointsIdleConnectionsAreClosed(t *testing.T) {
	ended := make(chan struct{}, 8)
	f := func(_ int, c *wire) {
		answers(okHello)(0, c)
		ended <- struct{}{}
	}
	a, b := endpoint(t, f), endpoint(t, answers(okHello))
	w := newWorld(t, Config{})
	if err := w.Apply(snapshotOf(backendOf("web", a.addr))); err != nil {
		t.Fatal(err)
	}
	c := dialWire(t, w.addr(testPort))
	c.send(get("/"))
	c.want("GET", 200)
	if err := w.Apply(snapshotOf(backendOf("web", a.addr, b.addr))); err != nil {
		t.Fatal(err)
	}
	if n := w.registry.Idle(); n != 1 {
		t.Fatalf("%d idle connections: a change must not close those of an endpoint that stays", n)
	}
	if err := w.Apply(snapshotOf(backendOf("web", b.addr))); err != nil {
		t.Fatal(err)
	}
	within(t, "the end of the idle connection", ended)
	c.wantOpen()
}

// What an endpoint that is removed is serving goes on, and its connection is closed then.
func TestRemovedEndpointFinishesItsRequest(t *testing.T) {
	reached, proceed, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	a := endpoint(t, func(_ int, c *wire) {
		c.head()
		close(reached)
		<-proceed
		c.send(okHello)
		c.head()
		close(ended)
	})
	b := endpoint(t, answers(okHello))
	w := newWorld(t, Config{})
	if err := w.Apply(snapshotOf(backendOf("web", a.addr))); err != nil {
		t.Fatal(err)
	}
	c := dialWire(t, w.addr(testPort))
	c.send(get("/"))
	within(t, "the request", reached)
	if err := w.Apply(snapshotOf(backendOf("web", b.addr))); err != nil {
		t.Fatal(err)
	}
	close(proceed)
	c.want("GET", 200)
	within(t, "the end of the connection", ended)
}

func TestPortsComeAndGo(t *testing.T) {
	e := endpoint(t, answers(okHello))
	w := newWorld(t, Config{})
	with := func(ports ...uint16) *proxy.Snapshot {
		snap := snapshotOf(backendOf("web", e.addr))
		first := *snap.Listeners[0]
		snap.Listeners = nil
		for _, p := range ports {
			l := first
			l.Port = p
			snap.Listeners = append(snap.Listeners, &l)
		}
		return snap
	}
	apply := func(ports ...uint16) {
		t.Helper()
		if err := w.Apply(with(ports...)); err != nil {
			t.Fatal(err)
		}
	}
	serves := func(port uint16) {
		t.Helper()
		c := dialWire(t, w.addr(port))
		c.send(get("/"))
		c.want("GET", 200)
		c.Close()
	}
	apply(1, 2)
	serves(1)
	serves(2)
	kept, first := dialWire(t, w.addr(2)), w.addr(2)
	kept.send(get("/"))
	kept.want("GET", 200)
	apply(1)
	if c, err := net.Dial("tcp", first); err == nil {
		c.Close()
		t.Fatal("the port that has left is still open")
	}
	serves(1)
	kept.send(get("/"))
	kept.want("GET", 404) // the connection is from before; nothing is served there now
	apply(1, 2)
	serves(2)
	if w.addr(2) == first {
		t.Fatal("the port was not bound again")
	}
	apply()
	if err := w.Ready(); err != nil {
		t.Error("a snapshot without listeners is a snapshot:", err)
	}
}

func TestBindErrorNamesPortAndListener(t *testing.T) {
	e := endpoint(t, answers(okHello))
	w := newWorld(t, Config{})
	cause := errors.New("no such luck")
	w.deny[81] = cause
	snap := snapshotOf(backendOf("web", e.addr))
	l := *snap.Listeners[0]
	l.Port, l.ID = 81, proxy.ListenerID{Object: proxy.ObjectID{Kind: "Gateway", Namespace: "infra", Name: "edge"}, Section: "web"}
	snap.Listeners = append(snap.Listeners, &l)
	err := w.Apply(snap)
	var bind *BindError
	if !errors.As(err, &bind) || bind.Port != 81 || !errors.Is(err, cause) || err.Error() != "bind port 81 for listener Gateway/infra/edge:web: no such luck" {
		t.Fatal(err)
	}
	if w.Ready() == nil {
		t.Error("ready although a port is not bound")
	}
	c := dialWire(t, w.addr(testPort))
	c.send(get("/"))
	c.want("GET", 200)
	w.mu.Lock()
	delete(w.deny, 81)
	w.mu.Unlock()
	if err := w.Apply(snap); err != nil {
		t.Fatal("the same snapshot again must try again:", err)
	}
	if err := w.Ready(); err != nil {
		t.Error(err)
	}
	c = dialWire(t, w.addr(81))
	c.send(get("/"))
	c.want("GET", 200)
}

func TestAnswersOfTheProxy(t *testing.T) {
	e := endpoint(t, answers(okHello))
	id := backendOf("web").ID
	for name, tc := range map[string]struct {
		snap   *proxy.Snapshot
		status int
		body   string
	}{
		"no route": {routed(backendOf("web", e.addr), func(r *proxy.Route) { r.Match.Path.Value = "/other" }),
			404, "Not Found: no route for this request\n"},
		"invalid route": {routed(backendOf("web", e.addr), func(r *proxy.Route) { r.Invalid = "secret reason" }),
			500, "Internal Server Error: this route is not configured correctly\n"},
		"no backend": {routed(backendOf("web", e.addr), func(r *proxy.Route) { r.Backends = nil }),
			500, "Internal Server Error: this route is not configured correctly\n"},
		"weight 0": {routed(backendOf("web", e.addr), func(r *proxy.Route) { r.Backends[0].Weight = 0 }),
			500, "Internal Server Error: this route is not configured correctly\n"},
		"broken reference": {routed(backendOf("web", e.addr), func(r *proxy.Route) {
			r.Backends[0] = proxy.WeightedBackend{Backend: id, Weight: 1, Invalid: "secret reason"}
		}), 500, "Internal Server Error: this route is not configured correctly\n"},
		"unknown backend": {routed(backendOf("web", e.addr), func(r *proxy.Route) { r.Backends[0].Backend.Name = "nobody" }),
			500, "Internal Server Error: this route is not configured correctly\n"},
		"no endpoint": {snapshotOf(backendOf("web")), 503, "Service Unavailable: no endpoint is ready\n"},
	} {
		t.Run(name, func(t *testing.T) {
			_, addr := serve(t, Config{}, tc.snap)
			c := dialWire(t, addr)
			for range 2 {
				c.send(request("POST", 5) + "hello")
				res, body, err := c.response("POST")
				if err != nil || res.StatusCode != tc.status || body != tc.body {
					t.Fatal(res, body, err)
				}
				if res.Header.Get("Content-Type") != "text/plain; charset=utf-8" || res.Header.Get("Date") == "" || res.Close {
					t.Error(res.Header)
				}
			}
			c.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
			if body := c.want("HEAD", tc.status); body != "" {
				t.Error(body)
			}
			// A body that is still on its way is not waited for, and the client gets the answer all the same.
			c.send(request("POST", 1<<40) + "x")
			res, body, err := c.response("POST")
			if err != nil || body != tc.body || !res.Close {
				t.Fatal(res, body, err)
			}
			c.wantEnd()
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
				c.response("GET")
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
