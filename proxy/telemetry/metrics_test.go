package telemetry_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/telemetry"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func routeID(name string, rule, match int) proxy.RouteID {
	return proxy.RouteID{Object: proxy.ObjectID{Kind: "HTTPRoute", Namespace: "shop", Name: name}, Rule: rule, Match: match}
}

var cart = proxy.BackendID{Kind: "Service", Namespace: "shop", Name: "cart", Port: 80}

// everything returns Metrics in which every series is present.
func everything() *telemetry.Metrics {
	m := telemetry.New()
	m.Route(routeID("cart", 0, 0)).Done(200, 3*time.Millisecond, 10, 20)
	b := m.Backend(cart)
	b.SetEndpoints(2)
	b.Begin()
	b.Connect()
	b.Head(time.Millisecond)
	b.End(telemetry.OK)
	m.Listener(8080).Open()
	m.Applied(time.Unix(1_700_000_000, 0), 2*time.Millisecond, telemetry.Size{Listeners: 1, Hosts: 2, Routes: 3, Backends: 4, Endpoints: 5})
	return m
}

func TestConventions(t *testing.T) {
	problems, err := testutil.CollectAndLint(everything())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestRegistryGathers(t *testing.T) {
	families, err := telemetry.NewRegistry(everything(), "v1\xff").Gather()
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, f := range families {
		names[f.GetName()] = true
	}
	for _, want := range []string{"breakwater_build_info", "breakwater_route_requests_total", "go_goroutines"} {
		if !names[want] {
			t.Errorf("no %s", want)
		}
	}
}

func expect(t *testing.T, m *telemetry.Metrics, want string, names ...string) {
	t.Helper()
	if err := testutil.CollectAndCompare(m, strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
}

func TestRouteCodes(t *testing.T) {
	m := telemetry.New()
	r := m.Route(routeID("cart", 1, 0))
	for _, status := range []int{0, 101, 200, 204, 301, 404, 503, 599, 999, -1, 600} {
		r.Done(status, 0, 0, 0)
	}
	expect(t, m, `
# HELP breakwater_route_requests_total Requests answered, by route and class of the status code.
# TYPE breakwater_route_requests_total counter
breakwater_route_requests_total{code="1xx",route="HTTPRoute/shop/cart/1"} 1
breakwater_route_requests_total{code="2xx",route="HTTPRoute/shop/cart/1"} 2
breakwater_route_requests_total{code="3xx",route="HTTPRoute/shop/cart/1"} 1
breakwater_route_requests_total{code="4xx",route="HTTPRoute/shop/cart/1"} 1
breakwater_route_requests_total{code="5xx",route="HTTPRoute/shop/cart/1"} 2
breakwater_route_requests_total{code="none",route="HTTPRoute/shop/cart/1"} 4
`, "breakwater_route_requests_total")
}

func TestRouteBytes(t *testing.T) {
	m := telemetry.New()
	r := m.Route(routeID("cart", 0, 0))
	r.Done(200, 0, 3, 5)
	r.Done(200, 0, -1, 7)
	expect(t, m, `
# HELP breakwater_route_request_bytes_total Bytes of request bodies received from clients.
# TYPE breakwater_route_request_bytes_total counter
breakwater_route_request_bytes_total{route="HTTPRoute/shop/cart/0"} 3
# HELP breakwater_route_response_bytes_total Bytes of response bodies sent to clients.
# TYPE breakwater_route_response_bytes_total counter
breakwater_route_response_bytes_total{route="HTTPRoute/shop/cart/0"} 12
`, "breakwater_route_request_bytes_total", "breakwater_route_response_bytes_total")
}

func TestDurationBuckets(t *testing.T) {
	m := telemetry.New()
	r := m.Route(routeID("cart", 0, 0))
	for _, d := range []time.Duration{
		0, 500 * time.Microsecond, 500*time.Microsecond + 1, // bounds are inclusive
		time.Second, 30 * time.Second, 31 * time.Second,
	} {
		r.Done(200, d, 0, 0)
	}
	expect(t, m, `
# HELP breakwater_route_request_duration_seconds Time from the end of the request head to the end of the response.
# TYPE breakwater_route_request_duration_seconds histogram
breakwater_route_request_duration_seconds_bucket{route="HTTPRoute/shop/cart/0",le="0.0005"} 2
breakwater_route_request_duration_seconds_bucket{route="HTTPRoute/shop/cart/0",le="0.001"} 3
breakwater_route_request_duration_seconds_bucket{route="HTTPRoute/shop/cart/0",le="0.0025"} 3
breakwater_route_request_duration_seconds_bucket{route="HTTPRoute/shop/cart/0",le="0.005"} 3
breakwater_route_request_duration_seconds_bucket{route="HTTPRoute/shop/cart/0",le="0.01"} 3
breakwater_route_request_duration_seconds_bucket{route="HTTPRoute/shop/cart/0",le="0.025"} 3
breakwater_route_request_duration_seconds_bucket{route="HTTPRoute/shop/cart/0",le="0.05"} 3
breakwater_route_request_duration_seconds_bucket{route="HTTPRoute/shop/cart/0",le="0.1"} 3
breakwater_route_request_duration_seconds_bucket{route="HTTPRoute/shop/cart/0",le="0.25"} 3
breakwater_route_request_duration_seconds_bucket{route="HTTPRoute/shop/cart/0",le="1"} 4
breakwater_route_request_duration_seconds_bucket{route="HTTPRoute/shop/cart/0",le="5"} 4
breakwater_route_request_duration_seconds_bucket{route="HTTPRoute/shop/cart/0",le="30"} 5
breakwater_route_request_duration_seconds_bucket{route="HTTPRoute/shop/cart/0",le="+Inf"} 6
breakwater_route_request_duration_seconds_sum{route="HTTPRoute/shop/cart/0"} 62.001000001
breakwater_route_request_duration_seconds_count{route="HTTPRoute/shop/cart/0"} 6
`, "breakwater_route_request_duration_seconds")
}

func TestMatchesOfOneRuleShareAHandle(t *testing.T) {
	m := telemetry.New()
	if m.Route(routeID("cart", 0, 0)) != m.Route(routeID("cart", 0, 7)) {
		t.Error("two matches of one rule have two handles")
	}
	if m.Route(routeID("cart", 0, 0)) == m.Route(routeID("cart", 1, 0)) {
		t.Error("two rules share a handle")
	}
}

func TestUnusedHandlesHaveNoSeries(t *testing.T) {
	m := telemetry.New()
	m.Route(routeID("cart", 0, 0))
	m.Backend(cart).SetEndpoints(3)
	if n := testutil.CollectAndCount(m, "breakwater_route_requests_total", "breakwater_route_request_duration_seconds",
		"breakwater_backend_attempts_total", "breakwater_backend_response_head_seconds"); n != 0 {
		t.Errorf("%d series of what was never used", n)
	}
	if n := testutil.CollectAndCount(m, "breakwater_backend_endpoints"); n != 1 {
		t.Errorf("%d series of breakwater_backend_endpoints, want 1", n)
	}
}

func TestRetainDropsWhatLeft(t *testing.T) {
	m := telemetry.New()
	kept, left := m.Route(routeID("kept", 0, 3)), m.Route(routeID("left", 0, 3))
	kept.Done(200, 0, 0, 0)
	left.Done(200, 0, 0, 0)
	m.Backend(cart).SetEndpoints(1)
	m.Listener(8080).Open()
	m.Listener(9090).Open()
	m.Retain(telemetry.Kept{
		Routes:   func(id proxy.RouteID) bool { return id == routeID("kept", 0, 0) },
		Backends: func(proxy.BackendID) bool { return false },
		Ports:    func(port uint16) bool { return port == 8080 },
	})
	left.Done(200, 0, 0, 0) // in flight: must not panic nor bring the series back
	if m.Route(routeID("kept", 0, 0)) != kept {
		t.Error("a handle that was kept is another one now")
	}
	if m.Route(routeID("left", 0, 0)) == left {
		t.Error("a handle that was dropped came back with its counts")
	}
	for name, want := range map[string]int{
		"breakwater_route_requests_total": 1, "breakwater_backend_endpoints": 0, "breakwater_connections_open": 1,
	} {
		if n := testutil.CollectAndCount(m, name); n != want {
			t.Errorf("%d series of %s, want %d", n, name, want)
		}
	}
	m.Retain(telemetry.Kept{})
	if n := testutil.CollectAndCount(m, "breakwater_route_requests_total"); n != 1 {
		t.Error("keeping everything dropped something")
	}
}

func TestBackendAttempts(t *testing.T) {
	m := telemetry.New()
	b := m.Backend(cart)
	b.Begin()
	b.Begin()
	b.Begin()
	b.End(telemetry.ConnectFailure)
	b.Retry()
	b.End(telemetry.OK)
	expect(t, m, `
# HELP breakwater_backend_attempts_in_flight Attempts that have not ended.
# TYPE breakwater_backend_attempts_in_flight gauge
breakwater_backend_attempts_in_flight{backend="shop/cart:80"} 1
# HELP breakwater_backend_attempts_total Attempts at endpoints, by backend and how they ended.
# TYPE breakwater_backend_attempts_total counter
breakwater_backend_attempts_total{backend="shop/cart:80",outcome="connect_failure"} 1
breakwater_backend_attempts_total{backend="shop/cart:80",outcome="ok"} 1
# HELP breakwater_backend_retries_total Attempts that failed and were followed by another.
# TYPE breakwater_backend_retries_total counter
breakwater_backend_retries_total{backend="shop/cart:80"} 1
`, "breakwater_backend_attempts_in_flight", "breakwater_backend_attempts_total", "breakwater_backend_retries_total")
}

func TestConnections(t *testing.T) {
	m := telemetry.New()
	l := m.Listener(8080)
	l.Open()
	l.Open()
	l.Close()
	m.Refused(telemetry.AmbiguousFraming)
	m.NoRoute()
	if n := testutil.CollectAndCount(m, "breakwater_connections_idle", "breakwater_backend_connections_idle"); n != 0 {
		t.Error("idle connections are shown although nobody counts them")
	}
	m.SampleIdle(telemetry.IdleConnections{Downstream: func() int { return 7 }, Upstream: func() int { return 9 }})
	expect(t, m, `
# HELP breakwater_backend_connections_idle Connections to endpoints now kept for another request.
# TYPE breakwater_backend_connections_idle gauge
breakwater_backend_connections_idle 9
# HELP breakwater_connections_accepted_total Connections accepted from clients.
# TYPE breakwater_connections_accepted_total counter
breakwater_connections_accepted_total{port="8080"} 2
# HELP breakwater_connections_idle Connections of clients now waiting for a request.
# TYPE breakwater_connections_idle gauge
breakwater_connections_idle 7
# HELP breakwater_connections_open Connections of clients now open.
# TYPE breakwater_connections_open gauge
breakwater_connections_open{port="8080"} 1
# HELP breakwater_requests_unrouted_total Requests that no route selected.
# TYPE breakwater_requests_unrouted_total counter
breakwater_requests_unrouted_total 1
`, "breakwater_connections_accepted_total", "breakwater_connections_idle", "breakwater_connections_open", "breakwater_requests_unrouted_total", "breakwater_backend_connections_idle")
}

func TestSnapshotFigures(t *testing.T) {
	m := everything()
	if n := testutil.CollectAndCount(m, "breakwater_config_problems"); n != 0 {
		t.Error("a number of problems is shown before it is known")
	}
	m.Rejected()
	m.SetProblems(4)
	expect(t, m, `
# HELP breakwater_config_problems Problems found in the configuration objects as they are now.
# TYPE breakwater_config_problems gauge
breakwater_config_problems 4
# HELP breakwater_snapshot_applies_total Configuration snapshots compiled, by result.
# TYPE breakwater_snapshot_applies_total counter
breakwater_snapshot_applies_total{result="applied"} 1
breakwater_snapshot_applies_total{result="rejected"} 1
# HELP breakwater_snapshot_last_applied_timestamp_seconds When the snapshot served now was applied, in Unix time.
# TYPE breakwater_snapshot_last_applied_timestamp_seconds gauge
breakwater_snapshot_last_applied_timestamp_seconds 1.7e+09
# HELP breakwater_snapshot_objects What the snapshot served now holds.
# TYPE breakwater_snapshot_objects gauge
breakwater_snapshot_objects{kind="backend"} 4
breakwater_snapshot_objects{kind="endpoint"} 5
breakwater_snapshot_objects{kind="host"} 2
breakwater_snapshot_objects{kind="listener"} 1
breakwater_snapshot_objects{kind="route"} 3
`, "breakwater_config_problems", "breakwater_snapshot_applies_total", "breakwater_snapshot_last_applied_timestamp_seconds", "breakwater_snapshot_objects")
}

func TestBuildTimeIsByLane(t *testing.T) {
	m := telemetry.New()
	m.Built(telemetry.FullLane, 2*time.Second)
	m.Built(telemetry.EndpointsLane, time.Millisecond)
	m.Built(telemetry.EndpointsLane, time.Millisecond)
	r := httptest.NewRecorder()
	promhttp.HandlerFor(telemetry.NewRegistry(m, "v1"), promhttp.HandlerOpts{}).ServeHTTP(r, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, want := range []string{
		`breakwater_config_build_duration_seconds_sum{lane="full"} 2`,
		`breakwater_config_build_duration_seconds_count{lane="full"} 1`,
		`breakwater_config_build_duration_seconds_sum{lane="endpoints"} 0.002`,
		`breakwater_config_build_duration_seconds_count{lane="endpoints"} 2`,
	} {
		if !strings.Contains(r.Body.String(), want+"\n") {
			t.Errorf("no line %s", want)
		}
	}
}

func TestHostileIdentitiesDoNotBreakTheScrape(t *testing.T) {
	m := telemetry.New()
	for _, o := range []proxy.ObjectID{
		{Kind: "Ingress", Namespace: "a/b", Name: "c"},
		{Kind: "Ingress", Namespace: "a", Name: "b/c"}, // the same label
		{Kind: "Ingress", Namespace: "\xff", Name: "\x00\n\""},
	} {
		m.Route(proxy.RouteID{Object: o}).Done(200, 0, 0, 0)
	}
	if _, err := telemetry.NewRegistry(m, "").Gather(); err != nil {
		t.Error(err)
	}
}

// Requests and scrapes run while snapshots come and go; the race detector is the judge, and no request is lost.
func TestConcurrentUse(t *testing.T) {
	m := telemetry.New()
	kept := m.Route(routeID("kept", 0, 0))
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 500 {
				kept.Done(200, time.Duration(i)*time.Microsecond, 1, 1)
				m.Route(routeID(fmt.Sprint(w), i%3, 0)).Done(500, 0, 0, 0)
			}
		})
	}
	wg.Go(func() {
		for range 20 {
			m.Retain(telemetry.Kept{Routes: func(id proxy.RouteID) bool { return id.Object.Name == "kept" }})
			testutil.CollectAndCount(m)
		}
	})
	wg.Wait()
	m.Retain(telemetry.Kept{Routes: func(id proxy.RouteID) bool { return id.Object.Name == "kept" }})
	expect(t, m, `
# HELP breakwater_route_requests_total Requests answered, by route and class of the status code.
# TYPE breakwater_route_requests_total counter
breakwater_route_requests_total{code="2xx",route="HTTPRoute/shop/kept/0"} 2000
`, "breakwater_route_requests_total")
}

