package http1

import (
	"fmt"
	"strings"
	"testing"
)

func TestRFC9112Section5FieldLine(t *testing.T) {
	runHeads(t, Limits{}, []headCase{
		accepts("no space behind the colon", get("A:b"), `GET h h / 1.1 | keep | A="b"`),
		accepts("optional white space", get("A: \t b \t "), `GET h h / 1.1 | keep | A="b"`),
		accepts("white space inside stays", get("A: b \t c"), `GET h h / 1.1 | keep | A="b \t c"`),
		accepts("empty value", get("A:"), `GET h h / 1.1 | keep | A=""`),
		accepts("empty value with white space", get("A: \t"), `GET h h / 1.1 | keep | A=""`),
		accepts("colons in value", get("A: b:c"), `GET h h / 1.1 | keep | A="b:c"`),
		accepts("obs-text in value", get("A: \x80\xff"), `GET h h / 1.1 | keep | A="\x80\xff"`),
		accepts("order, case and repetition stay", get("b: 1", "A: 2", "B: 3"), `GET h h / 1.1 | keep | b="1" A="2" B="3"`),
		accepts("every tchar in name", get("!#$%&'*+-.^`|~09azAZ: v"), "GET h h / 1.1 | keep | !#$%&'*+-.^`|~09azAZ=\"v\""),
		refuses("empty name", get(": v"), errFieldName),
		refuses("empty name and value", get(":"), errFieldName),
		refuses("no colon", get("Av"), errFieldName),
		refuses("space before colon", get("A : v"), errFieldName),
		refuses("tab before colon", get("A\t: v"), errFieldName),
		refuses("space in name", get("A B: v"), errFieldName),
		refuses("space before name", get(" A: v"), errObsFold),
		refuses("slash in name", get("A/B: v"), errFieldName),
		refuses("quote in name", get(`A": v`), errFieldName),
		refuses("NUL in name", get("A\x00: v"), errFieldName),
		refuses("high byte in name", get("\xc3\x84: v"), errFieldName),
		refuses("brackets in name", get("A[0]: v"), errFieldName),
		refuses("underscore in name", get("X_Real_IP: v"), errUnderscore),
		refuses("underscore of a name with a meaning", get("Content_Length: 5"), errUnderscore),
		refuses("obs-fold with space", get("A: b", " c"), errObsFold),
		refuses("obs-fold with tab", get("A: b", "\tc"), errObsFold),
		refuses("obs-fold of nothing", get("A: b", " "), errObsFold),
		refuses("obs-fold of Transfer-Encoding", post("Transfer-Encoding:", " chunked"), errObsFold),
		refuses("NUL in value", get("A: b\x00c"), errFieldValue),
		refuses("vertical tab in value", get("A: b\vc"), errFieldValue),
		refuses("form feed in value", get("A: \f"), errFieldValue),
		refuses("escape in value", get("A: \x1b[0m"), errFieldValue),
		refuses("DEL in value", get("A: \x7f"), errFieldValue),
		refuses("bare CR in value", get("A: b\rc"), errLineEnd),
		refuses("CR CR LF", get("A: b\r"), errLineEnd),
		refuses("bare LF ends the line", get("A: b\nC: d"), errLineEnd),
		refuses("bare LF ends a line without colon", get("A\nC: d"), errLineEnd),
		refuses("bare CR ends a line without colon", get("A\rC: d"), errLineEnd),
		refuses("bare LF ends the head", "GET / HTTP/1.1\r\nHost: h\r\n\n", errLineEnd),
		refuses("CR LF, then bare CR", "GET / HTTP/1.1\r\nHost: h\r\n\rA: b\r\n\r\n", errLineEnd),
	})
	runHeads(t, Limits{AllowUnderscores: true}, []headCase{
		accepts("underscore where it is allowed", get("X_Real_IP: v"), `GET h h / 1.1 | keep | X_Real_IP="v"`),
	})
}

