package whoami_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/breakwater-gateway/breakwater/cmd/whoami/whoami"
)

func TestHealthIsStored(t *testing.T) {
	var messages strings.Builder
	options := fixed
	options.Messages = &messages
	client, url := newClient(t, nil), "http://"+startPlain(t, options)+"/health"
	steps := []struct {
		method, body string
		status       int
	}{
		{"GET", "", 200},
		{"POST", "503", 200}, {"GET", "", 503}, {"HEAD", "", 503}, {"DELETE", "", 503},
		{"POST", "nonsense", 400}, {"POST", "42", 400}, {"POST", "101", 400}, {"POST", "600", 400}, {"POST", "", 400},
		{"GET", "", 503},
		{"POST", "204", 200}, {"PUT", "500", 204},
	}
	for _, step := range steps {
		got := do(t, client, step.method, url, step.body)
		if got.status != step.status {
			t.Fatalf("%s %q: %d, want %d", step.method, step.body, got.status, step.status)
		}
		if got.status != 400 && got.body != "" {
			t.Errorf("%s %q: body %q", step.method, step.body, got.body)
		}
	}
	want := "Update health check status code [503]\nUpdate health check status code [204]\n"
	if messages.String() != want {
		t.Errorf("messages: %q", messages.String())
	}
}

func TestReadinessToggles(t *testing.T) {
	client, url := newClient(t, nil), "http://"+startPlain(t, fixed)+"/readyz"
	steps := []struct {
		method, path string
		status       int
	}{
		{"GET", "", 200},
		{"GET", "/disable", 405}, {"GET", "", 200},
		{"POST", "/disable", 204}, {"GET", "", 503},
		{"POST", "/enable", 204}, {"GET", "", 200},
	}
	for _, step := range steps {
		if got := do(t, client, step.method, url+step.path, ""); got.status != step.status {
			t.Fatalf("%s %s: %d, want %d", step.method, step.path, got.status, step.status)
		}
	}
}

func TestStatus(t *testing.T) {
	client, address := newClient(t, nil), startPlain(t, fixed)
	for path, want := range map[string]int{
		"200": 200, "204": 204, "304": 304, "418": 418, "503": 503, "599": 599,
		"199": 400, "600": 400, "abc": 400, "": 400, "101": 400,
	} {
		if got := do(t, client, "GET", "http://"+address+"/status/"+path, ""); got.status != want {
			t.Errorf("/status/%s: %d, want %d", path, got.status, want)
		}
	}
}

func TestDirectives(t *testing.T) {
	client, address := newClient(t, nil), startPlain(t, fixed)
	tests := []struct {
		path   string
		field  string
		status int
		kind   string
	}{
		{"/bench", "x-set-response-status-code: 503", 503, "text/plain"},
		{"/bench?x-set-response-status-code=429", "", 429, "text/plain"},
		{"/bench?x-set-response-status-code=429", "x-set-response-status-code: 503", 503, "text/plain"},
		{"/bench?X-Set-Response-Status-Code=429", "", 200, "text/plain"},
		{"/bench", "x-set-response-status-code: 42", 200, "text/plain"},
		{"/api?x-set-response-content-type=text/html", "", 200, "text/html"},
		{"/api", "x-set-response-content-type: a/b", 200, "a/b"},
		{"/", "x-set-response-status-code: 500", 500, "text/plain; charset=utf-8"},
		{"/status/404?x-set-response-status-code=201", "", 201, "text/plain; charset=utf-8"},
		{"/drip?duration=0s&x-set-response-status-code=502", "", 502, "application/octet-stream"},
	}
	for _, test := range tests {
		var fields []string
		if test.field != "" {
			fields = append(fields, test.field)
		}
		got := do(t, client, "GET", "http://"+address+test.path, "", fields...)
		if got.status != test.status || got.header.Get("Content-Type") != test.kind {
			t.Errorf("%s %s: %d %q", test.path, test.field, got.status, got.header.Get("Content-Type"))
		}
	}
}

// Every way to ask for a late answer, in virtual time.
func TestDelays(t *testing.T) {
	tests := []struct {
		path  string
		field string
		want  time.Duration
	}{
		{"/?wait=100ms", "", 100 * time.Millisecond},
		{"/?wait=soon", "", 0},
		{"/delay/250ms", "", 250 * time.Millisecond},
		{"/delay/1.5", "", 1500 * time.Millisecond},
		{"/delay/-1s", "", 0},
		{"/delay/NaN", "", 0},
		{"/delay/1e30", "", 0},
		{"/bench", "1500", 1500 * time.Millisecond},
		{"/bench?x-set-response-delay-ms=20", "", 20 * time.Millisecond},
		{"/bench?x-set-response-delay-ms=20", "10", 10 * time.Millisecond},
		{"/bench", "-3", 0},
		{"/drip?duration=9s&numbytes=10&delay=1s", "", 10 * time.Second},
		{"/sse?count=5&interval=2s", "", 8 * time.Second},
		{"/retry/?uuid=a&succeedAfter=1&responseCode=500&delayRetry=3s", "", 3 * time.Second},
	}
	for _, test := range tests {
		t.Run(test.path, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := httptest.NewRequest("GET", test.path, nil)
				if test.field != "" {
					r.Header.Set("x-set-response-delay-ms", test.field)
				}
				begin := time.Now()
				whoami.New(fixed).ServeHTTP(httptest.NewRecorder(), r)
				if took := time.Since(begin); took != test.want {
					t.Errorf("took %v, want %v", took, test.want)
				}
			})
		})
	}
}