// Allocations on the hot path would be paid by every request.
func TestHotPathDoesNotAllocate(t *testing.T) {
	m := telemetry.New()
	r, b, l := m.Route(routeID("cart", 0, 0)), m.Backend(cart), m.Listener(8080)
	if n := testing.AllocsPerRun(100, func() {
		l.Open()
		b.Begin()
		b.Head(time.Millisecond)
		b.End(telemetry.OK)
		r.Done(200, 2*time.Millisecond, 10, 20)
		m.Refused(telemetry.SlowClient)
		m.NoRoute()
		l.Close()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkRouteDone(b *testing.B) {
	r := telemetry.New().Route(routeID("cart", 0, 0))
	b.ReportAllocs()
	for b.Loop() {
		r.Done(200, 300*time.Microsecond, 0, 1024)
	}
}

func BenchmarkBackendAttempt(b *testing.B) {
	backend := telemetry.New().Backend(cart)
	b.ReportAllocs()
	for b.Loop() {
		backend.Begin()
		backend.Head(300 * time.Microsecond)
		backend.End(telemetry.OK)
	}
}

func BenchmarkCollect10000Routes(b *testing.B) {
	m := telemetry.New()
	for i := range 10_000 {
		m.Route(routeID(fmt.Sprint(i), 0, 0)).Done(200, time.Millisecond, 1, 1)
	}
	b.ReportAllocs()
	for b.Loop() {
		testutil.CollectAndCount(m)
	}
}
