package server

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/chaos"
	"github.com/breakwater-gateway/breakwater/proxy/fault"
	"github.com/breakwater-gateway/breakwater/proxy/filter"
	"github.com/breakwater-gateway/breakwater/proxy/shape"
	"github.com/breakwater-gateway/breakwater/proxy/toxic"
)

// experiment is one that is in force on everything that routed and snapshotOf route.
func experiment(at proxy.Point, toxics ...proxy.Toxic) *proxy.Experiment {
	x := &proxy.Experiment{
		ID: proxy.ObjectID{Kind: "NetworkChaos", Namespace: "default", Name: "x"}, Percent: shape.Const(100), At: at,
		Targets: []proxy.ExperimentTarget{{Object: proxy.ObjectID{Kind: "Ingress", Namespace: "default", Name: "web"}}},
		Window:  proxy.Window{Start: time.Now(), Duration: time.Hour},
	}
	for i, t := range toxics {
		x.Toxics = append(x.Toxics, proxy.ExperimentToxic{Name: fmt.Sprint("toxic-", i), Toxicity: shape.Const(1), Toxic: t})
	}
	return x
}

// faulty is a Server with Experiments, in front of an endpoint that counts its requests.
type faulty struct {
	*Server
	t      testing.TB
	addr   string
	engine *chaos.Engine
	snap   *proxy.Snapshot
	served *atomic.Int64
}

func newFaulty(t testing.TB, change func(*proxy.Route), experiments ...*proxy.Experiment) *faulty {
	t.Helper()
	served := &atomic.Int64{}
	backend := endpoint(t, func(_ int, c *wire) {
		for {
			head := c.head()
			if head == "" {
				return
			}
			served.Add(1)
			answer := okHello
			if strings.Contains(head, "/large") {
				answer = fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", 1<<20, strings.Repeat("x", 1<<20))
			}
			if strings.Contains(head, "X-Chaos") {
				answer = "HTTP/1.1 500 Token\r\nContent-Length: 0\r\n\r\n"
			}
			if !c.send("%s", answer) {
				return
			}
		}
	})
	f := &faulty{t: t, engine: chaos.New(chaos.Config{}), snap: routed(backendOf("web", backend.addr), change), served: served}
	t.Cleanup(f.engine.Close)
	f.snap.Experiments = experiments
	f.Server, f.addr = serve(t, Config{Chaos: f.engine}, f.snap)
	for _, s := range f.engine.Status() {
		if s.Problem != "" {
			t.Fatal(s.Problem)
		}
	}
	return f
}

// change applies other experiments.
func (f *faulty) change(experiments ...*proxy.Experiment) {
	f.t.Helper()
	next := *f.snap
	next.Experiments = experiments
	if err := f.Apply(&next); err != nil {
		f.t.Fatal(err)
	}
}

// ask sends a request on a connection of its own.
func (f *faulty) ask(path string, fields ...string) (*http.Response, string, error) {
	c := dialWire(f.t, f.addr)
	defer c.Close()
	head := "GET " + path + " HTTP/1.1\r\nHost: a\r\n"
	for _, field := range fields {
		head += field + "\r\n"
	}
	c.send("%s", head+"\r\n")
	return c.response("GET")
}

func (f *faulty) want(status int, served int64) string {
	f.t.Helper()
	before := f.served.Load()
	res, body, err := f.ask("/p")
	if err != nil || res.StatusCode != status || f.served.Load()-before != served {
		f.t.Fatalf("%v %q, %v; the endpoint served %d; want %d and %d", res, body, err, f.served.Load()-before, status, served)
	}
	return body
}

func TestAbortAtClientComesBeforeTheRoute(t *testing.T) {
	f := newFaulty(t, func(r *proxy.Route) {
		r.Filters = []proxy.Filter{filter.RequestHeaders{}, trap{}}
	}, experiment(proxy.Client, fault.Abort{Status: 418, Body: "teapot"}))
	if body := f.want(418, 0); body != "teapot" {
		t.Errorf("%q", body)
	}
	c := dialWire(t, f.addr)
	for range 3 {
		c.send(get("/p"))
		c.want("GET", 418) // and the connection goes on
	}
	f.change()
	f.want(200, 1)
}

