package upstream

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"go.uber.org/goleak"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/http1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	web = proxy.BackendID{Kind: "Service", Namespace: "default", Name: "web", Port: 80}
	at  = proxy.Endpoint{Address: netip.MustParseAddrPort("127.0.0.1:80")}
)

// pipeConn returns a connection and its far end.
func pipeConn() (*http1.Conn, net.Conn) {
	near, far := net.Pipe()
	return http1.NewConn(near), far
}

// closed reports whether the near end of a pipe has been closed.
func closed(far net.Conn) bool {
	_ = far.SetReadDeadline(time.Now().Add(time.Nanosecond))
	_, err := far.Read(make([]byte, 1))
	return errors.Is(err, io.EOF)
}

func registry(t *testing.T, cfg Config) *Registry {
	r := NewRegistry(cfg)
	t.Cleanup(r.Close)
	return r
}

func TestLatestUsedConnectionComesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := registry(t, Config{}).Acquire(web, at)
		a, _ := pipeConn()
		b, _ := pipeConn()
		e.Put(a)
		e.Put(b)
		if got := e.Idle(); got != b {
			t.Error("not the latest one")
		}
		if got := e.Idle(); got != a {
			t.Error("a caller elsewhere gets none although there is one")
		}
		if got := e.Idle(); got != nil {
			t.Error("a connection out of nowhere")
		}
		a.Close()
		b.Close()
	})
}

func TestIdleConnectionsExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := registry(t, Config{IdleTimeout: 10 * time.Second})
		e := r.Acquire(web, at)
		old, oldFar := pipeConn()
		e.Put(old)
		time.Sleep(6 * time.Second)
		young, youngFar := pipeConn()
		e.Put(young)
		time.Sleep(6 * time.Second)
		if !closed(oldFar) || closed(youngFar) || r.Idle() != 1 {
			t.Errorf("old closed %v, young closed %v, idle %d", closed(oldFar), closed(youngFar), r.Idle())
		}
		time.Sleep(6 * time.Second)
		if !closed(youngFar) || r.Idle() != 0 {
			t.Error("an idle connection is kept for ever")
		}
	})
}

func TestIdleConnectionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := registry(t, Config{MaxIdle: 2})
		e := r.Acquire(web, at)
		for range 10 {
			c, _ := pipeConn()
			e.Put(c)
		}
		if n := r.Idle(); n != 2 {
			t.Errorf("%d idle connections, want %d", n, 2)
		}
	})
}

func TestStateOutlivesConfigurations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := registry(t, Config{})
		first := r.Acquire(web, at)
		changed := at
		changed.Zone = "b"
		second := r.Acquire(web, changed)
		if !first.Same(second) || second.Endpoint().Zone != "b" {
			t.Fatal("the same address must keep its state and show its new configuration")
		}
		first.Begin()
		if second.InFlight() != 1 {
			t.Error("requests in flight are forgotten")
		}
		c, far := pipeConn()
		first.Put(c)
		r.Release(first)
		if closed(far) {
			t.Error("a connection is closed although its endpoint stays")
		}
		r.Release(second)
		if !closed(far) {
			t.Error("a connection is kept although its endpoint has gone")
		}
		late, lateFar := pipeConn()
		first.Put(late) // its request ends only now
		if !closed(lateFar) {
			t.Error("a connection comes back to an endpoint that has gone and is kept")
		}
		third := r.Acquire(web, at)
		if third.Same(first) || third.InFlight() != 0 {
			t.Error("an endpoint that comes back begins anew")
		}
		other := web
		other.Port = 81
		if r.Acquire(other, at).Same(third) {
			t.Error("two Backends share an endpoint's state")
		}
	})
}

func TestDownAfterFailuresToConnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := registry(t, Config{})
		e := r.Acquire(web, at)
		now := func() int64 { return int64(time.Since(r.start)) + 1 }
		for _, pause := range []time.Duration{1, 2, 4, 8, 16, 30, 30} {
			pause *= time.Second
			e.member.failed(now())
			e.member.failed(now()) // together with another: counts once
			if !e.Down() {
				t.Fatal("not down")
			}
			time.Sleep(pause - 1500*time.Millisecond)
			if pause > 2*time.Second && !e.Down() {
				t.Fatalf("up again before %v have passed", pause)
			}
			time.Sleep(3 * time.Second)
			if e.Down() {
				t.Fatalf("down for more than %v", pause)
			}
		}
		e.member.succeeded()
		e.member.failed(now())
		time.Sleep(2500 * time.Millisecond)
		if e.Down() {
			t.Error("a success must begin the pauses anew")
		}
	})
}

func TestNamesAreCheckedAtEachDial(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	port := netip.MustParseAddrPort(ln.Addr().String()).Port()
	named := proxy.Endpoint{Hostname: "localhost", Address: netip.AddrPortFrom(netip.IPv4Unspecified(), port)}
	e := registry(t, Config{}).Acquire(web, named)
	if _, err := e.Dial(t.Context()); err == nil || !errors.Is(err, errPrivate) || err.Status != 502 {
		t.Errorf("a name that means this host: %v", err)
	}
	for _, address := range []string{"127.0.0.1:1", "[::1]:1", "169.254.169.254:80", "[fe80::1]:80", "0.0.0.0:80", "[::]:80", "224.0.0.1:80",
		"[::ffff:127.0.0.1]:80", "[::ffff:169.254.169.254]:80", "[::1%lo]:1", "[::%lo]:1", "[fe80::1%eth0]:80"} {
		if err := refusePrivate("tcp", address, nil); !errors.Is(err, errPrivate) {
			t.Errorf("%s: %v", address, err)
		}
	}
	for _, address := range []string{"10.0.0.1:80", "198.51.100.1:80", "[2001:db8::1]:80"} {
		if err := refusePrivate("tcp", address, nil); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
	allowed := registry(t, Config{AllowPrivateNames: true}).Acquire(web, named)
	c, perr := allowed.Dial(t.Context())
	if perr != nil {
		t.Fatal(perr)
	}
	c.Close()
}

// A connection that the endpoint has closed, or on which something has arrived, is not handed out.
func TestDeadConnectionsAreNotHandedOut(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	r := registry(t, Config{})
	e := r.Acquire(web, proxy.Endpoint{Address: netip.MustParseAddrPort(ln.Addr().String())})
	defer r.Release(e)
	for name, spoil := range map[string]func(net.Conn){
		"closed":    func(c net.Conn) { c.Close() },
		"reset":     func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0); c.Close() },
		"with data": func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 408 Request Timeout\r\n\r\n") },
	} {
		c, perr := e.Dial(t.Context())
		if perr != nil {
			t.Fatal(perr)
		}
		far, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer far.Close()
		if !c.Idle() {
			t.Fatal(name, "not idle when it is new")
		}
		spoil(far)
		for end := time.Now().Add(20 * time.Second); c.Idle(); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal(name, "goes unnoticed")
			}
		}
		e.Put(c)
		if got := e.Idle(); got != nil {
			t.Error(name, "was handed out")
		}
		if r.Idle() != 0 {
			t.Error(name, "is kept")
		}
	}
}

func TestRegistryIsUsedByMany(t *testing.T) {
	r := registry(t, Config{MaxIdle: 16})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 300 {
				e := r.Acquire(web, at)
				e.Begin()
				if c := e.Idle(); c != nil {
					e.Put(c)
				} else {
					c, _ := pipeConn()
					e.Put(c)
				}
				_ = r.Idle()
				e.End()
				r.Release(e)
			}
		})
	}
	wg.Wait()
	if r.Idle() != 0 || len(r.members) != 0 {
		t.Errorf("%d connections, %d members left", r.Idle(), len(r.members))
	}
}

func TestMemberFillsOneCacheLine(t *testing.T) {
	if size := unsafe.Sizeof(member{}); size != 64 {
		t.Errorf("%d bytes, want 64: a member of another size straddles two cache lines", size)
	}
}
