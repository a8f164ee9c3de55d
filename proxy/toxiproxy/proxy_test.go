package toxiproxy

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy/toxic"
)

// patience bounds what should be immediate. Nothing is measured against it.
const patience = 20 * time.Second

// Somebody may find a proxy in the list before it turns out that it cannot listen, and start it.
func TestProxyThatCouldNotListenIsNeverStarted(t *testing.T) {
	// None of these ports can be bound at an address of RFC 5737, and to try them all leaves time to find the proxy.
	s := serve(t, Config{Ports: PortRange{30000, 30999}})
	for end := time.Now().Add(patience); ; {
		answer := make(chan string)
		go func() {
			_, body := ask(s, "POST", "/proxies", `{"name":"p","listen":"192.0.2.1:0","upstream":"127.0.0.1:1"}`)
			answer <- body
		}()
		p, body := found(s, "p", answer)
		if !strings.Contains(body, "cannot assign") {
			t.Fatal(body)
		}
		if p == nil {
			if time.Now().After(end) {
				t.Fatal("the proxy was never seen")
			}
			continue
		}
		if err := p.update(proxyChange{Listen: new("127.0.0.1:0"), Enabled: new(true)}); err != errProxyNotFound {
			t.Errorf("it is started: %v", err)
			p.delete()
		}
		return
	}
}

// found returns a proxy that is in the list before the answer is there, and the answer.
func found(s *Server, name string, answer <-chan string) (p *proxyServer, body string) {
	for p == nil {
		select {
		case body := <-answer:
			return nil, body
		default:
			runtime.Gosched()
		}
		s.mu.Lock()
		p = s.proxies[name]
		s.mu.Unlock()
	}
	return p, <-answer
}

// create makes a proxy in front of an echo server and returns its port.
func create(t *testing.T, s *Server, name, listen string) (port uint16) {
	t.Helper()
	if status, body := ask(s, "POST", "/proxies", fmt.Sprintf(`{"name":%q,"listen":%q,"upstream":%q}`, name, listen, echo(t))); status != 201 {
		t.Fatal(body)
	}
	return netip.MustParseAddrPort(s.proxies[name].json().Listen).Port()
}

// connect opens a connection to a port of loopback.
func connect(t *testing.T, port uint16) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port).String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(patience))
	return nc
}

// ping sends something and reads it back.
func ping(t *testing.T, nc net.Conn) {
	t.Helper()
	if _, err := io.WriteString(nc, "ping"); err != nil {
		t.Error(err)
	}
	buf := make([]byte, 4)
	if _, err := io.ReadFull(nc, buf); err != nil || string(buf) != "ping" {
		t.Errorf("got %q, %v", buf, err)
	}
}

func TestChangeThatIsRefusedChangesNothing(t *testing.T) {
	taken := netip.MustParseAddrPort(echo(t)).Port()
	s := serve(t, Config{Ports: PortRange{1024, 65535}})
	port := create(t, s, "db", "127.0.0.1:0")
	ask(s, "POST", "/proxies/db/toxics", `{"type":"latency"}`)
	_, before := ask(s, "GET", "/proxies/db", "")
	nc := connect(t, port)
	ping(t, nc)
	for _, c := range []struct {
		listen string
		status int
	}{
		{"127.0.0.1:80", 400},
		{"nonsense", 500},
		{"192.0.2.1:2000", 500}, // no address of this host: RFC 5737
		{fmt.Sprintf("127.0.0.1:%d", taken), 500},
		{fmt.Sprintf("192.0.2.1:%d", port), 500},
	} {
		calls := []string{
			"PATCH /proxies/db " + fmt.Sprintf(`{"listen":%q}`, c.listen),
			"POST /populate " + fmt.Sprintf(`[{"name":"db","listen":%q,"upstream":"127.0.0.1:1"}]`, c.listen),
		}
		if c.listen == "nonsense" || c.status == 400 { // what can be known before is looked at before
			calls = append(calls, "POST /populate "+
				fmt.Sprintf(`[{"name":"db","listen":"127.0.0.1:0","upstream":"127.0.0.1:1"},{"name":"x","listen":%q,"upstream":"127.0.0.1:1"}]`, c.listen))
		}
		for _, call := range calls {
			word := strings.SplitN(call, " ", 3)
			if status, body := ask(s, word[0], word[1], word[2]); status != c.status {
				t.Errorf("%s: %d %s", call, status, body)
			}
			if _, after := ask(s, "GET", "/proxies/db", ""); after != before {
				t.Errorf("%s:\n%s has become\n%s", call, before, after)
			}
			ping(t, nc)
			ping(t, connect(t, port))
		}
	}
	if _, body := ask(s, "GET", "/proxies", ""); strings.Contains(body, `"x"`) {
		t.Errorf("there is %s", body)
	}
}