func TestEndsAtClient(t *testing.T) {
	f := newFaulty(t, nil, experiment(proxy.Client, fault.Abort{End: fault.FIN}))
	c := dialWire(t, f.addr)
	c.send(get("/p"))
	c.wantEnd()
	f.change(experiment(proxy.Client, fault.Abort{End: fault.RST}))
	c = dialWire(t, f.addr)
	c.send(get("/p"))
	if _, err := c.rest(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%v, want a reset", err)
	}
	until(t, "the report has them", func() bool {
		r := f.engine.Report().Experiments[0]
		return r.InjectedTraffic.Failed == 2 && r.InjectedTraffic.Status["none"] == 2
	})
}

func TestAbortAtBackendIsAnAttempt(t *testing.T) {
	f := newFaulty(t, nil, experiment(proxy.AtBackend, fault.Abort{Status: 503, Body: "sick"}))
	if body := f.want(503, 0); body != "sick" {
		t.Errorf("%q", body)
	}
}

// What the gateway may try again it does: the client does not see the fault of the first attempt.
func TestFaultsAtBackendAreTriedAgain(t *testing.T) {
	for name, c := range map[string]proxy.Toxic{
		"end without an answer": fault.Abort{End: fault.RST},
		"connect failure":       toxic.Down{},
	} {
		t.Run(name, func(t *testing.T) {
			other := endpoint(t, answers(okHello))
			exp := experiment(proxy.AtBackend, c)
			exp.Sequence = []proxy.SequenceStep{{Count: 1, Toxics: []string{"toxic-0"}}}
			f := newFaulty(t, nil)
			snap := *f.snap
			b := backendOf("web", snap.Backends[f.snap.Listeners[0].Hosts[0].Routes[0].Backends[0].Backend].Endpoints[0].String(), other.addr)
			snap.Backends = map[proxy.BackendID]*proxy.Backend{b.ID: b}
			f.snap = &snap
			f.change(exp)
			res, _, err := f.ask("/p")
			if err != nil || res.StatusCode != 200 {
				t.Fatal(res, err)
			}
			until(t, "the report has it", func() bool {
				x := f.engine.Report().Experiments[0]
				return x.Injected == 1 && x.InjectedTraffic.Retries == 1 && x.InjectedTraffic.Status["2xx"] == 1
			})
			exp.Sequence = nil
			all := *exp
			f.change(&all)
			if res, _, err := f.ask("/p"); err != nil || res.StatusCode != 502 {
				t.Error("all attempts fail:", res, err)
			}
		})
	}
}

// Changes of a request's fields at Backend are one attempt's.
func TestRequestFieldsOfOneAttempt(t *testing.T) {
	heads := make(chan string, 1)
	echo := endpoint(t, func(_ int, c *wire) {
		for head := c.head(); head != ""; head = c.head() {
			heads <- head
			c.send("%s", okHello)
		}
	})
	change := fault.HeaderChange{Remove: fault.Names("").With("Authorization"), Add: fault.Fields("").With("X-Sick", "1")}
	exp := experiment(proxy.AtBackend, fault.Headers{Request: change}, fault.Abort{End: fault.RST}, fault.Headers{Request: change})
	exp.Sequence = []proxy.SequenceStep{{Count: 1, Toxics: []string{"toxic-0", "toxic-1"}}, {Count: 1}, {Count: 1, Toxics: []string{"toxic-2"}}}
	f := newFaulty(t, nil)
	snap := *f.snap
	b := backendOf("web", echo.addr)
	snap.Backends = map[proxy.BackendID]*proxy.Backend{b.ID: b}
	f.snap = &snap
	f.change(exp)
	for i, changed := range []bool{false, true} { // the first request is tried twice
		if res, _, err := f.ask("/p", "Authorization: secret"); err != nil || res.StatusCode != 200 {
			t.Fatal(res, err)
		}
		if head := <-heads; strings.Contains(head, "X-Sick") != changed || strings.Contains(head, "Authorization") == changed {
			t.Errorf("request %d: changed is to be %v:\n%s", i, changed, head)
		}
	}
}

