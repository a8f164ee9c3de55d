package http1

import (
	"testing"

	"github.com/breakwater-gateway/breakwater/proxy"
)

var benchHeads = []struct{ name, request, response string }{
	{
		"small",
		lines("GET / HTTP/1.1", "Host: bench.example.com:8080"),
		ok("Content-Length: 12", "Date: Sat, 21 Nov 2026 20:00:00 GMT", "Content-Type: text/plain; charset=utf-8"),
	},
	{
		"browser",
		lines("GET /catalogue/shoes/index.html?page=2&sort=price HTTP/1.1", "Host: shop.example.com", "Connection: keep-alive", "Cache-Control: max-age=0",
			`sec-ch-ua: "Chromium";v="140", "Not=A?Brand";v="24"`, "sec-ch-ua-mobile: ?0", `sec-ch-ua-platform: "Linux"`, "Upgrade-Insecure-Requests: 1",
			"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
			"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8", "Sec-Fetch-Site: same-origin",
			"Sec-Fetch-Mode: navigate", "Sec-Fetch-User: ?1", "Sec-Fetch-Dest: document", "Referer: https://shop.example.com/catalogue/", "Accept-Encoding: gzip, deflate, br, zstd",
			"Accept-Language: en-GB,en;q=0.9,de;q=0.8", "Cookie: session=0123456789abcdef0123456789abcdef; theme=dark; consent=yes; cart=4711"),
		ok("Server: example", "Date: Sat, 21 Nov 2026 20:00:00 GMT", "Content-Type: text/html; charset=utf-8", "Transfer-Encoding: chunked", "Connection: keep-alive",
			"Vary: Accept-Encoding", "Cache-Control: private, max-age=0, must-revalidate", "Set-Cookie: session=0123456789abcdef; Path=/; Secure; HttpOnly; SameSite=Lax",
			"Strict-Transport-Security: max-age=63072000; includeSubDomains", "X-Content-Type-Options: nosniff", "Content-Security-Policy: default-src 'self'; img-src *",
			"ETag: \"5f3c-1a2b3c4d\"", "Last-Modified: Fri, 20 Nov 2026 08:00:00 GMT"),
	},
}

func BenchmarkParseRequest(b *testing.B) {
	lim := Limits{}.withDefaults()
	for _, h := range benchHeads {
		b.Run(h.name, func(b *testing.B) {
			head, x := []byte(h.request), &proxy.Exchange{}
			b.SetBytes(int64(len(head)))
			b.ReportAllocs()
			for b.Loop() {
				x.Reset()
				if _, more, err := parseRequest(head, &x.Request, &lim); more || err != nil {
					b.Fatal(more, err)
				}
			}
		})
	}
}

func BenchmarkParseResponse(b *testing.B) {
	lim := Limits{AllowUnderscores: true}.withDefaults()
	for _, h := range benchHeads {
		b.Run(h.name, func(b *testing.B) {
			head, x := []byte(h.response), &proxy.Exchange{}
			b.SetBytes(int64(len(head)))
			b.ReportAllocs()
			for b.Loop() {
				x.Reset()
				if _, more, err := parseResponse(head, &x.Response, &lim, false); more || err != nil {
					b.Fatal(more, err)
				}
			}
		})
	}
}

func BenchmarkAppendRequestHead(b *testing.B) {
	lim := Limits{}.withDefaults()
	for _, h := range benchHeads {
		b.Run(h.name, func(b *testing.B) {
			x, buf := &proxy.Exchange{}, make([]byte, 0, smallBuffer)
			if _, _, err := parseRequest([]byte(h.request), &x.Request, &lim); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				buf = appendRequestHead(buf[:0], x, false, false)
			}
		})
	}
}

// TestParsingAllocatesNothing keeps the promise of the engine for the heads of every day.
func TestParsingAllocatesNothing(t *testing.T) {
	lim, x, buf := Limits{}.withDefaults(), &proxy.Exchange{}, make([]byte, 0, smallBuffer)
	for _, h := range append(benchHeads, struct{ name, request, response string }{
		"odd", lines("POST http://h/a/../%41%2f?b HTTP/1.1", "Host: h", "Connection: x, close", "X: y", "TE: trailers", "Content-Length: 5", "Expect: 100-continue"),
		status("304 Not Modified", "Connection: x", "X: y"),
	}) {
		request, response := []byte(h.request), []byte(h.response)
		head := make([]byte, len(request)) // parsing changes it
		allocs := testing.AllocsPerRun(100, func() {
			copy(head, request)
			x.Reset()
			f, _, err := parseRequest(head, &x.Request, &lim)
			if err != nil {
				t.Fatal(err)
			}
			buf = appendRequestHead(buf[:0], x, f.chunked, x.Request.Expect)
			if _, _, err := parseResponse(response, &x.Response, &lim, false); err != nil {
				t.Fatal(err)
			}
		})
		if allocs > 0 {
			t.Errorf("%s: %v allocations", h.name, allocs)
		}
	}
}
