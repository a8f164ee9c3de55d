package fault

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/shape"
)

const events = "data: one\n\nid: 2\ndata: two\n\n: comment\n\ndata: three\n\n"

var answers = map[string]string{
	"/length": ok("0123456789"),
	"/empty":  ok(""),
	"/chunks": chunks("01234", "56789"),
	"/events": strings.Replace(chunks(events[:15], events[15:]), "text/plain", "text/event-stream; charset=utf-8", 1),
	"/evil":   ok("0123456789HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nsplit"),
	"/none":   "HTTP/1.1 204 No Content\r\n\r\n",
}

// end is what a client sees behind a response.
type end string

const (
	open  end = "open" // another request is answered
	eof   end = "EOF"
	reset end = "reset"
)

const (
	head      = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
	chunkHead = head + "Transfer-Encoding: chunked\r\n\r\n"
	sseHead   = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"
	closing   = "Connection: close\r\n"
)

func lengthHead(n string) string { return head + "Content-Length: " + n + "\r\n\r\n" }

var onTheWire = map[string]struct {
	faults  []Fault
	request string // "" is GET of path
	path    string
	want    string // without Date
	end     end
}{
	"abort with a status": {
		faults: []Fault{Abort{Status: 418, Body: "no", Header: Fields("").With("X-Why", "chaos")}}, path: "/length",
		want: "HTTP/1.1 418 I'm a teapot\r\nX-Why: chaos\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 2\r\n\r\nno", end: open,
	},
	"abort with a type": {
		faults: []Fault{Abort{Status: 503, Body: "{}", Header: "content-type: application/json\nRetry-After: 1"}}, path: "/length",
		want: "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nRetry-After: 1\r\nContent-Length: 2\r\n\r\n{}", end: open,
	},
	"abort of HEAD": {
		faults: []Fault{Abort{Status: 500, Body: "no"}}, request: "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
		want: "HTTP/1.1 500 Internal Server Error\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 2\r\n\r\n", end: open,
	},
	"abort without content": {
		faults: []Fault{Abort{Status: 204}}, path: "/length", want: "HTTP/1.1 204 No Content\r\n\r\n", end: open,
	},
	"abort as not modified": {
		faults: []Fault{Abort{Status: 304}}, path: "/length", want: "HTTP/1.1 304 Not Modified\r\n\r\n", end: open,
	},
	"abort with a gRPC status": {
		faults: []Fault{Abort{GRPCStatus: 14, GRPCMessage: "50% are äway\n"}}, path: "/length",
		want: "HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nGrpc-Status: 14\r\nGrpc-Message: 50%25 are %C3%A4way%0A\r\nContent-Length: 0\r\n\r\n", end: open,
	},
	"abort by FIN": {faults: []Fault{Abort{End: FIN}}, path: "/length", end: eof},
	"abort by RST": {faults: []Fault{Abort{End: RST}}, path: "/length", end: reset},
	"abort of a request whose body has not come": {
		faults: []Fault{Abort{Status: 503}}, request: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234",
		want: "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", end: eof,
	},
	"delay": {
		faults: []Fault{Delay{Latency: shape.Const(1)}}, path: "/length", want: lengthHead("10") + "0123456789", end: open,
	},
	"response headers": {
		faults: []Fault{Headers{Response: HeaderChange{Remove: "content-type", Add: "X-A: 1\nX-A: 2", Set: "X-B: 3"}}}, path: "/length",
		want: "HTTP/1.1 200 OK\r\nX-B: 3\r\nX-A: 1\r\nX-A: 2\r\nContent-Length: 10\r\n\r\n0123456789", end: open,
	},
	"truncated by FIN":  {faults: []Fault{TruncateBody{Bytes: shape.Const(4)}}, path: "/length", want: lengthHead("10") + "0123", end: eof},
	"truncated by RST":  {faults: []Fault{TruncateBody{Bytes: shape.Const(4), Reset: true}}, path: "/length", want: lengthHead("10") + "0123", end: reset},
	"truncated at once": {faults: []Fault{TruncateBody{}}, path: "/length", want: lengthHead("10"), end: eof},
	"truncated in a chunk": {
		faults: []Fault{TruncateBody{Bytes: shape.Const(4)}}, path: "/chunks", want: chunkHead + "4\r\n0123\r\n", end: eof,
	},
	"not longer than what passes":           {faults: []Fault{TruncateBody{Bytes: shape.Const(10)}}, path: "/length", want: lengthHead("10") + "0123456789", end: open},
	"chunks not longer than what passes":    {faults: []Fault{TruncateBody{Bytes: shape.Const(10)}}, path: "/chunks", want: chunkHead + "a\r\n0123456789\r\n0\r\n\r\n", end: open},
	"truncated although there is nothing":   {faults: []Fault{TruncateBody{}}, path: "/empty", want: lengthHead("0"), end: open},
	"truncated although nothing is allowed": {faults: []Fault{TruncateBody{}, BrokenChunk{}}, path: "/none", want: "HTTP/1.1 204 No Content\r\n\r\n", end: open},
	"truncated for HTTP/1.0 by RST": {
		faults: []Fault{TruncateBody{Bytes: shape.Const(4), Reset: true}}, request: "GET /chunks HTTP/1.0\r\n\r\n",
		want: head + closing + "\r\n0123", end: reset,
	},
	"truncated answer": {
		faults: []Fault{TruncateBody{Bytes: shape.Const(1)}, Abort{Status: 200, Body: "abc"}}, path: "/length",
		want: "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 3\r\n\r\na", end: eof,
	},
	"too long":              {faults: []Fault{WrongContentLength{By: shape.Const(5)}}, path: "/length", want: lengthHead("15") + "0123456789", end: eof},
	"nothing, but too long": {faults: []Fault{WrongContentLength{By: shape.Const(5)}}, path: "/empty", want: lengthHead("0"), end: open},
	"too short":             {faults: []Fault{WrongContentLength{By: shape.Const(-3)}}, path: "/length", want: head + "Content-Length: 7\r\n" + closing + "\r\n0123456789", end: eof},
	"much too short":        {faults: []Fault{WrongContentLength{By: shape.Const(-300)}}, path: "/length", want: head + "Content-Length: 0\r\n" + closing + "\r\n0123456789", end: eof},
	"no length to be wrong": {
		faults: []Fault{WrongContentLength{By: shape.Const(-3)}}, path: "/chunks", want: chunkHead + "a\r\n0123456789\r\n0\r\n\r\n", end: open,
	},
	"broken chunk": {faults: []Fault{BrokenChunk{Bytes: shape.Const(4)}}, path: "/chunks", want: chunkHead + "4\r\n0123\r\nnot-a-size\r\n", end: eof},
	"broken chunk in a message with a length": {
		faults: []Fault{BrokenChunk{Bytes: shape.Const(4)}}, path: "/length", want: chunkHead + "4\r\n0123\r\nnot-a-size\r\n", end: eof,
	},
	"broken chunk at the end": {
		faults: []Fault{BrokenChunk{Bytes: shape.Const(400)}}, path: "/chunks", want: chunkHead + "a\r\n0123456789\r\nnot-a-size\r\n", end: eof,
	},
	"broken chunk for HTTP/1.0": {
		faults: []Fault{BrokenChunk{Bytes: shape.Const(4)}}, request: "GET /chunks HTTP/1.0\r\n\r\n", want: head + closing + "\r\n0123", end: reset,
	},
	"events to a proper end": {
		faults: []Fault{CutEvents{Events: shape.Const(2)}}, path: "/events", want: sseHead + "1c\r\ndata: one\n\nid: 2\ndata: two\n\n\r\n0\r\n\r\n", end: open,
	},
	"events by FIN": {faults: []Fault{CutEvents{Events: shape.Const(1), End: FIN}}, path: "/events", want: sseHead + "b\r\ndata: one\n\n\r\n", end: eof},
	"events by RST": {faults: []Fault{CutEvents{Events: shape.Const(1), End: RST}}, path: "/events", want: sseHead + "b\r\ndata: one\n\n\r\n", end: reset},
	"no events":     {faults: []Fault{CutEvents{End: FIN}}, path: "/events", want: sseHead, end: eof},
	"fewer events than pass": {
		faults: []Fault{CutEvents{Events: shape.Const(4), End: RST}}, path: "/events", want: sseHead + hex(len(events)) + "\r\n" + events + "\r\n0\r\n\r\n", end: open,
	},
	"events of another type": {faults: []Fault{CutEvents{}}, path: "/length", want: lengthHead("10") + "0123456789", end: open},
	"throttled": {
		faults: []Fault{Throttle{Rate: shape.Const(1e9)}}, path: "/length", want: lengthHead("10") + "0123456789", end: open,
	},
	"faults compose": {
		faults: []Fault{Headers{Response: HeaderChange{Set: "X-A: 1"}}, TruncateBody{Bytes: shape.Const(4)}, Throttle{Rate: shape.Const(1e9)}, Delay{Latency: shape.Const(1)}},
		path:   "/length", want: head + "X-A: 1\r\nContent-Length: 10\r\n\r\n0123", end: eof,
	},
}

