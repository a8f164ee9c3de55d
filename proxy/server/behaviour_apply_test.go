package server

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// gate is a Filter that holds requests between routing and the Backend.
type gate struct{ reached, open chan struct{} }

func (f gate) New() proxy.Step { return f }

func (f gate) Request(*proxy.Exchange) *proxy.Answer {
	f.reached <- struct{}{}
	<-f.open
	return nil
}

func (f gate) Response(*proxy.Exchange) {}

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
	until(t, "the connection is in its pool", func() bool { return w.registry.Idle() == 1 })
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
	if ids := bind.Unbound(); len(ids) != 1 || ids[0] != l.ID {
		t.Errorf("not bound: %v", ids) // controllers find the Gateway by this method
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

func TestBindErrorOfLaterListenerLeavesServerReady(t *testing.T) {
	e := endpoint(t, answers(okHello))
	w := newWorld(t, Config{})
	if err := w.Apply(snapshotOf(backendOf("web", e.addr))); err != nil {
		t.Fatal(err)
	}
	w.deny[81] = errors.New("no such luck")
	snap := snapshotOf(backendOf("web", e.addr))
	l := *snap.Listeners[0]
	l.Port, l.ID = 81, proxy.ListenerID{Object: proxy.ObjectID{Kind: "Gateway", Namespace: "infra", Name: "edge"}, Section: "web"}
	snap.Listeners = append(snap.Listeners, &l)
	if err := w.Apply(snap); err == nil {
		t.Fatal("the port was bound")
	}
	if err := w.Ready(); err != nil {
		t.Error("one Listener takes the others out of service:", err)
	}
}

// swap is a Balancer whose first choice makes the configuration change: the Endpoint that it picks is gone by then.
type swap struct{ once func() }

func (b *swap) New([]proxy.Target, func() uint64) proxy.Picker { return b }

func (b *swap) Pick(_ *proxy.Exchange, avoid func(int) bool) int {
	b.once()
	if avoid != nil && avoid(0) {
		return -1
	}
	return 0
}

// A request whose Endpoint cannot be reached sees those that have come meanwhile.
func TestRetrySeesEndpointsThatHaveComeMeanwhile(t *testing.T) {
	e := endpoint(t, answers(okHello))
	w := newWorld(t, Config{})
	old, next := backendOf("web", unusedAddr(t)), backendOf("web", e.addr)
	old.Balancer = &swap{once: sync.OnceFunc(func() {
		if err := w.Apply(snapshotOf(next)); err != nil {
			t.Error(err)
		}
	})}
	if err := w.Apply(snapshotOf(old)); err != nil {
		t.Fatal(err)
	}
	c := dialWire(t, w.addr(testPort))
	c.send(get("/"))
	c.want("GET", 200)
}
