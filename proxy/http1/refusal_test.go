package http1

import (
	"fmt"
	"strings"
	"testing"
)

// refusedOnTheWire has one request for each refusal.
var refusedOnTheWire = []headCase{
	refuses("request line", line("GET /"), errRequestLine),
	refuses("method", line("G(T / HTTP/1.1"), errMethod),
	refuses("CONNECT", lines("CONNECT h:443 HTTP/1.1", "Host: h:443"), errConnectMethod),
	refuses("version", line("GET / HTTP/2.0"), errVersion),
	refuses("long request line", line("GET /"+strings.Repeat("a", 9000)+" HTTP/1.1"), errURITooLong),
	refuses("large head", get("A: "+strings.Repeat("a", 40000), "B: "+strings.Repeat("b", 40000)), errHeadTooLarge),
	refuses("many fields", get(strings.Split(strings.Repeat("A: b,", 100)+"A: b", ",")...), errTooManyFields),
	refuses("bare LF", "GET / HTTP/1.1\nHost: h\n\n", errLineEnd),
	refuses("bare CR", "GET / HTTP/1.1\rHost: h\r\r", errLineEnd),
	refuses("field name", get("A : b"), errFieldName),
	refuses("underscore", get("A_B: c"), errUnderscore),
	refuses("field value", get("A: \x00"), errFieldValue),
	refuses("obs-fold", get("A: b", " c"), errObsFold),
	refuses("no Host", lines("GET / HTTP/1.1"), errHostMissing),
	refuses("two Hosts", get("Host: i"), errHostDuplicate),
	refuses("bad Host", host("a b"), errHostInvalid),
	refuses("another Host", absolute("http://i/", "h"), errHostMismatch),
	refuses("target", absolute("*", "h"), errTarget),
	refuses("escape", origin("/%00"), errPathEscape),
	refuses("traversal", origin("/../etc/passwd"), errPathTraversal),
	refuses("length", post("Content-Length: +5")+"hello", errLengthInvalid),
	refuses("two lengths", post("Content-Length: 5", "Content-Length: 5")+"hello", errLengthDuplicate),
	refuses("length and coding", post("Content-Length: 5", "Transfer-Encoding: chunked")+"0\r\n\r\n", errLengthAndCoding),
	refuses("coding", post("Transfer-Encoding: xchunked")+"0\r\n\r\n", errCodingInvalid),
	refuses("unknown coding", post("Transfer-Encoding: gzip, chunked")+"0\r\n\r\n", errCodingUnknown),
	refuses("coding in HTTP/1.0", lines("POST / HTTP/1.0", "Host: h", "Transfer-Encoding: chunked")+"0\r\n\r\n", errCodingOld),
	refuses("Connection option", get("Connection: X-Forwarded-For"), errConnectionOption),
	refuses("many Connection options", get("Connection: "+options(17)), errTooManyOptions),
	refuses("expectation", post("Content-Length: 5", "Expect: magic")+"hello", errExpectation),
}

// TestRefusalOnTheWire: a refused request gets one explicit answer that says the connection closes, it closes, and neither the request nor
// what follows it reaches the Handler, however the bytes arrive.
func TestRefusalOnTheWire(t *testing.T) {
	g := newGateway(t, Config{})
	const behind = "GET /behind HTTP/1.1\r\nHost: h\r\n\r\n"
	for _, c := range refusedOnTheWire {
		t.Run(c.name, func(t *testing.T) {
			check := func(how string, before int, parts ...string) {
				t.Helper()
				got, rest := responses(g.exchange(parts...))
				want := append(strings.Split(strings.Repeat("200,", before), ",")[:before], fmt.Sprint(c.err.Status, " close"))
				if fmt.Sprint(got) != fmt.Sprint(want) || rest != "" {
					t.Fatalf("%s: responses %q and %q, want %q", how, got, rest, want)
				}
				seen, refused := g.check(t, c.head)
				if len(seen) != before || len(refused) != 1 || refused[0] != c.err {
					t.Fatalf("%s: %d requests passed, refused %v, want %d and %v", how, len(seen), refused, before, c.err)
				}
			}
			check("alone", 0, c.head)
			check("with another behind", 0, c.head+behind)
			check("behind another", 1, get()+c.head)
			check("behind two with content", 2, post("Content-Length: 5")+"hello"+post("Transfer-Encoding: chunked")+"5\r\nhello\r\n0\r\n\r\n"+c.head)
			if len(c.head) < 10000 {
				check("byte by byte", 0, strings.Split(c.head+behind, "")...)
			}
		})
	}
}

