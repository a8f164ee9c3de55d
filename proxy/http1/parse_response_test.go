package http1

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// responseSummary shows all that parsing tells of a response: "status reason | framing | fields".
func responseSummary(r *proxy.Response, f *responseFraming) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %q | %d", r.Status, r.Reason, r.ContentLength)
	flag := func(on bool, name string) {
		if on {
			b.WriteString(" " + name)
		}
	}
	flag(f.keepAlive, "keep")
	flag(f.chunked, "chunked")
	flag(f.untilClose, "untilClose")
	flag(f.length != 0, fmt.Sprintf("length=%d", f.length))
	flag(f.upgrade, "upgrade")
	b.WriteString(" |")
	for _, h := range r.Header.Fields {
		fmt.Fprintf(&b, " %s=%q", h.Name, h.Value)
	}
	return b.String()
}

func parseResponseHead(head string, lim *Limits, toHead bool) (*proxy.Response, responseFraming, bool, error) {
	p := bytes.Clone([]byte(head))
	r := &proxy.Response{}
	f, more, err := parseResponse(p[:len(p):len(p)], r, lim, toHead)
	return r, f, more, err
}

// runResponses is runHeads for responses; toHead says that the request was HEAD.
func runResponses(t *testing.T, toHead bool, cases []headCase) {
	t.Helper()
	lim := Limits{AllowUnderscores: true}.withDefaults()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r, f, more, err := parseResponseHead(c.head, &lim, toHead)
			switch {
			case more:
				t.Fatalf("%q: wants more", c.head)
			case c.err != nil && err != error(c.err):
				t.Fatalf("%q: got %v, want %q", c.head, err, c.err)
			case c.err == nil && err != nil:
				t.Fatalf("%q: refused: %v", c.head, err)
			case c.err == nil && responseSummary(r, &f) != c.want:
				t.Fatalf("%q:\n got %s\nwant %s", c.head, responseSummary(r, &f), c.want)
			}
			end := len(c.head)
			if err == nil {
				end = f.size
			}
			for n := range end {
				if _, _, more, perr := parseResponseHead(c.head[:n], &lim, toHead); !more && (err == nil || perr != err) {
					t.Fatalf("%q: prefix of %d bytes: got %v, want more or %v", c.head, n, perr, err)
				}
			}
		})
	}
}

func ok(fields ...string) string { return status("200 OK", fields...) }

func status(s string, fields ...string) string {
	return lines(append([]string{"HTTP/1.1 " + s}, fields...)...)
}

func TestRFC9112Section4StatusLine(t *testing.T) {
	const empty = "Content-Length: 0"
	runResponses(t, false, []headCase{
		accepts("plain", status("200 OK", empty), `200 "OK" | 0 keep |`),
		accepts("reason of words", status("404 Not Found", empty), `404 "Not Found" | 0 keep |`),
		accepts("no reason", status("200 ", empty), `200 "" | 0 keep |`),
		accepts("neither reason nor space", status("200", empty), `200 "" | 0 keep |`),
		accepts("tab and high bytes in reason", status("200 a\t\xc3\xa9", empty), `200 "a\té" | 0 keep |`),
		accepts("a status nobody knows", status("799 X", empty), `799 "X" | 0 keep |`),
		accepts("HTTP/1.0", lines("HTTP/1.0 200 OK", empty), `200 "OK" | 0 |`),
		accepts("HTTP/1.0 keep-alive", lines("HTTP/1.0 200 OK", empty, "Connection: keep-alive"), `200 "OK" | 0 keep |`),
		refuses("status below 100", status("099 X"), errStatusLine),
		refuses("two digits", status("20 OK"), errStatusLine),
		refuses("four digits", status("2000 OK"), errStatusLine),
		refuses("signed status", status("+20 OK"), errStatusLine),
		refuses("no status", lines("HTTP/1.1 OK"), errStatusLine),
		refuses("two spaces", status(" 200 OK"), errStatusLine),
		refuses("tab behind status", status("200\tOK"), errStatusLine),
		refuses("control character in reason", status("200 a\x01"), errStatusLine),
		refuses("NUL in reason", status("200 \x00"), errStatusLine),
		refuses("HTTP/2", lines("HTTP/2.0 200 OK"), errStatusLine),
		refuses("HTTP/1.2", lines("HTTP/1.2 200 OK"), errStatusLine),
		refuses("lower case", lines("http/1.1 200 OK"), errStatusLine),
		refuses("HTTP/0.9", "<html>\r\n\r\n", errStatusLine),
		refuses("another protocol", "220 mail.example ESMTP\r\n\r\n", errStatusLine),
		refuses("empty line before", "\r\n"+ok(empty), errStatusLine),
		refuses("bare LF", "HTTP/1.1 200 OK\nContent-Length: 0\n\n", errLineEnd),
		refuses("bare CR in reason", status("200 a\rb"), errLineEnd),
	})
}

