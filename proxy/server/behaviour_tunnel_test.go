package server

import (
	"bytes"
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

const (
	upgradeRequest = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
	switching      = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
)

func TestTunnel(t *testing.T) {
	heads := make(chan string, 1)
	e := endpoint(t, func(_ int, c *wire) {
		heads <- c.head()
		c.send(switching + "first")
		io.Copy(c.TCPConn, c.in)
		c.CloseWrite()
	})
	c := dialWire(t, proxyTo(t, Config{}, e.addr))
	c.send(upgradeRequest)
	head := c.head()
	if !strings.HasPrefix(head, "HTTP/1.1 101 Switching Protocols\r\n") || !strings.Contains(head, "Upgrade: websocket\r\n") ||
		!strings.Contains(head, "Connection: Upgrade\r\n") {
		t.Fatal(head)
	}
	if got := within(t, "the request", heads); !strings.Contains(got, "Upgrade: websocket\r\n") || !strings.Contains(got, "Connection: Upgrade\r\n") {
		t.Errorf("endpoint got\n%s", got)
	}
	if got := c.take(5); got != "first" {
		t.Fatalf("%q: what came right behind the 101 is lost", got)
	}
	for range 100 {
		c.send("ping")
		if got := c.take(4); got != "ping" {
			t.Fatal(got)
		}
	}
	c.CloseWrite()
	c.wantEnd()
}

// RFC 9110 section 7.8: the client's bytes are the new protocol's only once the endpoint has switched.
func TestTunnelOpensOnlyAfter101(t *testing.T) {
	for name, size := range map[string]int{"few bytes": 5, "many bytes": 300_000} {
		t.Run(name, func(t *testing.T) {
			early := strings.Repeat("e", size)
			decide := make(chan struct{})
			e := endpoint(t, func(_ int, c *wire) {
				c.head()
				_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
				if b, err := c.in.ReadByte(); err == nil {
					t.Errorf("got %q before the 101", b)
				}
				<-decide
				_ = c.SetReadDeadline(time.Now().Add(patience))
				c.send(switching)
				if got := c.take(size); got != early {
					t.Errorf("%d of %d early bytes arrived", len(got), size)
				}
				c.send("done")
			})
			c := dialWire(t, proxyTo(t, Config{}, e.addr))
			go func() {
				c.send("%s", upgradeRequest+early)
				close(decide)
			}()
			if head := c.head(); !strings.HasPrefix(head, "HTTP/1.1 101") {
				t.Fatal(head)
			}
			if got := c.take(4); got != "done" {
				t.Fatalf("%q", got)
			}
		})
	}
}

func TestRefusedUpgradeIsANormalResponse(t *testing.T) {
	e := endpoint(t, answers("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"))
	c := dialWire(t, proxyTo(t, Config{}, e.addr))
	for range 3 {
		c.send(upgradeRequest + get("/pipelined")) // what follows is a request, not the tunnel's
		for range 2 {
			if body := c.want("GET", 403); body != "no" {
				t.Fatal(body)
			}
		}
	}
	if n := e.connections(); n != 1 {
		t.Errorf("%d upstream connections, want 1", n)
	}
}

func TestTunnelHalfClose(t *testing.T) {
	t.Run("the client first", func(t *testing.T) {
		e := endpoint(t, func(_ int, c *wire) {
			c.head()
			c.send(switching)
			got, err := c.rest()
			c.send("got %s %v", got, err)
		})
		c := dialWire(t, proxyTo(t, Config{}, e.addr))
		c.send(upgradeRequest)
		c.head()
		c.send("bye")
		c.CloseWrite()
		if got, err := c.rest(); got != "got bye <nil>" || err != nil {
			t.Fatalf("%q %v", got, err)
		}
	})
	t.Run("the endpoint first", func(t *testing.T) {
		got := make(chan string, 1)
		e := endpoint(t, func(_ int, c *wire) {
			c.head()
			c.send(switching + "bye")
			c.CloseWrite()
			rest, _ := c.rest()
			got <- rest
		})
		c := dialWire(t, proxyTo(t, Config{}, e.addr))
		c.send(upgradeRequest)
		c.head()
		if rest, err := c.rest(); rest != "bye" || err != nil {
			t.Fatalf("%q %v", rest, err)
		}
		c.send("still there")
		c.CloseWrite()
		if g := within(t, "the rest", got); g != "still there" {
			t.Fatalf("%q", g)
		}
	})
}

func TestTunnelEndsWithEitherSide(t *testing.T) {
	t.Run("the client resets", func(t *testing.T) {
		ended := make(chan struct{})
		e := endpoint(t, func(_ int, c *wire) {
			c.head()
			c.send(switching)
			c.rest()
			close(ended)
		})
		c := dialWire(t, proxyTo(t, Config{}, e.addr))
		c.send(upgradeRequest)
		c.head()
		_ = c.SetLinger(0)
		c.Close()
		within(t, "the endpoint's end", ended)
	})
	t.Run("the endpoint resets", func(t *testing.T) {
		e := endpoint(t, func(_ int, c *wire) {
			c.head()
			c.send(switching)
			_ = c.SetLinger(0)
		})
		c := dialWire(t, proxyTo(t, Config{}, e.addr))
		c.send(upgradeRequest)
		c.rest()
	})
}

func TestTunnelCarriesMuchBothWays(t *testing.T) {
	const size = 20 << 20
	block := make([]byte, 1<<16)
	for i := range block {
		block[i] = byte(rand.Uint32())
	}
	up := make(chan []byte, 1)
	e := endpoint(t, func(_ int, c *wire) {
		c.head()
		c.send(switching)
		written := make(chan struct{})
		go func() {
			defer close(written)
			for range size / len(block) {
				_, _ = c.Write(block)
			}
			c.CloseWrite()
		}()
		h := sha256.New()
		io.Copy(h, c.in)
		up <- h.Sum(nil)
		<-written // returning closes the connection
	})
	c := dialWire(t, proxyTo(t, Config{}, e.addr))
	c.send(upgradeRequest)
	c.head()
	go func() {
		for range size / len(block) {
			_, _ = c.Write(block)
		}
		c.CloseWrite()
	}()
	down, want := sha256.New(), sha256.New()
	n, err := io.Copy(down, c.in)
	want.Write(bytes.Repeat(block, size/len(block)))
	if n != size || err != nil || !bytes.Equal(down.Sum(nil), want.Sum(nil)) {
		t.Fatalf("down: %d bytes, %v, or not the same", n, err)
	}
	if !bytes.Equal(within(t, "the upload", up), want.Sum(nil)) {
		t.Fatal("up: not the same bytes")
	}
}

func TestUpgradeToH2CIsStripped(t *testing.T) {
	heads := make(chan string, 1)
	e := endpoint(t, func(_ int, c *wire) {
		heads <- c.head()
		c.send(okHello)
	})
	c := dialWire(t, proxyTo(t, Config{}, e.addr))
	c.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n")
	c.want("GET", 200)
	if head := strings.ToLower(within(t, "the request", heads)); strings.Contains(head, "upgrade") || strings.Contains(head, "http2") {
		t.Errorf("endpoint got\n%s", head)
	}
}

func TestUnexpected101Is502(t *testing.T) {
	for name, tc := range map[string]struct{ request, answer string }{
		"not asked for":           {get("/"), switching},
		"without Upgrade":         {upgradeRequest, "HTTP/1.1 101 Switching Protocols\r\n\r\n"},
		"h2c stripped":            {"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", switching},
		"without Connection":      {upgradeRequest, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"},
		"HTTP/1.0 cannot upgrade": {"GET / HTTP/1.0\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", switching},
	} {
		t.Run(name, func(t *testing.T) {
			e := endpoint(t, func(_ int, c *wire) {
				c.head()
				c.send("%s", tc.answer)
				c.rest()
			})
			c := dialWire(t, proxyTo(t, Config{}, e.addr))
			c.send("%s", tc.request)
			c.want("GET", 502)
		})
	}
}

func TestUpgradeWithContent(t *testing.T) {
	e := endpoint(t, func(_ int, c *wire) {
		c.head()
		body := c.take(200_000)
		c.send(switching)
		c.send("%d", len(body))
		io.Copy(c.TCPConn, c.in)
	})
	c := dialWire(t, proxyTo(t, Config{}, e.addr))
	go c.send("POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 200000\r\n\r\n%s", strings.Repeat("x", 200_000)+"late")
	if head := c.head(); !strings.HasPrefix(head, "HTTP/1.1 101") {
		t.Fatal(head)
	}
	if got := c.take(10); got != "200000late" {
		t.Fatalf("%q", got)
	}
}
