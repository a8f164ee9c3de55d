package toxiproxy

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/breakwater-gateway/breakwater/proxy/chaos"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func serve(t *testing.T, cfg Config) *Server {
	t.Helper()
	cfg.Log = slog.New(slog.DiscardHandler)
	s := New(cfg)
	t.Cleanup(s.Close)
	return s
}

func ask(s *Server, method, path, body string) (int, string) {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Host = "localhost:8474"
	s.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// echo sends back what arrives, and returns its address.
func echo(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	served.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			served.Go(func() {
				_, _ = io.Copy(nc, nc)
				_ = nc.Close()
			})
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		served.Wait()
	})
	return ln.Addr().String()
}

func TestPortsAreBounded(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := netip.MustParseAddrPort(free.Addr().String()).Port()
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	s := serve(t, Config{Ports: PortRange{port, port}})
	for _, c := range []struct {
		name, listen string
		status       int
		contains     string
	}{
		{"low", "127.0.0.1:80", 400, fmt.Sprintf("port 80 is not in the range %d-%d", port, port)},
		{"odd", "nonsense", 500, "address nonsense: missing port"},
		{"any", "127.0.0.1:0", 201, fmt.Sprintf("127.0.0.1:%d", port)},
		{"full", "127.0.0.1:0", 500, "address already in use"},
	} {
		status, body := ask(s, "POST", "/proxies", fmt.Sprintf(`{"name":%q,"listen":%q,"upstream":"127.0.0.1:1"}`, c.name, c.listen))
		if status != c.status || !strings.Contains(body, c.contains) {
			t.Errorf("%s: %d %s", c.listen, status, body)
		}
	}
	if status, _ := ask(s, "POST", "/proxies", `{"name":"later","listen":"127.0.0.1:80","upstream":"127.0.0.1:1","enabled":false}`); status != 400 {
		t.Errorf("a disabled proxy that could never be enabled: %d", status)
	}
	if status, _ := ask(s, "GET", "/proxies/full", ""); status != 404 {
		t.Errorf("a proxy that could not listen is there: %d", status)
	}
}

// ownAddress returns an IPv4 address by which others reach this host, "" if it has none.
func ownAddress(t *testing.T) (own string) {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		if ip := a.(*net.IPNet).IP; ip.IsGlobalUnicast() && ip.To4() != nil {
			own = ip.String()
		}
	}
	return own
}

func TestRefuseLocal(t *testing.T) {
	own := ownAddress(t)
	refused := []string{"127.0.0.1:80", "127.9.9.9:80", "[::1]:80", "[::ffff:127.0.0.1]:80", "0.0.0.0:80", "[::]:80",
		"169.254.169.254:80", "[fe80::1]:80", "224.0.0.1:80", "[ff02::1]:80",
		"[::1%lo]:80", "[::%lo]:80", "[fe80::1%eth0]:80"} // a zone is part of an address only where it is link-local
	if own != "" {
		refused = append(refused, own+":9901")
	}
	refuse := RefuseLocal(netip.MustParseAddr("192.0.2.9"), netip.MustParseAddr("2001:db8::9"))
	refused = append(refused, "192.0.2.9:10250", "[::ffff:192.0.2.9]:10250", "[2001:db8::9]:10250", "[2001:db8::9%lo]:10250")
	for _, at := range refused {
		if refuse(netip.MustParseAddrPort(at)) == nil {
			t.Errorf("%s is allowed", at)
		}
	}
	for _, at := range []string{"198.51.100.7:80", "[2001:db8::1]:80"} {
		if err := refuse(netip.MustParseAddrPort(at)); err != nil {
			t.Error(err)
		}
	}
}

