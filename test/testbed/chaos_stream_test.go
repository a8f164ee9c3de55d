package testbed_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy/server"
	"github.com/breakwater-gateway/breakwater/test/testbed"
)

// streams is the Gateway edge with a TCP and a UDP listener, and a TCPRoute and a UDPRoute called db and dns with these backends.
func streams(annotations, tcp string) string {
	return `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, annotations: {` + annotations + `}}
spec:
  gatewayClassName: breakwater
  listeners: [{name: db, port: 7000, protocol: TCP}, {name: dns, port: 53, protocol: UDP}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: TCPRoute
metadata: {name: db}
spec:
  parentRefs: [{name: edge, sectionName: db}]
  rules: [{backendRefs: [` + tcp + `]}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: UDPRoute
metadata: {name: dns}
spec:
  parentRefs: [{name: edge, sectionName: dns}]
  rules: [{backendRefs: [{name: dns, port: 7000}]}]
`
}

const oneDB = "{name: db, port: 7000}"

// dbBed serves the TCPRoute db with one backend that says its name and sends back what it gets.
func dbBed(t *testing.T, experiments string) (*testbed.Bed, *testbed.StreamBackend) {
	t.Helper()
	tb := testbed.New(t, streams("", oneDB))
	db := tb.TCPBackend("db", nil)
	writeChaos(tb, experiments)
	return tb, db
}

func onDB(lines ...string) string {
	return experiment("x", append([]string{"duration: 1h", "targetRefs: [{kind: TCPRoute, name: db}]"}, lines...)...)
}

// greeted opens a connection to the TCPRoute db and reads the name of the backend.
func greeted(tb *testbed.Bed, name string) *testbed.Client {
	c := tb.DialTCP(tb.GatewayPort("edge", 7000))
	c.Receive(name + "\n")
	return c
}

func TestTCPWeights(t *testing.T) {
	tb := testbed.New(t, streams("", "{name: db, port: 7000, weight: 3}, {name: second, port: 7000}, {name: none, port: 7000, weight: 0}"))
	a, b, none := tb.TCPBackend("db", nil), tb.TCPBackend("second", nil), tb.TCPBackend("none", nil)
	for range 100 { // a share of 1/4 is missed with a probability of 1e-12
		c := tb.DialTCP(tb.GatewayPort("edge", 7000))
		c.CloseWrite()
		if text, isReset := c.Rest(); isReset || !strings.HasSuffix(text, "\n") {
			t.Fatalf("got %q, reset: %v", text, isReset)
		}
	}
	if a.Connections.Load() == 0 || b.Connections.Load() == 0 || none.Connections.Load() != 0 || a.Connections.Load()+b.Connections.Load() != 100 {
		t.Errorf("%d, %d and %d connections", a.Connections.Load(), b.Connections.Load(), none.Connections.Load())
	}
}

func TestTCPHalfClose(t *testing.T) {
	tb := testbed.New(t, streams("", oneDB))
	tb.TCPBackend("db", func(nc *net.TCPConn) {
		all, _ := io.ReadAll(nc) // only the end of what the client sends makes it answer
		_, _ = fmt.Fprintf(nc, "%d bytes", len(all))
	})
	for name, experiments := range map[string]string{
		"plain": "", "with a toxic": onDB("toxics: [{type: Latency, latency: {latency: 1ms}}, {name: up, type: Latency, direction: Upstream, latency: {latency: 1ms}}]"),
	} {
		t.Run(name, func(t *testing.T) {
			writeChaos(tb, experiments)
			c := tb.DialTCP(tb.GatewayPort("edge", 7000))
			c.Send(strings.Repeat("x", 1000))
			c.CloseWrite()
			if text, isReset := c.Rest(); text != "1000 bytes" || isReset {
				t.Errorf("got %q, reset: %v", text, isReset)
			}
		})
	}
}

func TestTCPTriesAnotherEndpoint(t *testing.T) {
	tb, db := dbBed(t, "")
	tb.ExtraTCP("db", "second", nil)
	db.Stop()
	for range 10 {
		_ = greeted(tb, "second").Close()
	}
}

func TestTCPProxyProtocol(t *testing.T) {
	tb := testbed.New(t, streams("", oneDB), testbed.WithServer(func(c *server.Config) {
		c.Forwarded.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	}))
	tb.TCPBackend("db", func(nc *net.TCPConn) { _, _ = io.Copy(nc, nc) }, "breakwater-gateway.io/proxy-protocol", "v1")
	port := tb.GatewayPort("edge", 7000)
	c := tb.DialTCP(port)
	c.Send("hello")
	c.Receive(fmt.Sprintf("PROXY TCP4 127.0.0.1 127.0.0.1 %d %d\r\nhello", c.LocalAddr().(*net.TCPAddr).Port, port))

	tb.Write("main.yaml", streams(`breakwater-gateway.io/proxy-protocol: db`, oneDB))
	c = tb.DialTCP(port)
	c.Send("PROXY TCP4 192.0.2.1 192.0.2.2 1111 2222\r\nhello")
	c.Receive("PROXY TCP4 192.0.2.1 192.0.2.2 1111 2222\r\nhello")
	c = tb.DialTCP(port)
	c.Send("no header at all\r\n\r\n\r\n")
	if text, isReset := c.Rest(); text != "" || !isReset {
		t.Errorf("without a header: got %q, reset: %v", text, isReset)
	}
}

