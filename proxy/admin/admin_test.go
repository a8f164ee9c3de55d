package admin_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/admin"
	"github.com/breakwater-gateway/breakwater/proxy/filter"
	"github.com/breakwater-gateway/breakwater/proxy/telemetry"
)

type answer string

func (a answer) String() string { return string(a) }

func config() admin.Config {
	return admin.Config{
		Ready:    func() error { return nil },
		Metrics:  telemetry.NewRegistry(telemetry.New(), "test"),
		Snapshot: snapshot,
		Explain: func(q admin.Query) (fmt.Stringer, error) {
			return answer(fmt.Sprintf("port %d\n%s", q.Port, q.Head)), nil
		},
	}
}

// setHeader returns a Filter.
func setHeader(name, value string) proxy.Filter {
	return filter.RequestHeaders{Set: []filter.Field{{Name: name, Value: value}}}
}

// basicAuth stands for a Filter that cannot describe itself and holds a secret.
type basicAuth struct{ password string }

func (basicAuth) New() proxy.Step { return nil }

func snapshot() *proxy.Snapshot {
	cart := proxy.BackendID{Kind: "Service", Namespace: "shop", Name: "cart", Port: 80}
	id := func(match int) proxy.RouteID {
		return proxy.RouteID{Object: proxy.ObjectID{Kind: "HTTPRoute", Namespace: "shop", Name: "cart"}, Match: match}
	}
	gateway := proxy.ObjectID{Kind: "Gateway", Namespace: "infra", Name: "edge"}
	return &proxy.Snapshot{
		Listeners: []*proxy.Listener{{
			ID: proxy.ListenerID{Object: gateway, Section: "http"}, Port: 8080, Protocol: proxy.HTTP1,
			Hosts: []*proxy.Host{
				{Name: "shop.example.com", Routes: []*proxy.Route{{
					ID: id(1),
					Match: proxy.Match{
						Path: proxy.PathMatch{Type: proxy.PathExact, Value: "/cart"}, Method: "GET",
						Headers: []proxy.ValueMatch{{Name: "x-canary", Value: "1\nlistener forged"}},
						Query:   []proxy.ValueMatch{{Type: proxy.ValueRegex, Name: "a", Value: "b+"}},
					},
					Filters:  []proxy.Filter{setHeader("A", "b"), basicAuth{"hunter2"}},
					Timeouts: proxy.Timeouts{Request: time.Second, Backend: time.Minute},
					Backends: []proxy.WeightedBackend{
						{Backend: cart, Weight: 9, Filters: []proxy.Filter{setHeader("C", "d")}},
						{Backend: proxy.BackendID{Namespace: "shop", Name: "gone", Port: 1}, Weight: 1, Invalid: "no such Service"},
					},
				}}},
				{Name: "*.example.org", Routes: []*proxy.Route{{ID: id(0), Invalid: "regex does not compile"}}},
			},
			Default: &proxy.Route{ID: proxy.RouteID{Object: id(0).Object, Rule: -1}},
		}},
		Backends: map[proxy.BackendID]*proxy.Backend{
			cart: {ID: cart, Protocol: proxy.HTTP1, Endpoints: []proxy.Endpoint{
				{Address: netip.MustParseAddrPort("10.0.0.1:8080"), Pod: "shop/cart-1", Zone: "a"},
				{Address: netip.MustParseAddrPort("10.0.0.2:8080"), Terminating: true},
			}},
			{Namespace: "shop", Name: "empty", Port: 80}: {ID: proxy.BackendID{Namespace: "shop", Name: "empty", Port: 80}, Protocol: proxy.HTTP1},
		},
	}
}

const wholeText = `listener Gateway/infra/edge:http  port 8080  http/1.1  hostname *
  host shop.example.com
    GET, exact /cart, header "x-canary=1\nlistener forged", query a=~b+  HTTPRoute/shop/cart/0  match 1
      filter requestHeaders set=[{name=A value=b}]
      filter admin_test.basicAuth
      timeouts request 1s, backend 1m0s
      -> shop/cart:80  weight 9
        filter requestHeaders set=[{name=C value=d}]
      -> shop/gone:1  weight 1
        invalid: no such Service
  host *.example.org
    prefix /  HTTPRoute/shop/cart/0  match 0
      invalid: regex does not compile
  default
    prefix /  HTTPRoute/shop/cart/default  match 0

backend shop/cart:80  http/1.1  balancer RoundRobin
  10.0.0.1:8080  pod shop/cart-1  zone a
  10.0.0.2:8080  terminating
backend shop/empty:80  http/1.1  balancer RoundRobin
  no endpoints
`

