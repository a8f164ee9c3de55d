package toxiproxy

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy/toxic"
)

// parked returns a Server with a proxy, and a connection through it that is parked.
func parked(t *testing.T, strict bool) (*Server, net.Conn) {
	t.Helper()
	s := serve(t, Config{Strict: strict, Held: toxic.Options{Calm: time.Millisecond}})
	nc := connect(t, create(t, s, "db", "127.0.0.1:0"))
	ping(t, nc)
	waitUntilParked(t, s)
	return s, nc
}

func waitUntilParked(t *testing.T, s *Server) {
	t.Helper()
	for end := time.Now().Add(patience); s.lot.Count() != 1; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it is not parked")
		}
	}
}

// Whatever ends connections ends those that are parked.
func TestParkedConnectionsAreCut(t *testing.T) {
	for name, cut := range map[string]func(*Server){
		"deleted":  func(s *Server) { ask(s, "DELETE", "/proxies/db", "") },
		"disabled": func(s *Server) { ask(s, "POST", "/proxies/db", `{"enabled":false}`) },
		"moved": func(s *Server) {
			ask(s, "POST", "/proxies/db", `{"listen":"127.0.0.1:0","upstream":"127.0.0.1:1","enabled":true}`)
		},
		"closed": func(s *Server) { s.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			for _, strict := range []bool{false, true} {
				s, nc := parked(t, strict)
				p := s.proxies["db"]
				cut(s)
				got, err := io.ReadAll(nc)
				if len(got) > 0 || strict != errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("strict %v: %q %v", strict, got, err)
				}
				for end := time.Now().Add(patience); len(p.connections()) > 0; time.Sleep(time.Millisecond) {
					if time.Now().After(end) {
						t.Fatal("it has not been forgotten")
					}
				}
			}
		})
	}
}

// connections returns those that live.
func (p *proxyServer) connections() []*conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []*conn
	for c := range p.conns {
		all = append(all, c)
	}
	return all
}

// Toxics act on parked connections, and the kill switch takes them off.
func TestToxicsOnParkedConnections(t *testing.T) {
	s, nc := parked(t, false)
	ask(s, "POST", "/proxies/db/toxics", `{"type":"latency","attributes":{"latency":60}}`)
	if s.lot.Count() != 0 {
		t.Error("it is still parked")
	}
	began := time.Now()
	ping(t, nc)
	if d := time.Since(began); d < 59*time.Millisecond {
		t.Errorf("held back for %v", d)
	}
	s.SetEnabled(false)
	waitUntilParked(t, s)
	ping(t, nc)
	waitUntilParked(t, s)
	s.SetEnabled(true)
	ask(s, "POST", "/proxies/db/toxics", `{"type":"timeout","attributes":{"timeout":1}}`)
	if got, err := io.ReadAll(nc); len(got) > 0 || err != nil {
		t.Errorf("%q %v", got, err)
	}
}
