package main

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/breakwater-gateway/breakwater/controllers/access"
	"github.com/breakwater-gateway/breakwater/proxy/chaos"
	"github.com/breakwater-gateway/breakwater/proxy/toxiproxy"
)

// Who may get reads and no more; everything that changes something, and every method that might, takes update.
func TestVerbsOfTheAPI(t *testing.T) {
	var asked []string
	client := fake.NewClientset()
	client.PrependReactor("create", "tokenreviews", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, &authenticationv1.TokenReview{Status: authenticationv1.TokenReviewStatus{Authenticated: true}}, nil
	})
	client.PrependReactor("create", "subjectaccessreviews", func(a clienttesting.Action) (bool, runtime.Object, error) {
		review := a.(clienttesting.CreateAction).GetObject().(*authorizationv1.SubjectAccessReview)
		asked = append(asked, review.Spec.ResourceAttributes.Verb)
		review.Status.Allowed = review.Spec.ResourceAttributes.Verb == "get"
		return true, review, nil
	})
	reviewer := access.NewReviewer(client, authorizationv1.ResourceAttributes{Resource: "toxiproxies"})
	api := toxiproxy.New(toxiproxy.Config{
		Log: slog.New(slog.DiscardHandler), Metrics: http.NotFoundHandler(),
		Authorize: func(r *http.Request) *toxiproxy.Error { return authorize(reviewer, r) },
	})
	defer api.Close()
	for path, reading := range map[string]int{ // with what it is answered
		"/version": 200, "/proxies": 200, "/proxies/db": 404, "/proxies/db/toxics": 404, "/proxies/db/toxics/slow": 404,
		"/metrics": 404, "/populate": 405, "/reset": 405, "/nothing": 404,
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS", "get"} {
			verb, status := "update", http.StatusForbidden
			if method == "GET" {
				verb, status = "get", reading
			}
			asked = nil
			r, w := httptest.NewRequest(method, path, strings.NewReader("{}")), httptest.NewRecorder()
			r.Header.Set("Authorization", "Bearer "+method+path) // answers about one token are remembered
			if api.ServeHTTP(w, r); w.Code != status || !slices.Equal(asked, []string{verb}) {
				t.Errorf("%s %s: asked for %q, answered %d %s, want %s and %d", method, path, asked, w.Code, w.Body, verb, status)
			}
		}
	}
}

// withFlags starts the API with flags, without a cluster.
func withFlags(t *testing.T, flags ...string) *toxiproxyAPI {
	t.Helper()
	var o toxiproxyOptions
	set := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	o.add(set)
	if err := set.Parse(append(flags, "--toxiproxy-address=127.0.0.1:0")); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	engine := chaos.New(chaos.Config{Log: log})
	api, err := o.start(toxiproxy.Config{Chaos: engine, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := api.close(); err != nil {
			t.Error(err)
		}
		engine.Close()
	})
	return api
}

// port is where the API listens.
func (a *toxiproxyAPI) port() uint16 { return uint16(a.Address.(*net.TCPAddr).Port) }

func TestStrictFlag(t *testing.T) {
	const proxy, toxic = `{"name":"db","upstream":"u:1","enabled":false}`, `{"type":"noop"}`
	for status, flags := range map[int][]string{200: nil, 201: {"--toxiproxy-strict"}} {
		api := withFlags(t, flags...)
		callToxiproxy(t, api.port(), "POST", "/proxies", proxy, 201)
		callToxiproxy(t, api.port(), "POST", "/proxies/db/toxics", toxic, status)
	}
}

// The counters are of what connections have carried, and are not there unless somebody wants them.
func TestMetricsFlags(t *testing.T) {
	const counted = `toxiproxy_proxy_received_bytes_total{direction="upstream"`
	for _, c := range []struct {
		flags   []string
		status  int
		counts  bool
		runtime bool
	}{
		{nil, 404, false, false},
		{[]string{"--toxiproxy-metrics"}, 200, true, false},
		{[]string{"--toxiproxy-runtime-metrics"}, 200, false, true},
		{[]string{"--toxiproxy-metrics", "--toxiproxy-runtime-metrics"}, 200, true, true},
	} {
		api, listen := withFlags(t, c.flags...), somePort(t)
		callToxiproxy(t, api.port(), "POST", "/proxies", fmt.Sprintf(`{"name":"db","listen":"127.0.0.1:%d","upstream":"127.0.0.1:%d"}`, listen, echo(t)), 201)
		nc, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", listen))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(nc, "ping")
		if _, err := io.ReadFull(nc, make([]byte, 4)); err != nil {
			t.Error(err)
		}
		_ = nc.Close()
		api.proxies.Close() // when it returns all connections have been counted
		text := callToxiproxy(t, api.port(), "GET", "/metrics", "", c.status)
		if got := strings.Contains(text, counted) && strings.Contains(text, "} 4\n"); got != c.counts {
			t.Errorf("%q: bytes are counted: %v\n%s", c.flags, got, text)
		}
		if got := strings.Contains(text, "go_goroutines"); got != c.runtime {
			t.Errorf("%q: the runtime is there: %v", c.flags, got)
		}
	}
}
