package server

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy/telemetry"
)

// noise is size bytes that do not repeat soon, the same for the same seed.
func noise(seed uint64, size int64) io.Reader {
	var key [32]byte
	key[0] = byte(seed)
	return io.LimitReader(rand.NewChaCha8(key), size)
}

func sumOf(r io.Reader) (hash.Hash, int64, error) {
	h := sha256.New()
	n, err := io.Copy(h, r)
	return h, n, err
}

// chunker writes each block as a chunk.
type chunker struct{ w io.Writer }

func (c chunker) Write(p []byte) (int, error) {
	if _, err := fmt.Fprintf(c.w, "%x\r\n", len(p)); err != nil {
		return 0, err
	}
	if _, err := c.w.Write(p); err != nil {
		return 0, err
	}
	_, err := io.WriteString(c.w, "\r\n")
	return len(p), err
}

// plain hides that a connection is a *net.TCPConn, so that bodies are copied rather than spliced.
type plain struct{ net.Conn }

type plainListener struct{ net.Listener }

func (l plainListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return plain{c}, nil
}

// proxyWithCopies is proxyTo, but that nothing is spliced.
func proxyWithCopies(t *testing.T, addrs ...string) string {
	t.Helper()
	var ln net.Listener
	s := New(Config{Listen: func(uint16) (net.Listener, error) {
		var err error
		ln, err = net.Listen("tcp", "127.0.0.1:0")
		return plainListener{ln}, err
	}})
	t.Cleanup(func() { _ = s.Shutdown(t.Context()) })
	if err := s.Apply(snapshotOf(backendOf("web", addrs...))); err != nil {
		t.Fatal(err)
	}
	return ln.Addr().String()
}

func TestBodiesAreNotAltered(t *testing.T) {
	sizes := []int64{1, 8 << 10, 64<<10 - 1, 64 << 10, 64<<10 + 1, 5<<20 + 3}
	for _, splice := range []bool{true, false} {
		for _, framing := range []string{"length", "chunked"} {
			t.Run(fmt.Sprintf("splice=%v,%s", splice, framing), func(t *testing.T) {
				// The endpoint answers with as much noise as it got, framed alike, and says what it got in a field.
				e := endpoint(t, func(_ int, c *wire) {
					for {
						head := c.head()
						if head == "" {
							return
						}
						var size int64
						_, value, _ := strings.Cut(head, "X-Size: ")
						_, _ = fmt.Sscan(value, &size)
						body := io.LimitReader(c.in, size)
						if framing == "chunked" {
							body = newChunkedReader(c)
						}
						h, n, err := sumOf(body)
						if n != size || err != nil {
							t.Errorf("endpoint got %d of %d bytes, %v", n, size, err)
						}
						if framing == "chunked" {
							c.send("HTTP/1.1 200 OK\r\nX-Sum: %x\r\nTransfer-Encoding: chunked\r\n\r\n", h.Sum(nil))
							io.CopyBuffer(chunker{c.TCPConn}, noise(2, size), make([]byte, 10_000))
							c.send("0\r\n\r\n")
							continue
						}
						c.send("HTTP/1.1 200 OK\r\nX-Sum: %x\r\nContent-Length: %d\r\n\r\n", h.Sum(nil), size)
						io.Copy(c.TCPConn, noise(2, size))
					}
				})
				addr := ""
				if splice {
					addr = proxyTo(t, Config{}, e.addr)
				} else {
					addr = proxyWithCopies(t, e.addr)
				}
				c := dialWire(t, addr)
				for _, size := range sizes {
					go func() {
						if framing == "chunked" {
							c.send("POST / HTTP/1.1\r\nHost: a\r\nX-Size: %d\r\nTransfer-Encoding: chunked\r\n\r\n", size)
							io.CopyBuffer(chunker{c.TCPConn}, noise(1, size), make([]byte, 3_000))
							c.send("0\r\n\r\n")
							return
						}
						c.send("POST / HTTP/1.1\r\nHost: a\r\nX-Size: %d\r\nContent-Length: %d\r\n\r\n", size, size)
						io.Copy(c.TCPConn, noise(1, size))
					}()
					res, body, err := c.response("POST")
					if err != nil || int64(len(body)) != size {
						t.Fatalf("%v: %d of %d bytes, %v", res, len(body), size, err)
					}
					up, _, _ := sumOf(noise(1, size))
					down, _, _ := sumOf(noise(2, size))
					got := sha256.Sum256([]byte(body))
					if res.Header.Get("X-Sum") != fmt.Sprintf("%x", up.Sum(nil)) || !bytes.Equal(got[:], down.Sum(nil)) {
						t.Fatalf("%d bytes were altered", size)
					}
				}
			})
		}
	}
}

