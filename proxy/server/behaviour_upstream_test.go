package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/http1"
	"github.com/breakwater-gateway/breakwater/proxy/upstream"
)

// An upstream connection is used again only if the response was the last thing on it: otherwise one client would get
// what was meant for another.
func TestBytesBehindAResponseNeverBecomeTheNext(t *testing.T) {
	const poison = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
	for name, tc := range map[string]struct {
		method string
		answer string
		later  bool // the poison comes while the connection is idle
	}{
		"with the response":           {"GET", okHello, false},
		"later":                       {"GET", okHello, true},
		"behind a chunked response":   {"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", false},
		"behind HEAD":                 {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", false},
		"behind 204":                  {"GET", "HTTP/1.1 204 No Content\r\n\r\n", false},
		"behind 304":                  {"GET", "HTTP/1.1 304 Not Modified\r\n\r\n", false},
		"a longer body than it says":  {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhello", false},
		"behind 204 that has content": {"GET", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello", false},
	} {
		t.Run(name, func(t *testing.T) {
			poisoned := make(chan struct{}, 16)
			e := endpoint(t, func(n int, c *wire) {
				for c.head() != "" {
					if n > 1 {
						c.send(okHello)
						continue
					}
					if tc.later {
						c.send("%s", tc.answer)
						time.Sleep(20 * time.Millisecond)
						c.send(poison)
					} else {
						c.send("%s", tc.answer+poison)
					}
					poisoned <- struct{}{}
				}
			})
			addr := proxyTo(t, Config{}, e.addr)
			c := dialWire(t, addr)
			c.send("%s / HTTP/1.1\r\nHost: a\r\n\r\n", tc.method)
			if _, _, err := c.response(tc.method); err != nil {
				t.Fatal(err)
			}
			within(t, "the poison", poisoned)
			time.Sleep(20 * time.Millisecond) // it has arrived: the check at checkout must see it
			for range 3 {
				c.send(get("/next"))
				if body := c.want("GET", 200); body != "hello" {
					t.Fatalf("got %q, which belongs to nobody", body)
				}
			}
		})
	}
}

// A request that has not been written to its end must not be continued by the next one.
func TestConnectionIsNotReusedWhenTheRequestWasNotSent(t *testing.T) {
	e := endpoint(t, func(_ int, c *wire) {
		for c.head() != "" { // answers at once and leaves the content where it is
			if !c.send(okHello) {
				return
			}
		}
	})
	addr := proxyTo(t, Config{}, e.addr)
	for i := range 5 {
		c := dialWire(t, addr)
		c.send(request("POST", 10) + "GET /")
		if body := c.want("POST", 200); body != "hello" {
			t.Fatal(body)
		}
		c.Close()
		if n := e.connections(); n != i+1 {
			t.Fatalf("%d upstream connections after %d requests that were not sent to their ends", n, i+1)
		}
	}
}

func TestRetryWhenAReusedConnectionDies(t *testing.T) {
	for name, tc := range map[string]struct {
		request string
		status  int // of the second request
	}{
		"GET":             {get("/"), 200},
		"HEAD":            {"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", 200},
		"DELETE":          {"DELETE / HTTP/1.1\r\nHost: a\r\n\r\n", 200},
		"PUT, buffered":   {request("PUT", 5) + "hello", 200},
		"POST, no body":   {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", 502},
		"POST, body sent": {request("POST", 5) + "hello", 502},
		"PATCH":           {request("PATCH", 5) + "hello", 502},
		"unknown method":  {"FROB / HTTP/1.1\r\nHost: a\r\n\r\n", 502},
	} {
		t.Run(name, func(t *testing.T) {
			var seen atomic.Int32
			e := endpoint(t, func(n int, c *wire) {
				for i := 1; ; i++ {
					head := c.head()
					if head == "" {
						return
					}
					if strings.Contains(head, "Content-Length: 5") {
						c.take(5)
					}
					if n == 1 && i == 2 {
						return // dies with the second request in its hands
					}
					if strings.HasPrefix(head, "GET /warm") {
						c.send(okHello)
						continue
					}
					seen.Add(1)
					c.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
				}
			})
			c := dialWire(t, proxyTo(t, Config{}, e.addr))
			c.send(get("/warm"))
			c.want("GET", 200)
			c.send("%s", tc.request)
			method, _, _ := strings.Cut(tc.request, " ")
			c.want(method, tc.status)
			if n := seen.Load(); (n == 1) != (tc.status == 200) || n > 1 {
				t.Errorf("the request was seen %d times", n)
			}
		})
	}
}

// Even POST is sent again while its content is still with the client.
func TestRetryOfAPostWhoseBodyWasNotSent(t *testing.T) {
	died := make(chan struct{})
	e := endpoint(t, func(n int, c *wire) {
		c.head()
		if n == 1 {
			c.send(okHello)
			c.head()
			close(died)
			return
		}
		c.send("HTTP/1.1 100 Continue\r\n\r\n")
		if body := c.take(5); body == "hello" {
			c.send(okHello)
		}
	})
	c := dialWire(t, proxyTo(t, Config{}, e.addr))
	c.send(get("/warm"))
	c.want("GET", 200)
	c.send(request("POST", 5, "Expect: 100-continue"))
	within(t, "the first connection's death", died)
	if head := c.head(); head != "HTTP/1.1 100 Continue\r\n" {
		t.Fatalf("%q", head)
	}
	c.send("hello")
	c.want("POST", 200)
}

func TestNoRetryOnceAResponseHasBegun(t *testing.T) {
	e := endpoint(t, func(n int, c *wire) {
		c.head()
		c.send(okHello)
		c.head()
		c.send("HTTP/1.1 2")
	})
	c := dialWire(t, proxyTo(t, Config{}, e.addr))
	c.send(get("/warm"))
	c.want("GET", 200)
	c.send(get("/"))
	c.want("GET", 502)
	if n := e.connections(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

func TestNoRetryOnAFreshConnection(t *testing.T) {
	e := endpoint(t, func(_ int, c *wire) { c.head() })
	c := dialWire(t, proxyTo(t, Config{}, e.addr))
	c.send(get("/"))
	c.want("GET", 502)
	if n := e.connections(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

func TestConnectionRefusedTriesAnotherEndpoint(t *testing.T) {
	e := endpoint(t, answers(okHello))
	addr := proxyTo(t, Config{}, unusedAddr(t), e.addr, unusedAddr(t))
	for range 20 {
		c := dialWire(t, addr)
		c.send(get("/"))
		c.want("GET", 200)
		c.send(request("POST", 5) + "hello") // nothing of it has been sent: safe for every method
		c.want("POST", 200)
	}
}

func TestAllEndpointsRefuse(t *testing.T) {
	c := dialWire(t, proxyTo(t, Config{}, unusedAddr(t), unusedAddr(t)))
	for range 3 {
		c.send(get("/"))
		if body := c.want("GET", 502); body != "Bad Gateway: no endpoint could be reached\n" {
			t.Errorf("body %q", body)
		}
	}
}

// A client that goes away ends its upstream request within a second.
func TestClientThatGoesAwayEndsItsUpstreamRequest(t *testing.T) {
	for name, tc := range map[string]struct {
		request string
		answer  string // what the endpoint has sent by then
		more    bool   // and it goes on sending
		reset   bool
	}{
		"waiting for the head":         {get("/"), "", false, false},
		"waiting for the head, reset":  {get("/"), "", false, true},
		"with a buffered body":         {request("POST", 5) + "hello", "", false, false},
		"waiting after interim":        {get("/"), "HTTP/1.1 103 Early Hints\r\n\r\n", false, false},
		"waiting for content":          {get("/"), "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nx", false, false},
		"waiting for chunks":           {get("/"), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n", false, false},
		"during a download":            {get("/"), "HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n", true, false},
		"during an endless download":   {get("/"), "HTTP/1.1 200 OK\r\n\r\n", true, false},
		"during an upload":             {request("POST", 1<<40) + "xxx", "", false, false},
		"during an upload, reset":      {request("POST", 1<<40) + "xxx", "", false, true},
		"during a chunked upload":      {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nxxx\r\n", "", false, false},
		"during an upload with answer": {request("POST", 1<<40) + "xxx", "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nx", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			started, ended := make(chan struct{}), make(chan struct{})
			e := endpoint(t, func(_ int, c *wire) {
				c.head()
				c.send("%s", tc.answer)
				if tc.more {
					go func() {
						for c.send("%s", strings.Repeat("x", 1<<16)) {
						}
					}()
				}
				close(started)
				c.rest()
				close(ended)
			})
			c := dialWire(t, proxyTo(t, Config{}, e.addr))
			c.send("%s", tc.request)
			within(t, "the request", started)
			if tc.answer != "" {
				c.head()
			}
			time.Sleep(30 * time.Millisecond)
			if tc.reset {
				_ = c.SetLinger(0)
			}
			c.Close()
			within(t, "the end of the upstream request", ended)
		})
	}
}

func TestRouteTimeouts(t *testing.T) {
	const interim = "HTTP/1.1 103 Early Hints\r\n\r\n"
	for name, tc := range map[string]struct {
		timeouts proxy.Timeouts
		answer   string
	}{
		"request":              {proxy.Timeouts{Request: 200 * time.Millisecond}, ""},
		"backend":              {proxy.Timeouts{Backend: 200 * time.Millisecond}, ""},
		"request before":       {proxy.Timeouts{Request: 200 * time.Millisecond, Backend: time.Hour}, ""},
		"backend before":       {proxy.Timeouts{Request: time.Hour, Backend: 200 * time.Millisecond}, ""},
		"after an interim":     {proxy.Timeouts{Request: 200 * time.Millisecond}, interim},
		"in the response head": {proxy.Timeouts{Request: 200 * time.Millisecond}, "HTTP/1.1 200 OK\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			e := endpoint(t, func(_ int, c *wire) {
				c.head()
				c.send("%s", tc.answer)
				c.rest()
			})
			b := backendOf("web", e.addr)
			_, addr := serve(t, Config{}, routed(b, func(r *proxy.Route) { r.Timeouts = tc.timeouts }))
			until(t, "the endpoint has answered before the timeout what it does", func() bool {
				c := dialWire(t, addr)
				start := time.Now()
				c.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
				all, err := c.rest()
				if took := time.Since(start); took < 200*time.Millisecond {
					t.Errorf("after %v already", took)
				}
				answer, isInterim := strings.CutPrefix(all, interim)
				if err != nil || !strings.HasPrefix(answer, "HTTP/1.1 504 ") || !strings.HasSuffix(answer, "\r\n\r\nGateway Timeout: the endpoint did not respond in time\n") {
					t.Fatalf("%q, %v", all, err)
				}
				return isInterim || tc.answer != interim
			})
		})
	}
}

// A Route that allows more time than the proxy does by itself has it.
func TestRouteTimeoutBeyondUpstreamHeader(t *testing.T) {
	for name, timeouts := range map[string]proxy.Timeouts{
		"request":   {Request: time.Hour},
		"backend":   {Backend: time.Hour},
		"unlimited": {Unlimited: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const limit = 250 * time.Millisecond
			e := endpoint(t, func(_ int, c *wire) {
				c.head()
				time.Sleep(4 * limit) // long enough for the limit to be enforced
				c.send(okHello)
			})
			_, addr := serve(t, Config{Timeouts: http1.Timeouts{UpstreamHeader: limit}}, routed(backendOf("web", e.addr), func(r *proxy.Route) { r.Timeouts = timeouts }))
			c := dialWire(t, addr)
			c.send(get("/"))
			c.want("GET", 200)
		})
	}
}

// A Route whose own time is short says nothing about the endpoint.
func TestShortRouteTimeoutDoesNotMarkAnEndpointDown(t *testing.T) {
	reg := upstream.NewRegistry(upstream.Config{})
	defer reg.Close()
	e := reg.Acquire(proxy.BackendID{Name: "web"}, proxy.Endpoint{Address: backendOf("web", unusedAddr(t)).Endpoints[0].Address})
	defer reg.Release(e)
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	if _, err := e.Dial(ctx); err == nil || err.Status != 504 || e.Down() {
		t.Fatalf("%v, down %v", err, e.Down())
	}
	if _, err := e.Dial(t.Context()); err == nil || err.Status != 502 || !e.Down() {
		t.Fatalf("%v, down %v", err, e.Down())
	}
}

func TestErrorsDescribeTheirSide(t *testing.T) {
	reg := upstream.NewRegistry(upstream.Config{})
	defer reg.Close()
	e := reg.Acquire(proxy.BackendID{Name: "web"}, proxy.Endpoint{Address: backendOf("web", unusedAddr(t)).Endpoints[0].Address})
	defer reg.Release(e)
	_, err := e.Dial(t.Context())
	var opErr *net.OpError
	if err.Side != proxy.Upstream || !err.Retry || !errors.As(err, &opErr) {
		t.Fatalf("%+v", err)
	}
}

func TestUpstreamTimeoutsOnRealSockets(t *testing.T) {
	quarter := 250 * time.Millisecond
	t.Run("head", func(t *testing.T) {
		e := endpoint(t, func(_ int, c *wire) { c.rest() })
		c := dialWire(t, proxyTo(t, Config{Timeouts: http1.Timeouts{UpstreamHeader: quarter}}, e.addr))
		for i := range 3 {
			c.send(get(fmt.Sprint("/", i)))
			c.want("GET", 504) // and the client's connection goes on
		}
	})
	t.Run("body", func(t *testing.T) {
		e := endpoint(t, func(_ int, c *wire) {
			c.head()
			c.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nhello")
			c.rest()
		})
		c := dialWire(t, proxyTo(t, Config{Timeouts: http1.Timeouts{UpstreamBody: quarter}}, e.addr))
		c.send(get("/"))
		if _, body, err := c.response("GET"); err == nil || body != "hello" {
			t.Fatal(body, err)
		}
	})
}