// What ends a connection before there is one is a fault as any other.
func TestDownAtBackendIsLogged(t *testing.T) {
	f := newFaulty(t, nil, experiment(proxy.AtBackend, toxic.Down{}))
	f.want(502, 0)
	until(t, "the report has it", func() bool { return f.engine.Report().Experiments[0].InjectedTraffic.Requests == 1 })
	log, row := f.engine.Faults(), f.engine.Report().Experiments[0].Toxics[0]
	if len(log) != 1 || log[0].Toxic != "toxic-0" || log[0].Decision != "inject" || row.Decided != 1 || row.Applied != 1 {
		t.Errorf("%+v, %+v", log, row)
	}
}

func TestDelayUnderATimeout(t *testing.T) {
	late := fault.Delay{Latency: shape.Const(65_000)}
	f := newFaulty(t, func(r *proxy.Route) { r.Timeouts.Backend = 200 * time.Millisecond }, experiment(proxy.AtBackend, late))
	began := time.Now()
	f.want(504, 0)
	if took := time.Since(began); took < 200*time.Millisecond {
		t.Errorf("504 after %v", took)
	}
	// A delay at Client is before the Route's timeouts, and is over when the experiment is. The endpoint has as long as ever then, which
	// a slow machine may need up.
	until(t, "the endpoint has answered before the timeout", func() bool {
		f.engine.SetEnabled(true)
		f.change(experiment(proxy.Client, late))
		c := dialWire(t, f.addr)
		defer c.Close()
		before := f.engine.Status()[0].Injected
		c.send(get("/p"))
		until(t, "it is held", func() bool { return f.engine.Status()[0].Injected > before })
		c.wantSilence(300 * time.Millisecond)
		released := time.Now()
		f.engine.SetEnabled(false)
		res, _, err := c.response("GET")
		if err != nil || res.StatusCode != 200 && res.StatusCode != 504 {
			t.Fatal(res, err)
		}
		if took := time.Since(released); res.StatusCode == 504 && took < 200*time.Millisecond {
			t.Fatalf("504 after %v", took)
		}
		return res.StatusCode == 200
	})
}

// wantSilence expects nothing for a while.
func (w *wire) wantSilence(d time.Duration) {
	w.t.Helper()
	_ = w.SetReadDeadline(time.Now().Add(d))
	if got, err := w.in.Peek(1); !errors.Is(err, os.ErrDeadlineExceeded) {
		w.t.Fatalf("got %q, %v; want nothing", got, err)
	}
	_ = w.SetReadDeadline(time.Now().Add(patience))
}

func TestDelayNoticesThatTheClientLeaves(t *testing.T) {
	f := newFaulty(t, nil, experiment(proxy.Client, fault.Delay{Latency: shape.Const(60_000)}))
	c := dialWire(t, f.addr)
	c.send(get("/p"))
	until(t, "the request is counted", func() bool { return f.engine.Status()[0].Injected == 1 })
	c.Close()
	until(t, "the request has ended", func() bool { return f.engine.Report().Experiments[0].InjectedTraffic.Requests == 1 })
	if n := f.engine.Report().Experiments[0].InjectedTraffic.Failed; n != 0 {
		t.Error("a client that leaves counts as a failure")
	}
}

func TestResponseFaults(t *testing.T) {
	for _, at := range []proxy.Point{proxy.Client, proxy.AtBackend} {
		t.Run(at.String(), func(t *testing.T) {
			f := newFaulty(t, nil, experiment(at, fault.TruncateBody{Bytes: shape.Const(2)}))
			if _, body, err := f.ask("/p"); err == nil || body != "he" {
				t.Errorf("%q, %v; want a body that breaks off", body, err)
			}
			f.change(experiment(at, fault.Throttle{Rate: shape.Const(0)}))
			c := dialWire(t, f.addr)
			c.send(get("/p"))
			if head := c.head(); !strings.Contains(head, "Content-Length: 5\r\n") {
				t.Fatalf("%q", head)
			}
			c.wantSilence(50 * time.Millisecond)
			f.engine.SetEnabled(false)
			if body := c.take(5); body != "hello" {
				t.Errorf("%q; the body must go on when the throttle is over", body)
			}
		})
	}
}

