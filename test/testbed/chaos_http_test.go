package testbed_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/test/testbed"
)

// answers is a backend with answers of every framing. /length has a Content-Length of 100, /chunked ten chunks of ten bytes,
// /events a stream of five server-sent events, /headers the request's X-Fields.
func answers(w http.ResponseWriter, r *http.Request) {
	line := strings.Repeat("x", 9) + "\n"
	switch r.URL.Path {
	case "/length":
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, strings.Repeat(line, 10)) // the proxy may have gone
	case "/chunked":
		for range 10 {
			_, _ = io.WriteString(w, line)
			_ = http.NewResponseController(w).Flush()
		}
	case "/events":
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 5 {
			_, _ = fmt.Fprintf(w, "data: %d\n\n", i)
			_ = http.NewResponseController(w).Flush()
		}
	case "/large":
		w.Header().Set("Content-Length", fmt.Sprint(largeBody))
		_, _ = io.WriteString(w, strings.Repeat("y", largeBody))
	case "/headers":
		w.Header().Set("X-Kept", "endpoint")
		w.Header().Set("X-Changed", "endpoint")
		w.Header().Set("X-Removed", "endpoint")
		w.Header().Set("X-Seen", r.Header.Get("X-Kept")+"/"+r.Header.Get("X-Changed")+"/"+r.Header.Get("X-Removed")+"/"+strings.Join(r.Header["X-Added"], ","))
	}
}

const largeBody = 1 << 20

// answersBed is shopBed with answers.
func answersBed(t *testing.T, experiments string) *testbed.Bed {
	t.Helper()
	tb := testbed.New(t, oneIngress("shop.example.com", "shop"))
	tb.Backend("shop", http.HandlerFunc(answers))
	writeChaos(tb, experiments)
	return tb
}

// keepAlive is a client's connection that takes one request after another.
type keepAlive struct {
	*testbed.Client
	t  *testing.T
	in *bufio.Reader
}

func connect(t *testing.T, tb *testbed.Bed) *keepAlive {
	t.Helper()
	c := tb.DialTCP(tb.IngressPort)
	return &keepAlive{c, t, bufio.NewReader(c)}
}

// ask sends a request and reads the answer as far as it goes.
func (c *keepAlive) ask(path string) (res *http.Response, body string, err error) {
	c.t.Helper()
	if _, err := io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: shop.example.com\r\n\r\n"); err != nil {
		return nil, "", err
	}
	res, err = http.ReadResponse(c.in, nil)
	if err != nil {
		return nil, "", err
	}
	all, err := io.ReadAll(res.Body)
	return res, string(all), err
}

// want wants a whole answer.
func (c *keepAlive) want(path string, status, length int) {
	c.t.Helper()
	res, body, err := c.ask(path)
	if err != nil || res.StatusCode != status || len(body) != length {
		c.t.Fatalf("%s: got %v with %d bytes, %v; want %d with %d", path, res, len(body), err, status, length)
	}
}

// ends reports how the connection ends: true is a reset.
func (c *keepAlive) ends() (isReset bool) {
	c.t.Helper()
	rest, err := io.ReadAll(c.in)
	if err != nil && !errors.Is(err, syscall.ECONNRESET) {
		c.t.Fatalf("the connection stays open: %v after %q", err, rest)
	}
	return err != nil
}

func TestBodyFaultsAtClient(t *testing.T) {
	for _, c := range []struct {
		name, toxic, path string
		body              int // bytes that come
		whole             bool
		reset             bool
	}{
		{"truncated", "{type: TruncateBody, truncateBody: {bytes: 25}}", "/length", 25, false, false},
		{"truncated with a reset", "{type: TruncateBody, truncateBody: {bytes: 25, reset: true}}", "/length", 25, false, true},
		{"truncated chunks", "{type: TruncateBody, truncateBody: {bytes: 25}}", "/chunked", 25, false, false},
		{"truncated later than the end", "{type: TruncateBody, truncateBody: {bytes: 100}}", "/length", 100, true, false},
		{"length too long", "{type: WrongContentLength, wrongContentLength: {by: 5}}", "/length", 100, false, false},
		{"length too short", "{type: WrongContentLength, wrongContentLength: {by: -5}}", "/length", 95, true, false},
		{"broken chunk", "{type: BrokenChunk, brokenChunk: {bytes: 25}}", "/chunked", 25, false, false},
		{"events cut", "{type: CutEvents, cutEvents: {events: 2}}", "/events", 18, false, false},
		{"events cut with a reset", "{type: CutEvents, cutEvents: {events: 2, end: Reset}}", "/events", 18, false, true},
		{"events that end", "{type: CutEvents, cutEvents: {events: 2, end: Complete}}", "/events", 18, true, false},
		{"no events to cut", "{type: CutEvents, cutEvents: {events: 2}}", "/chunked", 100, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			tb := answersBed(t, onIngress("x", "toxics: ["+c.toxic+"]"))
			client := connect(t, tb)
			res, body, err := client.ask(c.path)
			if res == nil || res.StatusCode != 200 || len(body) != c.body || (err == nil) != c.whole {
				t.Fatalf("got %v with %q, %v", res, body, err)
			}
			if !c.whole {
				if got := client.ends(); got != c.reset && !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("ends with a reset: %v", got)
				}
				if c.reset != errors.Is(err, syscall.ECONNRESET) && c.reset {
					t.Errorf("the body ends with %v", err)
				}
			}
			// It is the client's alone: the gateway does not see a sick endpoint, nor a client that has left.
			outcome := "ok"
			if !c.whole || c.name == "length too short" {
				outcome = "fault"
			}
			tb.Eventually("the attempt is counted as "+outcome, func() bool {
				return tb.Metric("breakwater_backend_attempts_total", "outcome", outcome) == 1
			})
		})
	}
}

