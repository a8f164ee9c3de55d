package http1

import (
	"net/http"
	"strconv"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// appendRequestHead writes x's request as it goes to the endpoint (RFC 9112 section 3). chunked is whether the body will be.
func appendRequestHead(p []byte, x *proxy.Exchange, chunked, expect bool) []byte {
	r := &x.Request
	p = append(p, r.Method...)
	p = append(p, ' ')
	p = append(p, r.Path...)
	if r.HasQuery {
		p = append(p, '?')
		p = append(p, r.Query...)
	}
	p = append(p, " HTTP/1.1\r\nHost: "...)
	p = append(p, r.Authority...)
	p = append(p, '\r', '\n')
	p = appendFields(p, &r.Header)
	switch {
	case chunked:
		p = append(p, "Transfer-Encoding: chunked\r\n"...)
	case r.ContentLength > 0 || r.ContentLength == 0 && contentExpected(r.Method):
		p = appendLength(p, r.ContentLength)
	}
	if expect {
		p = append(p, "Expect: 100-continue\r\n"...)
	}
	switch {
	case len(r.Upgrade) > 0:
		p = append(p, "Connection: Upgrade\r\nUpgrade: "...)
		p = append(p, r.Upgrade...)
		p = append(p, '\r', '\n')
	case r.Trailers:
		p = append(p, "TE: trailers\r\nConnection: TE\r\n"...)
	}
	return append(p, '\r', '\n')
}

// contentExpected reports whether a request of this method says "Content-Length: 0" when it has no content (RFC 9110 section
// 8.6).
func contentExpected(method []byte) bool {
	switch string(method) {
	case "POST", "PUT", "PATCH":
		return true
	}
	return false
}

func appendFields(p []byte, h *proxy.Header) []byte {
	for i := range h.Fields {
		f := &h.Fields[i]
		p = append(p, f.Name...)
		p = append(p, ':', ' ')
		p = append(p, f.Value...)
		p = append(p, '\r', '\n')
	}
	return p
}

func appendLength(p []byte, n int64) []byte {
	p = append(p, "Content-Length: "...)
	p = strconv.AppendInt(p, n, 10)
	return append(p, '\r', '\n')
}

// appendStatusLine writes the status line of a response (RFC 9112 section 4).
func appendStatusLine(p []byte, status int, reason []byte) []byte {
	p = append(p, "HTTP/1.1 "...)
	p = strconv.AppendInt(p, int64(status), 10)
	p = append(p, ' ')
	if reason == nil {
		p = append(p, http.StatusText(status)...)
	} else {
		p = append(p, reason...)
	}
	return append(p, '\r', '\n')
}

// appendRefusal writes a whole response that ends the connection. head says that it answers HEAD and so has no content.
func appendRefusal(p []byte, r *Refusal, head bool) []byte {
	body := http.StatusText(r.Status) + ": " + r.Reason + "\n"
	p = appendStatusLine(p, r.Status, nil)
	p = append(p, "Content-Type: text/plain; charset=utf-8\r\nDate: "...)
	p = time.Now().UTC().AppendFormat(p, http.TimeFormat)
	p = append(p, "\r\nConnection: close\r\n"...)
	if r.Status == http.StatusMethodNotAllowed { // RFC 9110 section 15.5.6
		p = append(p, "Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n"...)
	}
	p = appendLength(p, int64(len(body)))
	p = append(p, crlf...)
	if head {
		return p
	}
	return append(p, body...)
}

// A chunk is built around its data in one buffer: room for its size line before, CRLF behind.
const chunkRoom = len("fffffff\r\n")

var lastChunk = []byte("0\r\n\r\n")

// frameChunk puts the framing of a chunk around n bytes of content at buf[chunkRoom:]. buf must have room for CRLF behind them.
func frameChunk(buf []byte, n int) []byte {
	var size [16]byte
	hex := strconv.AppendInt(size[:0], int64(n), 16)
	start := chunkRoom - len(crlf) - len(hex)
	copy(buf[start:], hex)
	copy(buf[start+len(hex):], crlf)
	end := chunkRoom + n + copy(buf[chunkRoom+n:], crlf)
	return buf[start:end]
}

// appendLastChunk writes what ends a chunked body.
func appendLastChunk(p []byte, trailer *proxy.Header) []byte {
	p = append(p, "0\r\n"...)
	if trailer != nil {
		p = appendFields(p, trailer)
	}
	return append(p, '\r', '\n')
}