// The address is checked that is dialled, not the name that was given.
func TestUpstreamIsCheckedWhenItIsDialled(t *testing.T) {
	_, port, _ := net.SplitHostPort(echo(t))
	asked := make(chan netip.AddrPort, 8)
	s := serve(t, Config{Refuse: func(at netip.AddrPort) error {
		asked <- at
		return errors.New("no")
	}})
	status, _ := ask(s, "POST", "/proxies", `{"name":"in","listen":"127.0.0.1:0","upstream":"localhost:`+port+`"}`)
	if status != 201 {
		t.Fatal(status)
	}
	nc, err := net.Dial("tcp", s.proxies["in"].json().Listen)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if _, err := nc.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("got %v", err)
	}
	if at := <-asked; !at.Addr().IsLoopback() {
		t.Errorf("asked about %s", at)
	}
}

func TestNobodyPassesWithoutAuthorization(t *testing.T) {
	s := serve(t, Config{Authorize: func(r *http.Request) *Error {
		if r.Header.Get("Authorization") != "" {
			return nil
		}
		return &Error{"a bearer token is required", 401}
	}})
	for _, path := range []string{"/proxies", "/version", "/nothing", "/reset"} {
		if status, body := ask(s, "POST", path, ""); status != 401 || !strings.Contains(body, "bearer token") {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
}

// A page may have its name resolve to the API's address, and is then of the same origin.
func TestHosts(t *testing.T) {
	open := serve(t, Config{Hosts: []string{"tests.example.com"}})
	closed := serve(t, Config{Authorize: func(*http.Request) *Error { return nil }})
	for _, c := range []struct {
		host   string
		status int
	}{
		{"localhost:8474", 200}, {"LOCALHOST", 200}, {"127.0.0.1:8474", 200}, {"[::1]:8474", 200}, {"192.0.2.1", 200},
		{"toxiproxy:8474", 200}, // in a network of containers; no public name is without a dot
		{"Tests.Example.com:8474", 200}, {"page.example.com:8474", 421}, {"page.example.com", 421}, {"localhost.example.com:8474", 421},
	} {
		for s, want := range map[*Server]int{open: c.status, closed: 200} {
			r, w := httptest.NewRequest("GET", "/proxies", nil), httptest.NewRecorder()
			r.Host = c.host
			if s.ServeHTTP(w, r); w.Code != want {
				t.Errorf("%s: %d %s, want %d", c.host, w.Code, w.Body, want)
			}
		}
	}
}

func TestStrict(t *testing.T) {
	s := serve(t, Config{Strict: true})
	ask(s, "POST", "/proxies", `{"name":"p","listen":"127.0.0.1:0","upstream":"127.0.0.1:1"}`)
	if status, _ := ask(s, "POST", "/proxies/p/toxics", `{"type":"noop"}`); status != 201 {
		t.Errorf("a toxic: %d", status)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest("GET", "http://localhost/proxies/x", nil))
	if w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("an error is %s", w.Header().Get("Content-Type"))
	}
}

// routes is the TCP routes of a configuration, with what was put on them.
type routes struct {
	mu     sync.Mutex
	set    map[string]string
	absent bool
	route  Route
}

func (r *routes) setAbsent(absent bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.absent = absent
}

// toxics are those that act on the route.
func (r *routes) toxics() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.set["shop.db"]
}

func (r *routes) Routes() []Route {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.absent {
		return nil
	}
	r.route.Name, r.route.Listen, r.route.Upstream = "shop.db", "0.0.0.0:15432", "shop/db:5432"
	return []Route{r.route}
}

func (r *routes) SetToxics(name string, entries []*chaos.Manual) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var names []string
	for _, e := range entries {
		names = append(names, e.Name)
	}
	r.set[name] = strings.Join(names, ",")
}

