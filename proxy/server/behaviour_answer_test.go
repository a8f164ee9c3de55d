package server

import (
	"errors"
	"testing"

	"github.com/breakwater-gateway/breakwater/proxy"
)

func TestAnswersOfTheProxy(t *testing.T) {
	e := endpoint(t, answers(okHello))
	id := backendOf("web").ID
	for name, tc := range map[string]struct {
		snap   *proxy.Snapshot
		status int
		body   string
	}{
		"no route": {routed(backendOf("web", e.addr), func(r *proxy.Route) { r.Match.Path.Value = "/other" }),
			404, "Not Found: no route for this request\n"},
		"invalid route": {routed(backendOf("web", e.addr), func(r *proxy.Route) { r.Invalid = "secret reason" }),
			500, "Internal Server Error: this route is not configured correctly\n"},
		"no backend": {routed(backendOf("web", e.addr), func(r *proxy.Route) { r.Backends = nil }),
			500, "Internal Server Error: this route is not configured correctly\n"},
		"weight 0": {routed(backendOf("web", e.addr), func(r *proxy.Route) { r.Backends[0].Weight = 0 }),
			500, "Internal Server Error: this route is not configured correctly\n"},
		"broken reference": {routed(backendOf("web", e.addr), func(r *proxy.Route) {
			r.Backends[0] = proxy.WeightedBackend{Backend: id, Weight: 1, Invalid: "secret reason"}
		}), 500, "Internal Server Error: this route is not configured correctly\n"},
		"unknown backend": {routed(backendOf("web", e.addr), func(r *proxy.Route) { r.Backends[0].Backend.Name = "nobody" }),
			500, "Internal Server Error: this route is not configured correctly\n"},
		"no endpoint": {snapshotOf(backendOf("web")), 503, "Service Unavailable: no endpoint is ready\n"},
	} {
		t.Run(name, func(t *testing.T) {
			_, addr := serve(t, Config{}, tc.snap)
			c := dialWire(t, addr)
			for range 2 {
				c.send(request("POST", 5) + "hello")
				res, body, err := c.response("POST")
				if err != nil || res.StatusCode != tc.status || body != tc.body {
					t.Fatal(res, body, err)
				}
				if res.Header.Get("Content-Type") != "text/plain; charset=utf-8" || res.Header.Get("Date") == "" || res.Close {
					t.Error(res.Header)
				}
			}
			c.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
			if body := c.want("HEAD", tc.status); body != "" {
				t.Error(body)
			}
			// A body that is still on its way is not waited for, and the client gets the answer all the same.
			c.send(request("POST", 1<<40) + "x")
			res, body, err := c.response("POST")
			if err != nil || body != tc.body || !res.Close {
				t.Fatal(res, body, err)
			}
			c.wantEnd()
		})
	}
}

// Why there is no connection to an endpoint is not told as if the endpoint had answered, and nothing of the cause is told.
func TestAnswersForFailures(t *testing.T) {
	for _, c := range []struct {
		side   proxy.Side
		op     string
		status int
		body   string
	}{
		{proxy.Upstream, opConnect, 502, "Bad Gateway: no endpoint could be reached\n"},
		{proxy.Upstream, opConnect, 503, "Service Unavailable: the proxy has no room for another connection\n"},
		{proxy.Upstream, opConnect, 504, "Gateway Timeout: no endpoint could be reached in time\n"},
		{proxy.Upstream, "read response", 502, "Bad Gateway: the endpoint did not give a valid response\n"},
		{proxy.Upstream, "pick endpoint", 503, "Service Unavailable: no endpoint is ready\n"},
		{proxy.Upstream, "wait", 504, "Gateway Timeout: the endpoint did not respond in time\n"},
		{proxy.Internal, "route", 500, "Internal Server Error: this route is not configured correctly\n"},
		{proxy.Downstream, "read request body", 408, "Request Timeout: the request body did not arrive in time\n"},
		{proxy.Downstream, "read request body", 413, ""}, // the status's reason phrase
	} {
		err := &proxy.Error{Side: c.side, Op: c.op, Status: c.status, Err: errors.New("dial tcp 10.0.0.1:80: secret")}
		if got := answerTo(err); got.Status != c.status || got.Body != c.body {
			t.Errorf("%s, %d: got %+v, want %q", c.op, c.status, got, c.body)
		}
	}
}