// get calls the handler as a client on loopback would; edit changes the request first.
func get(t *testing.T, c admin.Config, target string, edit func(*http.Request)) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, target, nil)
	r.Host, r.RemoteAddr = "127.0.0.1:9901", "127.0.0.1:50000"
	if edit != nil {
		edit(r)
	}
	w := httptest.NewRecorder()
	admin.New(c).ServeHTTP(w, r)
	return w
}

func TestAnswers(t *testing.T) {
	waiting := config()
	waiting.Ready = func() error { return errors.New("waiting for the first snapshot") }
	waiting.Snapshot = func() *proxy.Snapshot { return nil }
	refusing := config()
	refusing.Explain = func(admin.Query) (fmt.Stringer, error) { return nil, errors.New("invalid Host field") }
	profiled := config()
	profiled.Pprof = true
	for _, c := range []struct {
		name, target string
		config       admin.Config
		status       int
		contains     string
	}{
		{"index", "/", config(), 200, "/readyz"},
		{"index without profiles", "/", config(), 200, "why the others do not\n"},
		{"index with profiles", "/", profiled, 200, "/debug/pprof/"},
		{"alive", "/healthz", waiting, 200, "ok\n"},
		{"ready", "/readyz", config(), 200, "ok\n"},
		{"not ready", "/readyz", waiting, 503, "waiting for the first snapshot\n"},
		{"metrics", "/metrics", config(), 200, "breakwater_snapshot_applies_total"},
		{"snapshot", "/snapshot", config(), 200, wholeText},
		{"snapshot before the first", "/snapshot", waiting, 503, "no snapshot yet\n"},
		{"snapshot format", "/snapshot?format=xml", config(), 400, `unknown format "xml"`},
		{"explain", "/explain?method=PUT&url=http://shop.example.com:8080/cart%3Fa%3Db&header=A:+b&header=C:d", config(), 200,
			"port 8080\nPUT /cart?a=b HTTP/1.1\r\nA: b\r\nC:d\r\nHost: shop.example.com:8080\r\n\r\n"},
		{"explain as JSON", "/explain?url=h/&format=json", config(), 200, `"port 0\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"`},
		{"explain format", "/explain?url=h/&format=xml", config(), 400, `unknown format "xml"`},
		{"explain nothing", "/explain", config(), 400, "needs a url"},
		{"explain injection", "/explain?url=http://h/&header=A:b%0d%0aC:d", config(), 400, "must not contain line ends"},
		{"explain refused", "/explain?url=http://h/", refusing, 400, "invalid Host field\n"},
		{"profile", "/debug/pprof/cmdline", profiled, 200, "admin.test"},
		{"profile not offered", "/debug/pprof/cmdline", config(), 404, ""},
		{"other path", "/config", config(), 404, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := get(t, c.config, c.target, nil)
			if w.Code != c.status || !strings.Contains(w.Body.String(), c.contains) {
				t.Errorf("%d %q, want %d %q", w.Code, w.Body, c.status, c.contains)
			}
		})
	}
}

