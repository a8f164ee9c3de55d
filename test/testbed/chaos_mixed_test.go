package testbed_test

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/test/testbed"
)

// A client whose connection is held open by a toxic on its end is let go with the toxic.
func TestSlowCloseIsLetGo(t *testing.T) {
	for name, end := range map[string]func(*testbed.Bed){
		"deleted":  func(tb *testbed.Bed) { tb.Delete("chaos.yaml") },
		"switched": func(tb *testbed.Bed) { tb.Chaos.SetEnabled(false) },
	} {
		t.Run(name, func(t *testing.T) {
			tb := answersBed(t, onIngress("x", "toxics: [{type: SlowClose, slowClose: {delay: 1h}}]"))
			client := connect(t, tb)
			client.Send("GET /length HTTP/1.1\r\nHost: shop.example.com\r\nConnection: close\r\n\r\n")
			res, err := http.ReadResponse(client.in, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadAll(res.Body); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			end(tb)
			if client.ends() || time.Since(began) > 10*time.Second {
				t.Errorf("ends after %v", time.Since(began))
			}
		})
	}
}

// Requests with content are answered although nobody reads it, and the connection can be used or tells that it cannot.
func TestAbortOfRequestsWithContent(t *testing.T) {
	for _, at := range []string{"at: Client", "at: Backend"} {
		tb, shop := shopBed(t, onIngress("x", at, "toxics: [{type: Abort, abort: {status: 503, body: gone}}]"))
		for _, size := range []int{10, 100_000, 3 << 20} {
			for range 3 {
				res := tb.Send(testbed.Request{Method: "POST", Host: "shop.example.com", Path: "/", Body: strings.Repeat("x", size)})
				if res.Status != 503 || res.Body != "gone" {
					t.Errorf("%s, %d bytes: got %d %q", at, size, res.Status, res.Body)
				}
			}
		}
		client := connect(t, tb)
		client.Send("HEAD / HTTP/1.1\r\nHost: shop.example.com\r\n\r\nGET / HTTP/1.1\r\nHost: shop.example.com\r\n\r\n")
		for _, method := range []string{"HEAD", "GET"} {
			res, err := http.ReadResponse(client.in, &http.Request{Method: method})
			if err != nil || res.StatusCode != 503 || res.ContentLength != 4 {
				t.Fatalf("%s: %v %v", method, res, err)
			}
			if _, err := io.ReadAll(res.Body); err != nil {
				t.Fatal(err)
			}
		}
		if shop.Requests.Load() != 0 {
			t.Errorf("the backend got %d requests", shop.Requests.Load())
		}
	}
}

// Toxics that a request has met act on the tunnel that it opens, and follow changes there.
func TestToxicsOnTunnels(t *testing.T) {
	for _, at := range []string{"at: Client", "at: Backend"} {
		t.Run(at, func(t *testing.T) {
			tb := testbed.New(t, oneIngress("shop.example.com", "shop"))
			tb.Backend("shop", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				nc, rw, err := w.(http.Hijacker).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				defer func() { _ = nc.Close() }()
				_, _ = io.WriteString(nc, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
				_, _ = io.Copy(nc, rw) // until the client has left
			}))
			tb.Write("chaos.yaml", onIngress("x", at, "toxics: [{type: Latency, latency: {latency: 150ms}}]"))
			client := tb.DialTCP(tb.IngressPort)
			client.Send("GET / HTTP/1.1\r\nHost: shop.example.com\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
			in := bufio.NewReader(client)
			if res, err := http.ReadResponse(in, nil); err != nil || res.StatusCode != http.StatusSwitchingProtocols {
				t.Fatal(res, err)
			}
			ping := func() time.Duration {
				t.Helper()
				began := time.Now()
				client.Send("ping")
				buf := make([]byte, 4)
				if _, err := io.ReadFull(in, buf); err != nil || string(buf) != "ping" {
					t.Fatalf("%q, %v", buf, err)
				}
				return time.Since(began)
			}
			if took := ping(); took < held {
				t.Errorf("took %v", took)
			}
			tb.Delete("chaos.yaml")
			tb.Eventually("the tunnel is fast", func() bool { return ping() < held })
			if err := client.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// A guard looks at connections too.
func TestGuardOfTCP(t *testing.T) {
	tb, db := dbBed(t, onDB("guard: {maxErrorPercent: 50, minRequests: 3}", "toxics: [{type: Down}]"))
	for range 3 {
		if text, _ := tb.Whole(tb.GatewayPort("edge", 7000)); text != "" {
			t.Fatalf("got %q", text)
		}
	}
	tb.Eventually("it is halted", func() bool { return state(t, tb, "x").Phase == proxy.ExperimentHalted })
	greeted(tb, "db")
	if s := state(t, tb, "x"); s.Matched != 3 || s.Injected != 3 || db.Connections.Load() == 0 {
		t.Errorf("%+v", s)
	}
}

// Experiments on the Service, the Gateway and the route act on the same connection, each by its own rules.
func TestExperimentsComposeOnTCP(t *testing.T) {
	tb, _ := dbBed(t, "")
	for name, target := range map[string]string{"a": "{kind: Service, name: db}", "b": "{kind: Gateway, name: edge, sectionName: db}", "c": "{kind: TCPRoute, name: db}"} {
		tb.Write("chaos-"+name+".yaml", experiment(name, "duration: 1h", "at: Backend", "targetRefs: ["+target+"]", "toxics: [{type: Latency, latency: {latency: 60ms}}]"))
	}
	c := greeted(tb, "db")
	if took := c.Took("ping"); took < 180*time.Millisecond {
		t.Errorf("took %v with three times 60 ms", took)
	}
	tb.Delete("chaos-b.yaml")
	if took := c.Took("ping"); took < 120*time.Millisecond {
		t.Errorf("took %v with two times 60 ms", took)
	}
	for _, name := range []string{"a", "c"} {
		if s := state(t, tb, name); s.Matched != 1 || s.Injected != 1 {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

// What an experiment has done is in the report, after it has gone too.
func TestReportOfARun(t *testing.T) {
	tb, _ := shopBed(t, onIngress("x", "sequence: {steps: [{count: 3, toxics: [Abort]}, {toxics: [Delay]}]}",
		"toxics: [{type: Abort, abort: {status: 503}}, {type: Delay, delay: {latency: 20ms}}]"))
	statuses(tb, 10)
	tb.Eventually("all requests have ended", func() bool {
		x := tb.Chaos.Report().Experiments[0]
		return x.InjectedTraffic.Requests+x.UninjectedTraffic.Requests == 10
	})
	tb.Delete("chaos.yaml")
	r := tb.Chaos.Report()
	if len(r.Experiments) != 1 {
		t.Fatalf("%+v", r)
	}
	x := r.Experiments[0]
	if !x.Deleted || x.Matched != 10 || x.Injected != 4 || x.InjectedTraffic.Status["5xx"] != 3 || x.InjectedTraffic.Status["2xx"] != 1 ||
		x.UninjectedTraffic.Status["2xx"] != 6 || x.InjectedTraffic.Failed != 3 || x.InjectedTraffic.Latency.Max < 0.02 {
		t.Errorf("%+v", x)
	}
	for _, c := range []struct {
		toxic   int
		name    string
		applied uint64
	}{{0, "Abort", 3}, {1, "Delay", 1}} {
		if got := x.Toxics[c.toxic]; got.Name != c.name || got.Applied != c.applied {
			t.Errorf("%+v", got)
		}
	}
}