func TestRoutesAreShownAndTakeToxics(t *testing.T) {
	r := &routes{set: map[string]string{}}
	s := serve(t, Config{Routes: r})
	for _, c := range []struct {
		method, path, body string
		status             int
		contains, set      string
	}{
		{"GET", "/proxies", "", 200, `"shop.db":{"name":"shop.db","listen":"0.0.0.0:15432","upstream":"shop/db:5432","enabled":true,"toxics":[]}`, ""},
		{"POST", "/proxies/shop.db/toxics", `{"type":"latency","attributes":{"latency":5}}`, 200, "latency_downstream", "latency_downstream"},
		{"POST", "/proxies/shop.db/toxics", `{"type":"noop"}`, 200, "noop_downstream", "latency_downstream,noop_downstream"},
		{"POST", "/proxies/shop.db", `{"enabled":false}`, 409, "route of the configuration", "latency_downstream,noop_downstream"},
		{"POST", "/proxies/shop.db", `{"enabled":true}`, 200, "latency_downstream", "latency_downstream,noop_downstream"},
		{"DELETE", "/proxies/shop.db", "", 409, "route of the configuration", "latency_downstream,noop_downstream"},
		{"POST", "/proxies", `{"name":"shop.db","upstream":"x:1"}`, 409, "proxy already exists", "latency_downstream,noop_downstream"},
		{"DELETE", "/proxies/shop.db/toxics/latency_downstream", "", 204, "", "noop_downstream"},
		{"POST", "/reset", "", 204, "", ""},
	} {
		status, body := ask(s, c.method, c.path, c.body)
		if status != c.status || !strings.Contains(body, c.contains) || r.set["shop.db"] != c.set {
			t.Errorf("%s %s %s: %d %s, toxics %q", c.method, c.path, c.body, status, body, r.set["shop.db"])
		}
	}
}

func TestRouteThatMustNotBeBroken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // time, in which routes are looked at again, does not pass
		r := &routes{set: map[string]string{}}
		s := serve(t, Config{Routes: r})
		ask(s, "POST", "/proxies/shop.db/toxics", `{"type":"noop"}`)
		r.route.Refused = "namespace shop says no"
		for _, c := range []struct {
			method, path, body string
			status             int
			set                string
		}{
			{"POST", "/proxies/shop.db/toxics", `{"type":"latency"}`, 403, "noop_downstream"},
			{"PATCH", "/proxies/shop.db/toxics/noop_downstream", `{"toxicity":0}`, 403, "noop_downstream"},
			{"POST", "/proxies/shop.db/toxics/noop_downstream", `{"toxicity":0}`, 403, "noop_downstream"},
			{"GET", "/proxies/shop.db/toxics", "", 200, "noop_downstream"},
			{"DELETE", "/proxies/shop.db/toxics/noop_downstream", "", 204, ""},
		} {
			status, body := ask(s, c.method, c.path, c.body)
			if status != c.status || status == 403 && !strings.Contains(body, "namespace shop says no") || r.set["shop.db"] != c.set {
				t.Errorf("%s %s: %d %s, toxics %q", c.method, c.path, status, body, r.set["shop.db"])
			}
		}
	})
}

// A route may be away while somebody cleans up. Its toxics must not come back with it.
func TestResetFindsTheToxicsOfAbsentRoutes(t *testing.T) {
	r := &routes{set: map[string]string{}}
	s := serve(t, Config{Routes: r})
	ask(s, "POST", "/proxies/shop.db/toxics", `{"type":"timeout"}`)
	r.setAbsent(true)
	ask(s, "GET", "/proxies", "")
	if r.set["shop.db"] == "" {
		t.Error("a route that is away for a while has lost its toxics")
	}
	if status, body := ask(s, "POST", "/reset", ""); status != 204 || r.set["shop.db"] != "" {
		t.Errorf("%d %s, toxics %q", status, body, r.set["shop.db"])
	}
	if n := len(s.routes); n != 0 {
		t.Errorf("%d absent routes without toxics are remembered", n)
	}
}