func TestWhoMayCall(t *testing.T) {
	named := config()
	named.Hosts = []string{"Metrics.infra.svc"}
	set := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	host := func(h string) func(*http.Request) { return func(r *http.Request) { r.Host = h } }
	peer := func(a string) func(*http.Request) { return func(r *http.Request) { r.RemoteAddr = a } }
	for _, c := range []struct {
		name, target string
		config       admin.Config
		edit         func(*http.Request)
		status       int
	}{
		{"HEAD", "/healthz", config(), func(r *http.Request) { r.Method = "HEAD" }, 200},
		{"POST", "/healthz", config(), func(r *http.Request) { r.Method = "POST" }, 405},
		{"OPTIONS", "/healthz", config(), func(r *http.Request) { r.Method = "OPTIONS" }, 405},
		{"a body", "/healthz", config(), func(r *http.Request) { r.ContentLength = 1 }, 400},
		{"an unknown length", "/healthz", config(), func(r *http.Request) { r.ContentLength = -1 }, 400},
		{"by pod address", "/healthz", config(), host("10.0.0.9:9901"), 200},
		{"by IPv6 address", "/healthz", config(), host("[::1]:9901"), 200},
		{"by IPv6 address without port", "/healthz", config(), host("[::1]"), 200},
		{"as localhost", "/healthz", config(), host("LOCALHOST"), 200},
		{"by a configured name", "/healthz", named, host("metrics.INFRA.svc:9901"), 200},
		{"by a rebound name", "/healthz", config(), host("evil.example:9901"), 421},
		{"by a name that begins like an address", "/healthz", config(), host("127.0.0.1.evil.example"), 421},
		{"without Host", "/healthz", config(), host(""), 421},
		{"same origin", "/metrics", config(), set("Origin", "http://127.0.0.1:9901"), 200},
		{"other origin", "/metrics", config(), set("Origin", "https://evil.example"), 403},
		{"other port", "/metrics", config(), set("Origin", "http://127.0.0.1:8080"), 403},
		{"opaque origin", "/metrics", config(), set("Origin", "null"), 403},
		{"no-cors from a page", "/metrics", config(), set("Sec-Fetch-Site", "cross-site"), 403},
		{"typed in a browser", "/metrics", config(), set("Sec-Fetch-Site", "none"), 200},
		{"probe from elsewhere", "/readyz", config(), peer("10.0.0.1:1"), 200},
		{"scrape from elsewhere", "/metrics", config(), peer("10.0.0.1:1"), 200},
		{"snapshot from elsewhere", "/snapshot", config(), peer("10.0.0.1:1"), 403},
		{"explain from elsewhere", "/explain?url=a/", config(), peer("10.0.0.1:1"), 403},
		{"snapshot over mapped loopback", "/snapshot", config(), peer("[::ffff:127.0.0.1]:1"), 200},
		{"snapshot from nowhere", "/snapshot", config(), peer("@"), 403},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := get(t, c.config, c.target, c.edit)
			if w.Code != c.status {
				t.Errorf("%d %q, want %d", w.Code, w.Body, c.status)
			}
			if got := w.Header().Get("X-Content-Type-Options"); got != "nosniff" {
				t.Errorf("X-Content-Type-Options is %q", got)
			}
		})
	}
}

