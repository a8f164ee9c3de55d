package server

import (
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/chaos"
	"github.com/breakwater-gateway/breakwater/proxy/telemetry"
	"github.com/breakwater-gateway/breakwater/proxy/toxic"
	"github.com/breakwater-gateway/breakwater/proxy/upstream"
)

// silentAddr is the address of a listener whose queue is full: it answers no SYN.
func silentAddr(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	raw, err := ln.(*net.TCPListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	control := func(f func(fd int) error) {
		if cerr := raw.Control(func(fd uintptr) { err = f(int(fd)) }); cerr != nil || err != nil {
			t.Fatal(cerr, err)
		}
	}
	control(func(fd int) error { return unix.Listen(fd, 0) }) // Linux queues one more
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	until(t, "the queue is full", func() bool {
		var waiting, most uint32
		control(func(fd int) error {
			info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
			if err == nil {
				waiting, most = info.Unacked, info.Sacked // is what these are of a listener
			}
			return err
		})
		return waiting > most
	})
	return ln.Addr().String()
}

// An endpoint that nobody hears of in time is passed over. The other one is under the same time, which a slow machine may need up.
func TestTCPDialTimesOutAndGoesElsewhere(t *testing.T) {
	e := greets(t, "a")
	m := telemetry.New()
	w := newWorld(t, Config{Metrics: m, Upstream: upstream.Config{DialTimeout: 200 * time.Millisecond}})
	w.apply(t, streamed(proxy.TCP, nil, backendOf("x", silentAddr(t), e.addr)))
	failures := func() string { return grep(scrape(t, m), `outcome="connect_failure"`) }
	until(t, "a connection has met both", func() bool {
		before := failures()
		c := dialWire(t, w.addr(testPort))
		defer c.Close()
		return c.take(1) == "a" && failures() != before
	})
}

func TestConnectTimeoutIs504(t *testing.T) {
	c := dialWire(t, proxyTo(t, Config{Upstream: upstream.Config{DialTimeout: 200 * time.Millisecond}}, silentAddr(t)))
	c.send(get("/"))
	c.want("GET", 504)
}

// A client that leaves while its request's connection is being opened ends that; nobody gets the request afterwards.
func TestClientThatGoesAwayEndsTheDial(t *testing.T) {
	for name, how := range map[string]struct{ reset, faulty bool }{"closes": {}, "resets": {reset: true}, "closes, with a toxic": {faulty: true}} {
		t.Run(name, func(t *testing.T) {
			m := telemetry.New()
			engine := chaos.New(chaos.Config{})
			defer engine.Close()
			w := newWorld(t, Config{Metrics: m, Chaos: engine, Upstream: upstream.Config{DialTimeout: time.Hour}})
			snap := snapshotOf(backendOf("web", silentAddr(t)))
			if how.faulty {
				snap.Experiments = []*proxy.Experiment{experiment(proxy.AtBackend, toxic.Noop{})}
			}
			if err := w.Apply(snap); err != nil {
				t.Fatal(err)
			}
			c := dialWire(t, w.addr(testPort))
			c.send(request("POST", 3) + "buy")
			until(t, "an attempt is made", func() bool { return strings.Contains(scrape(t, m), `attempts_in_flight{backend="default/web:80"} 1`) })
			if how.reset {
				_ = c.SetLinger(0)
			}
			c.Close()
			until(t, "the connection has ended", func() bool { open, _ := w.http1.Count(); return open == 0 })
			if shown := scrape(t, m); !strings.Contains(shown, `attempts_total{backend="default/web:80",outcome="canceled"} 1`) {
				t.Errorf("not charged to the client:\n%s", shown)
			}
		})
	}
}
