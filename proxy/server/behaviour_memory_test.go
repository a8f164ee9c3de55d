package server

import (
	"net"
	"runtime"
	"testing"
)

// What stands still holds hardly more than the request's head: neither a client that stops in the middle of an upload nor an endpoint
// that takes its time for what comes next pins the buffers that bodies move through.
func TestWhatStandsStillHoldsNoLargeBuffer(t *testing.T) {
	const (
		connections = 64
		most        = 48 << 10 // bytes of one, the test's own buffers included
		chunked     = "Transfer-Encoding: chunked\r\n\r\n"
		upload      = "POST / HTTP/1.1\r\nHost: a\r\n" + chunked
		download    = "HTTP/1.1 200 OK\r\n" + chunked
	)
	for name, c := range map[string]struct{ request, answer string }{
		"upload, between chunks":           {upload + "5\r\nhello\r\n", ""},
		"upload, in a chunk's size":        {upload + "5\r\nhello\r\n1", ""},
		"upload, in a chunk":               {upload + "5\r\nhello\r\n50\r\nhello", ""},
		"upload, in a trailer":             {upload + "5\r\nhello\r\n0\r\nA: b", ""},
		"upload of known length":           {request("POST", 60_000) + "hello", ""},
		"large upload of known length":     {request("POST", 1_000_000) + "hello", ""},
		"response, before the first chunk": {get("/"), download},
		"response, between chunks":         {get("/"), download + "5\r\nhello\r\n"},
		"response, in a chunk's size":      {get("/"), download + "5\r\nhello\r\n1"},
		"response, in a chunk":             {get("/"), download + "5\r\nhello\r\n50\r\nhello"},
		"response of known length":         {get("/"), "HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\nhello"},
		"large response of known length":   {get("/"), "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nhello"},
		"response until close":             {get("/"), "HTTP/1.1 200 OK\r\n\r\nhello"},
	} {
		t.Run(name, func(t *testing.T) {
			e := endpoint(t, func(_ int, w *wire) {
				w.head()
				w.send("%s", c.answer)
				_, _ = w.rest()
			})
			addr := proxyTo(t, Config{}, e.addr)
			heap() // pools keep what they hold for one collection
			before := heap()
			clients := make([]net.Conn, connections)
			for i := range clients {
				w := dialWire(t, addr)
				w.send("%s", c.request)
				if c.answer != "" && w.head() == "" {
					t.Fatal("no answer")
				}
				clients[i] = w
			}
			until(t, "all are served", func() bool { return e.connections() == connections })
			until(t, "little memory is held", func() bool { return heap() < before+connections*most })
			t.Logf("%d KiB each", int64(heap()-before)/connections>>10)
			runtime.KeepAlive(clients)
		})
	}
}
