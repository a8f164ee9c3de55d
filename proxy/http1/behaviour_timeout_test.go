package http1

import (
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// distinct are Timeouts that differ from each other, so that a test sees which one fired.
var distinct = Timeouts{
	Header: 3 * time.Second, Idle: 5 * time.Second, Body: 7 * time.Second, Write: 11 * time.Second,
	UpstreamHeader: 13 * time.Second, UpstreamBody: 17 * time.Second, UpstreamWrite: 19 * time.Second,
	Tunnel: 23 * time.Second, Linger: 2 * time.Second,
}

// timed runs f against a Server in a bubble of its own, whose clock stands still but for waiting.
func timed(t *testing.T, f func(t *testing.T, g *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, newRig(t, Config{Timeouts: distinct})) })
}

// passed checks that the time since start is d, as exactly as Timeouts promise.
func passed(t *testing.T, start time.Time, d time.Duration) {
	t.Helper()
	if got := time.Since(start); got < d || got > d+2*tick {
		t.Errorf("it took %v, want %v and at most %v more", got, d, 2*tick)
	}
}

func TestHeaderTimeoutOfPartialHead(t *testing.T) {
	for _, partial := range []string{"G", "GET / HTTP/1.1\r\n", plainGet[:len(plainGet)-1]} {
		timed(t, func(t *testing.T, g *rig) {
			start := time.Now()
			g.send(partial)
			g.wantStatus(408)
			passed(t, start, distinct.Header)
			g.wantClosed()
		})
	}
}

func TestHeaderTimeoutIsNotExtendedByBytes(t *testing.T) {
	timed(t, func(t *testing.T, g *rig) {
		start := time.Now()
		go func() {
			for _, b := range plainGet {
				if _, err := io.WriteString(g.client, string(b)); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		}()
		g.wantStatus(408)
		passed(t, start, distinct.Header)
		g.client.Close()
		time.Sleep(2 * time.Second)
	})
}

func TestSilentConnectionIsClosed(t *testing.T) {
	timed(t, func(t *testing.T, g *rig) {
		start := time.Now()
		g.wantClosed()
		passed(t, start, distinct.Header)
	})
}

func TestIdleTimeout(t *testing.T) {
	timed(t, func(t *testing.T, g *rig) {
		for range 3 { // every request begins the time anew
			g.send(plainGet)
			e := g.next()
			e.head()
			e.send(okOf(0))
			g.wantStatus(200)
			time.Sleep(distinct.Idle - time.Second)
		}
		time.Sleep(time.Second - tick)
		start := time.Now()
		g.wantClosed()
		passed(t, start, 0) // nothing was left of it
	})
}

func TestHeaderTimeoutOfLaterRequest(t *testing.T) {
	timed(t, func(t *testing.T, g *rig) {
		g.send(plainGet)
		e := g.next()
		e.head()
		e.send(okOf(0))
		g.wantStatus(200)
		time.Sleep(distinct.Idle - time.Second)
		start := time.Now()
		g.send("GET")
		g.wantStatus(408)
		passed(t, start, distinct.Header)
	})
}

func TestBodyTimeout(t *testing.T) {
	for name, request := range map[string]string{
		"length":             postOf(10) + "abc",
		"length, none":       postOf(10),
		"chunked":            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n",
		"chunked, in a size": "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n5",
	} {
		t.Run(name, func(t *testing.T) {
			timed(t, func(t *testing.T, g *rig) {
				start := time.Now()
				g.send(request)
				e := g.next()
				go io.Copy(io.Discard, e)
				g.wantStatus(408)
				passed(t, start, distinct.Body)
				g.wantClosed()
			})
		})
	}
}

func TestBodyTimeoutIsExtendedByProgress(t *testing.T) {
	timed(t, func(t *testing.T, g *rig) {
		g.send(postOf(5))
		e := g.next()
		e.head()
		for range 5 {
			time.Sleep(distinct.Body - time.Second)
			g.send("x")
			e.read(1)
		}
		e.send(okOf(0))
		g.wantStatus(200)
	})
}

func TestUpstreamHeaderTimeout(t *testing.T) {
	for name, parts := range map[string][]string{
		"without body":    {plainGet},
		"with small body": {postOf(3) + "abc"},
		"with streamed":   {postOf(6) + "abc", "def"},
		"with chunked":    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "0\r\n\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			timed(t, func(t *testing.T, g *rig) {
				for i, part := range parts {
					if i > 0 {
						time.Sleep(time.Second)
					}
					g.send(part)
					if i == 0 {
						go io.Copy(io.Discard, g.next())
					}
				}
				start := time.Now() // the whole request has been sent
				g.wantStatus(504)
				passed(t, start, distinct.UpstreamHeader)
			})
		})
	}
}

