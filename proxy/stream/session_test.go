package stream

import (
	"net"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/telemetry"
	"github.com/breakwater-gateway/breakwater/proxy/upstream"
)

// What ICMP tells of one datagram reaches whoever uses the socket next. If that is the sender of another one, this one has not been sent:
// it waits for another Endpoint.
func TestSenderHearsOfAnEndpointThatIsGone(t *testing.T) {
	gone, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.DialUDP("udp", nil, gone.LocalAddr().(*net.UDPAddr))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	gone.Close()
	registry := upstream.NewRegistry(upstream.Config{})
	defer registry.Close()
	e := registry.Acquire(proxy.BackendID{Name: "a"}, proxy.Endpoint{Address: AddrPort(conn.RemoteAddr())})
	s := &session{route: &Route{metrics: new(telemetry.Stream)}}
	o := &outlet{s: s, endpoint: e, conn: conn}
	o.put = o.write
	if o.raw, err = conn.SyscallConn(); err != nil {
		t.Fatal(err)
	}
	s.out.Store(o)
	for end := time.Now().Add(time.Minute); !o.left.Load(); time.Sleep(time.Millisecond) { // nobody reads
		if time.Now().After(end) {
			t.Fatal("the sender does not hear of it")
		}
		if !o.send([]byte("hello")) {
			t.Fatal("the session has ended")
		}
	}
	if len(s.pending) != 1 || string(s.pending[0]) != "hello" || s.out.Load() != nil {
		t.Errorf("%q wait; the way is still taken: %v", s.pending, s.out.Load() != nil)
	}
}