func TestRFC9110Section7HopByHopFields(t *testing.T) {
	runHeads(t, Limits{}, []headCase{
		accepts("close", get("Connection: close"), "GET h h / 1.1 | |"),
		accepts("close in any case", get("cOnNeCtIoN: CLOSE"), "GET h h / 1.1 | |"),
		accepts("close in a list", get("Connection: keep-alive ,, close,"), "GET h h / 1.1 | |"),
		accepts("close on a second line", get("Connection: keep-alive", "Connection: close"), "GET h h / 1.1 | |"),
		accepts("close is not enclosed", get("Connection: enclose"), "GET h h / 1.1 | keep |"),
		accepts("fields that never pass", get("Keep-Alive: timeout=5", "Proxy-Connection: close", "Proxy-Authorization: Basic eA==", "Proxy-Authenticate: Basic", "TE: gzip", "Upgrade: x"),
			"GET h h / 1.1 | keep |"),
		accepts("a named field", get("A: 1", "X-Foo: 1", "x-FOO: 2", "B: 2", "Connection: X-fOO"), `GET h h / 1.1 | keep | A="1" B="2"`),
		accepts("named before and behind", get("Connection: a", "A: 1", "B: 1", "connection: B"), "GET h h / 1.1 | keep |"),
		accepts("named over several lines", get("A: 1", "B: 1", "C: 1", "D: 1", "Connection: a,b", "Connection: ", "Connection: , c", "Connection: d"), "GET h h / 1.1 | keep |"),
		accepts("a name that no field has", get("Connection: nothing"), "GET h h / 1.1 | keep |"),
		refuses("Connection lines without end", get("Connection: a", "Connection: a", "Connection: a", "Connection: a", "Connection: a"), errTooManyFields),
		accepts("as many named as may be", get("A1: b", "B: 1", "A16: b", "Connection: "+options(8)+", close, te, "+options(16)[len(options(8)):], "Close: x"),
			`GET h h / 1.1 | | B="1" Close="x"`),
		refuses("one named too many", get("Connection: "+options(17)), errTooManyOptions),
		refuses("named too many over several lines", get("Connection: "+options(9), "Connection: "+options(8)), errTooManyOptions),
		refuses("a head full of options", get("Connection: "+strings.Repeat("a,", 500)), errTooManyOptions),
		refuses("named host", get("Connection: hOST"), errConnectionOption),
		refuses("named Content-Length", post("Content-Length: 5", "Connection: content-length"), errConnectionOption),
		refuses("named Transfer-Encoding", post("Transfer-Encoding: chunked", "Connection: close, transfer-encoding"), errConnectionOption),
		refuses("named Authorization", get("Connection: Authorization"), errConnectionOption),
		refuses("named Cookie", get("Connection: cookie"), errConnectionOption),
		refuses("named X-Forwarded-For", get("Connection: close, X-FORWARDED-FOR"), errConnectionOption),
		refuses("named X-Forwarded-For on the last line", get("Connection: a", "Connection: b", "Connection: x-forwarded-for"), errConnectionOption),
		refuses("named X-Forwarded-Proto", get("Connection: x-forwarded-proto"), errConnectionOption),
		refuses("named X-Forwarded-Host", get("Connection: x-forwarded-host"), errConnectionOption),
		refuses("named X-Forwarded-Prefix", get("Connection: X-Forwarded-Prefix"), errConnectionOption),
		refuses("named X-Forwarded-Uri", get("Connection: X-Forwarded-Uri"), errConnectionOption),
		refuses("named X-Real-IP", get("Connection: x-real-ip"), errConnectionOption),
		refuses("named Forwarded", get("Connection: forwarded"), errConnectionOption),
		refuses("named X-Request-Id", get("Connection: X-Request-Id"), errConnectionOption),
		refuses("an option that is no token", get("Connection: a b"), errFieldValue),
		refuses("an option with a parameter", get("Connection: close;x=1"), errFieldValue),
		refuses("a quoted option", get(`Connection: "close"`), errFieldValue),
	})
}

