package http1

import (
	"context"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// outcome is what became of the bytes of one connection.
type outcome struct {
	seen     []entry // requests that the endpoint saw
	statuses []string
}

// refused reports whether the last answer was a refusal.
func (o outcome) refused() bool {
	return len(o.statuses) > 0 && o.statuses[len(o.statuses)-1][0] >= '4'
}

// differ has two gateways side by side: ours, and httputil.ReverseProxy behind a net/http server. Each has a ledger of its own.
type differ struct {
	t      *testing.T
	ours   *gateway
	theirs *pipeListener
	ledger ledger
}

// newDiffer must be called in a synctest bubble: idle connections end by timeout.
func newDiffer(t *testing.T) *differ {
	d := &differ{t: t, theirs: &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}}
	d.ours = newGateway(t, Config{Timeouts: Timeouts{Header: time.Second, Idle: time.Second, Body: time.Second, Linger: time.Second}})
	quiet := log.New(io.Discard, "", 0)
	transport := &http.Transport{DisableCompression: true, DialContext: func(context.Context, string, string) (net.Conn, error) {
		near, far := duplex()
		d.ledger.conns.Add(1)
		go d.ledger.serve(far)
		return near, nil
	}}
	srv := &http.Server{ReadTimeout: time.Second, IdleTimeout: time.Second, ErrorLog: quiet, Handler: &httputil.ReverseProxy{
		Transport: transport, ErrorLog: quiet,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", "endpoint"
			r.Out.URL.RawQuery = r.In.URL.RawQuery
		},
	}}
	go func() { _ = srv.Serve(d.theirs) }()
	t.Cleanup(func() {
		_ = srv.Close()
		transport.CloseIdleConnections()
		d.ledger.conns.Wait()
	})
	return d
}

// run sends in to both.
func (d *differ) run(in string) (ours, theirs outcome) {
	near, far := duplex()
	go d.ours.srv.ServeConn(near, 80, "http", func() {})
	ours.statuses = d.talk(far, in)
	ours.seen, _ = d.ours.check(d.t, in)
	near, far = duplex()
	d.theirs.conns <- near
	theirs.statuses = d.talk(far, in)
	theirs.seen, _ = d.ledger.take() // what net/http sends may well not be strict
	return ours, theirs
}

// talk sends in, waits for the other side to close and returns the statuses it answered with.
func (d *differ) talk(far *duplexEnd, in string) []string {
	go func() { _, _ = io.WriteString(far, in) }()
	out, _ := io.ReadAll(far)
	_ = far.Close()
	synctest.Wait()
	statuses, _ := responses(string(out))
	return statuses
}

// pipeListener is a net.Listener for connections in memory.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{} }

// bytewise escapes what is no URI character, as net/url does.
var bytewise = strings.NewReplacer(`"`, "%22", "<", "%3C", ">", "%3E", "^", "%5E", "`", "%60", "{", "%7B", "|", "%7C", "}", "%7D")

// sense is what a request means to the endpoint, whatever the form: names in lower case and sorted, the path in normal form, and
// without what each proxy says of its own connection.
func (e entry) sense() string {
	path, query, has := strings.Cut(e.target, "?")
	if p, err := normalizePath([]byte(path)); err == nil {
		path = bytewise.Replace(string(p))
	}
	var fields []string
	for _, f := range e.without("Connection", "TE", "Upgrade", "Expect", "Trailer", "User-Agent") {
		name, value, _ := strings.Cut(f, ": ")
		fields = append(fields, strings.ToLower(name)+": "+value)
	}
	slices.SortStableFunc(fields, func(a, b string) int { // lines of one name keep their order
		a, _, _ = strings.Cut(a, ":")
		b, _, _ = strings.Cut(b, ":")
		return strings.Compare(a, b)
	})
	host := strings.ToLower(e.host)
	if host == "endpoint" { // net/http's way to pass on that there was none
		host = ""
	}
	return fmt.Sprintf("%s %s?%s(%v) at %s, %q, %q", e.method, path, query, has, host, fields, e.body)
}

func senses(seen []entry) (s []string) {
	for _, e := range seen {
		s = append(s, e.sense())
	}
	return s
}

