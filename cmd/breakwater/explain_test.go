package main

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
)

const explained = `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop}
spec:
  rules:
  - host: shop.example.com
    http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: front, port: {number: 80}}}}
      - {path: /cart, pathType: Exact, backend: {service: {name: cart, port: {number: 80}}}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: breakwater
  listeners:
  - {name: http, port: 80, protocol: HTTP}
  - {name: same, port: 80, protocol: UDP}
  - {name: tcp, port: 5432, protocol: TCP}
  - {name: spare, port: 5433, protocol: TCP}
---
apiVersion: gateway.networking.k8s.io/v1
kind: TCPRoute
metadata: {name: db}
spec: {parentRefs: [{name: edge, sectionName: tcp}], rules: [{backendRefs: [{name: db, port: 5432}]}]}
`

func TestExplainOffline(t *testing.T) {
	dir := folder(t, explained)
	for _, c := range []struct {
		name string
		args []string
		code int
		want []string
		not  string
	}{
		{"every port", []string{"GET", "shop.example.com/cart"}, 0, []string{"port      8080", "port      10080", "Ingress/default/shop/0#1", "outranked"}, ""},
		{"one port", []string{"GET", "shop.example.com:8080/x/../cart"}, 0, []string{"GET shop.example.com/cart"}, "10080"},
		{"own Host", []string{"GET", "127.0.0.1:8080/", "-H", "Host: shop.example.com"}, 0, []string{"Ingress/default/shop/0#0"}, ""},
		{"no route", []string{"GET", "other.example.com:8080/"}, 0, []string{"404"}, ""},
		{"no such port", []string{"GET", "shop.example.com:1/"}, 1, []string{"port 1 is not served", "8080"}, ""},
		{"connections, not requests", []string{"GET", "shop.example.com:15432/"}, 1, []string{"port 15432 is not for requests", "TCPRoute/default/db"}, ""},
		{"nobody's connections", []string{"GET", "shop.example.com:15433/"}, 1, []string{"listener Gateway/default/edge:spare (tcp) has no route"}, ""},
		{"requests beside datagrams", []string{"GET", "shop.example.com:10080/"}, 0, []string{"port      10080"}, ""},
		{"refused", []string{"GET", "shop.example.com/%zz"}, 1, []string{"refused with 400"}, ""},
		{"port offset", []string{"GET", "shop.example.com:80/", "--port-offset", "0"}, 0, []string{"port      80\n"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var stdout, stderr output
			code := run(context.Background(), append([]string{"explain", "--manifests", dir}, c.args...), &stdout, &stderr)
			text := stdout.String() + stderr.String()
			if code != c.code || c.not != "" && strings.Contains(text, c.not) {
				t.Errorf("exit code %d, want %d:\n%s", code, c.code, text)
			}
			for _, want := range c.want {
				if !strings.Contains(text, want) {
					t.Errorf("no %q in\n%s", want, text)
				}
			}
		})
	}
}

func TestExplainJSON(t *testing.T) {
	var stdout, stderr output
	code := run(context.Background(), []string{"explain", "--manifests", folder(t, explained), "-o", "json", "GET", "shop.example.com:8080/cart"}, &stdout, &stderr)
	var got []struct {
		Port       int
		Summary    string
		Candidates []struct{ Verdict string }
	}
	if err := json.Unmarshal([]byte(stdout.String()), &got); code != 0 || err != nil {
		t.Fatalf("exit code %d, %v in\n%s", code, err, stdout.String())
	}
	if len(got) != 1 || got[0].Port != 8080 || len(got[0].Candidates) != 2 || got[0].Candidates[0].Verdict != "selected" {
		t.Errorf("got %+v", got)
	}
}

// What a folder says is not known while something in it cannot be read: no result is better than a wrong one.
func TestExplainOfBadManifests(t *testing.T) {
	bad := folder(t, explained+"---\nkind: [\n")
	for dir, want := range map[string]string{bad: "main.yaml", bad + "/gone": "gone"} {
		var stdout, stderr output
		code := run(context.Background(), []string{"explain", "--manifests", dir, "GET", "shop.example.com:8080/cart"}, &stdout, &stderr)
		if code != exitFailure || !strings.Contains(stderr.String(), want) || stdout.String() != "" {
			t.Errorf("exit code %d\n%s%s", code, stdout.String(), stderr.String())
		}
	}
}

const explainedChaos = explained + `---
apiVersion: breakwater-gateway.io/v1alpha1
kind: NetworkChaos
metadata: {name: slow-cart}
spec:
  targetRefs: [{kind: Ingress, name: shop}]
  match: [{path: {type: Exact, value: /cart}}]
  percent: 10
  duration: 1h
  toxics: [{type: Latency, latency: {latency: 1s}}, {name: tea, type: Abort, percent: 50, shapes: [{parameter: percent, type: Ramp, to: {percent: 75}, period: 1m}], abort: {status: 418}}]
---
apiVersion: v1
kind: Service
metadata: {name: cart}
spec: {ports: [{port: 80}]}
`

// A 503 is explained by what is broken on purpose, and by backends that nobody is behind.
func TestExplainNamesExperiments(t *testing.T) {
	dir := folder(t, explainedChaos)
	for _, c := range []struct{ path, want string }{
		{"/cart", "\nbackend   default/cart:80: no endpoint is ready: 503\nchaos     default/slow-cart: 10% at Client: Latency, tea (abort) 50% to 75%\n"},
		{"/", "chaos     default/slow-cart: 10% at Client: Latency, tea (abort) 50% to 75%; its match does not select this request\n"},
	} {
		var stdout, stderr output
		code := run(context.Background(), []string{"explain", "--manifests", dir, "GET", "shop.example.com:8080" + c.path}, &stdout, &stderr)
		if code != 0 || !strings.Contains(stdout.String(), c.want) {
			t.Errorf("%s: exit code %d, no %q in\n%s%s", c.path, code, c.want, stdout.String(), stderr.String())
		}
	}
	s := serveFolder(t, ingress("a.example.com")+abortHalf(1))
	s.eventually("it is ready", s.ready)
	ask := func(want string) {
		t.Helper()
		if code, stdout, stderr := s.command("explain GET a.example.com/"); code != 0 || !strings.Contains(stdout, want) {
			t.Errorf("exit code %d, no %q in\n%s%s", code, want, stdout, stderr)
		}
	}
	ask("chaos     default/teapot (Active): 100% at Client: tea (abort) 50%\n")
	s.command("chaos off")
	ask("chaos     default/teapot (Off): 100% at Client: tea (abort) 50%\nchaos     is off: no experiment acts\n")
	s.end()
}

func TestExplainWithoutInstance(t *testing.T) {
	var stdout, stderr output
	code := run(context.Background(), []string{"explain", "--admin-address", "127.0.0.1:1", "GET", "h/"}, &stdout, &stderr)
	if code != exitFailure || !strings.Contains(stderr.String(), "127.0.0.1:1") || !strings.Contains(stderr.String(), "--manifests") {
		t.Errorf("exit code %d: %s", code, stderr.String())
	}
}