func TestToxicsOnTheConnectionsOfRequests(t *testing.T) {
	const latency = 100 * time.Millisecond
	for _, at := range []proxy.Point{proxy.Client, proxy.AtBackend} {
		t.Run(at.String(), func(t *testing.T) {
			exp := experiment(at, toxic.Latency{Latency: shape.Const(float64(latency.Milliseconds()))})
			f := newFaulty(t, nil, exp)
			c := dialWire(t, f.addr)
			timed := func(path string) time.Duration {
				began := time.Now()
				c.send(get(path))
				c.want("GET", 200)
				return time.Since(began)
			}
			for _, path := range []string{"/p", "/large", "/p"} {
				if took := timed(path); took < latency {
					t.Errorf("%s took %v", path, took)
				}
			}
			f.change()
			until(t, "it is fast without toxics", func() bool { return timed("/p") < latency })
			f.change(exp)
			if took := timed("/p"); took < latency {
				t.Errorf("took %v when they are back", took)
			}
			until(t, "the report has them", func() bool { // before it was away, and after
				r := f.engine.Report().Experiments
				return len(r) == 1 && r[0].Toxics[0].Applied == 4 && r[0].Toxics[0].Bytes > 1<<20
			})
		})
	}
}

func TestResetPeerAtClient(t *testing.T) {
	f := newFaulty(t, nil, experiment(proxy.Client, toxic.ResetPeer{}))
	c := dialWire(t, f.addr)
	c.send(get("/p"))
	if _, err := c.rest(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%v, want a reset", err)
	}
}

