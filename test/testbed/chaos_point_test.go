package testbed_test

import (
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

func TestAbortAtClient(t *testing.T) {
	tb, shop := shopBed(t, onIngress("x", "toxics: [{type: Abort, abort: {status: 418, body: short, headers: [{name: X-Why, value: chaos}]}}]"))
	res := tb.Get("shop.example.com", "/").Field("X-Why", "chaos").Field("Content-Type", "text/plain; charset=utf-8")
	if res.Status != 418 || res.Body != "short" || shop.Requests.Load() != 0 {
		t.Errorf("got %d %q; the backend got %d requests", res.Status, res.Body, shop.Requests.Load())
	}
	if line := tb.LogLine(`"status":418`); strings.Contains(line, "attempts") || strings.Contains(line, "endpoint") {
		t.Errorf("the log has an attempt: %s", line)
	}
}

func TestAbortAtBackendIsAnAnswerOfTheEndpoint(t *testing.T) {
	tb, shop := shopBed(t, onIngress("x", "at: Backend", abort(503)))
	if got := get(tb, "/"); got != 503 || shop.Requests.Load() != 0 {
		t.Errorf("got %d; the backend got %d requests", got, shop.Requests.Load())
	}
	tb.LogLine(`"attempts":1`)
}

// A reset at Backend looks like an endpoint's: the gateway tries again what may be sent twice, and nothing else.
func TestResetAtBackendIsRetried(t *testing.T) {
	const reset = "toxics: [{name: reset, type: Abort, abort: {end: Reset}}]"
	for _, c := range []struct {
		name, method, sequence string
		status, served         int
		attempts               string
	}{
		{"once", "GET", "sequence: {steps: [{toxics: [reset]}]}", 200, 1, `"attempts":2`},
		{"twice", "PUT", "sequence: {steps: [{count: 2, toxics: [reset]}]}", 200, 1, `"attempts":3`},
		{"always", "GET", "", 502, 0, `"attempts":3`},
		{"not idempotent", "POST", "", 502, 0, `"attempts":1`},
	} {
		t.Run(c.name, func(t *testing.T) {
			tb, shop := shopBed(t, onIngress("x", "at: Backend", reset, c.sequence))
			res := tb.Send(testbed.Request{Method: c.method, Host: "shop.example.com", Path: "/", Body: "content"})
			if res.Status != c.status || shop.Requests.Load() != int64(c.served) {
				t.Errorf("got %d, want %d; the backend got %d requests, want %d", res.Status, c.status, shop.Requests.Load(), c.served)
			}
			tb.LogLine(c.attempts)
			if s := state(t, tb, "x"); s.Matched != 1 || s.Injected != 1 {
				t.Errorf("%d matched, %d injected, want one request", s.Matched, s.Injected)
			}
		})
	}
}

func TestConnectionEndsAtClient(t *testing.T) {
	for end, isReset := range map[string]bool{"Close": false, "Reset": true} {
		t.Run(end, func(t *testing.T) {
			tb, shop := shopBed(t, onIngress("x", "toxics: [{type: Abort, abort: {end: "+end+"}}]"))
			_, err := tb.Do(testbed.Request{Method: "POST", Host: "shop.example.com", Path: "/"})
			if isReset != errors.Is(err, syscall.ECONNRESET) || !isReset && !errors.Is(err, io.EOF) {
				t.Errorf("%v", err)
			}
			if shop.Requests.Load() != 0 {
				t.Error("a request has reached the backend")
			}
		})
	}
}

// withTimeouts is the HTTPRoute shop with these timeouts and one backend.
func withTimeouts(timeouts string) string {
	return route("  - timeouts: {" + timeouts + "}\n    backendRefs: [{name: shop, port: 80}]\n")
}

func onRoute(lines ...string) string {
	return experiment("x", append([]string{"duration: 1h", "targetRefs: [{kind: HTTPRoute, name: shop}]"}, lines...)...)
}

func TestDelayAtBackendIsUnderTheRoutesTimeout(t *testing.T) {
	for _, timeouts := range []string{"request: 150ms", "backendRequest: 150ms", "request: 1h, backendRequest: 150ms"} {
		t.Run(timeouts, func(t *testing.T) {
			tb := testbed.New(t, withTimeouts(timeouts)+"---"+onRoute("at: Backend", "toxics: [{type: Delay, delay: {latency: 1h}}]"))
			shop := tb.Backend("shop", nil)
			began := time.Now()
			tb.Send(testbed.Request{Port: tb.GatewayPort("edge", 80), Host: "shop.example.com", Path: "/"}).Refused(http.StatusGatewayTimeout)
			if took := time.Since(began); took < 150*time.Millisecond || took > time.Minute {
				t.Errorf("took %v", took)
			}
			if shop.Requests.Load() != 0 {
				t.Error("the backend got the request")
			}
		})
	}
}

func TestDelayAtClientIsNotUnderTheRoutesTimeout(t *testing.T) {
	const delay, timeout = 400 * time.Millisecond, 300 * time.Millisecond
	tb := testbed.New(t, withTimeouts("request: 300ms, backendRequest: 300ms")+"---"+
		onRoute("at: Client", "toxics: [{type: Delay, delay: {latency: 400ms}}]"))
	slow := make(chan struct{})
	defer close(slow)
	tb.Backend("shop", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			select {
			case <-slow:
			case <-r.Context().Done():
			}
		}
	}))
	ask := func(path string) (*testbed.Response, time.Duration) {
		began := time.Now()
		res := tb.Send(testbed.Request{Port: tb.GatewayPort("edge", 80), Host: "shop.example.com", Path: path})
		return res, time.Since(began)
	}
	answer := func(path string) int {
		res, took := ask(path)
		if took < delay || res.Status == 504 && took < delay+timeout { // the timeout begins behind the delay
			t.Fatalf("%s: got %d after %v", path, res.Status, took)
		}
		return res.Status
	}
	tb.Eventually("the backend answers before the timeout", func() bool { return answer("/") == 200 }) // a slow machine may not
	if got := answer("/slow"); got != 504 {
		t.Errorf("got %d", got)
	}
}

