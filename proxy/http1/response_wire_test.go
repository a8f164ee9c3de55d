package http1

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"
)

// scripted makes g's endpoints read one request each, answer it with parts, one write each, and close. It returns how many requests
// they have read so far.
func scripted(g *gateway, parts *[]string) (requests *int) {
	requests = new(int)
	g.dial = func() net.Conn {
		near, far := duplex()
		script := *parts
		*requests++
		g.ledger.conns.Add(1)
		go func() {
			defer g.ledger.conns.Done()
			defer far.Close()
			if _, err := readEntry(bufio.NewReader(far)); err != nil {
				return
			}
			for _, p := range script {
				if _, err := io.WriteString(far, p); err != nil {
					return
				}
			}
		}()
		return near
	}
	return requests
}

// received is what a client makes of a response: "status content trailer", with interim responses before.
func received(out, method string) string {
	in, text := bufio.NewReader(strings.NewReader(out)), ""
	for {
		res, err := http.ReadResponse(in, &http.Request{Method: method})
		if err != nil {
			return text + err.Error()
		}
		content, err := io.ReadAll(res.Body)
		text += fmt.Sprintf("%d %q", res.StatusCode, content)
		for name, values := range res.Trailer {
			text += fmt.Sprintf(" %s=%q", name, values)
		}
		if err != nil {
			return text + " " + err.Error()
		}
		if res.StatusCode >= 200 {
			rest, _ := io.ReadAll(in)
			return text + string(rest)
		}
		text += ", "
	}
}

