package testbed_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy/http1"
	"github.com/breakwater-gateway/breakwater/proxy/server"
	"github.com/breakwater-gateway/breakwater/test/testbed"
)

func TestReadyOnlyOnceASnapshotServes(t *testing.T) {
	tb := testbed.Unapplied(t)
	if tb.Server.Ready() == nil {
		t.Error("ready before there is anything to serve")
	}
	if _, err := tb.Do(testbed.Request{Path: "/"}); err == nil {
		t.Error("a port is open before there is anything to serve")
	}
	tb.Write("main.yaml", oneIngress("shop.example.com", "shop"))
	if err := tb.Server.Ready(); err != nil {
		t.Errorf("not ready: %v", err)
	}
	tb.Server.Drain()
	if tb.Server.Ready() == nil {
		t.Error("still ready when it is about to end")
	}
	tb.Get("shop.example.com", "/").Refused(http.StatusServiceUnavailable) // it goes on serving
}

func TestPortInUseIsNamedAndTheRestServes(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := taken.Addr().(*net.TCPAddr).Port
	tb := testbed.Unapplied(t, testbed.WithServer(func(c *server.Config) {
		c.Listen = func(uint16) (net.Listener, error) {
			return net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		}
	}))
	tb.ExpectApplyError = func(err error) bool {
		bind := &server.BindError{}
		return errors.As(err, &bind) && bind.Port == tb.IngressPort
	}
	tb.Write("main.yaml", oneIngress("shop.example.com", "shop"))
	if tb.Server.Ready() == nil {
		t.Error("ready although a port is not bound")
	}
	if err := taken.Close(); err != nil {
		t.Fatal(err)
	}
	tb.ExpectApplyError = nil
	tb.Backend("shop", nil)
	if err := tb.Server.Ready(); err != nil {
		t.Errorf("the port is free now: %v", err)
	}
}

func TestAccessLogLine(t *testing.T) {
	tb := testbed.New(t, oneIngress("shop.example.com", "shop"))
	tb.Backend("shop", nil)
	tb.Send(testbed.Request{
		Method: "POST", Host: "shop.example.com", Path: "/cart?token=secret", Body: "12345",
		Header: http.Header{"User-Agent": {"agent\t\"x\""}, "Referer": {"http://a/"}},
	}).Served("shop")
	var line struct {
		ClientIP, Method, Host, Path, Query, Protocol, Route, Backend, Endpoint, RequestID, UserAgent, Referer string
		Status, Attempts                                                                                       int
		RequestBytes, ResponseBytes                                                                            int64
		Duration, UpstreamDuration                                                                             float64
	}
	text := tb.LogLine("/cart")
	if err := json.Unmarshal([]byte(text), &line); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	if line.ClientIP != "127.0.0.1" || line.Method != "POST" || line.Host != "shop.example.com" || line.Path != "/cart" ||
		line.Protocol != "HTTP/1.1" || line.Status != 200 || line.RequestBytes != 5 || line.ResponseBytes != 5 ||
		line.Route != "Ingress/default/shop/0" || line.Backend != "default/shop:80" || line.Attempts != 1 ||
		line.UserAgent != "agent\t\"x\"" || line.Referer != "http://a/" {
		t.Errorf("the line says %s", text)
	}
	if line.Duration <= 0 || line.UpstreamDuration <= 0 || line.UpstreamDuration > line.Duration {
		t.Errorf("durations %v and %v", line.Duration, line.UpstreamDuration)
	}
	if !strings.HasPrefix(line.Endpoint, "127.0.0.1:") || line.RequestID == "" {
		t.Errorf("endpoint %q, request %q", line.Endpoint, line.RequestID)
	}
	if strings.Contains(text, "secret") {
		t.Error("the query is logged unasked")
	}
}

func TestAccessLogNamesExperiments(t *testing.T) {
	const names = `"experiments":["NetworkChaos/default/x"]`
	t.Run("request", func(t *testing.T) {
		for _, at := range []string{"at: Client", "at: Backend"} {
			tb, _ := shopBed(t, onIngress("x", at, "match: [{path: {type: PathPrefix, value: /broken}}]", abort(503)))
			if got := tb.Send(testbed.Request{Host: "shop.example.com", Path: "/broken"}).Status; got != 503 {
				t.Fatalf("%s: status %d", at, got)
			}
			tb.Send(testbed.Request{Host: "shop.example.com", Path: "/whole"}).Served("shop")
			if line := tb.LogLine("/broken"); !strings.Contains(line, names) {
				t.Errorf("%s: the line of a request with a fault: %s", at, line)
			}
			if line := tb.LogLine("/whole"); strings.Contains(line, "experiments") {
				t.Errorf("%s: the line of another: %s", at, line)
			}
		}
	})
	t.Run("connection", func(t *testing.T) {
		for _, c := range []struct{ experiment, want string }{
			{onDB("toxics: [{type: Latency, latency: {latency: 1ms}}]"), names},
			{onDB("dryRun: true", "toxics: [{type: Latency, latency: {latency: 1ms}}]"), ""},
		} {
			tb, _ := dbBed(t, c.experiment)
			client := greeted(tb, "db")
			client.CloseWrite()
			_, _ = client.Rest()
			if line := tb.LogLine(`"end":"done"`); strings.Contains(line, "experiments") != (c.want != "") || !strings.Contains(line, c.want) {
				t.Errorf("%s, want %q", line, c.want)
			}
		}
	})
}