// TestBadContentOnTheWire: content that is refused on its way ends both connections; the endpoint never takes it for complete.
func TestBadContentOnTheWire(t *testing.T) {
	g := newGateway(t, Config{})
	chunked := post("Transfer-Encoding: chunked")
	for _, c := range []struct{ name, in string }{
		{"chunk size", chunked + "x\r\nhello\r\n0\r\n\r\n"},
		{"chunk size later", chunked + "5\r\nhello\r\n-1\r\n"},
		{"chunk too long", chunked + "4\r\nhello\r\n0\r\n\r\n"},
		{"bare LF", chunked + "5\nhello\n0\n\n"},
		{"forbidden trailer", chunked + "0\r\nContent-Length: 5\r\n\r\n"},
		{"truncated chunk", chunked + "5\r\nhel"},
		{"truncated before the last chunk", chunked + "5\r\nhello\r\n"},
		{"truncated in the trailer", chunked + "5\r\nhello\r\n0\r\nA: b\r\n"},
		{"truncated content", post("Content-Length: 500") + "hello"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, parts := range [][]string{{c.in}, strings.Split(c.in, "")} {
				out := g.exchange(parts...)
				got, rest := responses(out)
				want := "[400 close]"
				if strings.HasPrefix(c.name, "truncated") { // the client has gone: there is nobody to answer
					want = "[]"
				}
				if fmt.Sprint(got) != want || rest != "" {
					t.Fatalf("responses %q and %q, want %s", got, rest, want)
				}
				if seen, _ := g.check(t, c.in); len(seen) > 0 {
					t.Fatalf("the endpoint saw %v", seen)
				}
			}
		})
	}
}

// TestPipelineOnTheWire: requests that arrive together, byte by byte or split anywhere are the same requests.
func TestPipelineOnTheWire(t *testing.T) {
	g := newGateway(t, Config{})
	in := get("A: 1") +
		"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello" +
		"\r\nPOST /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nT: u\r\n\r\n" +
		"\r\n\r\nPUT /c?d HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n" +
		"GET /last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n" +
		"GET /never HTTP/1.1\r\nHost: h\r\n\r\n"
	want := fmt.Sprint([]entry{
		{method: "GET", target: "/", host: "h", fields: []string{"A: 1"}},
		{method: "POST", target: "/a", host: "h", body: "hello"},
		{method: "POST", target: "/b", host: "h", body: "abcde", trailer: []string{"T: u"}},
		{method: "PUT", target: "/c?d", host: "h"},
		{method: "GET", target: "/last", host: "h"},
	})
	check := func(how string, parts ...string) {
		t.Helper()
		got, rest := responses(g.exchange(parts...))
		if fmt.Sprint(got) != "[200 200 200 200 200 close]" || rest != "" {
			t.Fatalf("%s: responses %q and %q", how, got, rest)
		}
		if seen, _ := g.check(t, how); fmt.Sprint(seen) != want {
			t.Fatalf("%s: the endpoint saw\n%v, want\n%v", how, seen, want)
		}
	}
	check("in one piece", in)
	check("byte by byte", strings.Split(in, "")...)
	for at := 1; at < len(in); at++ {
		check(fmt.Sprint("split at ", at), in[:at], in[at:])
	}
}

func TestRFC9110Section9RefusalOfHEADHasNoContent(t *testing.T) {
	g := newGateway(t, Config{})
	for _, in := range []string{lines("HEAD / HTTP/1.1"), "\r\n" + lines("HEAD / HTTP/1.1")} {
		out := g.exchange(in)
		head, content, _ := strings.Cut(out, "\r\n\r\n")
		if !strings.HasPrefix(head, "HTTP/1.1 400 Bad Request\r\n") || !strings.Contains(head, "\r\nContent-Length: ") || content != "" {
			t.Errorf("got %q", out)
		}
	}
}

func TestRFC9110Section15RefusalOfCONNECTNamesMethods(t *testing.T) {
	out := newGateway(t, Config{}).exchange(lines("CONNECT h:443 HTTP/1.1", "Host: h:443"))
	if !strings.HasPrefix(out, "HTTP/1.1 405 Method Not Allowed\r\n") || !strings.Contains(out, "\r\nAllow: GET, ") {
		t.Errorf("got %q", out)
	}
}