// A tunnel is not slow because it lasts.
func TestGuardLooksAtTheHeadsOfTunnels(t *testing.T) {
	const bound = time.Second
	tunnel := endpoint(t, func(_ int, c *wire) {
		if c.head() != "" {
			c.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
		}
		for c.take(1) != "" {
			c.send("y")
		}
	})
	until(t, "a head comes in time", func() bool { // it is slow itself if it comes late
		exp := experiment(proxy.Client, fault.Delay{})
		exp.Guard = &proxy.Guard{Window: time.Minute, MinRequests: 1, MaxLatency: bound}
		f := newFaulty(t, nil)
		snap := *f.snap
		b := backendOf("web", tunnel.addr)
		snap.Backends = map[proxy.BackendID]*proxy.Backend{b.ID: b}
		f.snap = &snap
		f.change(exp)
		c := dialWire(t, f.addr)
		defer c.Close()
		began := time.Now()
		c.send("GET /p HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
		if h := c.head(); !strings.Contains(h, "101") {
			t.Fatal(h)
		}
		if time.Since(began) > bound*9/10 {
			return false
		}
		for time.Since(began) < bound+bound/10 {
			c.send("x")
			c.take(1)
		}
		if s := f.engine.Status()[0]; s.Phase != proxy.ExperimentActive || s.Injected != 1 {
			t.Errorf("%+v", s)
		}
		return true
	})
}

func TestTokensDoNotReachTheEndpoint(t *testing.T) {
	exp := experiment(proxy.AtBackend, fault.Delay{})
	exp.Token = &proxy.Token{Header: "X-Chaos", Secret: "s"}
	f := newFaulty(t, nil, exp)
	token, err := chaos.MintToken("s", "default", "x", time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	for _, value := range []string{token, "wrong"} {
		if res, _, err := f.ask("/p", "X-Chaos: "+value); err != nil || res.StatusCode != 200 {
			t.Errorf("%s: %v %v", value, res, err)
		}
	}
	if s := f.engine.Status()[0]; s.Matched != 1 {
		t.Errorf("%+v", s)
	}
}

func TestExperimentsThatDoNotActTouchNothing(t *testing.T) {
	for name, change := range map[string]func(*proxy.Experiment, *proxy.Snapshot){
		"expired":   func(x *proxy.Experiment, _ *proxy.Snapshot) { x.Window.Start = time.Now().Add(-2 * time.Hour) },
		"pending":   func(x *proxy.Experiment, _ *proxy.Snapshot) { x.Window.Start = time.Now().Add(time.Hour) },
		"suspended": func(x *proxy.Experiment, _ *proxy.Snapshot) { x.Suspend = true },
		"halted":    func(x *proxy.Experiment, _ *proxy.Snapshot) { x.Halted = true },
		"dry run":   func(x *proxy.Experiment, _ *proxy.Snapshot) { x.DryRun = true },
		"off":       func(_ *proxy.Experiment, s *proxy.Snapshot) { s.ChaosOff = true },
		"0 %":       func(x *proxy.Experiment, _ *proxy.Snapshot) { x.Percent = shape.Const(0) },
	} {
		t.Run(name, func(t *testing.T) {
			for _, at := range []proxy.Point{proxy.Client, proxy.AtBackend} {
				f := newFaulty(t, nil)
				exp := experiment(at, toxic.ResetPeer{}, fault.Delay{Latency: shape.Const(3.6e6)}, fault.Abort{Status: 503})
				snap := *f.snap
				change(exp, &snap)
				f.snap = &snap
				f.change(exp)
				if body := f.want(200, 1); body != "hello" {
					t.Errorf("%q", body)
				}
			}
		})
	}
}

// Nothing in a Snapshot keeps it from ending faults.
func TestSnapshotThatCannotBeServedEndsFaults(t *testing.T) {
	acting := experiment(proxy.Client, fault.Abort{Status: 503})
	for name, c := range map[string]struct {
		change func(*proxy.Snapshot)
		want   int
	}{
		"kill switch":           {func(s *proxy.Snapshot) { s.ChaosOff = true }, 200},
		"deleted":               {func(s *proxy.Snapshot) { s.Experiments = nil }, 200},
		"suspended":             {func(s *proxy.Snapshot) { s.Experiments = []*proxy.Experiment{suspended(acting)} }, 200},
		"nothing":               {func(*proxy.Snapshot) {}, 503},
		"another one that acts": {func(s *proxy.Snapshot) { s.Experiments = []*proxy.Experiment{aborting(acting, 418)} }, 503},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFaulty(t, nil, acting)
			f.want(503, 0)
			bad := *routed(backendOf("web", "127.0.0.1:1"), func(r *proxy.Route) {
				r.Match.Path = proxy.PathMatch{Type: proxy.PathRegex, Value: "("}
			})
			bad.Experiments = f.snap.Experiments
			c.change(&bad)
			if err := f.Apply(&bad); err == nil {
				t.Fatal("the Snapshot is served")
			}
			if res, _, err := f.ask("/p"); err != nil || res.StatusCode != c.want {
				t.Errorf("%v %v, want %d", res, err, c.want)
			}
			f.change(acting)
			f.want(503, 0)
		})
	}
}

func suspended(x *proxy.Experiment) *proxy.Experiment {
	next := *x
	next.Suspend = true
	return &next
}

func aborting(x *proxy.Experiment, status int) *proxy.Experiment {
	next := *x
	next.Toxics = []proxy.ExperimentToxic{{Name: "toxic-0", Toxicity: shape.Const(1), Toxic: fault.Abort{Status: status}}}
	return &next
}

