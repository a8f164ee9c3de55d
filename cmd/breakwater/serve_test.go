package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// served is a breakwater that serves a folder.
type served struct {
	*program
	dir         string
	port, admin uint16
}

func serveFolder(t *testing.T, manifests string, args ...string) served {
	t.Helper()
	s := served{dir: folder(t, manifests), port: somePort(t), admin: somePort(t)}
	s.program = begin(t, append([]string{
		"serve", "--manifests", s.dir, "--bind-address", "127.0.0.1", "--log-format", "json",
		"--ingress-http-port", fmt.Sprint(s.port), "--admin-address", fmt.Sprintf("127.0.0.1:%d", s.admin),
	}, args...)...)
	return s
}

func (s served) get(host string) int {
	status, _ := get(fmt.Sprintf("http://127.0.0.1:%d/", s.port), host)
	return status
}

func (s served) adminGet(path string) (int, string) {
	return get(fmt.Sprintf("http://127.0.0.1:%d%s", s.admin, path), "localhost")
}

func (s served) ready() bool {
	status, _ := s.adminGet("/readyz")
	return status == 200
}

func TestServeFolder(t *testing.T) {
	s := serveFolder(t, ingress("old.example.com"), "--access-log", "json")
	s.eventually("it is ready", s.ready)
	if status := s.get("old.example.com"); status != 503 {
		t.Errorf("got %d", status)
	}

	problems := func(n int) func() bool {
		return func() bool {
			_, metrics := s.adminGet("/metrics")
			return strings.Contains(metrics, fmt.Sprintf("\nbreakwater_config_problems %d\n", n))
		}
	}
	s.eventually("nothing is wrong", problems(0))
	write(t, s.dir, ingress("bad_example.com"))
	s.eventually("the bad host is counted", problems(1))

	write(t, s.dir, ingress("new.example.com"))
	s.eventually("the edit is live", func() bool { return s.get("new.example.com") == 503 })
	if status := s.get("old.example.com"); status != 404 {
		t.Errorf("the old host still gets %d", status)
	}

	write(t, s.dir, strings.Replace(ingress("bad.example.com"), "Prefix", "Pretext", 1))
	s.eventually("the mistake is reported", func() bool { return strings.Contains(s.stderr.String(), "Pretext") })
	if status := s.get("new.example.com"); status != 503 {
		t.Errorf("what worked gets %d", status)
	}

	for path, want := range map[string]string{
		"/healthz":  "ok",
		"/metrics":  `breakwater_route_requests_total{code="5xx",route="Ingress/default/shop/0"}`,
		"/snapshot": "host new.example.com",
		"/explain?url=http://new.example.com/a/../b": "GET new.example.com/b",
	} {
		if status, body := s.adminGet(path); status != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: %d, no %q in\n%s", path, status, want, body)
		}
	}

	if _, body := s.adminGet("/metrics"); !strings.Contains(body, `breakwater_config_build_duration_seconds_count{lane="full"} 2`) {
		t.Errorf("builds are not two:\n%s", body)
	}

	var stdout, stderr output
	code := run(context.Background(), []string{"explain", "GET", "new.example.com/", "--admin-address", fmt.Sprintf("127.0.0.1:%d", s.admin)}, &stdout, &stderr)
	if code != 0 || !strings.Contains(stdout.String(), "Ingress/default/shop/0") {
		t.Errorf("explain: exit code %d\n%s%s", code, stdout.String(), stderr.String())
	}
	s.end()
	if got := strings.Count(s.stdout.String(), `"host":"old.example.com"`); got != 2 {
		t.Errorf("%d lines of the access log for a host that was asked for twice:\n%s", got, s.stdout.String())
	}
	if status, _ := s.adminGet("/healthz"); status != 0 {
		t.Error("the admin endpoint outlives the process")
	}
}

func TestPortsThatAreServedAreAListAlsoWithoutAny(t *testing.T) {
	s := serveFolder(t, "# nothing\n", "--ingress-http-port", "0")
	s.eventually("it serves", func() bool { return strings.Contains(s.stderr.String(), `"msg":"serving"`) })
	if !strings.Contains(s.stderr.String(), `"ports":[]`) {
		t.Error(s.stderr.String())
	}
	s.end()
}

func TestNothingValidYetIsNotReady(t *testing.T) {
	s := serveFolder(t, "kind: [")
	s.eventually("the admin endpoint answers", func() bool { status, _ := s.adminGet("/healthz"); return status == 200 })
	s.eventually("the mistake is reported", func() bool { return strings.Contains(s.stderr.String(), "invalid manifest") })
	if s.ready() {
		t.Error("ready with nothing to serve")
	}
	if _, text := s.adminGet("/readyz"); !strings.Contains(text, "main.yaml:1") {
		t.Errorf("/readyz does not say what is wrong: %s", text)
	}
	write(t, s.dir, ingress("shop.example.com"))
	s.eventually("it is ready", s.ready)
	s.end()
}

func TestProxyProtocolThatNobodyMaySpeakIsLogged(t *testing.T) {
	s := serveFolder(t, `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw, annotations: {breakwater-gateway.io/proxy-protocol: "*"}}
spec: {gatewayClassName: breakwater, listeners: [{name: tcp, port: 1, protocol: TCP}]}
`)
	s.eventually("it is logged", func() bool { return strings.Contains(s.stderr.String(), "--trusted-proxies names nobody") })
	s.eventually("it is ready", s.ready)
	s.end()
}