func TestBytesAtBackendAreUnderTheRoutesTimeout(t *testing.T) {
	tb := testbed.New(t, withTimeouts("request: 150ms")+"---"+
		onRoute("at: Backend", "toxics: [{type: Latency, direction: Downstream, latency: {latency: 1h}}]"))
	shop := tb.Backend("shop", nil)
	tb.Eventually("a request has reached the backend: only the answer is late", func() bool { // a slow machine may need several
		tb.Send(testbed.Request{Port: tb.GatewayPort("edge", 80), Host: "shop.example.com", Path: "/"}).Refused(http.StatusGatewayTimeout)
		return shop.Requests.Load() > 0
	})
}

// Every kind of object that carries HTTP can be the target.
func TestTargets(t *testing.T) {
	for _, ref := range []string{
		"{kind: HTTPRoute, name: shop}", "{kind: Gateway, name: edge}", "{kind: Gateway, name: edge, sectionName: http}",
		"{kind: Service, name: shop}", "{group: gateway.networking.k8s.io, kind: HTTPRoute, name: shop, namespace: default}",
	} {
		t.Run(ref, func(t *testing.T) {
			tb := testbed.New(t, strings.Replace(route(`
  - matches: [{path: {value: /other}}]
    backendRefs: [{name: other, port: 80}]
  - backendRefs: [{name: shop, port: 80}]
`), "protocol: HTTP}", "protocol: HTTP}, {name: second, port: 81, protocol: HTTP}", 1))
			tb.Backend("shop", nil)
			tb.Backend("other", nil)
			ask := func(port int32, path string) int {
				return tb.Send(testbed.Request{Port: tb.GatewayPort("edge", port), Host: "shop.example.com", Path: path}).Status
			}
			tb.Write("chaos.yaml", experiment("x", "duration: 1h", "at: Backend", "targetRefs: ["+ref+"]", abort(503)))
			want := func(port int32, path string, status int) {
				t.Helper()
				if got := ask(port, path); got != status {
					t.Errorf("port %d, %s: %d, want %d", port, path, got, status)
				}
			}
			other, second := 503, 503
			if strings.Contains(ref, "Service") {
				other = 200
			}
			if strings.Contains(ref, "section") {
				second = 200
			}
			want(80, "/", 503)
			want(80, "/other", other)
			want(81, "/", second)
			tb.Delete("chaos.yaml")
			want(80, "/", 200)
		})
	}
}

func TestTargetsInOtherNamespacesNeedAGrant(t *testing.T) {
	tb, _ := shopBed(t, "")
	foreign := strings.Replace(onIngress("x", abort(503)), "{name: x}", "{name: x, namespace: chaos}", 1)
	foreign = strings.Replace(foreign, "name: shop}", "name: shop, namespace: default}", 1)
	tb.Write("chaos.yaml", foreign)
	if got := get(tb, "/"); got != 200 || !strings.Contains(tb.Report(), "RefNotPermitted") {
		t.Errorf("got %d without a grant; the report says\n%s", got, tb.Report())
	}
	tb.Write("grant.yaml", `
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {name: chaos}
spec:
  from: [{group: breakwater-gateway.io, kind: NetworkChaos, namespace: chaos}]
  to: [{group: networking.k8s.io, kind: Ingress}]
`)
	if got := get(tb, "/"); got != 503 {
		t.Errorf("got %d with the grant; the report says\n%s", got, tb.Report())
	}
	tb.Delete("grant.yaml")
	if got := get(tb, "/"); got != 200 {
		t.Errorf("got %d when the grant is gone", got)
	}
}

// Experiments compose: the oldest acts first, then in the order of names.
func TestExperimentsCompose(t *testing.T) {
	header := func(value string) string {
		return fmt.Sprintf("toxics: [{type: Headers, headers: {response: {add: [{name: X-Order, value: %s}]}}}]", value)
	}
	tb, _ := shopBed(t, onIngress("b", header("b"))+onIngress("a", header("a")))
	tb.Write("chaos-c.yaml", onIngress("c", "toxics: [{type: Delay, delay: {latency: 20ms}}, {type: Abort, abort: {status: 418}}]"))
	began := time.Now()
	res := tb.Get("shop.example.com", "/")
	if res.Status != 418 || time.Since(began) < 20*time.Millisecond {
		t.Errorf("got %d after %v", res.Status, time.Since(began))
	}
	for _, name := range []string{"a", "b", "c"} {
		if s := state(t, tb, name); s.Injected != 1 {
			t.Errorf("%s: %d injected", name, s.Injected)
		}
	}
	if got := strings.Join(res.Header["X-Order"], ""); got != "ba" { // a is next to the client
		t.Errorf("header changes %q", res.Header["X-Order"])
	}
}
