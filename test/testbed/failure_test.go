package testbed_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/test/testbed"
)

func TestNoRouteIs404(t *testing.T) {
	tb := testbed.New(t, oneIngress("shop.example.com", "shop"))
	tb.Backend("shop", nil)
	tb.Get("other.example.com", "/").Refused(http.StatusNotFound)
	tb.Eventually("the request is counted", func() bool { return tb.Metric("breakwater_requests_unrouted_total") == 1 })
}

func TestServiceWithoutReadyEndpointsIs503(t *testing.T) {
	tb := testbed.New(t, oneIngress("shop.example.com", "shop"))
	shop := tb.Backend("shop", nil)
	shop.SetReady(false)
	tb.Get("shop.example.com", "/").Refused(http.StatusServiceUnavailable)
	shop.SetReady(true)
	tb.Get("shop.example.com", "/").Served("shop")
}

func TestMissingServiceIs503UntilItAppears(t *testing.T) {
	tb := testbed.New(t, oneIngress("shop.example.com", "shop"))
	tb.Get("shop.example.com", "/").Refused(http.StatusServiceUnavailable)
	if report := tb.Report(); !strings.Contains(report, "default/shop not found") {
		t.Errorf("the report does not name the Service:\n%s", report)
	}
	tb.Backend("shop", nil)
	tb.Get("shop.example.com", "/").Served("shop")
}

func TestBackendThatIsDownIs502(t *testing.T) {
	tb := testbed.New(t, oneIngress("shop.example.com", "shop"))
	tb.Backend("shop", nil).Stop()
	tb.Get("shop.example.com", "/").Refused(http.StatusBadGateway)
	tb.Eventually("the attempt is counted", func() bool {
		return tb.Metric("breakwater_backend_attempts_total", "outcome", "connect_failure") > 0
	})
	tb.LogLine(`"error":"upstream: connect`)
}

func TestAnotherEndpointServesWhenOneIsDown(t *testing.T) {
	tb := testbed.New(t, oneIngress("shop.example.com", "shop"))
	down := tb.Backend("shop", nil)
	tb.Extra("shop", "second", nil)
	down.Stop()
	for range 20 {
		tb.Get("shop.example.com", "/").Served("second")
	}
}

func TestBackendThatSaysNonsenseIs502(t *testing.T) {
	tb := testbed.New(t, oneIngress("shop.example.com", "shop"))
	tb.Backend("shop", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		nc, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = nc.Close() }() // the proxy may have closed it already
		if _, err := nc.Write([]byte("220 mail.example.com ESMTP\r\n\r\n")); err != nil {
			t.Error(err)
		}
	}))
	tb.Get("shop.example.com", "/").Refused(http.StatusBadGateway)
}

func TestRouteTimeoutIs504(t *testing.T) {
	tb := testbed.New(t, route(`
  - timeouts: {request: 50ms}
    backendRefs: [{name: slow, port: 80}]
`))
	done := make(chan struct{})
	defer close(done)
	tb.Backend("slow", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-done:
		case <-r.Context().Done(): // the proxy has given up
		}
	}))
	tb.Send(testbed.Request{Port: tb.GatewayPort("edge", 80), Host: "shop.example.com", Path: "/"}).Refused(http.StatusGatewayTimeout)
}

// A request that is not valid never reaches a backend, is answered and counted, and its connection is closed.
func TestSmuggledRequestIsRefused(t *testing.T) {
	tb := testbed.New(t, oneIngress("shop.example.com", "shop"))
	shop := tb.Backend("shop", nil)
	nc, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", tb.IngressPort))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = nc.Close() }() // the proxy closes it first
	if err := nc.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := nc.Write([]byte("POST / HTTP/1.1\r\nHost: shop.example.com\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(nc)
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusBadRequest || !res.Close {
		t.Errorf("status %d, close %v", res.StatusCode, res.Close)
	}
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		t.Error(err)
	}
	if err := res.Body.Close(); err != nil {
		t.Error(err)
	}
	if _, err := r.ReadByte(); err == nil {
		t.Error("the connection stays open")
	}
	if n := shop.Requests.Load(); n != 0 {
		t.Errorf("%d requests reached the backend", n)
	}
	tb.Eventually("the refusal is counted", func() bool {
		return tb.Metric("breakwater_requests_refused_total", "reason", "ambiguous_framing") == 1
	})
}
