package http1

import (
	"strings"
	"testing"
)

func line(l string) string { return lines(l, "Host: h") }

func TestRFC9112Section2EmptyLinesBefore(t *testing.T) {
	runHeads(t, Limits{}, []headCase{
		accepts("one empty line", "\r\n"+get(), "GET h h / 1.1 | keep |"),
		accepts("two empty lines", "\r\n\r\n"+get(), "GET h h / 1.1 | keep |"),
		refuses("three empty lines", "\r\n\r\n\r\n"+get(), errRequestLine),
		refuses("a bare LF before", "\n"+get(), errLineEnd),
		refuses("a bare CR before", "\r"+get(), errLineEnd),
		refuses("white space before", " "+get(), errRequestLine),
		refuses("white space behind the request line", lines("GET / HTTP/1.1", " Host: h"), errObsFold),
	})
}

func TestRFC9112Section3RequestLine(t *testing.T) {
	runHeads(t, Limits{}, []headCase{
		accepts("plain", line("GET / HTTP/1.1"), "GET h h / 1.1 | keep |"),
		accepts("methods are case-sensitive tokens", line("get / HTTP/1.1"), "get h h / 1.1 | keep |"),
		accepts("a method nobody knows", line("M-SEARCH!#$%&'*+.^_`|~09 / HTTP/1.1"), "M-SEARCH!#$%&'*+.^_`|~09 h h / 1.1 | keep |"),
		accepts("behind the head nothing is looked at", get()+"\x00\n\r", "GET h h / 1.1 | keep |"),
		refuses("empty method", line(" / HTTP/1.1"), errRequestLine),
		refuses("colon in method", line("GE:T / HTTP/1.1"), errMethod),
		refuses("tab in method", line("G\tET / HTTP/1.1"), errMethod),
		refuses("NUL in method", line("GET\x00 / HTTP/1.1"), errMethod),
		refuses("high byte in method", line("G\xc3\xa9T / HTTP/1.1"), errMethod),
		refuses("method and target only (HTTP/0.9)", line("GET /"), errRequestLine),
		refuses("method only", line("GET"), errRequestLine),
		refuses("no target", line("GET  HTTP/1.1"), errRequestLine),
		refuses("two spaces before the target", line("GET  / HTTP/1.1"), errRequestLine),
		refuses("two spaces before the version", line("GET /  HTTP/1.1"), errRequestLine),
		refuses("space in target", line("GET /a b HTTP/1.1"), errRequestLine),
		refuses("trailing space", line("GET / HTTP/1.1 "), errRequestLine),
		refuses("tab for space before the target", line("GET\t/ HTTP/1.1"), errMethod),
		refuses("tab for space before the version", line("GET /\tHTTP/1.1"), errRequestLine),
		refuses("tab in target", line("GET /a\tb HTTP/1.1"), errTarget),
		refuses("a header line first", lines("Host: h"), errMethod),
		refuses("bare LF", "GET / HTTP/1.1\nHost: h\r\n\r\n", errLineEnd),
		refuses("bare LF only", "GET / HTTP/1.1\nHost: h\n\n", errLineEnd),
		refuses("CR CR LF", "GET / HTTP/1.1\r\r\nHost: h\r\n\r\n", errLineEnd),
		refuses("bare CR ends the line", "GET / HTTP/1.1\rHost: h\r\n\r\n", errLineEnd),
		refuses("bare CR in target", line("GET /a\rb HTTP/1.1"), errLineEnd),
		refuses("LF in target", line("GET /a\nb HTTP/1.1"), errLineEnd),
		refuses("a TLS handshake", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", errRequestLine),
	})
}

func TestRFC9112Section2Version(t *testing.T) {
	runHeads(t, Limits{}, []headCase{
		accepts("1.0", line("GET / HTTP/1.0"), "GET h h / 1.0 | |"),
		accepts("1.0 keep-alive", lines("GET / HTTP/1.0", "Host: h", "Connection: Keep-Alive"), "GET h h / 1.0 | keep |"),
		accepts("1.0 keep-alive and close", lines("GET / HTTP/1.0", "Host: h", "Connection: keep-alive, close"), "GET h h / 1.0 | |"),
		accepts("1.0 without Host", lines("GET /x HTTP/1.0"), "GET   /x 1.0 | |"),
		refuses("2.0", line("GET / HTTP/2.0"), errVersion),
		refuses("the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", errVersion),
		refuses("1.2", line("GET / HTTP/1.2"), errVersion),
		refuses("0.9", line("GET / HTTP/0.9"), errVersion),
		refuses("1.10", line("GET / HTTP/1.10"), errRequestLine),
		refuses("01.1", line("GET / HTTP/01.1"), errRequestLine),
		refuses("1.1x", line("GET / HTTP/1.1x"), errRequestLine),
		refuses("lower case", line("GET / http/1.1"), errRequestLine),
		refuses("no dot", line("GET / HTTP/1,1"), errRequestLine),
		refuses("a letter", line("GET / HTTP/1.x"), errRequestLine),
		refuses("another protocol", line("OPTIONS /media RTSP/1.0"), errRequestLine),
		refuses("sign", line("GET / HTTP/+1.1"), errRequestLine),
	})
}

func TestRFC9110Section9Method(t *testing.T) {
	runHeads(t, Limits{}, []headCase{
		refuses("CONNECT in authority form", lines("CONNECT h:443 HTTP/1.1", "Host: h:443"), errConnectMethod),
		refuses("CONNECT in origin form", line("CONNECT / HTTP/1.1"), errConnectMethod),
		refuses("CONNECT without Host", lines("CONNECT h:443 HTTP/1.1"), errConnectMethod),
		accepts("connect is another method", line("connect / HTTP/1.1"), "connect h h / 1.1 | keep |"),
		accepts("OPTIONS of a path", line("OPTIONS /x HTTP/1.1"), "OPTIONS h h /x 1.1 | keep |"),
		refuses("OPTIONS of the server", line("OPTIONS * HTTP/1.1"), errTarget),
		accepts("TRACE", line("TRACE / HTTP/1.1"), "TRACE h h / 1.1 | keep |"),
	})
}

func TestLimitOfRequestLine(t *testing.T) {
	target := func(n int) string { return line("GET /" + strings.Repeat("a", n-len("GET / HTTP/1.1")) + " HTTP/1.1") }
	path := func(n int) string {
		return "GET h h /" + strings.Repeat("a", n-len("GET / HTTP/1.1")) + " 1.1 | keep |"
	}
	runHeads(t, Limits{RequestLine: 40}, []headCase{
		accepts("at the limit", target(40), path(40)),
		refuses("one beyond", target(41), errURITooLong),
		refuses("far beyond", target(400), errURITooLong),
		refuses("beyond and not complete", target(400)[:300], errURITooLong),
		accepts("at the limit behind an empty line", "\r\n"+target(40), path(40)),
	})
	runHeads(t, Limits{}, []headCase{
		accepts("at the default", target(8192), path(8192)),
		refuses("one beyond the default", target(8193), errURITooLong),
	})
}

func TestLimitOfHead(t *testing.T) {
	head := func(n int) string { return get("X: " + strings.Repeat("a", n-len(get("X: ")))) }
	want := func(n int) string {
		return `GET h h / 1.1 | keep | X="` + strings.Repeat("a", n-len(get("X: "))) + `"`
	}
	runHeads(t, Limits{HeaderBytes: 200}, []headCase{
		accepts("at the limit", head(200), want(200)),
		refuses("one beyond", head(201), errHeadTooLarge),
		refuses("beyond and not complete", head(300)[:290], errHeadTooLarge),
	})
	fields := func(n int) string {
		return "GET / HTTP/1.1\r\nHost: h\r\n" + strings.Repeat("TE: x\r\n", n-1) + "\r\n"
	}
	runHeads(t, Limits{HeaderCount: 7}, []headCase{
		accepts("count at the limit", fields(7), "GET h h / 1.1 | keep |"),
		refuses("count one beyond", fields(8), errTooManyFields),
		refuses("count one beyond and not complete", fields(9)[:len(fields(8))], errTooManyFields),
	})
	runHeads(t, Limits{}, []headCase{
		accepts("count at the default", fields(100), "GET h h / 1.1 | keep |"),
		refuses("count one beyond the default", fields(101), errTooManyFields),
	})
}
