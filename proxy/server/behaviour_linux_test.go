package server

import (
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/chaos"
	"github.com/breakwater-gateway/breakwater/proxy/telemetry"
	"github.com/breakwater-gateway/breakwater/proxy/toxic"
	"github.com/breakwater-gateway/breakwater/proxy/upstream"
)

// shrinkBacklog makes a listener hold only one connection that nobody accepts.
func shrinkBacklog(raw syscall.RawConn) (err error) {
	cerr := raw.Control(func(fd uintptr) { err = syscall.Listen(int(fd), 0) })
	if cerr != nil {
		return cerr
	}
	return err
}

// unreachable is the address of a listener whose queue is full: it answers no SYN.
func unreachable(t *testing.T) string {
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
	if err := shrinkBacklog(raw); err != nil {
		t.Skip(err)
	}
	for range 8 {
		c, err := net.DialTimeout("tcp", ln.Addr().String(), 100*time.Millisecond)
		if err != nil {
			break
		}
		t.Cleanup(func() { c.Close() })
	}
	return ln.Addr().String()
}

func TestConnectTimeoutIs504(t *testing.T) {
	c := dialWire(t, proxyTo(t, Config{Upstream: upstream.Config{DialTimeout: 200 * time.Millisecond}}, unreachable(t)))
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
			snap := snapshotOf(backendOf("web", unreachable(t)))
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