func TestBodyFaultsAtBackendAreTheEndpoints(t *testing.T) {
	for outcome, toxic := range map[string]string{
		"reset":     "{type: TruncateBody, truncateBody: {bytes: 25}}",
		"malformed": "{type: BrokenChunk, brokenChunk: {bytes: 25}}",
	} {
		t.Run(outcome, func(t *testing.T) {
			tb := answersBed(t, onIngress("x", "at: Backend", "toxics: ["+toxic+"]"))
			client := connect(t, tb)
			if res, body, err := client.ask("/chunked"); err == nil || len(body) != 25 {
				t.Errorf("got %v with %q, %v", res, body, err)
			}
			tb.Eventually("the attempt is counted as the endpoint's failure", func() bool {
				return tb.Metric("breakwater_backend_attempts_total", "outcome", outcome) == 1
			})
		})
	}
}

func TestHeaderChanges(t *testing.T) {
	const change = "{set: [{name: X-Changed, value: fault}], add: [{name: X-Added, value: one}], remove: [X-Removed]}"
	for _, at := range []string{"at: Client", "at: Backend"} {
		tb := answersBed(t, onIngress("x", at, "toxics: [{type: Headers, headers: {request: "+change+", response: "+change+"}}]"))
		res := tb.Get("shop.example.com", "/headers", "X-Kept", "mine", "X-Changed", "mine", "X-Removed", "mine", "X-Added", "mine")
		res.Field("X-Seen", "mine/fault//mine,one").Field("X-Kept", "endpoint").Field("X-Changed", "fault").Field("X-Removed", "").Field("X-Added", "one")
	}
}

func TestGRPCStatus(t *testing.T) {
	for _, at := range []string{"at: Client", "at: Backend"} {
		tb := answersBed(t, onIngress("x", at, "toxics: [{type: Abort, abort: {grpcStatus: 14, grpcMessage: not now}}]"))
		res := tb.Get("shop.example.com", "/").Field("Grpc-Status", "14").Field("Grpc-Message", "not now").Field("Content-Type", "application/grpc")
		if res.Status != 200 || res.Body != "" {
			t.Errorf("got %d %q", res.Status, res.Body)
		}
	}
}

func TestThrottle(t *testing.T) {
	for _, at := range []string{"at: Client", "at: Backend"} {
		tb := answersBed(t, onIngress("x", at, "toxics: [{type: Throttle, throttle: {rate: 400}}]"))
		began := time.Now()
		client := connect(t, tb)
		client.want("/length", 200, 100)
		if took := time.Since(began); took < 200*time.Millisecond {
			t.Errorf("%s: 100 bytes at 400 a second took %v", at, took)
		}
		tb.Delete("chaos.yaml")
		client.want("/length", 200, 100)
	}
}

// A delay that jumps from 0 to a long time.
func TestShapesOverTime(t *testing.T) {
	step := func(to, period string) string {
		return onIngress("x", "toxics: [{type: Delay, delay: {latency: 0s}, shapes: [{parameter: latency, type: Step, to: {duration: "+to+"}, period: "+period+"}]}]")
	}
	tb, _ := shopBed(t, step("1h", "1h"))
	if got := get(tb, "/"); got != 200 { // an hour early
		t.Errorf("got %d", got)
	}
	tb.Write("chaos.yaml", step("250ms", "300ms"))
	tb.Eventually("the step has come", func() bool {
		asked := time.Now()
		get(tb, "/")
		return time.Since(asked) >= 250*time.Millisecond
	})
}

func TestPresetOnHTTP(t *testing.T) {
	for _, at := range []string{"at: Client", "at: Backend"} {
		tb := answersBed(t, onIngress("x", at, "preset: CrossRegion"))
		client := connect(t, tb)
		began := time.Now()
		client.want("/length", 200, 100)
		if took := time.Since(began); took < 60*time.Millisecond { // 70 ms for the round trip, with a little jitter
			t.Errorf("%s: took %v", at, took)
		}
	}
}