// What the client gets of each fault, byte by byte, how its connection ends and whether it can be used again.
func TestWhatTheClientSees(t *testing.T) {
	for name, test := range onTheWire {
		t.Run(name, func(t *testing.T) {
			for _, f := range test.faults {
				if err := f.Validate(); err != nil {
					t.Fatal(err)
				}
			}
			g := newGateway(t, answers)
			g.set(plan{atClient: test.faults})
			c := g.dial()
			if test.request == "" {
				test.request = request(test.path)
			}
			c.send(test.request)
			want := test.want
			if test.end == open {
				p := make([]byte, len(want)+len("Date: "+http.TimeFormat+"\r\n"))
				n, err := io.ReadFull(c, p)
				if got := dateField.ReplaceAllString(string(p[:n]), ""); got != want || err != nil {
					t.Fatalf("got\n%q and %v, want\n%q", got, err, want)
				}
				// Ask again.
				c.send(strings.Replace(test.request, "\r\nHost", "\r\nConnection: close\r\nHost", 1))
				want, _, _ = strings.Cut(want, " ") // any answer
			}
			got, err := c.rest()
			if !strings.HasPrefix(got, want) || test.end != open && got != want {
				t.Errorf("got\n%q, want\n%q", got, want)
			}
			if wasReset := errors.Is(err, syscall.ECONNRESET); wasReset != (test.end == reset) || err != nil && !wasReset {
				t.Errorf("the connection ended with %v, want %v", err, test.end)
			}
			if err := g.failure(); err != nil && (!isDamage(err) || err.Side != proxy.Downstream) {
				t.Errorf("the gateway has seen a failure: %v", err)
			}
			if conns, _ := g.backend.seen(); conns > 1 && test.end == open && !strings.HasPrefix(test.path, "/events") {
				t.Errorf("%d connections to the endpoint", conns)
			}
		})
	}
}

