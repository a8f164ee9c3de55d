package testbed_test

import (
	"net/http"
	"testing"

	"github.com/breakwater-gateway/breakwater/test/testbed"
)

func TestIngressRoutesByHostAndPath(t *testing.T) {
	tb := testbed.New(t, `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: catch-all}
spec:
  defaultBackend: {service: {name: fallback, port: {name: http}}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop}
spec:
  rules:
  - host: shop.example.com
    http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: front, port: {number: 80}}}}
      - {path: /cart, pathType: Prefix, backend: {service: {name: cart, port: {name: http}}}}
      - {path: /cart/help, pathType: Exact, backend: {service: {name: help, port: {number: 80}}}}
  - host: "*.example.org"
    http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: wild, port: {number: 80}}}}
`)
	for _, name := range []string{"fallback", "front", "cart", "help", "wild"} {
		tb.Backend(name, nil)
	}
	for _, c := range []struct{ host, path, backend string }{
		{"shop.example.com", "/", "front"},
		{"shop.example.com", "/carts", "front"},
		{"shop.example.com", "/cart", "cart"},
		{"shop.example.com", "/cart/", "cart"},
		{"shop.example.com", "/cart/help/me", "cart"},
		{"shop.example.com", "/cart/help", "help"},
		{"shop.example.com", "/cart?x=/cart/help", "cart"},
		{"SHOP.example.com", "/a/../cart", "cart"},
		{"shop.example.com:8080", "/cart", "cart"},
		{"a.example.org", "/", "wild"},
		{"a.b.example.org", "/", "fallback"}, // a wildcard of an Ingress covers one label
		{"example.org", "/", "fallback"},
		{"other.example.com", "/cart", "fallback"},
	} {
		t.Run(c.host+c.path, func(t *testing.T) {
			if got := tb.Get(c.host, c.path).Header.Get(testbed.NameHeader); got != c.backend {
				t.Errorf("served by %q, want %q", got, c.backend)
			}
		})
	}
}

func TestRequestReachesTheBackendUnchanged(t *testing.T) {
	tb := testbed.New(t, oneIngress("echo.example.com", "echo"))
	tb.Backend("echo", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Seen", r.Method+" "+r.Host+" "+r.RequestURI+" "+r.Header.Get("X-Own")+" "+r.Header.Get("X-Forwarded-Host"))
		w.WriteHeader(http.StatusTeapot)
		if _, err := w.Write([]byte("seen")); err != nil {
			t.Error(err)
		}
	}))
	res := tb.Send(testbed.Request{
		Method: "PATCH", Host: "echo.example.com", Path: "/a%20b?c=%20d&e", Body: "content",
		Header: http.Header{"X-Own": {"mine"}, "X-Forwarded-Host": {"forged.example.com"}},
	})
	if res.Status != http.StatusTeapot || res.Body != "seen" {
		t.Errorf("got %d %q", res.Status, res.Body)
	}
	res.Field("X-Seen", "PATCH echo.example.com /a%20b?c=%20d&e mine echo.example.com")
}

// oneIngress sends all of a host to the Service.
func oneIngress(host, service string) string {
	return `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: ` + service + `}
spec:
  rules:
  - host: "` + host + `"
    http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: ` + service + `, port: {number: 80}}}}
`
}