func TestRFC9110Section10TEAndUpgrade(t *testing.T) {
	runHeads(t, Limits{}, []headCase{
		accepts("TE: trailers", get("TE: trailers", "Connection: TE"), "GET h h / 1.1 | keep trailers |"),
		accepts("TE: trailers in a list", get("TE: gzip;q=0.5, Trailers", "Connection: TE"), "GET h h / 1.1 | keep trailers |"),
		accepts("TE: something else", get("TE: trailersx", "Connection: TE"), "GET h h / 1.1 | keep |"),
		accepts("websocket", get("Upgrade: websocket", "Connection: Upgrade"), "GET h h / 1.1 | keep upgrade=websocket |"),
		accepts("websocket among options", get("Upgrade: websocket", "Connection: keep-alive, Upgrade"), "GET h h / 1.1 | keep upgrade=websocket |"),
		accepts("Upgrade without Connection", get("Upgrade: websocket"), "GET h h / 1.1 | keep |"),
		accepts("Connection without Upgrade", get("Connection: upgrade"), "GET h h / 1.1 | keep |"),
		accepts("Upgrade in HTTP/1.0", lines("GET / HTTP/1.0", "Host: h", "Upgrade: websocket", "Connection: Upgrade"), "GET h h / 1.0 | |"),
		accepts("h2c", get("Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABk"), "GET h h / 1.1 | keep |"),
		accepts("h2c in any case", get("Upgrade: H2C", "Connection: Upgrade"), "GET h h / 1.1 | keep |"),
		accepts("h2c behind another", get("Upgrade: websocket, h2c", "Connection: Upgrade"), "GET h h / 1.1 | keep |"),
		accepts("h2c before another", get("Upgrade: h2c,websocket", "Connection: Upgrade"), "GET h h / 1.1 | keep |"),
		accepts("h2c with a version", get("Upgrade: h2c/1", "Connection: Upgrade"), "GET h h / 1.1 | keep |"),
		accepts("HTTP/2.0 as a protocol", get("Upgrade: HTTP/2.0", "Connection: Upgrade"), "GET h h / 1.1 | keep |"),
		accepts("h2c on the first of two lines", get("Upgrade: h2c", "Upgrade: websocket", "Connection: Upgrade"), "GET h h / 1.1 | keep |"),
		accepts("a protocol with a version", get("Upgrade: IRC/6.9, RTA/x11", "Connection: Upgrade"), "GET h h / 1.1 | keep upgrade=IRC/6.9, RTA/x11 |"),
		accepts("no protocol", get("Upgrade: a b", "Connection: Upgrade"), "GET h h / 1.1 | keep |"),
		accepts("HTTP2-Settings not named by Connection", get("HTTP2-Settings: AAMAAABk"), "GET h h / 1.1 | keep |"),
	})
}

func TestRFC9110Section10Expect(t *testing.T) {
	runHeads(t, Limits{}, []headCase{
		accepts("with content", post("Content-Length: 5", "Expect: 100-Continue"), "POST h h / 1.1 | keep length=5 expect |"),
		accepts("with chunked content", post("Transfer-Encoding: chunked", "Expect: 100-continue"), "POST h h / 1.1 | keep chunked expect |"),
		accepts("without content", get("Expect: 100-continue"), "GET h h / 1.1 | keep |"),
		accepts("in HTTP/1.0", lines("POST / HTTP/1.0", "Host: h", "Content-Length: 5", "Expect: 100-continue"), "POST h h / 1.0 | length=5 |"),
		refuses("unknown", post("Content-Length: 5", "Expect: 200-ok"), errExpectation),
		refuses("empty", post("Content-Length: 5", "Expect:"), errExpectation),
		refuses("list", post("Content-Length: 5", "Expect: 100-continue, 100-continue"), errExpectation),
		refuses("twice", post("Content-Length: 5", "Expect: 100-continue", "Expect: 100-continue"), errExpectation),
		refuses("parameter", post("Content-Length: 5", "Expect: 100-continue;a=b"), errExpectation),
	})
}

// options are Connection options that name n fields.
func options(n int) string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprint("a", i+1))
	}
	return strings.Join(list, ",")
}
