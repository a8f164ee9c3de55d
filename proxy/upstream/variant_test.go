package upstream

import (
	"net"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/http1"
)

func variant(key any) *Variant {
	return &Variant{Key: key, Wrap: func(nc net.Conn) net.Conn { return nc }}
}

// Connections with something around them are handed out to their own kind only, and never as plain ones.
func TestVariantsArePooledApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := registry(t, Config{})
		e, other := r.Acquire(web, at), r.Acquire(web, proxy.Endpoint{Address: netip.MustParseAddrPort("127.0.0.2:80")})
		plain, _ := pipeConn()
		a, _ := pipeConn()
		b, _ := pipeConn()
		later, _ := pipeConn()
		va, vb := variant("a"), variant(2)
		e.Put(plain)
		e.PutVariant(va, a)
		e.PutVariant(vb, b)
		e.PutVariant(variant("a"), later)
		if n := r.Idle(); n != 4 {
			t.Errorf("%d idle connections", n)
		}
		if other.IdleVariant(va) != nil || e.IdleVariant(variant("c")) != nil {
			t.Error("a connection of another kind")
		}
		if e.IdleVariant(va) != later || e.IdleVariant(va) != a || e.IdleVariant(va) != nil {
			t.Error("not the latest one first, then the other")
		}
		if e.Idle() != plain || e.Idle() != nil || e.IdleVariant(vb) != b {
			t.Error("plain connections and others are mixed")
		}
		for _, c := range []*http1.Conn{plain, a, b, later} {
			c.Close()
		}
		if len(r.variants.idle) != 0 {
			t.Error("traces remain")
		}
	})
}

func TestVariantsThatAreNotUsedAreClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := registry(t, Config{IdleTimeout: 10 * time.Second})
		e := r.Acquire(web, at)
		put := func(key any) net.Conn {
			c, far := pipeConn()
			e.PutVariant(variant(key), c)
			return far
		}
		old := put("b")
		time.Sleep(6 * time.Second)
		young := put("a")
		time.Sleep(6 * time.Second)
		if !closed(old) || closed(young) {
			t.Error("the idle timeout does not count")
		}
		for range maxVariants {
			defer put("a").Close()
		}
		if n := r.Idle(); n != maxVariants {
			t.Errorf("%d idle connections", n)
		}
		r.Release(e)
		if !closed(young) || r.Idle() != 0 {
			t.Error("connections are kept although their endpoint has gone")
		}
		if !closed(put("a")) {
			t.Error("a connection comes back to an endpoint that has gone and is kept")
		}
	})
}

func TestCloseClosesVariants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRegistry(Config{})
		e := r.Acquire(web, at)
		c, far := pipeConn()
		e.PutVariant(variant("a"), c)
		r.Close()
		if !closed(far) {
			t.Error("it is kept")
		}
		c, far = pipeConn()
		e.PutVariant(variant("a"), c)
		if !closed(far) {
			t.Error("a later one is kept")
		}
	})
}

// seen is a wrapper that can be looked through.
type seen struct{ *net.TCPConn }

func (s seen) NetConn() net.Conn { return s.TCPConn }
func (s seen) Quiet() bool       { return true }

// A variant is dialled through its wrapper, and one that has died in the pool is not handed out.
func TestDeadVariantsAreNotHandedOut(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	r := registry(t, Config{})
	e := r.Acquire(web, proxy.Endpoint{Address: netip.MustParseAddrPort(ln.Addr().String())})
	wrapped := 0
	v := &Variant{Key: 1, Wrap: func(nc net.Conn) net.Conn { wrapped++; return seen{nc.(*net.TCPConn)} }}
	c, perr := e.DialVariant(t.Context(), v)
	if perr != nil || wrapped != 1 {
		t.Fatal(perr, wrapped)
	}
	far, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	e.PutVariant(v, c)
	if e.IdleVariant(v) != c {
		t.Fatal("a good connection is not handed out")
	}
	e.PutVariant(v, c)
	far.Close()
	for end := time.Now().Add(20 * time.Second); c.Idle(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the end goes unnoticed")
		}
	}
	if e.IdleVariant(v) != nil || r.Idle() != 0 {
		t.Error("a dead connection was handed out, or is kept")
	}
	ln.Close()
	if _, perr := e.DialVariant(t.Context(), v); perr == nil || !perr.Retry || wrapped != 1 {
		t.Error(perr, wrapped)
	}
}

func TestVariantsAreUsedByMany(t *testing.T) {
	r := registry(t, Config{})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for range 200 {
				e := r.Acquire(web, at)
				v := variant(g % 3)
				c := e.IdleVariant(v)
				if c == nil {
					c, _ = pipeConn()
				}
				e.PutVariant(v, c)
				r.Release(e)
			}
		})
	}
	wg.Wait()
	if r.Idle() != 0 || len(r.variants.idle) != 0 {
		t.Errorf("%d connections left", r.Idle())
	}
}