// newChunkedReader reads a chunked body to its end, and not a byte further.
func newChunkedReader(c *wire) io.Reader { return &chunkedReader{c: c} }

type chunkedReader struct {
	c    *wire
	left int64
	end  bool
}

func (r *chunkedReader) Read(p []byte) (int, error) {
	if r.end {
		return 0, io.EOF
	}
	if r.left == 0 {
		var size int64
		line, err := r.c.in.ReadString('\n')
		if err != nil {
			return 0, io.ErrUnexpectedEOF
		}
		if _, err := fmt.Sscanf(line, "%x\r\n", &size); err != nil {
			return 0, err
		}
		if size == 0 {
			r.end = true
			_, err := r.c.in.ReadString('\n')
			if err != nil {
				return 0, err
			}
			return 0, io.EOF
		}
		r.left = size
	}
	n, err := r.c.in.Read(p[:min(int64(len(p)), r.left)])
	if r.left -= int64(n); r.left == 0 && err == nil {
		var crlf [2]byte
		if _, err := io.ReadFull(r.c.in, crlf[:]); err != nil || string(crlf[:]) != "\r\n" {
			return n, errors.New("no CRLF behind the chunk")
		}
	}
	return n, err
}

// A body is streamed, never kept: the side that is slow holds the other back.
func TestBackPressure(t *testing.T) {
	for name, upload := range map[string]bool{"upload": true, "download": false} {
		size := 64 << 20
		if upload {
			size = 200 << 20
		}
		for _, splice := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s,splice=%v", name, splice), func(t *testing.T) {
				proceed := make(chan struct{})
				slowly := func(c *wire) int64 { // reads nothing for a while, then all
					<-proceed
					n, _ := io.CopyN(io.Discard, c.in, int64(size))
					return n
				}
				e := endpoint(t, func(_ int, c *wire) {
					c.head()
					if upload {
						c.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n%09d", slowly(c))
						return
					}
					c.send("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", size)
					block := make([]byte, 1<<20)
					for range size / len(block) {
						if _, err := c.Write(block); err != nil {
							return
						}
					}
				})
				addr := ""
				if splice {
					addr = proxyTo(t, Config{}, e.addr)
				} else {
					addr = proxyWithCopies(t, e.addr)
				}
				before := heap()
				c := dialWire(t, addr)
				moved := make(chan int64, 1)
				if upload {
					c.send(request("POST", size))
					go func() {
						block := make([]byte, 1<<20)
						n := int64(0)
						for n < int64(size) {
							m, err := c.Write(block)
							n += int64(m)
							if err != nil {
								break
							}
						}
						moved <- n
					}()
				} else {
					c.send(get("/"))
					c.head()
					go func() { moved <- slowly(c) }()
				}
				select { // sockets hold some megabytes; the rest has to wait
				case n := <-moved:
					t.Fatalf("%d bytes went although nobody reads them", n)
				case <-time.After(300 * time.Millisecond):
				}
				if grown := int64(heap()) - int64(before); grown > 8<<20 {
					t.Errorf("the heap has grown by %d KiB", grown>>10)
				}
				close(proceed)
				if n := within(t, "the transfer", moved); n != int64(size) {
					t.Fatalf("%d of %d bytes", n, size)
				}
				if upload {
					if body := c.want("POST", 200); body != fmt.Sprintf("%09d", size) {
						t.Fatal(body)
					}
				}
				if grown := int64(heap()) - int64(before); grown > 8<<20 {
					t.Errorf("the heap has grown by %d KiB", grown>>10)
				}
			})
		}
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// A response that breaks off must look so to the client, whatever its framing.
func TestTruncatedResponseNeverLooksComplete(t *testing.T) {
	big := strings.Repeat("x", 300_000)
	for name, answer := range map[string]string{
		"length, nothing":      "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n",
		"length, some":         "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
		"length, spliced":      "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + big,
		"chunked, nothing":     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		"chunked, in a size":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5",
		"chunked, in a chunk":  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhello",
		"chunked, after one":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
		"chunked, no end":      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
		"chunked, in trailers": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 7\r\n",
		"chunked, malformed":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n\r\n",
	} {
		for _, reset := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s,reset=%v", name, reset), func(t *testing.T) {
				e := endpoint(t, func(_ int, c *wire) {
					c.head()
					c.send("%s", answer)
					if reset {
						time.Sleep(20 * time.Millisecond) // so that something has been passed on before
						_ = c.SetLinger(0)
					}
				})
				c := dialWire(t, proxyTo(t, Config{}, e.addr))
				c.send(get("/"))
				if res, body, err := c.response("GET"); err == nil {
					t.Fatalf("a whole response: %v, %d bytes", res, len(body))
				}
			})
		}
	}
}