func TestRFC9112Section6ResponseFraming(t *testing.T) {
	runResponses(t, false, []headCase{
		accepts("length", ok("Content-Length: 5"), `200 "OK" | 5 keep length=5 |`),
		accepts("chunked", ok("Transfer-Encoding: Chunked"), `200 "OK" | -1 keep chunked |`),
		accepts("neither: until close", ok(), `200 "OK" | -1 untilClose |`),
		accepts("neither, with keep-alive", ok("Connection: keep-alive"), `200 "OK" | -1 untilClose |`),
		accepts("neither, HTTP/1.0", lines("HTTP/1.0 200 OK"), `200 "OK" | -1 untilClose |`),
		accepts("length and close", ok("Content-Length: 5", "Connection: close"), `200 "OK" | 5 length=5 |`),
		accepts("100", status("100 Continue"), `100 "Continue" | 0 keep |`),
		accepts("103 with fields", status("103 Early Hints", "Link: </a>"), `103 "Early Hints" | 0 keep | Link="</a>"`),
		accepts("100 with length", status("100 Continue", "Content-Length: 5"), `100 "Continue" | 0 keep |`),
		accepts("204", status("204 No Content"), `204 "No Content" | 0 keep |`),
		accepts("204 with length", status("204 No Content", "Content-Length: 5"), `204 "No Content" | 0 keep |`),
		accepts("204 chunked", status("204 No Content", "Transfer-Encoding: chunked"), `204 "No Content" | 0 keep |`),
		accepts("304", status("304 Not Modified"), `304 "Not Modified" | -1 keep |`),
		accepts("304 with length", status("304 Not Modified", "Content-Length: 5"), `304 "Not Modified" | 5 keep |`),
		accepts("304 chunked", status("304 Not Modified", "Transfer-Encoding: chunked"), `304 "Not Modified" | -1 keep |`),
		accepts("205 has a length like others", status("205 Reset Content", "Content-Length: 0"), `205 "Reset Content" | 0 keep |`),
		refuses("length and coding", ok("Content-Length: 5", "Transfer-Encoding: chunked"), errLengthAndCoding),
		refuses("coding and length", ok("Transfer-Encoding: chunked", "Content-Length: 5"), errLengthAndCoding),
		refuses("length and coding, 204", status("204 No Content", "Content-Length: 5", "Transfer-Encoding: chunked"), errLengthAndCoding),
		refuses("two equal lengths", ok("Content-Length: 5", "Content-Length: 5"), errLengthDuplicate),
		refuses("two lengths", ok("Content-Length: 5", "Content-Length: 6"), errLengthDuplicate),
		refuses("list of lengths", ok("Content-Length: 5, 5"), errLengthInvalid),
		refuses("signed length", ok("Content-Length: +5"), errLengthInvalid),
		refuses("empty length", ok("Content-Length:"), errLengthInvalid),
		refuses("huge length", ok("Content-Length: 99999999999999999999"), errLengthInvalid),
		refuses("gzip, chunked", ok("Transfer-Encoding: gzip, chunked"), errCodingUnknown),
		refuses("gzip", ok("Transfer-Encoding: gzip"), errCodingInvalid),
		refuses("identity", ok("Transfer-Encoding: identity"), errCodingInvalid),
		refuses("chunked twice", ok("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), errCodingInvalid),
		refuses("chunked in HTTP/1.0", lines("HTTP/1.0 200 OK", "Transfer-Encoding: chunked"), errCodingOld),
		refuses("obs-fold", ok("A: b", " c"), errObsFold),
		refuses("space before colon", ok("A : b"), errFieldName),
		refuses("NUL in value", ok("A: \x00"), errFieldValue),
	})
	t.Run("HEAD", func(t *testing.T) {
		runResponses(t, true, []headCase{
			accepts("length of what GET gets", ok("Content-Length: 5"), `200 "OK" | 5 keep |`),
			accepts("chunked", ok("Transfer-Encoding: chunked"), `200 "OK" | -1 keep |`),
			accepts("neither", ok(), `200 "OK" | -1 keep |`),
			accepts("404", status("404 Not Found", "Content-Length: 5"), `404 "Not Found" | 5 keep |`),
			refuses("length and coding", ok("Content-Length: 5", "Transfer-Encoding: chunked"), errLengthAndCoding),
		})
	})
}

func TestRFC9110Section7ResponseFields(t *testing.T) {
	const empty = "Content-Length: 0"
	runResponses(t, false, []headCase{
		accepts("hop-by-hop fields do not pass", ok(empty, "Keep-Alive: timeout=5", "Proxy-Authenticate: Basic", "Upgrade: h2c", "TE: x", "Proxy-Connection: x"), `200 "OK" | 0 keep |`),
		accepts("fields of requests pass", ok(empty, "Host: h", "Expect: x"), `200 "OK" | 0 keep | Host="h" Expect="x"`),
		accepts("underscores pass", ok(empty, "X_A: b"), `200 "OK" | 0 keep | X_A="b"`),
		accepts("named fields do not pass", ok(empty, "X-A: b", "Connection: x-a"), `200 "OK" | 0 keep |`),
		accepts("as many named as may be", ok(empty, "A1: b", "A16: b", "Connection: "+options(16)), `200 "OK" | 0 keep |`),
		refuses("one named too many", ok(empty, "Connection: "+options(17)), errTooManyOptions),
		accepts("protected fields pass though they are named", ok(empty, "Content-Type: b", "Connection: content-type"), `200 "OK" | 0 keep | Content-Type="b"`),
		accepts("101", status("101 Switching Protocols", "Connection: Upgrade", "Upgrade: websocket"), `101 "Switching Protocols" | 0 keep upgrade | Upgrade="websocket"`),
		accepts("101 without Upgrade", status("101 Switching Protocols", "Connection: Upgrade"), `101 "Switching Protocols" | 0 keep |`),
		accepts("101 to something unasked", status("101 Switching Protocols", "Connection: Upgrade", "Upgrade: h2c"), `101 "Switching Protocols" | 0 keep |`),
		accepts("Upgrade in another response", ok(empty, "Connection: Upgrade", "Upgrade: websocket"), `200 "OK" | 0 keep upgrade |`),
	})
}

func TestLimitOfResponseHead(t *testing.T) {
	lim := Limits{HeaderBytes: 200, HeaderCount: 3}.withDefaults()
	head := func(n int) string { return ok("X: " + strings.Repeat("a", n-len(ok("X: ")))) }
	for _, c := range []struct {
		name, head string
		want       error
	}{
		{"at the limit", head(200), nil},
		{"one beyond", head(201), errHeadTooLarge},
		{"not complete", head(300)[:250], errHeadTooLarge},
		{"status line not complete", "HTTP/1.1 200 " + strings.Repeat("a", 300), errHeadTooLarge},
		{"count at the limit", ok("A: b", "A: b", "A: b"), nil},
		{"count one beyond", ok("A: b", "A: b", "A: b", "A: b"), errTooManyFields},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, _, more, err := parseResponseHead(c.head, &lim, false); more || err != c.want {
				t.Errorf("got %v (more: %v), want %v", err, more, c.want)
			}
		})
	}
}

func TestConfiguredLimitsHoldForResponses(t *testing.T) {
	many := strings.Repeat("Set-Cookie: a=b\r\n", 150)
	for _, c := range []struct {
		name   string
		lim    Limits
		fields string
		status int
	}{
		{"more fields than the default", Limits{HeaderCount: 200}, many, 200},
		{"more fields than configured", Limits{HeaderCount: 100}, many, 502},
		{"longer than configured", Limits{HeaderBytes: 1000}, "A: " + strings.Repeat("a", 1000) + "\r\n", 502},
		{"underscores, which only clients are refused", Limits{}, "A_B: c\r\n", 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newRig(t, Config{Limits: c.lim})
				g.send(plainGet)
				e := g.next()
				e.head()
				go func() { _, _ = io.WriteString(e, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"+c.fields+"\r\n") }()
				g.wantStatus(c.status)
			})
		})
	}
}