func TestProfilesFromElsewhereAreRefused(t *testing.T) {
	c := config()
	c.Pprof = true
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/cmdline", "/debug/pprof/symbol"} {
		w := get(t, c, path, func(r *http.Request) { r.RemoteAddr = "192.0.2.1:1" })
		if w.Code != 403 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

func TestSnapshotJSON(t *testing.T) {
	w := get(t, config(), "/snapshot?format=json", nil)
	if ct := w.Header().Get("Content-Type"); ct != "application/json" {
		t.Errorf("Content-Type is %q", ct)
	}
	var got struct {
		Listeners []struct {
			ID    string
			Port  int
			Hosts []struct {
				Name   string
				Routes []struct {
					If       string
					Filters  []string
					Backends []struct{ Backend, Invalid string }
				}
			}
			Default *struct{ ID string }
		}
		Backends []struct {
			ID        string
			Endpoints []struct{ Address, Pod string }
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	l := got.Listeners[0]
	if l.ID != "Gateway/infra/edge:http" || l.Port != 8080 || len(l.Hosts) != 2 || l.Default == nil {
		t.Errorf("listener is %+v", l)
	}
	if r := l.Hosts[0].Routes[0]; r.Filters[1] != "admin_test.basicAuth" || r.Backends[1].Invalid != "no such Service" {
		t.Errorf("route is %+v", r)
	}
	if len(got.Backends) != 2 || got.Backends[0].Endpoints[0].Pod != "shop/cart-1" {
		t.Errorf("backends are %+v", got.Backends)
	}
	if strings.Contains(w.Body.String(), "hunter2") {
		t.Error("a secret is shown")
	}
}

func TestSnapshotShowsStreams(t *testing.T) {
	db := proxy.BackendID{Kind: "Service", Namespace: "shop", Name: "db", Port: 5432, Stream: proxy.TCP}
	gateway := proxy.ObjectID{Kind: "Gateway", Namespace: "infra", Name: "edge"}
	s := &proxy.Snapshot{
		Listeners: []*proxy.Listener{
			{ID: proxy.ListenerID{Object: gateway, Section: "tcp"}, Port: 5432, Protocol: proxy.TCP, ProxyProtocol: true, Stream: &proxy.StreamRoute{
				ID:       proxy.ObjectID{Kind: "TCPRoute", Namespace: "shop", Name: "db"},
				Backends: []proxy.WeightedBackend{{Backend: db, Weight: 2}, {Weight: 1, Invalid: "no such\nService"}},
			}},
			{ID: proxy.ListenerID{Object: gateway, Section: "bad"}, Port: 1, Protocol: proxy.TCP, Stream: &proxy.StreamRoute{Invalid: "why", ID: gateway}},
			{ID: proxy.ListenerID{Object: gateway, Section: "udp"}, Port: 53, Protocol: proxy.UDP},
		},
		Backends: map[proxy.BackendID]*proxy.Backend{db: {ID: db, Protocol: proxy.TCP, ProxyProtocol: 2}},
	}
	want := `listener Gateway/infra/edge:tcp  port 5432  tcp  proxy protocol
  stream  TCPRoute/shop/db  rule 0
      -> shop/db:5432/tcp  weight 2
      -> /:0  weight 1
        invalid: "no such\nService"

listener Gateway/infra/edge:bad  port 1  tcp
  stream  Gateway/infra/edge  rule 0
      invalid: why

listener Gateway/infra/edge:udp  port 53  udp
  no route: connections are closed, datagrams dropped

backend shop/db:5432/tcp  tcp  balancer RoundRobin  proxy protocol v2
  no endpoints
`
	var text, document strings.Builder
	if err := errors.Join(admin.WriteText(&text, s, ""), admin.WriteJSON(&document, s, "")); err != nil {
		t.Fatal(err)
	}
	if text.String() != want {
		t.Errorf("got\n%s\nwant\n%s", text.String(), want)
	}
	var got struct {
		Listeners []struct {
			Stream *struct {
				ID, Invalid string
				Backends    []struct{ Backend, Invalid string }
			}
			ProxyProtocol bool
		}
		Backends []struct{ ProxyProtocol int }
	}
	if err := json.Unmarshal([]byte(document.String()), &got); err != nil {
		t.Fatal(err)
	}
	first := got.Listeners[0]
	if !first.ProxyProtocol || first.Stream.ID != "TCPRoute/shop/db" || first.Stream.Backends[0].Backend != "shop/db:5432/tcp" {
		t.Errorf("the stream is %+v", first)
	}
	if got.Listeners[1].Stream.Invalid != "why" || got.Listeners[2].Stream == nil || got.Listeners[2].Stream.ID != "" || got.Backends[0].ProxyProtocol != 2 {
		t.Errorf("got %s", document.String())
	}
	var other strings.Builder
	if err := admin.WriteText(&other, s, "shop.example.com"); err != nil || strings.Contains(other.String(), "TCPRoute") {
		t.Errorf("for one host: %v\n%s", err, other.String())
	}
}

func TestSnapshotOfOneHost(t *testing.T) {
	body := get(t, config(), "/snapshot?host=*.example.org", nil).Body.String()
	if !strings.Contains(body, "host *.example.org") || strings.Contains(body, "shop.example.com") || strings.Contains(body, "backend ") {
		t.Errorf("got\n%s", body)
	}
	body = get(t, config(), "/snapshot?host=shop.example.com", nil).Body.String()
	if !strings.Contains(body, "backend shop/cart:80") || strings.Contains(body, "shop/empty") {
		t.Errorf("got\n%s", body)
	}
}

// The expensive requests share a few places; probes are not held up by them.
func TestExpensiveRequestsAreBounded(t *testing.T) {
	c := config()
	begun, release := make(chan struct{}), make(chan struct{})
	c.Explain = func(admin.Query) (fmt.Stringer, error) {
		begun <- struct{}{}
		<-release
		return answer(""), nil
	}
	h := admin.New(c)
	call := func(target string) int {
		r := httptest.NewRequest(http.MethodGet, target, nil)
		r.Host, r.RemoteAddr = "localhost", "127.0.0.1:1"
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	codes := make(chan int)
	for range 4 {
		go func() { codes <- call("/explain?url=a/") }()
		<-begun
	}
	if code := call("/snapshot"); code != 503 {
		t.Errorf("a fifth expensive request gets %d, want 503", code)
	}
	if code := call("/healthz"); code != 200 {
		t.Errorf("a probe gets %d", code)
	}
	close(release)
	for range 4 {
		if code := <-codes; code != 200 {
			t.Errorf("got %d", code)
		}
	}
	if code := call("/snapshot"); code != 200 {
		t.Errorf("afterwards %d", code)
	}
}

func TestServerOnASocket(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := admin.NewServer(admin.New(config()), slog.New(slog.DiscardHandler))
	done := make(chan error, 1)
	go func() { done <- s.Serve(ln) }()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Get("http://" + ln.Addr().String() + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 200 || string(body) != "ok\n" {
		t.Errorf("%d %q %v", res.StatusCode, body, err)
	}
	if err := res.Body.Close(); err != nil {
		t.Error(err)
	}
	if s.ReadHeaderTimeout == 0 || s.ReadTimeout == 0 || s.WriteTimeout == 0 || s.IdleTimeout == 0 || s.MaxHeaderBytes == 0 {
		t.Error("a limit is missing")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
}
