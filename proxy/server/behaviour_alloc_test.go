package server

import (
	"net"
	"runtime"
	"testing"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// A small GET through routing, balancing and the pool costs no allocation, on the whole way from socket to socket. The figure leaves
// room for what runs beside it.
func TestSmallRequestHardlyAllocates(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes pools forget")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	answer := []byte("HTTP/1.1 200 OK\r\nDate: Sat, 21 Nov 2026 21:00:00 GMT\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello")
	ended := make(chan struct{})
	go func() { // an endpoint that allocates nothing
		defer close(ended)
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		buf := make([]byte, 4096)
		for {
			if _, err := c.Read(buf); err != nil {
				return
			}
			if _, err := c.Write(answer); err != nil {
				return
			}
		}
	}()
	_, addr := serve(t, Config{}, routed(backendOf("web", ln.Addr().String()), func(r *proxy.Route) {
		r.Filters = []proxy.Filter{trap{}}
	}))
	c := dialWire(t, addr)
	request := []byte("GET /some/path?q=1 HTTP/1.1\r\nHost: example.com\r\nUser-Agent: test\r\nAccept: */*\r\n\r\n")
	buf := make([]byte, 4096)
	once := func() {
		if _, err := c.Write(request); err != nil {
			t.Fatal(err)
		}
		if n, err := c.Read(buf); err != nil || n < len(answer) {
			t.Fatal(n, err)
		}
	}
	for range 100 {
		once()
	}
	const requests = 2000
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range requests {
		once()
	}
	runtime.ReadMemStats(&after)
	perRequest := float64(after.Mallocs-before.Mallocs) / requests
	t.Logf("%.2f allocations per request", perRequest)
	if perRequest > 0.5 {
		t.Errorf("%.2f allocations per request, want none", perRequest)
	}
	c.Close()
}