// A client that goes away ends the wait.
func TestDelayEndsWithTheClient(t *testing.T) {
	for _, path := range []string{"/?wait=1h", "/delay/1h", "/sse?count=0", "/drip?duration=1h", "/x?x-set-response-delay-ms=3600000"} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
			defer cancel()
			begin := time.Now()
			whoami.New(fixed).ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "GET", path, nil))
			if took := time.Since(begin); took != 90*time.Second {
				t.Errorf("%s took %v", path, took)
			}
		})
	}
}

func TestUnstableFailsAtTheGivenRate(t *testing.T) {
	var next float64
	options := fixed
	options.Random = func() float64 { return next }
	handler := whoami.New(options)
	for _, test := range []struct {
		query  string
		random float64
		status int
	}{
		{"", 0.49, 500}, {"", 0.5, 200},
		{"failure_rate=0", 0, 200}, {"failure_rate=1", 0.999, 500}, {"failure_rate=0.1", 0.05, 500}, {"failure_rate=0.1", 0.1, 200},
		{"failure_rate=2", 0, 400}, {"failure_rate=-1", 0, 400}, {"failure_rate=x", 0, 400}, {"failure_rate=NaN", 0, 400},
	} {
		next = test.random
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest("GET", "/unstable?"+test.query, nil))
		if w.Code != test.status {
			t.Errorf("%q with %v: %d, want %d", test.query, test.random, w.Code, test.status)
		}
	}
}

func TestRetryFailsThenSucceedsForEachUUID(t *testing.T) {
	client, address := newClient(t, nil), startPlain(t, fixed)
	url := "http://" + address + "/retry/?succeedAfter=2&responseCode=503&uuid="
	for i, want := range []int{503, 503, 200, 200} {
		got := do(t, client, "GET", url+"a", "")
		if got.status != want || got.header.Get("X-Whoami-Attempt") != fmt.Sprint(i+1) {
			t.Errorf("attempt %d: %d, counted %s", i+1, got.status, got.header.Get("X-Whoami-Attempt"))
		}
	}
	if got := do(t, client, "GET", url+"b", ""); got.status != 503 {
		t.Errorf("another uuid: %d", got.status)
	}
}

func TestRetryRefusesBadParameters(t *testing.T) {
	handler := whoami.New(fixed)
	for _, query := range []string{
		"", "uuid=a", "succeedAfter=1", "uuid=a&succeedAfter=-1", "uuid=a&succeedAfter=x",
		"uuid=a&succeedAfter=1&responseCode=99", "uuid=a&succeedAfter=1&delayRetry=soon",
		"succeedAfter=1&uuid=" + strings.Repeat("u", 129),
	} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest("GET", "/retry/?"+query, nil))
		if w.Code != 400 {
			t.Errorf("%q: %d", query, w.Code)
		}
	}
}

func TestRetryForgetsTheOldestUUID(t *testing.T) {
	handler := whoami.New(fixed)
	status := func(uuid string) int {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest("GET", "/retry/?succeedAfter=1&responseCode=500&uuid="+uuid, nil))
		return w.Code
	}
	status("first")
	for i := range 9_999 {
		status(fmt.Sprint(i))
	}
	if got := status("first"); got != 200 {
		t.Errorf("still known: %d", got)
	}
	status("another") // drops "first"
	if got := status("first"); got != 500 {
		t.Errorf("forgotten: %d", got)
	}
}

func TestRetryResetsTheConnection(t *testing.T) {
	address := startPlain(t, fixed)
	url := "http://" + address + "/retry/?succeedAfter=1&uuid="
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(conn, "GET /retry/?succeedAfter=1&uuid=a HTTP/1.1\r\nHost: h\r\n\r\n")
	if n, err := conn.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("HTTP/1: %d bytes, %v; want a reset", n, err)
	}
	h1 := newClient(t, nil)
	if got := do(t, h1, "GET", url+"a", ""); got.status != 200 {
		t.Errorf("HTTP/1, second: %d", got.status)
	}
	two := newClient(t, h2c)
	if response, err := two.Post(url+"b", "", io.MultiReader(strings.NewReader("x"))); err == nil {
		t.Errorf("HTTP/2: %v; want a stream error", response)
	}
	if got := do(t, two, "GET", url+"b", ""); got.status != 200 {
		t.Errorf("HTTP/2, second: %d", got.status)
	}
}