// What a Route says of the time that a response may take holds instead of the Server's own limit, also where it is longer.
func TestRouteTimeoutBeyondUpstreamHeader(t *testing.T) {
	for name, parts := range map[string][]string{"without body": {plainGet}, "with streamed": {postOf(6) + "abc", "def"}} {
		begin := func(g *rig) *endpoint {
			g.send(parts[0])
			e := g.next()
			e.head()
			for _, part := range parts[1:] {
				e.read(3)
				g.send(part)
				e.read(3)
			}
			return e
		}
		t.Run(name, func(t *testing.T) {
			timed(t, func(t *testing.T, g *rig) {
				g.limit = 5 * distinct.UpstreamHeader
				start := time.Now()
				begin(g)
				g.wantStatus(504)
				if got := time.Since(start); got != g.limit {
					t.Errorf("it took %v, want exactly %v", got, g.limit)
				}
			})
		})
		t.Run(name+", no limit", func(t *testing.T) {
			timed(t, func(t *testing.T, g *rig) {
				g.limit = -1
				e := begin(g)
				time.Sleep(time.Hour)
				e.send(okOf(0))
				g.wantStatus(200)
				g.limit = 0
				g.send(parts[0]) // on the same connection
				go io.Copy(io.Discard, g.next())
				for _, part := range parts[1:] {
					g.send(part)
				}
				start := time.Now()
				g.wantStatus(504)
				passed(t, start, distinct.UpstreamHeader)
			})
		})
	}
}

func TestUpstreamHeaderTimeoutIsNotExtendedByBytes(t *testing.T) {
	timed(t, func(t *testing.T, g *rig) {
		g.send(plainGet)
		e := g.next()
		e.head()
		start := time.Now()
		go func() {
			for _, b := range okOf(0) {
				if _, err := io.WriteString(e, string(b)); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		}()
		g.wantStatus(504)
		passed(t, start, distinct.UpstreamHeader)
		time.Sleep(2 * time.Second)
	})
}

func TestUpstreamHeaderTimeoutStartsAnewWithInterimResponse(t *testing.T) {
	timed(t, func(t *testing.T, g *rig) {
		g.send(plainGet)
		e := g.next()
		e.head()
		for range 3 {
			time.Sleep(distinct.UpstreamHeader - time.Second)
			go e.send("HTTP/1.1 103 Early Hints\r\n\r\n")
			if res, _, err := g.response("GET"); err != nil || res.StatusCode != 103 {
				t.Fatal(res, err)
			}
		}
		start := time.Now()
		g.wantStatus(504)
		passed(t, start, distinct.UpstreamHeader)
	})
}

func TestUpstreamBodyStallCutsTheConnection(t *testing.T) {
	for name, head := range map[string]string{
		"length":  okOf(10),
		"chunked": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n",
		"close":   "HTTP/1.1 200 OK\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			timed(t, func(t *testing.T, g *rig) {
				g.send(plainGet)
				e := g.next()
				e.head()
				go e.send(head + "abc")
				start := time.Now()
				res, body, err := g.response("GET")
				if err == nil || res.StatusCode != 200 || body != "abc" {
					t.Fatalf("%v %q %v; want a response that breaks off", res, body, err)
				}
				passed(t, start, distinct.UpstreamBody)
			})
		})
	}
}

func TestUpstreamBodyTimeoutIsExtendedByProgress(t *testing.T) {
	timed(t, func(t *testing.T, g *rig) {
		g.send(plainGet)
		e := g.next()
		e.head()
		go func() {
			e.send(okOf(5))
			for range 5 {
				time.Sleep(distinct.UpstreamBody - time.Second)
				e.send("x")
			}
		}()
		if body := g.wantStatus(200); body != "xxxxx" {
			t.Fatalf("body %q", body)
		}
	})
}

func TestUpstreamWriteTimeout(t *testing.T) {
	for name, readHead := range map[string]bool{"in the head": false, "in the body": true} {
		t.Run(name, func(t *testing.T) {
			timed(t, func(t *testing.T, g *rig) {
				start := time.Now()
				g.send(postOf(100_000))
				e := g.next()
				if readHead {
					e.head()
				}
				go io.WriteString(g.client, strings.Repeat("x", 100_000))
				g.wantStatus(504)
				passed(t, start, distinct.UpstreamWrite)
				g.client.Close()
			})
		})
	}
}

func TestUpstreamWriteTimeoutIsExtendedByProgress(t *testing.T) {
	timed(t, func(t *testing.T, g *rig) {
		const part, parts = 70_000, 5 // more than one write each
		g.send(postOf(part * parts))
		e := g.next()
		e.head()
		go io.WriteString(g.client, strings.Repeat("x", part*parts))
		for range parts {
			time.Sleep(distinct.UpstreamWrite - time.Second)
			e.read(part)
		}
		e.send(okOf(0))
		g.wantStatus(200)
	})
}