// TestStricterThanNetHTTP lists what this engine refuses although net/http and httputil.ReverseProxy pass it on.
func TestStricterThanNetHTTP(t *testing.T) {
	const content = "0\r\n\r\n"
	synctest.Test(t, func(t *testing.T) {
		d := newDiffer(t)
		for _, c := range []struct{ reason, in string }{
			{"RFC 9112 section 6.1: both framings are an attack more often than not", post("Content-Length: 5", "Transfer-Encoding: chunked") + content},
			{"RFC 9110 section 8.6: equal lengths may be merged; we do not repair", post("Content-Length: 5", "Content-Length: 5") + content},
			{"RFC 9112 section 2.2: a recipient MAY take a bare LF; we do not", "GET / HTTP/1.1\nHost: h\n\n"},
			{"RFC 9112 section 2.2: the same within the head", "GET / HTTP/1.1\r\nHost: h\nA: b\r\n\r\n"},
			{"RFC 9112 section 5.2: a server may unfold or refuse; we refuse", get("A: b", " c")},
			{"RFC 9112 section 2.3: 1.1 and 1.0 are all there will be of 1.x", line("GET / HTTP/1.2")},
			{"names with _ pass for names with - behind CGI and its heirs", get("X_Real_IP: 127.0.0.1")},
			{"RFC 9112 section 3.2.2 lets the target win; whoever looks at Host only is deceived", absolute("http://i/", "h")},
			{"RFC 9112 section 3.2: an http URI always has a host", host("")},
			{"RFC 9110 section 7.6.1: Connection must not be used to remove what proxies say about a client", get("Connection: X-Forwarded-For")},
			{"the same for credentials", get("Connection: Authorization", "Authorization: Basic eA==")},
			{"RFC 3986 section 3.3: a climb above the root has no meaning", origin("/../a")},
			{"RFC 3986 section 3.3: a dot segment that a decoder further on would find", origin("/a/..%2fb")},
			{"the same for servers that cut parameters off", origin("/a/..;/b")},
			{"an encoded control character in a path has no use but injection", origin("/%00")},
			{"the same for line ends", origin("/%0d%0aA:b")},
			{"RFC 3986 section 2: a backslash is no URI character, and some take it for a slash", origin(`/a\b`)},
			{"RFC 3986 section 2: nor is a high byte", origin("/\xc3\xa9")},
			{"RFC 9112 section 3.2: a request target has no fragment", origin("/a#b")},
			{"RFC 9112 section 7.1: chunk sizes are digits only, padding is an old habit", post("Transfer-Encoding: chunked") + "1 \r\na\r\n0\r\n\r\n"},
			{"RFC 9110 section 6.5.1: framing has no place in trailers", post("Transfer-Encoding: chunked") + "0\r\nContent-Length: 5\r\n\r\n"},
			{"RFC 9112 section 7.1.1: an extension has a name", post("Transfer-Encoding: chunked") + "1;\r\na\r\n0\r\n\r\n"},
			{"RFC 3986 section 3.2.3: no port beyond 65535", host("h:99999")},
			{"RFC 3986 section 3.2.2: brackets hold an IPv6 address", host("[:::::]")},
			{"RFC 9112 section 3.2.4: OPTIONS * is for the proxy itself, which has nothing to tell", line("OPTIONS * HTTP/1.1")},
			{"RFC 9110 section 7.8: Connection options are tokens", get("Connection: a b")},
		} {
			ours, theirs := d.run(c.in)
			if len(ours.seen) > 0 || !ours.refused() {
				t.Errorf("%s: %q: ours answers %q, the endpoint saw %v", c.reason, c.in, ours.statuses, ours.seen)
			}
			if len(theirs.seen) != 1 && theirs.refused() {
				t.Errorf("%s: %q: net/http answers %q, the endpoint saw %v: not to be listed here", c.reason, c.in, theirs.statuses, theirs.seen)
			}
		}
	})
}

// TestLaxerThanNetHTTP lists what this engine accepts although net/http refuses it.
func TestLaxerThanNetHTTP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDiffer(t)
		for _, c := range []struct{ reason, in string }{
			{"RFC 9112 section 2.2: a server SHOULD ignore an empty line before a request", "\r\n" + get()},
		} {
			ours, theirs := d.run(c.in)
			if len(ours.seen) != 1 {
				t.Errorf("%s: %q: ours answers %q", c.reason, c.in, ours.statuses)
			}
			if len(theirs.seen) > 0 {
				t.Errorf("%s: %q: net/http answers %q, the endpoint saw %v: not to be listed here", c.reason, c.in, theirs.statuses, theirs.seen)
			}
		}
	})
}

// TestDifferential: of generated connections, what both accept is the same requests with the same meaning, and what we accept they
// accept.
func TestDifferential(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDiffer(t)
		random := rand.New(rand.NewPCG(3, 4))
		both, stricter := 0, 0
		for range 4000 {
			var in strings.Builder
			for range 1 + random.IntN(3) {
				in.WriteString(randomRequest(random))
			}
			ours, theirs := d.run(in.String())
			a, b := senses(ours.seen), senses(theirs.seen)
			n := min(len(a), len(b))
			switch {
			case !slices.Equal(a[:n], b[:n]):
				t.Fatalf("%q:\nours   %q\ntheirs %q", in.String(), a, b)
			case len(a) != len(b) && severalConnections(in.String()):
			case len(a) > n:
				t.Fatalf("%q: ours accepts more:\nours   %q\ntheirs %q, %q", in.String(), a, b, theirs.statuses)
			case len(b) > n && !ours.refused():
				t.Fatalf("%q: ours lost a request:\nours   %q, %q\ntheirs %q", in.String(), a, ours.statuses, b)
			case len(b) > n:
				stricter++
			case n > 0:
				both++
			}
		}
		t.Logf("%d connections with the same requests, %d where ours refuses more", both, stricter)
		if both < 500 || stricter < 500 {
			t.Errorf("the generator does not reach enough: %d and %d", both, stricter)
		}
	})
}