// TestResponseOnTheWire: a response comes out the same whether the endpoint sends it in one piece, byte by byte or in two parts.
func TestResponseOnTheWire(t *testing.T) {
	for _, c := range []struct{ name, method, response, want string }{
		{"length", "GET", ok("Content-Length: 5") + "hello", `200 "hello"`},
		{"no content", "GET", ok("Content-Length: 0"), `200 ""`},
		{"chunked", "GET", ok("Transfer-Encoding: chunked") + "3;a=\"b\"\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", `200 "hello"`},
		{"trailer", "GET", ok("Transfer-Encoding: chunked", "Trailer: T") + "5\r\nhello\r\n0\r\nT: u\r\n\r\n", `200 "hello" T=["u"]`},
		{"until close", "GET", ok() + "hello", `200 "hello"`},
		{"HTTP/1.0", "GET", lines("HTTP/1.0 200 OK") + "hello", `200 "hello"`},
		{"interim", "GET", status("103 Early Hints", "Link: </a>") + status("102 Processing") + ok("Content-Length: 5") + "hello", `103 "", 102 "", 200 "hello"`},
		{"204", "GET", status("204 No Content"), `204 ""`},
		{"304", "GET", status("304 Not Modified", "Content-Length: 5"), `304 ""`},
		{"HEAD", "HEAD", ok("Content-Length: 5"), `200 ""`},
		{"HEAD chunked", "HEAD", ok("Transfer-Encoding: chunked"), `200 ""`},
		{"something behind a response", "GET", ok("Content-Length: 5") + "hello" + ok("Content-Length: 4") + "evil", `200 "hello"`},
		{"something behind 204", "GET", status("204 No Content") + ok("Content-Length: 4") + "evil", `204 ""`},
		{"content behind the answer to HEAD", "HEAD", ok("Content-Length: 5") + "hello", `200 ""`},

		{"length and coding", "GET", ok("Content-Length: 5", "Transfer-Encoding: chunked") + "0\r\n\r\n", `502 ""`},
		{"two lengths", "GET", ok("Content-Length: 5", "Content-Length: 6") + "hello!", `502 ""`},
		{"unknown coding", "GET", ok("Transfer-Encoding: gzip, chunked") + "0\r\n\r\n", `502 ""`},
		{"space before colon", "GET", ok("A : b", "Content-Length: 0"), `502 ""`},
		{"obs-fold", "GET", ok("A: b", " c", "Content-Length: 0"), `502 ""`},
		{"bare LF", "GET", "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", `502 ""`},
		{"HTTP/0.9", "GET", "hello\r\n\r\n", `502 ""`},
		{"HTTP/2", "GET", "\x00\x00\x12\x04\x00\x00\x00\x00\x00\r\n\r\n", `502 ""`},
		{"unasked 101", "GET", status("101 Switching Protocols", "Connection: Upgrade", "Upgrade: h2c"), `502 ""`},
		{"nothing", "GET", "", `502 ""`},
		{"half a head", "GET", "HTTP/1.1 200 OK\r\nA: b\r\n", `502 ""`},
		{"half an interim head", "GET", status("103 Early Hints") + "HTTP/1.1 20", `103 "", 502 ""`},

		{"content too short", "GET", ok("Content-Length: 6") + "hello", `200 "hello" unexpected EOF`},
		{"chunk too short", "GET", ok("Transfer-Encoding: chunked") + "6\r\nhello", `200 "hello" unexpected EOF`},
		{"no last chunk", "GET", ok("Transfer-Encoding: chunked") + "5\r\nhello\r\n", `200 "hello" unexpected EOF`},
		{"bad chunk", "GET", ok("Transfer-Encoding: chunked") + "5\r\nhello\r\nx\r\n", `200 "hello" unexpected EOF`},
		{"forbidden trailer", "GET", ok("Transfer-Encoding: chunked") + "5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n", `200 "hello" unexpected EOF`},
	} {
		t.Run(c.name, func(t *testing.T) {
			g, parts := newGateway(t, Config{}), []string(nil)
			requests := scripted(g, &parts)
			for at := range len(c.response) + 1 {
				switch at {
				case 0:
					parts = []string{c.response}[:min(1, len(c.response))]
				case len(c.response):
					parts = strings.Split(c.response, "")
				default:
					parts = []string{c.response[:at], c.response[at:]}
				}
				before := *requests
				out := g.exchange(c.method + " / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
				got := received(out, c.method)
				if strings.HasSuffix(c.want, "unexpected EOF") { // how much content arrives before may differ
					got = got[strings.LastIndexByte(got, '"')+1:]
					if got != " unexpected EOF" {
						t.Fatalf("split at %d: received %q, want it cut off", at, out)
					}
				} else if got != c.want {
					t.Fatalf("split at %d: received %s, want %s", at, got, c.want)
				}
				if n := *requests - before; n > 1 {
					t.Fatalf("split at %d: %d requests were sent", at, n)
				}
				// What is behind a response would be taken for the next one.
				if at == 0 && len(g.idle) > 0 && strings.Contains(c.name, "behind") {
					t.Fatal("the upstream connection is kept")
				}
				for _, u := range g.idle {
					u.Close()
				}
				g.idle = nil
			}
			g.take()
		})
	}
}

// TestContentOnTheWire: content of any size arrives unaltered, however it is cut into chunks and writes.
func TestContentOnTheWire(t *testing.T) {
	g := newGateway(t, Config{})
	random := rand.New(rand.NewPCG(5, 6))
	for _, size := range []int{1, 511, 8000, 8192, 65535, 65536, 65537, 300_000} {
		content := make([]byte, size)
		for i := range content {
			content[i] = "0\r\n\r\nGET / ;"[random.IntN(12)]
		}
		var chunks bytes.Buffer
		for rest := content; len(rest) > 0; {
			n := min(len(rest), 1+random.IntN(1+random.IntN(1<<uint(random.IntN(18)))))
			fmt.Fprintf(&chunks, "%x\r\n%s\r\n", n, rest[:n])
			rest = rest[n:]
		}
		chunks.WriteString("0\r\nA: b\r\n\r\n")
		in := post(fmt.Sprint("Content-Length: ", size)) + string(content) + post("Transfer-Encoding: chunked") + chunks.String() + get()
		var parts []string
		for rest := in; len(rest) > 0; {
			n := min(len(rest), 1+random.IntN(1<<uint(random.IntN(17))))
			parts, rest = append(parts, rest[:n]), rest[n:]
		}
		for _, parts := range [][]string{{in}, parts} {
			got, rest := responses(g.exchange(parts...))
			if fmt.Sprint(got) != "[200 200 200]" || rest != "" {
				t.Fatalf("%d bytes: responses %q and %q", size, got, rest)
			}
			seen, _ := g.check(t, fmt.Sprint(size, " bytes"))
			if seen[0].body != string(content) || seen[1].body != string(content) || fmt.Sprint(seen[1].trailer) != "[A: b]" {
				t.Fatalf("%d bytes: the content was altered", size)
			}
		}
	}
}