func TestMetricsOfARequest(t *testing.T) {
	tb := testbed.New(t, oneIngress("shop.example.com", "shop"))
	tb.Backend("shop", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/teapot" {
			w.WriteHeader(http.StatusTeapot)
		}
	}))
	tb.Get("shop.example.com", "/")
	tb.Get("shop.example.com", "/teapot")
	for _, c := range []struct {
		name   string
		labels []string
		want   float64
	}{
		{"breakwater_route_requests_total", []string{"route", "Ingress/default/shop/0", "code", "2xx"}, 1},
		{"breakwater_route_requests_total", []string{"route", "Ingress/default/shop/0", "code", "4xx"}, 1},
		{"breakwater_route_request_duration_seconds", []string{"route", "Ingress/default/shop/0"}, 2},
		{"breakwater_backend_attempts_total", []string{"backend", "default/shop:80", "outcome", "ok"}, 2},
		{"breakwater_backend_attempts_in_flight", nil, 0},
		{"breakwater_backend_endpoints", []string{"backend", "default/shop:80"}, 1},
		{"breakwater_connections_open", []string{"port", fmt.Sprint(tb.IngressPort)}, 1},
		{"breakwater_connections_idle", nil, 1},
		{"breakwater_backend_connections_idle", nil, 1},
		{"breakwater_snapshot_objects", []string{"kind", "endpoint"}, 1},
	} {
		tb.Eventually(fmt.Sprint(c.name, c.labels, " is ", c.want), func() bool { return tb.Metric(c.name, c.labels...) == c.want })
	}
}

func TestMetricsDoNotGrowWithWhatClientsSend(t *testing.T) {
	tb := testbed.New(t, oneIngress("*.example.com", "shop"))
	tb.Backend("shop", nil)
	for i := range 50 {
		tb.Get(fmt.Sprintf("h%d.example.com", i), fmt.Sprintf("/p%d", i)).Served("shop")
		tb.Get(fmt.Sprintf("h%d.example.net", i), "/").Refused(http.StatusNotFound)
	}
	tb.Eventually("all are counted", func() bool { return tb.Metric("breakwater_route_requests_total") == 50 })
	if n := tb.Series(); n > 60 {
		t.Errorf("%d series after 100 requests to 100 hosts", n)
	}
}

func TestGracefulStopLetsRequestsFinish(t *testing.T) {
	tb := testbed.New(t, oneIngress("shop.example.com", "shop"))
	arrived, finish := make(chan struct{}), make(chan struct{})
	tb.Backend("shop", http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(arrived)
		<-finish
	}))
	answered := make(chan *testbed.Response, 1)
	go func() {
		res, err := tb.Do(testbed.Request{Host: "shop.example.com", Path: "/"})
		if err != nil {
			t.Error(err)
			res = &testbed.Response{}
		}
		answered <- res
	}()
	<-arrived
	stopped := make(chan error, 1)
	go func() { stopped <- tb.Server.Shutdown(context.Background()) }()
	tb.Eventually("the port is closed", func() bool {
		_, err := tb.Do(testbed.Request{Host: "shop.example.com", Path: "/", New: true})
		return err != nil
	})
	select {
	case err := <-stopped:
		t.Fatalf("it has stopped with a request in flight: %v", err)
	default:
	}
	close(finish)
	if res := <-answered; res.Status != http.StatusOK {
		t.Errorf("the request in flight got %d", res.Status)
	}
	if err := <-stopped; err != nil {
		t.Errorf("stop: %v", err)
	}
}

func TestGraceHasAnEnd(t *testing.T) {
	tb := testbed.New(t, oneIngress("shop.example.com", "shop"))
	arrived, finish := make(chan struct{}), make(chan struct{})
	tb.Backend("shop", http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(arrived)
		<-finish
	}))
	defer close(finish)
	failed := make(chan error, 1)
	go func() {
		_, err := tb.Do(testbed.Request{Host: "shop.example.com", Path: "/"})
		failed <- err
	}()
	<-arrived
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := tb.Server.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("stop: %v", err)
	}
	if err := <-failed; err == nil {
		t.Error("the request was answered")
	}
}

func TestExplain(t *testing.T) {
	tb := testbed.New(t, oneIngress("shop.example.com", "shop")+"      - {path: /cart, pathType: Exact, backend: {service: {name: cart, port: {number: 80}}}}\n")
	tb.Backend("shop", nil)
	tb.Backend("cart", nil)
	r, err := http1.ParseRequest([]byte("GET /cart/../cart HTTP/1.1\r\nHost: shop.example.com\r\n\r\n"), http1.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	e, err := tb.Server.Explain(tb.IngressPort, r)
	if err != nil {
		t.Fatal(err)
	}
	text := e.String()
	for _, want := range []string{"GET shop.example.com/cart", "selected", "outranked", "Ingress/default/shop/0#1"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}