// Who has found a route before it was forgotten must not put a toxic where nobody would find it again.
func TestForgottenRouteTakesNoToxics(t *testing.T) {
	r := &routes{set: map[string]string{}}
	s := serve(t, Config{Routes: r})
	found, err := s.find("shop.db")
	if err != nil {
		t.Fatal(err)
	}
	s.forgetRoutes(nil)
	if _, err := found.chain.add([]byte(`{"type":"noop"}`)); err != errProxyNotFound || r.set["shop.db"] != "" {
		t.Errorf("%v, toxics %q", err, r.set["shop.db"])
	}
	if status, body := ask(s, "POST", "/proxies/shop.db/toxics", `{"type":"noop"}`); status != 200 {
		t.Errorf("when it is back: %d %s", status, body)
	}
}

// Somebody may delete a proxy that a reset has in its list.
func TestResetIgnoresProxiesThatAreDeletedMeanwhile(t *testing.T) {
	s := serve(t, Config{})
	ask(s, "POST", "/proxies", `{"name":"p","listen":"127.0.0.1:0","upstream":"127.0.0.1:1","enabled":false}`)
	s.proxies["p"].delete() // and its name is not taken out of the list yet
	if status, body := ask(s, "POST", "/reset", ""); status != 204 {
		t.Errorf("%d %s", status, body)
	}
}

// Whatever is called at once, nothing is lost, and everything has ended when the server has.
func TestManyCallsAtOnce(t *testing.T) {
	s := serve(t, Config{})
	up := echo(t)
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			name := fmt.Sprintf("p%d", g%3)
			for i := range 40 {
				switch i % 8 {
				case 0:
					ask(s, "POST", "/proxies", fmt.Sprintf(`{"name":%q,"listen":"127.0.0.1:0","upstream":%q}`, name, up))
				case 1:
					ask(s, "POST", "/proxies/"+name+"/toxics", `{"type":"latency","attributes":{"latency":1}}`)
				case 2:
					through(s, name)
				case 3:
					ask(s, "POST", "/proxies/"+name, `{"enabled":false}`)
				case 4:
					ask(s, "POST", "/reset", "")
				case 5:
					ask(s, "GET", "/proxies", "")
				case 6:
					ask(s, "DELETE", "/proxies/"+name+"/toxics/latency_downstream", "")
				case 7:
					ask(s, "DELETE", "/proxies/"+name, "")
				}
			}
		})
	}
	all.Wait()
}

// through sends something through a proxy, if it is there.
func through(s *Server, name string) {
	s.mu.Lock()
	p := s.proxies[name]
	s.mu.Unlock()
	if p == nil {
		return
	}
	nc, err := net.Dial("tcp", p.json().Listen)
	if err != nil {
		return
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
	_, _ = io.WriteString(nc, "ping")
	_, _ = io.ReadFull(nc, make([]byte, 4))
}

func TestPopulateChecksAllBeforeItMakesOne(t *testing.T) {
	s := serve(t, Config{})
	for _, c := range []struct{ file, want string }{
		{`[{"name":"a","listen":"127.0.0.1:0","upstream":"x:1"},{"name":"b"}]`, "missing required field: upstream at proxy 2"},
		{`[{"name":"a/b","listen":"127.0.0.1:0","upstream":"x:1"}]`, "contains a slash, so the proxy could never be addressed at proxy 1"},
		{`{"name":"a"}`, "content: a JSON object is not what is expected here"},
		{"[\n{\"name\":\"a\",\n", "line 3: unexpected end of JSON input"},
		{"[\n{\"name\";\"a\"}]", "line 2: invalid character ';' after object key"},
		{"", "line 1: unexpected end of JSON input"},
	} {
		if err := s.Populate(strings.NewReader(c.file)); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "request") {
			t.Errorf("%s: %v", c.file, err)
		}
	}
	if _, body := ask(s, "GET", "/proxies", ""); body != "{}" {
		t.Errorf("proxies: %s", body)
	}
}