// A file that is edited acts on connections that are open, in the order of the edits, and loses nothing.
func TestLatencyOnLiveTCP(t *testing.T) {
	tb, db := dbBed(t, "")
	c := greeted(tb, "db")
	c.Took("before")
	tb.Write("chaos.yaml", onDB("toxics: [{type: Latency, latency: {latency: 150ms}}]"))
	tb.Eventually("it is slow", func() bool { return c.Took("with") >= held })
	tb.Write("chaos.yaml", onDB("toxics: [{type: Latency, latency: {latency: 300ms}}]"))
	tb.Eventually("it is slower", func() bool { return c.Took("changed") >= 2*held })
	tb.Write("chaos.yaml", onDB("toxics: [{type: Latency, latency: {latency: 1h}}]"))
	c.Send("held")
	tb.Delete("chaos.yaml")
	c.Receive("held")
	tb.Eventually("it is fast again", func() bool { return c.Took("after") < held })
	if n := db.Connections.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// What a toxic holds is let go by everything that ends a fault, in order and whole.
func TestLiveTCPIsLetGo(t *testing.T) {
	const latency = "toxics: [{type: Latency, latency: {latency: 1h}}, {type: Bandwidth, bandwidth: {rate: 1}}]"
	text := strings.Repeat("0123456789", 20_000)
	for name, end := range map[string]func(*testbed.Bed){
		"switch by the operator": func(tb *testbed.Bed) { tb.Chaos.SetEnabled(false) },
		"switch by ConfigMap":    func(tb *testbed.Bed) { tb.Write("switch.yaml", killSwitch("off")) },
		"deleted":                func(tb *testbed.Bed) { tb.Delete("chaos.yaml") },
		"suspended":              func(tb *testbed.Bed) { tb.Write("chaos.yaml", onDB(latency, "suspend: true")) },
		"deadline":               func(*testbed.Bed) {},
	} {
		t.Run(name, func(t *testing.T) {
			tb, _ := dbBed(t, "")
			began, all := time.Now(), text
			var c *testbed.Client
			if name == "deadline" {
				tb.Write("chaos.yaml", strings.Replace(onDB(latency), "duration: 1h", "duration: 700ms", 1))
				c, all = tb.DialTCP(tb.GatewayPort("edge", 7000)), "db\n"+text
			} else {
				c = greeted(tb, "db")
				tb.Write("chaos.yaml", onDB(latency))
			}
			c.Send(text)
			end(tb)
			c.Receive(all)
			if name == "deadline" && time.Since(began) < 500*time.Millisecond {
				t.Error("it was not held")
			}
			if took := time.Since(began); took > time.Minute {
				t.Errorf("took %v", took)
			}
		})
	}
}

func TestTCPEnds(t *testing.T) {
	t.Run("ResetPeer", func(t *testing.T) {
		tb, _ := dbBed(t, "")
		c, other := greeted(tb, "db"), greeted(tb, "db")
		tb.Write("chaos.yaml", onDB("toxics: [{type: ResetPeer, resetPeer: {timeout: 0s}}]"))
		for _, one := range []*testbed.Client{c, other} {
			if _, isReset := one.Rest(); !isReset {
				t.Error("a live connection ends in an orderly way")
			}
		}
	})
	t.Run("Timeout", func(t *testing.T) {
		tb, _ := dbBed(t, onDB("toxics: [{type: Timeout, timeout: {timeout: 100ms}}]"))
		if text, _ := tb.Whole(tb.GatewayPort("edge", 7000)); text != "" {
			t.Errorf("got %q", text)
		}
	})
	t.Run("LimitData", func(t *testing.T) {
		tb, _ := dbBed(t, onDB("toxics: [{type: LimitData, limitData: {bytes: 8}}]"))
		c := tb.DialTCP(tb.GatewayPort("edge", 7000))
		c.Send("0123456789")
		if text, isReset := c.Rest(); text != "db\n01234" {
			t.Errorf("got %q, reset: %v", text, isReset)
		}
	})
	t.Run("SlowClose", func(t *testing.T) {
		tb, _ := dbBed(t, onDB("toxics: [{type: SlowClose, slowClose: {delay: 200ms}}]"))
		c := greeted(tb, "db")
		c.CloseWrite()
		began := time.Now()
		if text, isReset := c.Rest(); text != "" || isReset || time.Since(began) < held {
			t.Errorf("got %q, reset: %v, after %v", text, isReset, time.Since(began))
		}
	})
	t.Run("Down", func(t *testing.T) {
		tb, db := dbBed(t, onDB("toxics: [{type: Down}]"))
		if text, _ := tb.Whole(tb.GatewayPort("edge", 7000)); text != "" {
			t.Errorf("got %q", text)
		}
		tb.Eventually("its endpoint has seen the connection", func() bool { return db.Connections.Load() == 1 })
		tb.Delete("chaos.yaml")
		greeted(tb, "db")
		if got := db.Connections.Load(); got != 2 {
			t.Errorf("%d connections", got)
		}
	})
}

// Toxicity on connections is exact with a seed, and sticks: a toxic that is added later decides for itself.
func TestTCPToxicityRepeatsAndSticks(t *testing.T) {
	const n = 30
	const limit = "{type: LimitData, percent: 40, limitData: {bytes: 7}}" // the greeting and one answer
	run := func(later string) (hit string) {
		tb, _ := dbBed(t, onDB("seed: 4", "toxics: ["+limit+"]"))
		var clients []*testbed.Client
		for range n {
			c := greeted(tb, "db")
			c.Took("ping")
			clients = append(clients, c)
		}
		tb.Write("chaos.yaml", onDB("seed: 4", "toxics: ["+later+limit+"]"))
		for _, c := range clients {
			_, _ = io.WriteString(c, "more") // may be closed already
			if c.Gets("more") {
				hit += "."
			} else {
				hit += "x"
			}
		}
		return hit
	}
	first := run("")
	if strings.Count(first, "x") < n/5 || strings.Count(first, "x") > n*3/5 {
		t.Errorf("%s", first)
	}
	for _, later := range []string{"", "{type: Slicer, percent: 50, slicer: {averageSize: 4}}, "} {
		if again := run(later); first != again {
			t.Errorf("%s and then, with %q, %s", first, later, again)
		}
	}
}

func TestTCPSequence(t *testing.T) {
	tb, _ := dbBed(t, onDB("toxics: [{type: ResetPeer, resetPeer: {timeout: 0s}}]", "sequence: {steps: [{count: 2, toxics: [ResetPeer]}]}"))
	for range 2 {
		if text, isReset := tb.Whole(tb.GatewayPort("edge", 7000)); !isReset {
			t.Errorf("got %q and an orderly end", text)
		}
	}
	greeted(tb, "db")
}

func TestTCPOneSickEndpoint(t *testing.T) {
	tb, db := dbBed(t, "")
	second, third := tb.ExtraTCP("db", "second", nil), tb.ExtraTCP("db", "third", nil)
	tb.Write("chaos.yaml", onDB("at: Backend", "endpoints: {count: 1}", "toxics: [{type: Down}]"))
	for range 12 {
		c := tb.DialTCP(tb.GatewayPort("edge", 7000))
		c.CloseWrite()
		if text, isReset := c.Rest(); isReset || text == "" {
			t.Errorf("got %q, reset: %v: another endpoint serves", text, isReset)
		}
	}
	quiet := 0
	for _, b := range []*testbed.StreamBackend{db, second, third} {
		if b.Connections.Load() == 0 {
			quiet++
		}
	}
	if quiet != 1 {
		t.Errorf("%d, %d and %d connections", db.Connections.Load(), second.Connections.Load(), third.Connections.Load())
	}
}

// dnsBed serves the UDPRoute dns.
func dnsBed(t *testing.T, toxics string, lines ...string) (*testbed.Bed, *testbed.StreamBackend, *testbed.Client) {
	t.Helper()
	tb := testbed.New(t, streams("", oneDB))
	dns := tb.UDPBackend("dns")
	if toxics != "" {
		tb.Write("chaos.yaml", onDNS(toxics, lines...))
	}
	return tb, dns, tb.DialUDP(tb.GatewayPort("edge", 53))
}

func onDNS(toxics string, lines ...string) string {
	return experiment("x", append([]string{"duration: 1h", "targetRefs: [{kind: UDPRoute, name: dns}]", "toxics: [" + toxics + "]"}, lines...)...)
}

// datagram reads one datagram.
func datagram(t *testing.T, c *testbed.Client) string {
	t.Helper()
	buf := make([]byte, 2048)
	n, err := c.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:n])
}

