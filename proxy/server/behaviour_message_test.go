package server

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// echoPath answers each request with its path.
func echoPath(_ int, c *wire) {
	for {
		head := c.head()
		if head == "" {
			return
		}
		path := strings.Fields(head)[1]
		c.send("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(path), path)
	}
}

func TestKeepAliveOnBothSides(t *testing.T) {
	e := endpoint(t, echoPath)
	c := dialWire(t, proxyTo(t, Config{}, e.addr))
	for i := range 20 {
		path := fmt.Sprintf("/%d", i)
		c.send(get(path))
		if body := c.want("GET", 200); body != path {
			t.Fatalf("body %q, want %q", body, path)
		}
	}
	if n := e.connections(); n != 1 {
		t.Fatalf("%d upstream connections, want 1", n)
	}
}

func TestPipelinedRequestsAreAnsweredInOrder(t *testing.T) {
	e := endpoint(t, func(_ int, c *wire) {
		for {
			req, err := http.ReadRequest(c.in)
			if err != nil {
				return
			}
			body, _ := io.ReadAll(req.Body)
			answer := req.URL.Path + string(body)
			c.send("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(answer), answer)
		}
	})
	c := dialWire(t, proxyTo(t, Config{}, e.addr))
	var requests strings.Builder
	var want []string
	for i := range 60 {
		body := strings.Repeat("b", i*37)
		switch i % 3 {
		case 0:
			body = ""
			requests.WriteString(get(fmt.Sprintf("/%d", i)))
		case 1:
			fmt.Fprintf(&requests, "POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", i, len(body), body)
		case 2:
			fmt.Fprintf(&requests, "POST /%d HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", i, len(body), body)
		}
		want = append(want, fmt.Sprintf("/%d%s", i, body))
	}
	for _, step := range []int{1 << 20, 1000, 7} { // at once, and cut where it hurts
		go func() {
			for p := requests.String(); p != ""; {
				n := min(step, len(p))
				if !c.send("%s", p[:n]) {
					return
				}
				p = p[n:]
			}
		}()
		for i, w := range want {
			if body := c.want("GET", 200); body != w {
				t.Fatalf("step %d: answer %d is %.60q, want %.60q", step, i, body, w)
			}
		}
	}
}

func TestRequestBodyAndTrailersReachTheEndpoint(t *testing.T) {
	got := make(chan string, 1)
	e := endpoint(t, func(_ int, c *wire) {
		for {
			req, err := http.ReadRequest(c.in)
			if err != nil {
				return
			}
			body, err := io.ReadAll(req.Body)
			got <- fmt.Sprintf("len=%d te=%v body=%s trailer=%v err=%v", req.ContentLength, req.TransferEncoding, body, req.Trailer, err)
			c.send(okHello)
		}
	})
	c := dialWire(t, proxyTo(t, Config{}, e.addr))
	for _, tc := range []struct{ sent, want string }{
		{request("POST", 3) + "abc", "len=3 te=[] body=abc trailer=map[] err=<nil>"},
		{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2;x=y\r\nbc\r\n0\r\n\r\n",
			"len=-1 te=[chunked] body=abc trailer=map[] err=<nil>"},
		{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 7\r\n\r\n",
			"len=-1 te=[chunked] body=abc trailer=map[X-Sum:[7]] err=<nil>"},
		{request("POST", 0), "len=0 te=[] body= trailer=map[] err=<nil>"},
		{get("/"), "len=0 te=[] body= trailer=map[] err=<nil>"},
	} {
		c.send("%s", tc.sent)
		c.want("POST", 200)
		if g := within(t, "the request", got); g != tc.want {
			t.Errorf("endpoint got\n%s, want\n%s", g, tc.want)
		}
	}
}

func TestResponseFramingPassesOn(t *testing.T) {
	for name, tc := range map[string]struct {
		method, answer string
		want           string // head fields of interest, then the body
		trailer        string
		open           bool // the client's connection stays open
		reuse          bool // and so does the endpoint's
	}{
		"length":         {"GET", okHello, "200 len=5 te=[] hello", "map[]", true, true},
		"empty":          {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "200 len=0 te=[] ", "map[]", true, true},
		"chunked":        {"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", "200 len=-1 te=[chunked] hello", "map[]", true, true},
		"trailers":       {"GET", "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 7\r\n\r\n", "200 len=-1 te=[chunked] hello", "map[X-Sum:[7]]", true, true},
		"until close":    {"GET", "HTTP/1.1 200 OK\r\n\r\nhello", "200 len=-1 te=[chunked] hello", "map[]", true, false},
		"close":          {"GET", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", "200 len=5 te=[] hello", "map[]", true, false},
		"version 1.0":    {"GET", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", "200 len=5 te=[] hello", "map[]", true, false},
		"HEAD":           {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "200 len=5 te=[] ", "map[]", true, true},
		"HEAD, chunked":  {"HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "200 len=-1 te=[] ", "map[]", true, true},
		"204":            {"GET", "HTTP/1.1 204 No Content\r\n\r\n", "204 len=0 te=[] ", "map[]", true, true},
		"304":            {"GET", "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 5\r\n\r\n", "304 len=0 te=[] ", "map[]", true, true},
		"304, no length": {"GET", "HTTP/1.1 304 Not Modified\r\n\r\n", "304 len=0 te=[] ", "map[]", true, true},
		"404":            {"GET", "HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nhello", "404 len=5 te=[] hello", "map[]", true, true},
	} {
		t.Run(name, func(t *testing.T) {
			e := endpoint(t, func(_ int, c *wire) {
				for c.head() != "" {
					c.send("%s", tc.answer)
					if !tc.reuse {
						return
					}
				}
			})
			c := dialWire(t, proxyTo(t, Config{}, e.addr))
			for range 2 {
				c.send("%s / HTTP/1.1\r\nHost: a\r\n\r\n", tc.method)
				res, body, err := c.response(tc.method)
				if err != nil {
					t.Fatal(err)
				}
				if got := fmt.Sprintf("%d len=%d te=%v %s", res.StatusCode, res.ContentLength, res.TransferEncoding, body); got != tc.want {
					t.Errorf("got  %s\nwant %s", got, tc.want)
				}
				if got := fmt.Sprint(res.Trailer); got != tc.trailer && len(res.Trailer) > 0 {
					t.Errorf("trailer %s, want %s", got, tc.trailer)
				}
				if res.Close == tc.open {
					t.Errorf("close %v, want %v", res.Close, !tc.open)
				}
			}
			want := 1
			if !tc.reuse {
				want = 2
			}
			if n := e.connections(); n != want {
				t.Errorf("%d upstream connections, want %d", n, want)
			}
		})
	}
}

func TestContentOfHeadResponseIsNeverTakenForAResponse(t *testing.T) {
	e := endpoint(t, func(_ int, c *wire) {
		for {
			head := c.head()
			if head == "" || !c.send(okHello) { // wrong for HEAD
				return
			}
		}
	})
	c := dialWire(t, proxyTo(t, Config{}, e.addr))
	for range 10 {
		c.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
		c.want("HEAD", 200)
		c.send(get("/"))
		if body := c.want("GET", 200); body != "hello" {
			t.Fatalf("body %q", body)
		}
	}
}

func TestConnectionCloseOfTheClient(t *testing.T) {
	e := endpoint(t, answers(okHello))
	addr := proxyTo(t, Config{}, e.addr)
	for range 2 {
		c := dialWire(t, addr)
		c.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
		res, body, err := c.response("GET")
		if err != nil || body != "hello" || !res.Close {
			t.Fatal(res, body, err)
		}
		c.wantEnd()
	}
	if n := e.connections(); n != 1 {
		t.Errorf("%d upstream connections: the client's wish concerns its own connection only", n)
	}
}

func TestHTTP10(t *testing.T) {
	const unknown = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
	for name, tc := range map[string]struct {
		answer, fields string
		connection     string // the field of the response
		open           bool
	}{
		"length":                     {okHello, "", "close", false},
		"length, keep-alive":         {okHello, "Connection: keep-alive\r\n", "keep-alive", true},
		"unknown length":             {unknown, "", "close", false},
		"unknown length, keep-alive": {unknown, "Connection: keep-alive\r\n", "close", false},
	} {
		t.Run(name, func(t *testing.T) {
			e := endpoint(t, answers(tc.answer))
			c := dialWire(t, proxyTo(t, Config{}, e.addr))
			c.send("GET / HTTP/1.0\r\nHost: a\r\n%s\r\n", tc.fields)
			head := c.head()
			if strings.Contains(head, "Transfer-Encoding") {
				t.Errorf("sent a coding that HTTP/1.0 does not know:\n%s", head)
			}
			if !strings.Contains(head, "Connection: "+tc.connection+"\r\n") {
				t.Errorf("want Connection: %s in\n%s", tc.connection, head)
			}
			if body := c.take(5); body != "hello" {
				t.Errorf("body %q", body)
			}
			if tc.open {
				c.wantOpen()
			} else {
				c.wantEnd()
			}
		})
	}
}

// A close-delimited response that breaks off must not look complete to an HTTP/1.0 client.
func TestHTTP10SeesThatAResponseBreaksOff(t *testing.T) {
	e := endpoint(t, func(_ int, c *wire) {
		c.head()
		c.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
	})
	c := dialWire(t, proxyTo(t, Config{}, e.addr))
	c.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n")
	if rest, err := c.rest(); err == nil {
		t.Fatalf("an orderly end after %q", rest)
	}
}

func TestContinueEndToEnd(t *testing.T) {
	asked := make(chan struct{})
	e := endpoint(t, func(_ int, c *wire) {
		if head := c.head(); !strings.Contains(head, "Expect: 100-continue\r\n") {
			t.Errorf("no Expect in\n%s", head)
		}
		<-asked
		c.send("HTTP/1.1 100 Continue\r\n\r\n")
		if body := c.take(5); body != "hello" {
			t.Errorf("endpoint got %q", body)
		}
		c.send(okHello)
		c.head()
	})
	c := dialWire(t, proxyTo(t, Config{}, e.addr))
	c.send(request("PUT", 5, "Expect: 100-continue"))
	// Nobody but the endpoint says 100.
	_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if b, err := c.in.ReadByte(); err == nil {
		t.Fatalf("got %q before the endpoint has answered", b)
	}
	_ = c.SetReadDeadline(time.Now().Add(patience))
	close(asked)
	if head := c.head(); head != "HTTP/1.1 100 Continue\r\n" {
		t.Fatalf("interim response\n%s", head)
	}
	c.send("hello")
	if res, _, err := c.response("PUT"); err != nil || res.StatusCode != 200 || res.Close {
		t.Fatal(res, err)
	}
}

func TestContinueRefused(t *testing.T) {
	for _, status := range []int{401, 417} {
		e := endpoint(t, func(_ int, c *wire) {
			c.head()
			c.send("HTTP/1.1 %d No\r\nContent-Length: 2\r\n\r\nno", status)
			c.rest()
		})
		c := dialWire(t, proxyTo(t, Config{}, e.addr))
		c.send(request("PUT", 5, "Expect: 100-continue"))
		res, body, err := c.response("PUT")
		if err != nil || res.StatusCode != status || body != "no" {
			t.Fatal(res, body, err)
		}
		if !res.Close {
			t.Error("the body may or may not follow: the connection must close")
		}
		c.wantEnd()
	}
}

func TestContinueNotAwaited(t *testing.T) {
	e := endpoint(t, func(_ int, c *wire) {
		for c.head() != "" {
			c.send("HTTP/1.1 100 Continue\r\n\r\n")
			if body := c.take(5); body != "hello" {
				t.Errorf("endpoint got %q", body)
			}
			c.send(okHello)
		}
	})
	c := dialWire(t, proxyTo(t, Config{}, e.addr))
	for range 3 {
		c.send(request("PUT", 5, "Expect: 100-continue") + "hello")
		head := c.head()
		if strings.HasPrefix(head, "HTTP/1.1 100") { // allowed, not needed
			head = c.head()
		}
		if !strings.HasPrefix(head, "HTTP/1.1 200") || c.take(5) != "hello" {
			t.Fatal(head)
		}
	}
}

func TestInterimResponses(t *testing.T) {
	e := endpoint(t, func(_ int, c *wire) {
		for c.head() != "" {
			c.send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nConnection: x-hop\r\nX-Hop: 1\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" + okHello)
		}
	})
	addr := proxyTo(t, Config{}, e.addr)
	c := dialWire(t, addr)
	for range 3 {
		c.send(get("/"))
		if head := c.head(); head != "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n" {
			t.Fatalf("%q", head)
		}
		if head := c.head(); head != "HTTP/1.1 102 Processing\r\n" {
			t.Fatalf("%q", head)
		}
		c.want("GET", 200)
	}
	old := dialWire(t, addr)
	old.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n")
	if body := old.want("GET", 200); body != "hello" {
		t.Fatal("HTTP/1.0 knows no interim responses")
	}
}

func TestEarlyResponseIsWhole(t *testing.T) {
	body := bytes.Repeat([]byte("0123456789abcdef"), 20_000)
	for name, framing := range map[string]string{
		"length":  fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body),
		"chunked": fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(body), body),
	} {
		t.Run(name, func(t *testing.T) {
			e := endpoint(t, func(_ int, c *wire) {
				c.head()
				c.send("%s", "HTTP/1.1 413 Too Much\r\n"+framing) // and reads no more
				<-t.Context().Done()
			})
			c := dialWire(t, proxyTo(t, Config{}, e.addr))
			c.send(request("POST", 500<<20))
			sent := make(chan struct{})
			go func() { // a client that sends for a long time, whatever it is told
				defer close(sent)
				block := make([]byte, 1<<20)
				for range 40 {
					if _, err := c.Write(block); err != nil {
						return
					}
				}
			}()
			res, got, err := c.response("POST")
			if err != nil || res.StatusCode != 413 || got != string(body) {
				t.Fatalf("%v, %d bytes, %v", res, len(got), err)
			}
			if !res.Close {
				t.Error("the connection must close")
			}
			c.Close()
			<-sent
		})
	}
}

func TestFullDuplex(t *testing.T) {
	e := endpoint(t, func(_ int, c *wire) {
		req, err := http.ReadRequest(c.in)
		if err != nil {
			return
		}
		c.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		p := make([]byte, 100)
		for {
			n, err := req.Body.Read(p)
			if n > 0 {
				c.send("%x\r\n%s\r\n", n, p[:n])
			}
			if err != nil {
				c.send("0\r\n\r\n")
				return
			}
		}
	})
	c := dialWire(t, proxyTo(t, Config{}, e.addr))
	c.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
	res, err := http.ReadResponse(c.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 50 { // each byte comes back before the next is sent
		c.send("1\r\n%c\r\n", 'a'+i%26)
		p := make([]byte, 1)
		if _, err := io.ReadFull(res.Body, p); err != nil || p[0] != byte('a'+i%26) {
			t.Fatalf("%q %v", p, err)
		}
	}
	c.send("0\r\n\r\n")
	if rest, err := io.ReadAll(res.Body); err != nil || len(rest) != 0 {
		t.Fatalf("%q %v", rest, err)
	}
}

// An endpoint that answers early and closes makes its kernel send RST; what has arrived before counts.
func TestEarlyResponseOfAnEndpointThatCloses(t *testing.T) {
	for name, body := range map[string]string{"length": request("POST", 50<<20), "chunked": "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"} {
		t.Run(name, func(t *testing.T) {
			e := endpoint(t, func(_ int, c *wire) {
				c.head()
				c.take(100_000) // more is on its way
				c.send("HTTP/1.1 413 Too Much\r\nContent-Length: 2\r\n\r\nno")
			})
			addr := proxyTo(t, Config{}, e.addr)
			for range 10 {
				c := dialWire(t, addr)
				c.send("%s", body)
				sent := make(chan struct{})
				go func() {
					defer close(sent)
					block := "100000\r\n" + strings.Repeat("x", 1<<20) + "\r\n"
					for range 20 {
						if !c.send("%s", block) {
							return
						}
					}
				}()
				if got := c.want("POST", 413); got != "no" {
					t.Fatal(got)
				}
				c.Close()
				<-sent
			}
		})
	}
}