func TestUpstreamWriteTimeoutOfASlowEndpoint(t *testing.T) {
	timed(t, func(t *testing.T, g *rig) {
		const size, step = 60_000, 2000 // one write that takes half a minute
		g.send(postOf(size))
		e := g.next()
		e.head()
		go io.WriteString(g.client, strings.Repeat("x", size))
		for range size / step {
			e.read(step)
			time.Sleep(time.Second)
		}
		e.send(okOf(0))
		g.wantStatus(200)
	})
}

func TestWriteTimeoutClosesTheConnection(t *testing.T) {
	timed(t, func(t *testing.T, g *rig) {
		g.send(plainGet)
		e := g.next()
		e.head()
		start := time.Now()
		e.send(okOf(5) + "hello") // nobody reads it
		if _, err := e.in.ReadByte(); err != io.EOF {
			t.Fatalf("endpoint got %v, want the connection closed", err)
		}
		passed(t, start, distinct.Write)
		if err := <-g.failed; err.Side.String() != "downstream" {
			t.Fatal(err)
		}
		if _, _, err := g.response("GET"); err == nil {
			t.Fatal("got a whole response")
		}
	})
}

func TestWriteTimeoutIsExtendedByProgress(t *testing.T) {
	timed(t, func(t *testing.T, g *rig) {
		const size = 300_000
		g.send(plainGet)
		e := g.next()
		e.head()
		go e.send(okOf(size) + strings.Repeat("x", size))
		p := make([]byte, size)
		for n := 0; n < size; {
			time.Sleep(distinct.Write / 2)
			m, err := io.ReadFull(g.client, p[n:min(size, n+60_000)])
			if err != nil {
				t.Fatal(n, err)
			}
			n += m
		}
	})
}

// A client that takes little at a time is not cut off as long as it takes something.
func TestWriteTimeoutOfASlowReader(t *testing.T) {
	for name, head := range map[string]string{
		"length":  okOf(60_000),
		"close":   "HTTP/1.1 200 OK\r\n\r\n",
		"in head": "HTTP/1.1 200 OK\r\nContent-Length: 60000\r\nA: " + strings.Repeat("a", 8_000) + "\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			timed(t, func(t *testing.T, g *rig) {
				g.send(plainGet)
				e := g.next()
				e.head()
				go func() {
					e.send(head + strings.Repeat("x", 60_000))
					e.Close()
				}()
				p := make([]byte, 2000)
				for n := 0; n < 60_000; {
					m, err := g.client.Read(p)
					if err != nil {
						t.Fatalf("cut off after %d bytes: %v", n, err)
					}
					n += m
					time.Sleep(time.Second)
				}
				_, _ = io.Copy(io.Discard, g.client)
			})
		})
	}
}

const upgradeGet = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"
const switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"

func TestTunnelTimeout(t *testing.T) {
	timed(t, func(t *testing.T, g *rig) {
		g.send(upgradeGet)
		e := g.next()
		e.head()
		go e.send(switching)
		if res, _, err := g.response("GET"); err != nil || res.StatusCode != 101 {
			t.Fatal(res, err)
		}
		for i := range 6 { // bytes in either direction keep it open
			time.Sleep(distinct.Tunnel - time.Second)
			if i%2 == 0 {
				g.send("ping")
				if got := e.read(4); got != "ping" {
					t.Fatal(got)
				}
			} else {
				go e.send("pong")
				if p, err := g.in.Peek(4); err != nil || string(p) != "pong" {
					t.Fatal(p, err)
				}
				_, _ = g.in.Discard(4)
			}
		}
		for range 3 { // also if it is always the same direction
			time.Sleep(distinct.Tunnel - time.Second)
			g.send("ping")
			e.read(4)
		}
		start := time.Now()
		g.wantClosed()
		passed(t, start, distinct.Tunnel)
		if _, err := e.in.ReadByte(); err != io.EOF {
			t.Fatal("endpoint:", err)
		}
	})
}