// What is read by a usual client of faults that damage messages.
func TestWhatNetHTTPMakesOfIt(t *testing.T) {
	for name, test := range map[string]struct {
		fault Fault
		path  string
		body  string
		err   error  // of the body, or of the request if there is no answer
		text  string // in the error, if err is nil
	}{
		"FIN":                {fault: Abort{End: FIN}, path: "/length", err: io.EOF},
		"RST":                {fault: Abort{End: RST}, path: "/length", err: syscall.ECONNRESET},
		"truncated by FIN":   {TruncateBody{Bytes: shape.Const(4)}, "/length", "0123", io.ErrUnexpectedEOF, ""},
		"truncated by RST":   {TruncateBody{Bytes: shape.Const(4), Reset: true}, "/length", "0123", syscall.ECONNRESET, ""},
		"chunks by FIN":      {TruncateBody{Bytes: shape.Const(4)}, "/chunks", "0123", io.ErrUnexpectedEOF, ""},
		"too long":           {WrongContentLength{By: shape.Const(1)}, "/length", "0123456789", io.ErrUnexpectedEOF, ""},
		"too short":          {WrongContentLength{By: shape.Const(-1)}, "/length", "012345678", nil, ""},
		"broken chunk":       {BrokenChunk{Bytes: shape.Const(4)}, "/length", "0123", nil, "invalid byte in chunk length"},
		"events by RST":      {CutEvents{Events: shape.Const(1), End: RST}, "/events", "data: one\n\n", syscall.ECONNRESET, ""},
		"events, proper end": {CutEvents{Events: shape.Const(1)}, "/events", "data: one\n\n", nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t, answers)
			g.set(plan{atClient: []Fault{test.fault}})
			_, body, err := g.get(test.path)
			if body != test.body {
				t.Errorf("body %q, want %q", body, test.body)
			}
			switch {
			case test.text != "":
				if err == nil || !strings.Contains(err.Error(), test.text) {
					t.Errorf("error %v, want %q", err, test.text)
				}
			case !errors.Is(err, test.err):
				t.Errorf("error %v, want %v", err, test.err)
			}
		})
	}
}