func TestUDPDrop(t *testing.T) {
	tb, dns, _ := dnsBed(t, "{type: UDPDrop, direction: Upstream, udpDrop: {loss: 100}}")
	tb.Eventually("one is dropped", func() bool { // on a slow machine the toxic may be off before the datagram has come to it
		tb.Chaos.SetEnabled(true)
		sessions, datagrams := state(t, tb, "x").Injected, dns.Datagrams.Load()
		c := tb.DialUDP(tb.GatewayPort("edge", 53))
		c.Send("lost")
		tb.Eventually("there is a session", func() bool { return state(t, tb, "x").Injected == sessions+1 })
		tb.Chaos.SetEnabled(false)
		c.Send("kept")
		return datagram(t, c) == "kept" && dns.Datagrams.Load() == datagrams+1
	})
}

// The losses of a seed are the same in every run.
func TestUDPLossRepeats(t *testing.T) {
	run := func() (seen string) {
		_, _, c := dnsBed(t, "{type: UDPDrop, direction: Upstream, udpDrop: {loss: 40}}", "seed: 11")
		for i := range 40 {
			c.Send(fmt.Sprint(i))
		}
		ended := make(chan struct{})
		defer close(ended)
		go func() { // until one is not lost
			for {
				_, _ = io.WriteString(c, "end")
				select {
				case <-ended:
					return
				case <-time.After(5 * time.Millisecond):
				}
			}
		}()
		for {
			got := datagram(t, c)
			if got == "end" {
				return seen
			}
			seen += got + " "
		}
	}
	first, again := run(), run()
	if n := len(strings.Fields(first)); first != again || n < 15 || n > 33 {
		t.Errorf("%s\nand then\n%s", first, again)
	}
}