func TestFaultsOnStreams(t *testing.T) {
	echo := endpoint(t, func(_ int, c *wire) { io.Copy(c.TCPConn, c.in) })
	b := backendOf("echo", echo.addr)
	snap := &proxy.Snapshot{
		Listeners: []*proxy.Listener{{
			ID: proxy.ListenerID{Object: proxy.ObjectID{Kind: "Gateway", Namespace: "default", Name: "gw"}}, Port: testPort, Protocol: proxy.TCP,
			Stream: &proxy.StreamRoute{
				ID:       proxy.ObjectID{Kind: "Ingress", Namespace: "default", Name: "web"},
				Backends: []proxy.WeightedBackend{{Backend: b.ID, Weight: 1}},
			},
		}},
		Backends: map[proxy.BackendID]*proxy.Backend{b.ID: b},
	}
	engine := chaos.New(chaos.Config{})
	t.Cleanup(engine.Close)
	s, addr := serve(t, Config{Chaos: engine}, snap)
	c := dialWire(t, addr)
	ping := func() time.Duration {
		began := time.Now()
		c.send("ping")
		if got := c.take(4); got != "ping" {
			t.Fatalf("%q", got)
		}
		return time.Since(began)
	}
	ping()
	next := *snap
	next.Experiments = []*proxy.Experiment{experiment(proxy.AtBackend, toxic.Latency{Latency: shape.Const(100)})}
	if err := s.Apply(&next); err != nil {
		t.Fatal(err)
	}
	if took := ping(); took < 100*time.Millisecond {
		t.Errorf("%v: the experiment has not reached the live connection", took)
	}
	engine.SetEnabled(false)
	best := time.Hour
	for range 50 {
		best = min(best, ping())
	}
	if best >= 100*time.Millisecond {
		t.Errorf("%v although the kill switch is used", best)
	}
	engine.SetEnabled(true)
	reset := *snap
	reset.Experiments = []*proxy.Experiment{experiment(proxy.Client, toxic.ResetPeer{})}
	if err := s.Apply(&reset); err != nil {
		t.Fatal(err)
	}
	if _, err := c.rest(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%v, want a reset of the live connection", err)
	}
	until(t, "the connection has ended", func() bool { return engine.Report().Experiments[0].InjectedTraffic.Failed == 1 })
	// A refused dial is a failed connection.
	down := *snap
	down.Experiments = []*proxy.Experiment{experiment(proxy.AtBackend, toxic.Down{})}
	down.Experiments[0].UID = "down"
	if err := s.Apply(&down); err != nil {
		t.Fatal(err)
	}
	if late, err := net.Dial("tcp", addr); err == nil {
		_, _ = io.ReadAll(late)
		late.Close()
	}
	until(t, "the report has it", func() bool { return engine.Report().Experiments[0].InjectedTraffic.Failed == 1 })
}

// One request through a Server without Experiments, with one that matches and injects nothing, and with one for another route.
func BenchmarkChaos(b *testing.B) {
	for _, c := range []struct {
		name   string
		change func(*proxy.Experiment)
	}{
		{"none", nil},
		{"matching", func(x *proxy.Experiment) { x.Percent = shape.Const(0) }},
		{"elsewhere", func(x *proxy.Experiment) { x.Targets[0].Object.Name = "other" }},
	} {
		b.Run(c.name, func(b *testing.B) {
			backend := endpoint(b, func(_ int, c *wire) {
				buf := make([]byte, 4096)
				for {
					if _, err := c.Read(buf); err != nil {
						return
					}
					if _, err := io.WriteString(c.TCPConn, okHello); err != nil {
						return
					}
				}
			})
			engine := chaos.New(chaos.Config{})
			b.Cleanup(engine.Close)
			snap := snapshotOf(backendOf("web", backend.addr))
			if c.change != nil {
				exp := experiment(proxy.Client, fault.Abort{Status: 503})
				c.change(exp)
				snap.Experiments = []*proxy.Experiment{exp}
			}
			_, addr := serve(b, Config{Chaos: engine}, snap)
			client := dialWire(b, addr)
			request, answer := []byte(get("/p")), make([]byte, 4096)
			b.ReportAllocs()
			for b.Loop() {
				_, _ = client.Write(request)
				_, _ = client.Read(answer)
			}
			client.Close()
		})
	}
}

// A Snapshot that throws the kill switch ends faults before its routes are compiled, which may take long.
func TestKillSwitchDoesNotWaitForRouting(t *testing.T) {
	f := newFaulty(t, nil, experiment(proxy.Client, fault.Abort{Status: 503}))
	thrown := false
	f.engine.FollowSwitches(func(on bool) {
		if !on && !thrown {
			thrown = true
			if f.Snapshot() != f.snap {
				t.Error("the new routes are served already")
			}
		}
	})
	off := *f.snap
	off.ChaosOff = true
	if err := f.Apply(&off); err != nil {
		t.Fatal(err)
	}
	if !thrown || f.Snapshot() != &off {
		t.Errorf("thrown: %v", thrown)
	}
}