// The gateway sees a fault at Backend as its endpoint's: as a response, as a failure that it tries again or as a delivery that has
// failed. Connections to the endpoint are not used again unless all was well.
func TestWhatTheGatewaySeesOfItsEndpoint(t *testing.T) {
	for name, test := range map[string]struct {
		fault   Fault
		request string
		want    string
		end     end
		failure error // nil: none
		status  int   // of the failure
	}{
		"abort": {
			Abort{Status: 503, Body: "x"}, request("/length"),
			"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 1\r\n\r\nx", open, nil, 0,
		},
		"reset": {
			Abort{End: RST}, "POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
			"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 7\r\n\r\nfailed\n", open, syscall.ECONNRESET, 502,
		},
		"closed": {
			Abort{End: FIN}, "POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
			"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 7\r\n\r\nfailed\n", open, errNoAnswer, 502,
		},
		"truncated": {
			TruncateBody{Bytes: shape.Const(4)}, request("/length"), lengthHead("10") + "0123", eof, new(proxy.Damage), 502,
		},
		"truncated by RST": {
			TruncateBody{Bytes: shape.Const(4), Reset: true}, request("/length"), lengthHead("10") + "0123", eof, syscall.ECONNRESET, 502,
		},
		"too long":  {WrongContentLength{By: shape.Const(5)}, request("/length"), lengthHead("15") + "0123456789", eof, new(proxy.Damage), 502},
		"too short": {WrongContentLength{By: shape.Const(-3)}, request("/length"), lengthHead("7") + "0123456", open, nil, 0},
		"broken chunk": {
			BrokenChunk{Bytes: shape.Const(4)}, request("/length"), chunkHead + "4\r\n0123\r\n", eof, new(proxy.Damage), 502,
		},
		"events": {
			CutEvents{Events: shape.Const(1)}, request("/events"), sseHead + "b\r\ndata: one\n\n\r\n0\r\n\r\n", open, nil, 0,
		},
		"throttled": {Throttle{Rate: shape.Const(1e9)}, request("/length"), lengthHead("10") + "0123456789", open, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t, answers)
			g.set(plan{atBackend: always(test.fault)})
			c := g.dial()
			c.send(test.request)
			if test.end == open {
				c.send("GET /length HTTP/1.0\r\n\r\n") // the last one
			}
			got, err := c.rest()
			if test.end == open && len(got) > len(test.want) {
				got = got[:len(test.want)]
			}
			if got != test.want || err != nil {
				t.Errorf("got\n%q and %v, want\n%q", got, err, test.want)
			}
			g.mu.Lock()
			failures := g.failures
			g.mu.Unlock()
			if test.failure == nil {
				if len(failures) > 0 {
					t.Errorf("failures %v", failures)
				}
				return
			}
			if len(failures) == 0 {
				t.Fatal("the gateway has seen no failure")
			}
			f := failures[0]
			if f.Side != proxy.Upstream || f.Status != test.status {
				t.Errorf("failure %+v", f)
			}
			if _, damage := test.failure.(*proxy.Damage); damage && !isDamage(f) || !damage && !errors.Is(f, test.failure) {
				t.Errorf("failure %v, want %v", f, test.failure)
			}
		})
	}
}

// The connection to an endpoint goes back to its pool exactly if nothing of the response is left on it.
func TestEndpointConnectionsAfterFaults(t *testing.T) {
	for name, test := range map[string]struct {
		fault  Fault
		reused bool
	}{
		"headers":      {Headers{Response: HeaderChange{Set: "A: b"}}, true},
		"throttled":    {Throttle{Rate: shape.Const(1e9)}, true},
		"truncated":    {TruncateBody{Bytes: shape.Const(4)}, false},
		"too short":    {WrongContentLength{By: shape.Const(-3)}, false},
		"broken chunk": {BrokenChunk{Bytes: shape.Const(4)}, false},
	} {
		t.Run(name, func(t *testing.T) {
			for _, at := range []proxy.Point{proxy.Client, proxy.AtBackend} {
				g := newGateway(t, answers)
				if at == proxy.Client {
					g.set(plan{atClient: []Fault{test.fault}})
				} else {
					g.set(plan{atBackend: always(test.fault)})
				}
				_, _, _ = g.get("/length")
				// The response is read before the connection is given back: wait for the second by asking in sequence.
				g.set(plan{})
				pooled := 0
				for until := time.Now().Add(10 * time.Second); time.Now().Before(until); time.Sleep(time.Millisecond) {
					if c := g.endpoint.Idle(); c != nil {
						pooled++
						c.Close()
						break
					}
					if !test.reused && g.backend.idle() == 0 {
						break
					}
				}
				if (pooled == 1) != test.reused {
					t.Errorf("at %v: %d connections in the pool, want one: %v", at, pooled, test.reused)
				}
			}
		})
	}
}