func TestUDPDuplicate(t *testing.T) {
	_, dns, c := dnsBed(t, "{type: UDPDuplicate, direction: Downstream, udpDuplicate: {share: 100, copies: 2}}")
	c.Send("one")
	for range 3 {
		if got := datagram(t, c); got != "one" {
			t.Errorf("got %q", got)
		}
	}
	if dns.Datagrams.Load() != 1 {
		t.Errorf("the backend got %d", dns.Datagrams.Load())
	}
}

func TestUDPDelay(t *testing.T) {
	tb, dns, c := dnsBed(t, "{type: UDPDelay, udpDelay: {latency: 150ms}}")
	if took := c.Took("late"); took < held {
		t.Errorf("took %v", took)
	}
	tb.Write("chaos.yaml", onDNS("{type: UDPDelay, udpDelay: {latency: 1h}}"))
	c.Send("held")
	tb.Eventually("the backend has got it", func() bool { return dns.Datagrams.Load() == 2 })
	if err := c.SetReadDeadline(time.Now().Add(held)); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 8)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("%d bytes, %v", n, err)
	}
	if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	tb.Chaos.SetEnabled(false)
	c.Receive("held")
}

func TestUDPTruncateAndCorrupt(t *testing.T) {
	tb, _, c := dnsBed(t, "{type: UDPTruncate, udpTruncate: {bytes: 3}}")
	c.Send("0123456789")
	if got := datagram(t, c); got != "012" {
		t.Errorf("got %q", got)
	}
	tb.Write("chaos.yaml", onDNS("{type: Corrupt, corrupt: {share: 100}}"))
	c.Send("0123456789")
	if got := datagram(t, c); got == "0123456789" || len(got) != 10 {
		t.Errorf("got %q", got)
	}
	tb.Delete("chaos.yaml")
	c.Took("0123456789")
}

// A session that has reached no endpoint has failed, once, however many have been tried.
func TestUDPDownIsAFailure(t *testing.T) {
	const n = 5
	tb := testbed.New(t, streams("", oneDB))
	tb.UDPBackend("dns")
	tb.Write("chaos.yaml", experiment("x", "duration: 1h", "at: Backend", "targetRefs: [{kind: UDPRoute, name: dns}]", "toxics: [{type: Down}]"))
	tb.Eventually("there are sessions", func() bool {
		tb.DialUDP(tb.GatewayPort("edge", 53)).Send("hello")
		return state(t, tb, "x").Injected >= n
	})
	tb.Eventually("all have failed, once", func() bool {
		x := tb.Chaos.Report().Experiments[0]
		return x.InjectedTraffic.Failed == x.Injected && x.InjectedTraffic.Connections == x.Injected
	})
	if x := tb.Chaos.Report().Experiments[0].UninjectedTraffic; x.Connections != 0 {
		t.Errorf("%+v", x)
	}
}

func TestPresetOnStreams(t *testing.T) {
	tb, _ := dbBed(t, onDB("preset: GEOSatellite"))
	began := time.Now()
	c := greeted(tb, "db")
	if took := time.Since(began); took < 279*time.Millisecond {
		t.Errorf("the greeting took %v over a satellite", took)
	}
	if took := c.Took("ping"); took < 558*time.Millisecond {
		t.Errorf("a round trip took %v over a satellite", took)
	}
}
