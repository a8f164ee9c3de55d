package toxiproxy

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"

	"github.com/breakwater-gateway/breakwater/proxy/accept"
)

// ended reports that the other side has closed a connection without sending anything.
func ended(nc net.Conn) bool {
	data, _ := io.ReadAll(nc)
	return len(data) == 0
}

func TestProxiesShareTheBoundOnConnections(t *testing.T) {
	bound := accept.NewBound(2)
	s := serve(t, Config{Connections: bound})
	a, b := create(t, s, "a", "127.0.0.1:0"), create(t, s, "b", "127.0.0.1:0")
	first, second := connect(t, a), connect(t, b)
	ping(t, first)
	ping(t, second)
	if bound.Take() {
		t.Error("there is room for others although two connections are open")
	}
	if !ended(connect(t, b)) {
		t.Error("a third connection is served")
	}
	ping(t, first)
	ask(s, "DELETE", "/proxies/a", "")
	for port := b; ; { // the connection of the proxy that is gone ends in its own time
		nc := connect(t, port)
		_, _ = io.WriteString(nc, "ping")
		if n, _ := io.ReadFull(nc, make([]byte, 4)); n == 4 {
			break
		}
	}
	ping(t, second)
	s.Close()
	for range 2 {
		if !bound.Take() {
			t.Error("what has ended is still counted")
		}
	}
}

// Connections that never reach an upstream are counted while they last, and not longer.
func TestConnectionsWithoutUpstreamGiveBackTheirRoom(t *testing.T) {
	s := serve(t, Config{Connections: accept.NewBound(1)})
	ask(s, "POST", "/proxies", `{"name":"db","listen":"127.0.0.1:0","upstream":"127.0.0.1:1"}`)
	p := s.proxies["db"]
	nc, err := net.Dial("tcp", p.json().Listen)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if !ended(nc) {
		t.Error("something came")
	}
	s.Close()
	if !s.cfg.Connections.Take() {
		t.Error("it is still counted")
	}
}

// A proxy that led to itself would open connections until nothing is left for others.
func TestProxyDoesNotConnectToItself(t *testing.T) {
	for _, c := range []struct{ listen, upstream string }{
		{"127.0.0.1:0", "127.0.0.1"},
		{"127.0.0.1:0", "localhost"},
		{"127.0.0.1:0", "0.0.0.0"},
		{"127.0.0.1:0", ""}, // stands for this host
		{"127.0.0.1:0", "[::ffff:127.0.0.1]"},
		{":0", "127.0.0.1"},
		{":0", "127.9.9.9"},
		{":0", ""},
		{"0.0.0.0:0", "127.0.0.1"},
		{"[::]:0", "127.0.0.1"},
	} {
		t.Run(c.listen+" to "+c.upstream, func(t *testing.T) {
			s := serve(t, Config{Connections: accept.NewBound(100)})
			port := create(t, s, "db", c.listen)
			if status, body := ask(s, "PATCH", "/proxies/db", fmt.Sprintf(`{"upstream":"%s:%d"}`, c.upstream, port)); status != 200 {
				t.Fatalf("%d %s", status, body)
			}
			if !ended(connect(t, port)) {
				t.Error("something came")
			}
			if n := s.proxies["db"].count(); n > 1 {
				t.Errorf("one connection has become %d", n)
			}
		})
	}
}

func TestIsTaken(t *testing.T) {
	own := ownAddress(t)
	for _, c := range []struct {
		listen, at string
		want       bool
	}{
		{"[::]:80", "127.0.0.1:80", true},
		{"[::]:80", "[::1]:80", true},
		{"[::]:80", "[::1%lo]:80", true},
		{"[::]:80", "0.0.0.0:80", true},
		{"0.0.0.0:80", "[::ffff:127.0.0.1]:80", true},
		{"[::]:80", "127.0.0.1:81", false},
		{"[::]:80", "198.51.100.7:80", false}, // another host
		{"127.0.0.1:80", "127.0.0.1:80", true},
		{"127.0.0.1:80", "127.0.0.2:80", false}, // may be another listener's
		{"127.0.0.1:80", "0.0.0.0:80", true},
		{"[::1]:80", "[::]:80", true},
		{"[::1]:80", "0.0.0.0:80", false},
		{own + ":80", "127.0.0.1:80", false},
		{own + ":80", own + ":80", own != ""},
		{"[::]:80", own + ":80", own != ""},
	} {
		listen, _ := netip.ParseAddrPort(c.listen)
		at, err := netip.ParseAddrPort(c.at)
		if err != nil || !listen.IsValid() {
			continue // there is no address of its own
		}
		if got, err := isTaken(at, listen); err != nil || got != c.want {
			t.Errorf("%s takes what is for %s: %v, %v", c.listen, c.at, got, err)
		}
	}
}

// count returns how many connections there have been since the proxy was made.
func (p *proxyServer) count() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ordinal
}
