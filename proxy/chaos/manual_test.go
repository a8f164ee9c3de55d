package chaos

import (
	"net/netip"
	"testing"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/chance"
	"github.com/breakwater-gateway/breakwater/proxy/shape"
	"github.com/breakwater-gateway/breakwater/proxy/toxic"
)

var tcpRoute = proxy.ObjectID{Kind: "TCPRoute", Namespace: "shop", Name: "db"}

func newManual(e *Engine, name string, toxicity float64) *Manual {
	return e.NewManual(ManualConfig{Owner: "shop.db", Seed: 1, Attributes: "latency=1", Entry: &toxic.Entry{
		Name: name, Toxicity: toxicity, Toxic: toxic.Latency{Latency: shape.Const(1)}, Key: chance.NewKey(1, name),
	}})
}

// open opens a connection of the TCPRoute.
func open(t *testing.T, e *Engine, port uint16) *Connection {
	t.Helper()
	c := e.Open(Place{
		Route: tcpRoute, Listener: listenerID, Backend: backendID, Endpoint: endpointAt(1), Attempt: 1,
		Client: netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), port),
	})
	t.Cleanup(func() { c.Close(Outcome{}) })
	return c
}

// acting says which toxics act on a connection, and with which ordinal the last one does.
func acting(c *Connection) (names string, ordinal uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range c.actives {
		names += a.Name + " "
		ordinal = a.Ordinal
	}
	return names, ordinal
}

func TestManualToxics(t *testing.T) {
	byExperiment := with(anExperiment("x", toxic.Latency{Latency: shape.Const(1)}), func(x *proxy.Experiment) {
		x.Targets = []proxy.ExperimentTarget{{Object: tcpRoute}}
	})
	e := newEngine(t, Config{}, byExperiment)
	target := ManualTarget{tcpRoute, listenerID}
	want := func(c *Connection, names string, ordinal uint64) {
		t.Helper()
		if got, n := acting(c); got != names || n != ordinal {
			t.Errorf("%q with ordinal %d act, want %q with %d", got, n, names, ordinal)
		}
	}
	const x = "NetworkChaos/shop/x/a "
	first, second := open(t, e, 1), open(t, e, 2)
	want(first, x, 0)
	a, b := newManual(e, "a", 1), newManual(e, "b", 1)
	e.SetManual(map[ManualTarget][]*Manual{target: {a}, {Route: routeID, Listener: listenerID}: {b}})
	want(first, x+"a ", 0)
	want(second, x+"a ", 1)
	third := open(t, e, 3)
	e.SetManual(map[ManualTarget][]*Manual{target: {b, a}})
	want(third, x+"b a ", 2)

	e.SetEnabled(false)
	want(first, "", 0)
	want(open(t, e, 4), "", 0)
	e.SetEnabled(true)
	want(third, x+"b a ", 2)

	third.Close(Outcome{Retried: true})
	again := e.Open(Place{Route: tcpRoute, Listener: listenerID, Client: netip.MustParseAddrPort("192.0.2.1:3"), Attempt: 2})
	defer again.Close(Outcome{})
	want(again, x+"b a ", 2)

	fourth := open(t, e, 5)
	first.Close(Outcome{})
	e.SetManual(map[ManualTarget][]*Manual{target: {a}})
	want(second, x+"a ", 1)
	want(fourth, x+"a ", 4)

	session := e.Open(Place{Route: tcpRoute, Listener: listenerID, Datagram: true})
	defer session.Close(Outcome{})
	if got, _ := acting(session); got != x {
		t.Errorf("%q act on datagrams", got)
	}
	e.SetManual(nil)
	want(second, x, 1)
	if !first.touched {
		t.Error("what the experiment has touched is forgotten")
	}
	off := newEngine(t, Config{Disabled: true})
	off.SetManual(map[ManualTarget][]*Manual{target: {a}})
	want(open(t, off, 1), "", 0)
	e.SetManual(map[ManualTarget][]*Manual{target: {a}})
	e.Close()
	want(second, "", 0)
}

// Whoever makes faults without the Engine is told of every kill switch.
func TestSwitchesAreFollowed(t *testing.T) {
	e := newEngine(t, Config{})
	var on bool
	e.FollowSwitches(func(now bool) { on = now })
	for _, c := range []struct {
		name string
		use  func()
		want bool
	}{
		{"at the beginning", func() {}, true},
		{"switched off by hand", func() { e.SetEnabled(false) }, false},
		{"switched off by the ConfigMap too", func() { e.Apply(&proxy.Snapshot{ChaosOff: true}) }, false},
		{"one is lifted", func() { e.SetEnabled(true) }, false},
		{"both are lifted", func() { e.Apply(&proxy.Snapshot{}) }, true},
	} {
		c.use()
		if on != c.want {
			t.Errorf("%s: faults may act: %v", c.name, on)
		}
	}
	newEngine(t, Config{Disabled: true}).FollowSwitches(func(now bool) { on = now })
	if on {
		t.Error("faults may act in a process that is told to make none")
	}
}