// What a proxy itself listens on does not stand in its way.
func TestProxyMovesWithinItsOwnPort(t *testing.T) {
	s := serve(t, Config{})
	port := create(t, s, "db", "127.0.0.1:0")
	s.cfg.Ports = PortRange{port, port}
	for _, listen := range []string{fmt.Sprintf("0.0.0.0:%d", port), "127.0.0.1:0"} {
		nc := connect(t, port)
		ping(t, nc)
		if status, body := ask(s, "PATCH", "/proxies/db", fmt.Sprintf(`{"listen":%q}`, listen)); status != 200 {
			t.Fatalf("%s: %s", listen, body)
		}
		if _, err := nc.Read(make([]byte, 1)); err == nil {
			t.Errorf("%s: the connection goes on", listen)
		}
		ping(t, connect(t, port))
	}
}

// A proxy that takes the place of another has none of its toxics, and the same seed gives its connections the same faults.
func TestPopulateBeginsAnew(t *testing.T) {
	s := serve(t, Config{})
	port := create(t, s, "db", "127.0.0.1:0")
	ask(s, "POST", "/proxies/db/toxics", `{"type":"latency"}`)
	ping(t, connect(t, port))
	up := echo(t)
	status, body := ask(s, "POST", "/populate", fmt.Sprintf(`[{"name":"db","listen":"127.0.0.1:%d","upstream":%q}]`, port, up))
	if status != 201 || !strings.Contains(body, `"toxics":[]`) || !strings.Contains(body, up) {
		t.Errorf("%d %s", status, body)
	}
	p := s.proxies["db"]
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ordinal != 0 {
		t.Errorf("the next connection is number %d", p.ordinal)
	}
}

// told is a connection that tells when it is closed.
type told struct {
	net.Conn
	closed func()
}

func (c told) Close() error {
	c.closed()
	return c.Conn.Close()
}

// What a timeout has held back does not get out on the way to the end of its connections.
func TestRemovedTimeoutLetsNothingOut(t *testing.T) {
	s := serve(t, Config{})
	ask(s, "POST", "/proxies", `{"name":"db","listen":"127.0.0.1:0","upstream":"127.0.0.1:1","enabled":false}`)
	ask(s, "POST", "/proxies/db/toxics", `{"type":"timeout"}`)
	p := s.proxies["db"]
	closed := 0
	for i := range uint64(3) {
		client, other := net.Pipe()
		t.Cleanup(func() { _ = other.Close() })
		c := &conn{ordinal: i, slot: toxic.NewSlot()}
		c.slot.Set(p.actives(c)...)
		c.client = told{client, func() {
			closed++
			for c := range p.conns {
				if c.slot.Empty() {
					t.Error("nothing holds back any more what a connection has, and it is open")
				}
			}
		}}
		p.conns[c] = struct{}{}
	}
	ask(s, "DELETE", "/proxies/db/toxics/timeout_downstream", "")
	if closed != 3 {
		t.Errorf("%d connections are closed", closed)
	}
}

func TestKillSwitch(t *testing.T) {
	s := serve(t, Config{})
	port := create(t, s, "db", "127.0.0.1:0")
	limited := func(listen uint16) {
		t.Helper()
		nc := connect(t, listen)
		if _, err := io.WriteString(nc, "ping"); err != nil {
			t.Error(err)
		}
		if got, err := io.ReadAll(nc); string(got) != "pi" || err != nil {
			t.Errorf("through a limit of two bytes comes %q, %v", got, err)
		}
	}
	held := connect(t, port)
	ping(t, held)
	ask(s, "POST", "/proxies/db/toxics", `{"type":"limit_data","attributes":{"bytes":2}}`)
	ask(s, "POST", "/proxies/db/toxics", `{"type":"timeout","stream":"upstream","toxicity":0}`)
	limited(port)

	s.SetEnabled(false)
	_, shown := ask(s, "GET", "/proxies/db/toxics", "")
	if !strings.Contains(shown, "limit_data") {
		t.Errorf("there are the toxics %s", shown)
	}
	ping(t, held)
	ping(t, connect(t, port))
	ask(s, "POST", "/proxies/db/toxics", `{"type":"timeout"}`)
	ping(t, held)
	ask(s, "DELETE", "/proxies/db/toxics/timeout_downstream", "") // it has held nothing, so there is nothing to close
	ping(t, held)
	later := create(t, s, "later", "127.0.0.1:0")
	ask(s, "POST", "/proxies/later/toxics", `{"type":"limit_data","attributes":{"bytes":2}}`)
	ping(t, connect(t, later))

	s.SetEnabled(true)
	limited(port)
	limited(later)
}

// Somebody may delete a proxy that a list is about to replace.
func TestReplacementOfADeletedProxy(t *testing.T) {
	s := serve(t, Config{})
	create(t, s, "db", "127.0.0.1:0")
	old := s.proxies["db"]
	ask(s, "DELETE", "/proxies/db", "")
	p, err := s.replace(old, proxyInput{Name: "db", Listen: "127.0.0.1:0", Upstream: "127.0.0.1:1", Enabled: true})
	if err != nil {
		t.Fatal(err)
	}
	if p == old || s.proxies["db"] != p {
		t.Error("there is not a new one")
	}
}