func TestPopulateWarnsOfWhatAFileHasInVain(t *testing.T) {
	var log strings.Builder
	s := New(Config{Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	t.Cleanup(s.Close)
	err := s.Populate(strings.NewReader(`[
		{"name":"db","listn":"127.0.0.1:0","listen":"127.0.0.1:0","upstream":"x:1","toxics":[{"type":"latency"}]},
		{"NAME":"ok","listen":"127.0.0.1:0","upstream":"x:1","enabled":false,"toxics":[]}]`))
	if err != nil {
		t.Fatal(err)
	}
	got := log.String()
	for _, want := range []string{
		`proxy=db field=listn reason="there is no such field"`,
		`proxy=db field=toxics reason="toxics are made through the API, as with Toxiproxy"`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
	if n := strings.Count(got, "\n"); n != 2 {
		t.Errorf("%d lines:\n%s", n, got)
	}
	log.Reset()
	many := strings.Repeat(`{"name":"db","listen":"127.0.0.1:0","upstream":"x:1","a":1,"b":2,"c":3},`, 10)
	if err := s.Populate(strings.NewReader("[" + strings.TrimSuffix(many, ",") + "]")); err != nil {
		t.Fatal(err)
	}
	if got := log.String(); strings.Count(got, "\n") != maxIgnored+1 || !strings.Contains(got, "fields=10") {
		t.Errorf("%s", got)
	}
}

// FuzzAPI: no request makes the server fail, and what a request has changed is what it asked for, and stays.
func FuzzAPI(f *testing.F) {
	const someToxic = "/proxies/p/toxics/l"
	f.Add("POST", "/proxies/p/toxics", `{"type":"latency","attributes":{"latency":1}}`)
	f.Add("PATCH", someToxic, `{"toxicity":0.5}`)
	f.Add("POST", someToxic, `{"attributes":{"latency":7,"jitter":2}}`)
	f.Add("POST", "/proxies/p", `{"enabled":false}`)
	f.Add("PATCH", "/proxies/p", `{"upstream":"b:2","enabled":true,"LISTEN":"127.0.0.1:0"}`)
	f.Add("POST", "/proxies", `{"name":"q","listen":"127.0.0.1:0","upstream":"127.0.0.1:1"}`)
	f.Add("POST", "/populate", `[{"name":"q","listen":"127.0.0.1:0","upstream":"127.0.0.1:1","enabled":false}]`)
	f.Fuzz(func(t *testing.T, method, path, body string) {
		if !strings.HasPrefix(path, "/") || bindsElsewhere(body) {
			return
		}
		r, err := http.NewRequest(method, "http://localhost"+path, strings.NewReader(body))
		if err != nil {
			return
		}
		s := New(Config{Log: slog.New(slog.DiscardHandler), Seed: 1})
		defer s.Close()
		ask(s, "POST", "/proxies", `{"name":"p","listen":"127.0.0.1:0","upstream":"127.0.0.1:1","enabled":false}`)
		ask(s, "POST", "/proxies/p/toxics", `{"name":"l","type":"latency"}`)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Errorf("%s %s %s: %d %s", method, path, body, w.Code, w.Body)
		}
		isUpdate := (method == "POST" || method == "PATCH") && (path == "/proxies/p" || path == someToxic)
		if !isUpdate || w.Code != http.StatusOK {
			return
		}
		if _, is := ask(s, "GET", path, ""); is != w.Body.String() {
			t.Errorf("%s %s %s: answered %s, and is %s", method, path, body, w.Body, is)
		}
		for field, want := range shownBy(body, path == someToxic) {
			if got := shownBy(w.Body.String(), path == someToxic)[field]; got != want {
				t.Errorf("%s %s %s: %s is %v: %s", method, path, body, field, got, w.Body)
			}
		}
	})
}

const someAddress = "127.0.0.1:0"

// bindsElsewhere reports whether a request with this body might bind anything but a free port of the loopback interface, as it does
// that says nothing of where.
func bindsElsewhere(body string) bool {
	var change proxyChange
	var one proxyInput
	var many []proxyInput
	for _, v := range []any{&change, &one, &many} {
		_ = json.NewDecoder(strings.NewReader(body)).Decode(v) // of what cannot be read, nothing is made
	}
	return change.Listen != nil && *change.Listen != someAddress || slices.ContainsFunc(append(many, one), func(in proxyInput) bool {
		return in.check() == nil && in.Listen != someAddress
	})
}

// shownBy returns fields of a proxy, or of a toxic, that are shown as they were set.
func shownBy(body string, ofToxic bool) map[string]any {
	var v struct {
		Upstream   *string
		Enabled    *bool
		Toxicity   *float64
		Attributes struct{ Latency, Jitter any }
	}
	if err := json.NewDecoder(strings.NewReader(body)).Decode(&v); err != nil {
		return nil
	}
	all := map[string]any{}
	if ofToxic {
		if v.Toxicity != nil {
			all["toxicity"] = *v.Toxicity
		}
		for name, value := range map[string]any{"latency": v.Attributes.Latency, "jitter": v.Attributes.Jitter} {
			if n, ok := value.(float64); ok && n == math.Trunc(n) {
				all[name] = n
			}
		}
		return all
	}
	if v.Upstream != nil {
		all["upstream"] = *v.Upstream
	}
	if v.Enabled != nil {
		all["enabled"] = *v.Enabled
	}
	return all
}

// The official server counts what a connection has carried when it ends, under these names.
func TestMetrics(t *testing.T) {
	m := NewMetrics()
	s := serve(t, Config{Metrics: m.Handler(), Traffic: m.Count})
	up := echo(t)
	ask(s, "POST", "/proxies", fmt.Sprintf(`{"name":"p","listen":"127.0.0.1:0","upstream":%q}`, up))
	ask(s, "POST", "/proxies/p/toxics", `{"type":"limit_data","attributes":{"bytes":3}}`)
	listen := s.proxies["p"].json().Listen
	nc, err := net.Dial("tcp", listen)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if _, err := io.WriteString(nc, "ping"); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(nc); string(got) != "pin" || err != nil {
		t.Fatalf("%q, %v", got, err)
	}
	p := s.proxies["p"]
	ask(s, "DELETE", "/proxies/p", "")
	p.wait()
	_, text := ask(s, "GET", "/metrics", "")
	for _, c := range []struct {
		name, direction string
		n               int
	}{{"received", "upstream", 4}, {"sent", "upstream", 4}, {"received", "downstream", 4}, {"sent", "downstream", 3}} {
		want := fmt.Sprintf("toxiproxy_proxy_%s_bytes_total{direction=%q,listener=%q,proxy=\"p\",upstream=%q} %d\n", c.name, c.direction, listen, up, c.n)
		if !strings.Contains(text, want) {
			t.Errorf("no %sin\n%s", want, text)
		}
	}
}

func TestRuntimeMetrics(t *testing.T) {
	m := NewMetrics()
	m.AddRuntime()
	_, text := ask(serve(t, Config{Metrics: m.Handler()}), "GET", "/metrics", "")
	for _, want := range []string{"\ngo_goroutines ", "\nprocess_open_fds ", "\ngo_build_info{"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// A proxy must not stand before the toxics of a Route that is away: nobody would see them when they act again.
func TestRouteThatComesBackKeepsItsName(t *testing.T) {
	r := &routes{set: map[string]string{}}
	s := serve(t, Config{Routes: r})
	ask(s, "POST", "/proxies/shop.db/toxics", `{"type":"timeout"}`)
	r.setAbsent(true)
	make := func() int {
		status, _ := ask(s, "POST", "/proxies", fmt.Sprintf(`{"name":"shop.db","listen":"127.0.0.1:0","upstream":%q}`, echo(t)))
		return status
	}
	if status := make(); status != http.StatusConflict {
		t.Errorf("a proxy with the name of a route that has toxics: %d", status)
	}
	r.setAbsent(false)
	if _, body := ask(s, "GET", "/proxies", ""); !strings.Contains(body, "timeout_downstream") {
		t.Errorf("%q acts on the route, shown is %s", r.set["shop.db"], body)
	}
	if status, _ := ask(s, "DELETE", "/proxies/shop.db/toxics/timeout_downstream", ""); status != http.StatusNoContent || r.set["shop.db"] != "" {
		t.Errorf("removal: %d, %q acts", status, r.set["shop.db"])
	}
	r.setAbsent(true)
	if status := make(); status != http.StatusCreated {
		t.Errorf("a proxy with the name of a route that is gone: %d", status)
	}
}

// What comes later under the name of a route that has gone is not broken unasked, whether anybody calls the API meanwhile or not; one that
// is away for a moment keeps its toxics.
func TestRouteThatHasGoneTakesItsToxicsWithIt(t *testing.T) {
	for away, want := range map[time.Duration]string{awayFor - 2*time.Second: "timeout_downstream", awayFor + 2*time.Second: ""} {
		synctest.Test(t, func(t *testing.T) {
			r := &routes{set: map[string]string{}}
			s := New(Config{Seed: 1, Routes: r, Log: slog.New(slog.DiscardHandler)})
			defer s.Close()
			ask(s, "POST", "/proxies/shop.db/toxics", `{"type":"timeout"}`)
			for range 3 { // each time anew
				r.setAbsent(true)
				time.Sleep(away)
				_, refusal := ask(s, "POST", "/proxies", `{"name":"shop.db","upstream":"u:1","enabled":false}`)
				if is := strings.Contains(refusal, "has just gone; its toxics wait 10s for it"); is != (want != "") {
					t.Errorf("away for %v: a proxy of its name: %s", away, refusal)
				}
				ask(s, "DELETE", "/proxies/shop.db", "")
				r.setAbsent(false)
				time.Sleep(2 * time.Second)
				_, shown := ask(s, "GET", "/proxies/shop.db/toxics", "")
				if r.toxics() != want || !strings.Contains(shown, want) {
					t.Errorf("back after %v: %q acts, shown is %s", away, r.toxics(), shown)
				}
			}
		})
	}
}

func TestBounds(t *testing.T) {
	s := serve(t, Config{})
	proxy := func(name string) (int, string) {
		return ask(s, "POST", "/proxies", fmt.Sprintf(`{"name":%q,"listen":"127.0.0.1:0","upstream":"127.0.0.1:1","enabled":false}`, name))
	}
	for i := range maxProxies {
		if status, body := proxy(fmt.Sprintf("p%d", i)); status != http.StatusCreated {
			t.Fatalf("proxy %d: %d %s", i, status, body)
		}
	}
	if status, body := proxy("one more"); status != http.StatusBadRequest || !strings.Contains(body, "there are 4096 proxies") {
		t.Errorf("one proxy more: %d %s", status, body)
	}
	if status, body := proxy(strings.Repeat("n", maxText+1)); status != http.StatusBadRequest || !strings.Contains(body, "longer than 1024 bytes") {
		t.Errorf("a long name: %d %s", status, body)
	}
	toxic := func(name string) (int, string) {
		return ask(s, "POST", "/proxies/p0/toxics", fmt.Sprintf(`{"name":%q,"type":"noop"}`, name))
	}
	for i := range maxToxics {
		if status, body := toxic(fmt.Sprintf("t%d", i)); status != http.StatusOK {
			t.Fatalf("toxic %d: %d %s", i, status, body)
		}
	}
	if status, body := toxic("one more"); status != http.StatusBadRequest || !strings.Contains(body, "there are 64 toxics here") {
		t.Errorf("one toxic more: %d %s", status, body)
	}
	if status, body := toxic(strings.Repeat("n", maxText+1)); status != http.StatusBadRequest || !strings.Contains(body, "longer than 1024 bytes") {
		t.Errorf("a long name of a toxic: %d %s", status, body)
	}
}