func TestMalformedResponseIs502(t *testing.T) {
	for name, answer := range map[string]string{
		"no response":        "",
		"garbage":            "SSH-2.0-OpenSSH_9.2\r\n",
		"bad version":        "HTTP/2.0 200 OK\r\n\r\n",
		"bad status":         "HTTP/1.1 2x0 OK\r\n\r\n",
		"bare LF":            "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
		"two lengths":        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
		"length and coding":  "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
		"unknown coding":     "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
		"space before colon": "HTTP/1.1 200 OK\r\nX-A : b\r\n\r\n",
		"obs-fold":           "HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\n\r\n",
		"NUL":                "HTTP/1.1 200 OK\r\nX-A: b\x00\r\n\r\n",
		"head breaks off":    "HTTP/1.1 200 OK\r\nX-A: b",
		"huge head":          "HTTP/1.1 200 OK\r\nX-A: " + strings.Repeat("a", 70_000) + "\r\n\r\n",
		"many fields":        "HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", 200) + "\r\n",
		"many interim":       strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 40) + okHello,
	} {
		t.Run(name, func(t *testing.T) {
			e := endpoint(t, func(_ int, c *wire) {
				c.head()
				c.send("%s", answer)
				c.CloseWrite()
				c.rest()
			})
			c := dialWire(t, proxyTo(t, Config{}, e.addr))
			c.send(get("/"))
			res, body, err := c.response("GET")
			for err == nil && res.StatusCode == 103 {
				res, body, err = c.response("GET")
			}
			if err != nil || res.StatusCode != 502 || body != "Bad Gateway: the endpoint did not give a valid response\n" {
				t.Fatal(res, body, err)
			}
			if res.Close {
				t.Error("the client's connection need not close for that")
			}
		})
	}
}

func TestMalformedRequestBodyIs400(t *testing.T) {
	for name, streamed := range map[string]bool{"before the response": false, "while it is passed on": true} {
		t.Run(name, func(t *testing.T) {
			ended := make(chan error, 1)
			e := endpoint(t, func(_ int, c *wire) {
				c.head()
				rest, _ := c.rest()
				if strings.HasSuffix(rest, "0\r\n\r\n") {
					ended <- fmt.Errorf("endpoint got a whole request: %q", rest)
					return
				}
				ended <- nil
			})
			c := dialWire(t, proxyTo(t, Config{}, e.addr))
			c.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
			if streamed {
				c.send("5\r\nhello\r\n")
				time.Sleep(20 * time.Millisecond)
			}
			c.send("x\r\n")
			c.want("POST", 400)
			c.wantEnd()
			if err := within(t, "the endpoint's end", ended); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestRefusedRequestBodyIsCounted(t *testing.T) {
	const chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
	for name, c := range map[string]struct {
		sent   string
		status int
		reason string
	}{
		"malformed from the beginning": {chunked + "zz\r\n", 400, "malformed_body"},
		"malformed later":              {chunked + "5\r\nhello\r\nzz\r\n", 400, "malformed_body"},
		"too slow":                     {request("POST", 5) + "he", 408, "slow_client"},
		"too slow, chunked":            {chunked + "5\r\nhe", 408, "slow_client"},
	} {
		t.Run(name, func(t *testing.T) {
			e := endpoint(t, func(_ int, c *wire) { _, _ = c.rest() })
			cfg := Config{Metrics: telemetry.New()}
			if c.status == 408 {
				cfg.Timeouts.Body = time.Millisecond
			}
			w := dialWire(t, proxyTo(t, cfg, e.addr))
			w.send("%s", c.sent)
			w.want("POST", c.status)
			for _, reason := range []string{"malformed_body", "slow_client", "malformed_head"} {
				want := 0
				if reason == c.reason {
					want = 1
				}
				if line := fmt.Sprintf("requests_refused_total{reason=%q} %d\n", reason, want); !strings.Contains(scrape(t, cfg.Metrics), line) {
					t.Errorf("there is no %s", line)
				}
			}
		})
	}
}