// severalConnections reports whether in may have a request in HTTP/1.0 with more than one Connection line: net/http goes by the first
// (RFC 9110 section 7.6.1: they are one list), and so may end the connection earlier or later.
func severalConnections(in string) bool {
	return strings.Contains(in, "HTTP/1.0") && strings.Count(in, "Connection:") > 1
}

// randomRequest makes a request, usually one that is valid.
func randomRequest(random *rand.Rand) string {
	pick := func(odd int, usual, rare []string) string {
		if random.IntN(odd) == 0 {
			return rare[random.IntN(len(rare))]
		}
		return usual[random.IntN(len(usual))]
	}
	var b strings.Builder
	b.WriteString(pick(20, []string{"GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "M-SEARCH", "get"}, []string{"G T", "", "GE\x00T", "CONNECT", "POST\t", "(x)"}))
	b.WriteString(" ")
	b.WriteString(pick(8, []string{"/", "/a", "/a/b?c=d", "/a%20b", "/%41?x=%zz", "/a/./b", "/a//b/../c", "/?", "/a%2Fb", "/~a;b=c", "http://h/x"},
		[]string{"", "*", "//h/x", "/../x", "/a/..%2f", "/\x7f", "/a#b", "http://i/", "http://h", "http://h?q", "x", "/%", "/a|b", "/a\"b", "/?a;b&c"}))
	b.WriteString(pick(20, []string{" HTTP/1.1", " HTTP/1.1", " HTTP/1.1", " HTTP/1.0"}, []string{"", " HTTP/2.0", "  HTTP/1.1", " http/1.1", " HTTP/1.1 ", " HTTP/1.3"}))
	end := func() string { return pick(60, []string{"\r\n"}, []string{"\n", "\r", "\r\r\n", "\r\n ", "\n\r\n"}) }
	b.WriteString(end())
	b.WriteString(pick(20, []string{"Host: h", "host:h", "HOST: h "}, []string{"", "Host: i", "Host: a b", "Host: h\r\nHost: h", "Host:", "Host : h", "Host: h:80", "Host: H", "Host: u@h"}))
	b.WriteString(end())
	for range random.IntN(4) {
		b.WriteString(pick(12, []string{"A: b", "a:c", "X-Long: d  e", "Accept: */*", "Cookie: a=b; c=d", "TE: trailers", "Connection: keep-alive", "Keep-Alive: x", "X-Empty:", "A: \xe9"},
			[]string{"A : b", " A: b", "A", ": b", "A_B: c", "A: \x01", "Connection: close", "Connection: A", "Connection: cookie", "Expect: x", "Proxy-Connection: x", "A\x00: b", "Connection: a, keep-alive, x-long"}))
		b.WriteString(end())
	}
	content := pick(12, []string{"5\r\nhello\r\n0\r\n\r\n", "1;a=b\r\nx\r\n0\r\n\r\n", "0\r\n\r\n", "0\r\nT: u\r\n\r\n"},
		[]string{"5\nhello\r\n0\r\n\r\n", "5\r\nhello0\r\n\r\n", "-1\r\n", "5 \r\nhello\r\n0\r\n\r\n", "1;\r\nx\r\n0\r\n\r\n", "g\r\n", "0\r\n\n", "1;a\nb\r\nx\r\n0\r\n\r\n"})
	switch random.IntN(6) {
	case 0, 1:
		fmt.Fprintf(&b, "%s%s%s%s", pick(8, []string{"Transfer-Encoding: chunked", "transfer-encoding:Chunked"},
			[]string{"Transfer-Encoding: chunked, chunked", "Transfer-Encoding: x", "Transfer-Encoding: \vchunked", "Transfer-Encoding : chunked", "Transfer-Encoding: chunked\r\nContent-Length: 5", "Transfer-Encoding:\r\n chunked", "Transfer-Encoding: gzip, chunked"}),
			end(), end(), content)
	case 2, 3:
		n := len(content) + offset(random)
		fmt.Fprintf(&b, "%s%s%s%s", pick(8, []string{fmt.Sprint("Content-Length: ", n), fmt.Sprint("content-length:0", n)},
			[]string{fmt.Sprint("Content-Length: +", n), fmt.Sprintf("Content-Length: %d, %[1]d", n), fmt.Sprintf("Content-Length: %d\r\nContent-Length: %[1]d", n), "Content-Length:", fmt.Sprint("Content-Length : ", n)}),
			end(), end(), content)
	default:
		b.WriteString(end())
	}
	return b.String()
}

// offset is how much a Content-Length is off: usually nothing. It leaves no empty line before the next request (TestLaxerThanNetHTTP).
func offset(random *rand.Rand) int {
	if random.IntN(8) > 0 {
		return 0
	}
	return []int{-3, -1, 1, 2, 3}[random.IntN(5)]
}
