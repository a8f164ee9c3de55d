package testbed_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/breakwater-gateway/breakwater/test/testbed"
)

func TestRouteEditIsLive(t *testing.T) {
	tb := testbed.New(t, oneIngress("old.example.com", "shop"))
	tb.Backend("shop", nil)
	tb.Get("old.example.com", "/").Served("shop")
	tb.Write("main.yaml", oneIngress("new.example.com", "shop"))
	tb.Get("new.example.com", "/").Served("shop")
	tb.Get("old.example.com", "/").Refused(http.StatusNotFound)
}

func TestEndpointsComeAndGo(t *testing.T) {
	tb := testbed.New(t, oneIngress("shop.example.com", "shop"))
	first := tb.Backend("shop", nil)
	second := tb.Extra("shop", "second", nil)
	for range 20 {
		tb.Get("shop.example.com", "/")
	}
	if first.Requests.Load() == 0 || second.Requests.Load() == 0 {
		t.Errorf("%d and %d requests", first.Requests.Load(), second.Requests.Load())
	}
	second.Leave()
	before := second.Requests.Load()
	for range 20 {
		tb.Get("shop.example.com", "/").Served("shop")
	}
	if second.Requests.Load() != before {
		t.Error("an endpoint that was removed still gets requests")
	}
}

func TestMistakeKeepsTheLastGoodState(t *testing.T) {
	for name, mistake := range map[string]string{
		"not YAML":      "kind: [Ingress",
		"unknown field": strings.Replace(oneIngress("new.example.com", "shop"), "rules:", "rulez:", 1),
		"bad path type": strings.Replace(oneIngress("new.example.com", "shop"), "Prefix", "Pretext", 1),
		"bad host":      oneIngress("new_example..com", "shop"),
	} {
		t.Run(name, func(t *testing.T) {
			tb := testbed.New(t, oneIngress("shop.example.com", "shop"))
			tb.Backend("shop", nil)
			before := tb.Snapshot()
			problems := tb.TryWrite("main.yaml", mistake)
			if len(problems) == 0 {
				t.Fatal("the mistake is not reported")
			}
			if !strings.Contains(problems[0].String(), "main.yaml") || problems[0].Reason == "" {
				t.Errorf("the report does not help: %s", problems[0])
			}
			if tb.Snapshot() != before {
				t.Error("something else is served now")
			}
			tb.Get("shop.example.com", "/").Served("shop")
			tb.Write("main.yaml", oneIngress("new.example.com", "shop")) // the correction
			tb.Get("new.example.com", "/").Served("shop")
		})
	}
}

func TestBadObjectChangesOnlyItself(t *testing.T) {
	tb := testbed.New(t, oneIngress("good.example.com", "shop")+`
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: bad}
spec:
  parentRefs: [{name: nowhere}]
  rules: [{backendRefs: [{name: nothing, port: 80}]}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: bad}
spec:
  rules:
  - host: bad.example.com
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: shop, port: {name: no-such-port}}}}]}
`)
	tb.Backend("shop", nil)
	tb.Get("good.example.com", "/").Served("shop")
	if res := tb.Get("bad.example.com", "/"); res.Status < 500 {
		t.Errorf("got %d", res.Status)
	}
}

// Requests go on, on kept connections and on new ones, with bodies and without, while routes and endpoints change under
// them. Every single one is answered by the backend it is meant for.
func TestReloadUnderTrafficLosesNothing(t *testing.T) {
	tb := testbed.New(t, oneIngress("shop.example.com", "shop"))
	tb.Backend("shop", nil)
	second := tb.Extra("shop", "second", nil)
	var stop atomic.Bool
	var sent atomic.Int64
	var clients sync.WaitGroup
	for worker := range 4 {
		clients.Go(func() {
			for i := 0; !stop.Load(); i++ {
				q := testbed.Request{Host: "shop.example.com", Path: fmt.Sprintf("/%d/%d", worker, i), New: worker%2 == 0}
				if i%2 == 0 {
					q.Method, q.Body = http.MethodPost, "some content"
				}
				res, err := tb.Do(q)
				if err != nil || res.Status != http.StatusOK || res.Body != "shop\n" && res.Body != "second\n" {
					t.Errorf("request %d of client %d: %v %+v", i, worker, err, res)
					return
				}
				sent.Add(1)
			}
		})
	}
	wait := func(n int64) { // so that requests fall into every state
		target := sent.Load() + n
		tb.Eventually("clients go on", func() bool { return sent.Load() >= target || t.Failed() })
	}
	for i := range 30 {
		tb.Write("other.yaml", oneIngress(fmt.Sprintf("other-%d.example.com", i), "other"))
		wait(4)
		tb.Write("main.yaml", oneIngress("shop.example.com", "shop")+fmt.Sprintf("      - {path: /x%d, pathType: Exact, backend: {service: {name: shop, port: {number: 80}}}}\n", i))
		wait(4)
		if i%2 == 0 {
			second.Leave()
		} else {
			second.Join()
		}
		wait(4)
	}
	stop.Store(true)
	clients.Wait()
	if got := tb.Metric("breakwater_snapshot_applies_total", "result", "applied"); got < 90 {
		t.Errorf("only %v snapshots were applied", got)
	}
}

// A connection outlives any number of snapshots.
func TestReloadKeepsConnections(t *testing.T) {
	tb := testbed.New(t, oneIngress("shop.example.com", "shop"))
	tb.Backend("shop", nil)
	for i := range 20 {
		tb.Get("shop.example.com", "/").Served("shop")
		tb.Write("other.yaml", oneIngress(fmt.Sprintf("other-%d.example.com", i), "other"))
	}
	if n := tb.Metric("breakwater_connections_accepted_total"); n != 1 {
		t.Errorf("%v client connections were needed, want 1", n)
	}
	if n := tb.Metric("breakwater_backend_connections_opened_total"); n != 1 {
		t.Errorf("%v connections to the endpoint were needed, want 1", n)
	}
}
