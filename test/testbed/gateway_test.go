package testbed_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/breakwater-gateway/breakwater/test/testbed"
)

const edge = `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: breakwater
  listeners: [{name: http, port: 80, protocol: HTTP}]
---
`

// route is an HTTPRoute for shop.example.com on the Gateway edge with these rules.
func route(rules string) string {
	return edge + `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: shop}
spec:
  parentRefs: [{name: edge}]
  hostnames: [shop.example.com]
  rules:
` + rules
}

func TestHTTPRouteMatches(t *testing.T) {
	tb := testbed.New(t, route(`
  - backendRefs: [{name: rest, port: 80}]
  - matches: [{path: {type: PathPrefix, value: /v2}}]
    backendRefs: [{name: prefix, port: 80}]
  - matches: [{path: {type: Exact, value: /v2/exact}}]
    backendRefs: [{name: exact, port: 80}]
  - matches: [{path: {type: PathPrefix, value: /v2}, method: PUT}]
    backendRefs: [{name: method, port: 80}]
  - matches: [{path: {type: PathPrefix, value: /v2}, headers: [{name: X-Canary, value: "yes"}]}]
    backendRefs: [{name: header, port: 80}]
  - matches:
    - {queryParams: [{name: page, value: "2"}]}
    - {path: {type: Exact, value: /second}}
    backendRefs: [{name: query, port: 80}]
`))
	for _, name := range []string{"rest", "prefix", "exact", "method", "header", "query"} {
		tb.Backend(name, nil)
	}
	port := tb.GatewayPort("edge", 80)
	for _, c := range []struct {
		method, path, header, backend string
	}{
		{"GET", "/", "", "rest"},
		{"GET", "/v2", "", "prefix"},
		{"GET", "/v2x", "", "rest"},
		{"GET", "/v2/exact", "", "exact"},
		{"PUT", "/v2/exact", "yes", "exact"},
		{"PUT", "/v2/a", "", "method"},
		{"PUT", "/v2/a", "yes", "method"},
		{"GET", "/v2/a", "yes", "header"},
		{"GET", "/v2/a", "YES", "prefix"},
		{"GET", "/?page=2", "", "query"},
		{"GET", "/?page=2&page=3", "", "query"},
		{"GET", "/?page=3&page=2", "", "rest"},
		{"GET", "/second", "", "query"},
		{"GET", "/v2?page=2", "", "prefix"},
	} {
		t.Run(strings.Join([]string{c.method, c.path, c.header}, " "), func(t *testing.T) {
			q := testbed.Request{Port: port, Method: c.method, Host: "shop.example.com", Path: c.path, Header: http.Header{}}
			if c.header != "" {
				q.Header.Set("x-canary", c.header)
			}
			if got := tb.Send(q).Header.Get(testbed.NameHeader); got != c.backend {
				t.Errorf("served by %q, want %q", got, c.backend)
			}
		})
	}
	tb.Send(testbed.Request{Port: port, Host: "other.example.com", Path: "/"}).Refused(http.StatusNotFound)
}

func TestGatewaysDoNotSeeEachOther(t *testing.T) {
	tb := testbed.New(t, route(`  - backendRefs: [{name: rest, port: 80}]`)+`
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: other}
spec:
  gatewayClassName: breakwater
  listeners: [{name: http, port: 80, protocol: HTTP}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: other}
spec:
  parentRefs: [{name: other}]
  rules: [{backendRefs: [{name: second, port: 80}]}]
`)
	tb.Backend("rest", nil)
	tb.Backend("second", nil)
	first, second := tb.GatewayPort("edge", 80), tb.GatewayPort("other", 80)
	tb.Send(testbed.Request{Port: first, Host: "shop.example.com", Path: "/"}).Served("rest")
	tb.Send(testbed.Request{Port: second, Host: "shop.example.com", Path: "/"}).Served("second")
	tb.Send(testbed.Request{Port: first, Host: "a.example.com", Path: "/"}).Refused(http.StatusNotFound)
	tb.Get("shop.example.com", "/").Refused(http.StatusNotFound) // the port of Ingresses is another one
}