// An endpoint that resets the first attempt's connection costs the client nothing.
func TestGatewayTriesAgainAfterAReset(t *testing.T) {
	g := newGateway(t, answers)
	g.set(plan{atBackend: func(attempt int) []Fault {
		if attempt == 1 {
			return []Fault{Abort{End: RST}}
		}
		return nil
	}})
	res, body, err := g.get("/length")
	if err != nil || res.StatusCode != 200 || body != "0123456789" {
		t.Fatal(res, body, err)
	}
	if _, requests := g.backend.seen(); requests != 1 || g.tries() != 2 {
		t.Errorf("%d requests at the endpoint in %d attempts, want 1 in 2", requests, g.tries())
	}
}

// What follows a message that was declared too short cannot be taken for the answer to another request, and no other request is
// served on that connection.
func TestSurplusIsNoAnswer(t *testing.T) {
	g := newGateway(t, answers)
	g.set(plan{atClient: []Fault{WrongContentLength{By: shape.Const(-43)}}})
	c := g.dial()
	c.send(request("/evil") + request("/length"))
	got, err := c.rest()
	if err != nil || !strings.Contains(got, "Content-Length: 10\r\nConnection: close\r\n\r\n0123456789HTTP/1.1 200 OK") || !strings.HasSuffix(got, "split") {
		t.Errorf("%q, %v", got, err)
	}
	if _, requests := g.backend.seen(); requests != 1 {
		t.Errorf("%d requests have been served", requests)
	}
}

// A pipelined request behind a damaged response is never served.
func TestNothingFollowsADamagedResponse(t *testing.T) {
	for _, f := range []Fault{TruncateBody{Bytes: shape.Const(1)}, TruncateBody{Bytes: shape.Const(1), Reset: true}, WrongContentLength{By: shape.Const(3)}, WrongContentLength{By: shape.Const(-3)}, BrokenChunk{}, Abort{End: FIN}, Abort{End: RST}} {
		g := newGateway(t, answers)
		g.set(plan{atClient: []Fault{f}})
		c := g.dial()
		c.send(request("/length") + request("/chunks"))
		got, _ := c.rest()
		if n := strings.Count(got, "HTTP/1.1"); n > 1 {
			t.Errorf("%T: %d responses", f, n)
		}
		if _, requests := g.backend.seen(); requests > 1 {
			t.Errorf("%T: %d requests were served", f, requests)
		}
	}
}

// A change of the request reaches the endpoint.
func TestRequestHeaders(t *testing.T) {
	g := newGateway(t, answers)
	g.set(plan{atClient: []Fault{Headers{Request: HeaderChange{Set: "X-A: 1", Add: "X-B: 2", Remove: "User-Agent, Accept-Encoding"}}}})
	if _, _, err := g.get("/length"); err != nil {
		t.Fatal(err)
	}
	g.backend.mu.Lock()
	h := g.backend.requests[0].Header
	g.backend.mu.Unlock()
	if h.Get("X-A") != "1" || h.Get("X-B") != "2" || h.Get("User-Agent") != "" || h.Get("Accept-Encoding") != "" {
		t.Error(h)
	}
}

// A client that leaves while a fault delays its request ends that.
func TestDelayEndsWhenTheClientLeaves(t *testing.T) {
	g := newGateway(t, answers)
	g.set(plan{atClient: []Fault{Delay{Latency: shape.Const(maxDelay)}}})
	c := g.dial()
	c.send(request("/length"))
	c.Close()
	for until := time.Now().Add(10 * time.Second); g.failure() == nil; time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("it waits on")
		}
	}
	if err := g.failure(); err.Side != proxy.Downstream || err.Status != 0 {
		t.Error(err)
	}
	if _, requests := g.backend.seen(); requests != 0 {
		t.Error("the request was sent all the same")
	}
}

// A delay at Backend is under the Route's timeout, and a throttled response, too.
func TestFaultsAtBackendAreUnderTheRoutesTimeout(t *testing.T) {
	g := newGateway(t, answers)
	g.set(plan{limit: 50 * time.Millisecond, atBackend: always(Delay{Latency: shape.Const(maxDelay)})})
	if res, _, err := g.get("/length"); err != nil || res.StatusCode != 504 {
		t.Error(res, err)
	}
}