func TestLingerTimeout(t *testing.T) {
	timed(t, func(t *testing.T, g *rig) {
		g.send("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
		start := time.Now()
		g.wantStatus(400)
		g.wantClosed() // no more comes from there
		for i := 0; ; i++ {
			time.Sleep(tick)
			if _, err := io.WriteString(g.client, "still sending"); err != nil {
				break
			}
			if i > 100 {
				t.Fatal("the server reads for ever")
			}
		}
		if got := time.Since(start); got < distinct.Linger || got > distinct.Linger+3*tick {
			t.Errorf("it read for %v, want %v", got, distinct.Linger)
		}
	})
}

func TestLimitWhileWaitingForTheHeadIs504(t *testing.T) {
	for name, request := range map[string]string{"without body": plainGet, "while the body is sent": postOf(10) + "abc"} {
		t.Run(name, func(t *testing.T) {
			timed(t, func(t *testing.T, g *rig) {
				g.limit = 1500 * time.Millisecond
				start := time.Now()
				g.send(request)
				go io.Copy(io.Discard, g.next())
				g.wantStatus(504)
				if got := time.Since(start); got != g.limit {
					t.Errorf("it took %v, want exactly %v", got, g.limit)
				}
			})
		})
	}
}

func TestLimitCutsAResponseOff(t *testing.T) {
	timed(t, func(t *testing.T, g *rig) {
		g.limit = 1500 * time.Millisecond
		g.send(plainGet)
		e := g.next()
		e.head()
		start := time.Now()
		go func() {
			e.send(okOf(1000))
			for {
				if _, err := io.WriteString(e, "x"); err != nil {
					return
				}
				time.Sleep(100 * time.Millisecond)
			}
		}()
		if _, body, err := g.response("GET"); err == nil || len(body) < 14 || len(body) > 16 {
			t.Fatalf("%q %v, want 15 bytes and an error", body, err)
		}
		passed(t, start, g.limit)
		time.Sleep(time.Second)
	})
}

func TestLimitOfOneRequestDoesNotConcernTheNext(t *testing.T) {
	timed(t, func(t *testing.T, g *rig) {
		g.limit = 1500 * time.Millisecond
		for range 5 {
			g.send(plainGet)
			e := g.next()
			e.head()
			time.Sleep(time.Second)
			e.send(okOf(0))
			g.wantStatus(200)
		}
	})
}

// An endpoint that answers early and a client that stops sending then: neither timeout of the upload may cut the download.
func TestStalledUploadDoesNotCutALongDownload(t *testing.T) {
	for name, endpointReads := range map[string]bool{"the client stops sending": true, "the endpoint stops reading": false} {
		t.Run(name, func(t *testing.T) {
			timed(t, func(t *testing.T, g *rig) {
				g.send(postOf(1_000_000))
				e := g.next()
				e.head()
				if endpointReads {
					go io.Copy(io.Discard, e.in)
				} else {
					go io.WriteString(g.client, strings.Repeat("x", 900_000))
				}
				go func() {
					e.send(okOf(20))
					for range 20 {
						time.Sleep(5 * time.Second)
						e.send("x")
					}
				}()
				if body := g.wantStatus(200); len(body) != 20 {
					t.Fatalf("body %q", body)
				}
				g.wantClosed()
				g.client.Close()
			})
		})
	}
}

// Without limits a phase must still end with its Exchange.
func TestPumpWithoutTimeoutsCanBeStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, Config{Timeouts: Timeouts{Body: -1, UpstreamWrite: -1, UpstreamHeader: -1, Linger: 2 * time.Second}})
		g.send(postOf(10))
		e := g.next()
		e.head()
		e.send(okOf(2) + "no")
		if body := g.wantStatus(200); body != "no" {
			t.Fatal(body)
		}
		g.wantClosed()
	})
}

const expecting = "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"

// While the client waits for 100 Continue it is the endpoint that has to move.
func TestExpectationThatTheEndpointIgnoresIs504(t *testing.T) {
	timed(t, func(t *testing.T, g *rig) {
		start := time.Now()
		g.send(expecting)
		go io.Copy(io.Discard, g.next())
		g.wantStatus(504)
		passed(t, start, distinct.UpstreamHeader)
	})
}

func TestLateContinueIsNotTheClientsFault(t *testing.T) {
	timed(t, func(t *testing.T, g *rig) {
		g.send(expecting)
		e := g.next()
		e.head()
		time.Sleep(distinct.Body + 2*time.Second)
		go e.send("HTTP/1.1 100 Continue\r\n\r\n")
		if res, _, err := g.response("PUT"); err != nil || res.StatusCode != 100 {
			t.Fatal(res, err)
		}
		start := time.Now() // from here on it is the client that has to move
		g.wantStatus(408)
		passed(t, start, distinct.Body)
	})
}

func TestClientThatDoesNotAwaitContinueMayTakeItsTime(t *testing.T) {
	timed(t, func(t *testing.T, g *rig) {
		g.send(expecting)
		e := g.next()
		e.head()
		for range 5 { // longer than UpstreamHeader altogether
			time.Sleep(distinct.Body - time.Second)
			g.send("x")
			e.read(1)
		}
		e.send(okOf(0))
		g.wantStatus(200)
	})
}