func TestWeightedSplit(t *testing.T) {
	tb := testbed.New(t, route(`
  - backendRefs: [{name: most, port: 80, weight: 9}, {name: few, port: 80, weight: 1}, {name: none, port: 80, weight: 0}]
`))
	most, few, none := tb.Backend("most", nil), tb.Backend("few", nil), tb.Backend("none", nil)
	const n = 2000
	for range n {
		tb.Send(testbed.Request{Port: tb.GatewayPort("edge", 80), Host: "shop.example.com", Path: "/"})
	}
	// Were every choice left to chance, five standard deviations would be 67.
	if got := few.Requests.Load(); got < n/10-67 || got > n/10+67 {
		t.Errorf("%d of %d requests went to the tenth", got, n)
	}
	if got := most.Requests.Load() + few.Requests.Load(); got != n {
		t.Errorf("%d requests arrived, want %d", got, n)
	}
	if got := none.Requests.Load(); got != 0 {
		t.Errorf("%d requests went to the weight of 0", got)
	}
}

func TestWeightOfAnInvalidReferenceAnswers500(t *testing.T) {
	tb := testbed.New(t, route(`
  - backendRefs: [{name: good, port: 80, weight: 1}, {name: missing, port: 80, weight: 1}]
`))
	tb.Backend("good", nil)
	seen := map[int]int{}
	for range 200 {
		seen[tb.Send(testbed.Request{Port: tb.GatewayPort("edge", 80), Host: "shop.example.com", Path: "/"}).Status]++
	}
	if seen[200] < 50 || seen[500] < 50 || seen[200]+seen[500] != 200 {
		t.Errorf("statuses are %v, want half 200 and half 500", seen)
	}
}

func TestRedirect(t *testing.T) {
	tb := testbed.New(t, route(`
  - matches: [{path: {type: PathPrefix, value: /old}}]
    filters: [{type: RequestRedirect, requestRedirect: {hostname: new.example.com, statusCode: 301}}]
  - matches: [{path: {type: PathPrefix, value: /tls}}]
    filters: [{type: RequestRedirect, requestRedirect: {scheme: https}}]
`))
	port := tb.GatewayPort("edge", 80)
	res := tb.Send(testbed.Request{Port: port, Host: "shop.example.com", Path: "/old/a?b=c"})
	if res.Status != http.StatusMovedPermanently {
		t.Errorf("status %d", res.Status)
	}
	if got := res.Header.Get("Location"); !strings.HasPrefix(got, "http://new.example.com") || !strings.HasSuffix(got, "/old/a?b=c") {
		t.Errorf("Location is %q", got)
	}
	res = tb.Send(testbed.Request{Port: port, Host: "shop.example.com", Path: "/tls"})
	if res.Status != http.StatusFound {
		t.Errorf("status %d", res.Status)
	}
	res.Field("Location", "https://shop.example.com/tls")
}

func TestHeaderModifiers(t *testing.T) {
	tb := testbed.New(t, route(`
  - filters:
    - type: RequestHeaderModifier
      requestHeaderModifier:
        set: [{name: X-Set, value: ours}]
        add: [{name: X-Add, value: second}]
        remove: [X-Remove]
    backendRefs: [{name: echo, port: 80}]
`))
	tb.Backend("echo", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Seen", strings.Join(r.Header["X-Set"], ",")+"|"+strings.Join(r.Header["X-Add"], ",")+"|"+strings.Join(r.Header["X-Remove"], ","))
	}))
	tb.Send(testbed.Request{
		Port: tb.GatewayPort("edge", 80), Host: "shop.example.com", Path: "/",
		Header: http.Header{"X-Set": {"theirs", "theirs2"}, "X-Add": {"first"}, "X-Remove": {"gone"}},
	}).Served("echo").Field("X-Seen", "ours|first,second|")
}