func TestPortInUseNamesPortAndFlag(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := taken.Close(); err != nil {
			t.Error(err)
		}
	}()
	port := taken.Addr().(*net.TCPAddr).Port
	gateway := `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec: {gatewayClassName: breakwater, listeners: [{name: http, port: 1, protocol: HTTP}]}
`
	for _, c := range []struct {
		name, manifests string
		args            []string
		want            []string
	}{
		{"Ingress", ingress("a.example.com"), []string{"--ingress-http-port", fmt.Sprint(port)}, []string{"--ingress-http-port", "in use"}},
		{"Gateway", gateway, []string{"--port-offset", fmt.Sprint(port - 1)}, []string{"--port-offset", "Gateway/default/edge:http", "in use"}},
		{"admin", "", []string{"--admin-address", taken.Addr().String()}, []string{"--admin-address", "in use"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serveFolder(t, c.manifests, c.args...)
			if code := <-s.code; code != exitFailure {
				t.Errorf("exit code %d", code)
			}
			lines := strings.Split(strings.TrimSpace(s.stderr.String()), "\n")
			last := lines[len(lines)-1]
			for _, want := range append(c.want, fmt.Sprint(port)) {
				if !strings.Contains(last, want) {
					t.Errorf("no %q in %q", want, last)
				}
			}
			if n := strings.Count(s.stderr.String(), "in use"); n != 1 {
				t.Errorf("it is said %d times:\n%s", n, s.stderr.String())
			}
		})
	}
}

// idleSource is a source with a configuration that never changes.
type idleSource struct{ synced, ended atomic.Bool }

func (s *idleSource) Run(ctx context.Context) error {
	<-ctx.Done()
	s.ended.Store(true)
	return nil
}

func (s *idleSource) Synced() bool { return s.synced.Load() }

// fixed starts a process without admin endpoint that serves these manifests, and returns the URL of the port for
// Ingresses.
func fixed(t *testing.T, manifests string) (*process, *idleSource, string) {
	t.Helper()
	var o processOptions
	_ = o.groups() // gives everything its default
	o.admin.address = ""
	o.objects.ingressPort = somePort(t)
	s := &idleSource{}
	p, err := o.newProcess(io.Discard, slog.New(slog.DiscardHandler), func(*process) (source, error) { return s, nil })
	if err != nil {
		t.Fatal(err)
	}
	standalone := standaloneOptions{dir: folder(t, manifests)}
	snapshot, err := standalone.snapshot(&o.objects, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.dataPlane.Apply(snapshot); err != nil {
		t.Fatal(err)
	}
	return p, s, fmt.Sprintf("http://127.0.0.1:%d/", o.objects.ingressPort)
}

func TestReadyNeedsTheSource(t *testing.T) {
	p, s, _ := fixed(t, ingress("shop.example.com"))
	if p.ready() == nil {
		t.Error("ready although the source has not delivered everything")
	}
	s.synced.Store(true)
	if err := p.ready(); err != nil {
		t.Errorf("not ready: %v", err)
	}
	if err := p.close(); err != nil {
		t.Error(err)
	}
}

// waiting is fixed for shop.example.com, whose backend says that a request has arrived and answers when finish is closed.
func waiting(t *testing.T, arrived, finish chan struct{}) (*process, *idleSource, string) {
	t.Helper()
	backend := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(arrived)
		<-finish
	}))
	t.Cleanup(backend.Close)
	p, s, url := fixed(t, ingress("shop.example.com")+sliceOf(backend))
	s.synced.Store(true)
	return p, s, url
}

// Unready first; then the ports close, while the request in flight goes on and the configuration is still followed; when
// the last request has ended, everything else ends.
func TestStopIsInOrder(t *testing.T) {
	arrived, finish := make(chan struct{}), make(chan struct{})
	p, s, url := waiting(t, arrived, finish)
	inFlight := make(chan int, 1)
	go func() {
		status, _ := get(url, "shop.example.com")
		inFlight <- status
	}()
	<-arrived

	drained := make(chan time.Duration, 1)
	p.stop.drainDelay = time.Hour
	p.sleep = func(d time.Duration, _ <-chan struct{}) {
		if p.ready() == nil {
			t.Error("still ready while load balancers are to notice")
		}
		if status, _ := get(url, "other.example.com"); status != 404 {
			t.Errorf("requests get %d in the drain delay", status)
		}
		drained <- d
	}
	ctx, stop := context.WithCancel(context.Background())
	stopped := make(chan error, 1)
	go func() { stopped <- p.run(ctx) }()
	stop()
	if d := <-drained; d != time.Hour {
		t.Errorf("the drain delay is %v", d)
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if status, _ := get(url, "other.example.com"); status == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the port stays open")
		}
	}
	if s.ended.Load() {
		t.Error("the configuration is not followed while a request is in flight")
	}
	close(finish)
	if status := <-inFlight; status != 200 {
		t.Errorf("the request in flight got %d", status)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if !s.ended.Load() {
		t.Error("the source goes on")
	}
}
