package admin_test

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/admin"
	"github.com/breakwater-gateway/breakwater/proxy/chaos"
	"github.com/breakwater-gateway/breakwater/proxy/shape"
	"github.com/breakwater-gateway/breakwater/proxy/telemetry"
	"github.com/breakwater-gateway/breakwater/proxy/toxic"
	"github.com/breakwater-gateway/breakwater/proxy/toxiproxy"
)

var db = proxy.ObjectID{Kind: "TCPRoute", Namespace: "shop", Name: "db"}

// withChaos is an endpoint with an engine that has experiments on a TCPRoute: "slow" acts, "stopped" is halted by its Guard,
// "wrong" is invalid and "refused" is refused.
func withChaos(t *testing.T, cfg chaos.Config) (admin.Config, *chaos.Engine) {
	t.Helper()
	e := chaos.New(cfg)
	t.Cleanup(e.Close)
	x := func(name string, latency float64) *proxy.Experiment {
		return &proxy.Experiment{
			ID: proxy.ObjectID{Kind: "NetworkChaos", Namespace: "shop", Name: name}, Percent: shape.Const(100),
			Targets: []proxy.ExperimentTarget{{Object: db}}, Window: proxy.Window{Start: time.Now(), Duration: time.Hour},
			Toxics: []proxy.ExperimentToxic{{Name: "a", Toxicity: shape.Const(1), Toxic: toxic.Latency{Latency: shape.Const(latency)}}},
		}
	}
	halts, wrong := x("stopped", 2), x("wrong", -1)
	halts.Guard = &proxy.Guard{Window: time.Minute, MinRequests: 1, MaxErrorRate: 0.1}
	refused := proxy.RefusedExperiment{ID: proxy.ObjectID{Kind: "NetworkChaos", Namespace: "shop", Name: "refused"}, Reason: "TargetNotFound", Message: "no cart"}
	e.Apply(&proxy.Snapshot{Experiments: []*proxy.Experiment{x("slow", 1), halts, wrong}, Refused: []proxy.RefusedExperiment{refused}})
	e.Open(chaos.Place{Route: db, Client: netip.MustParseAddrPort("192.0.2.1:1"), Attempt: 1}).Close(chaos.Outcome{Failed: true})
	c := config()
	c.Chaos = e
	return c, e
}

// phase is what an experiment does now.
func phase(e *chaos.Engine, name string) proxy.ExperimentPhase {
	for _, s := range e.Status() {
		if s.ID.Name == name {
			return s.Phase
		}
	}
	return 0
}

// post calls a control as breakwater does; edit changes the request first.
func post(t *testing.T, c admin.Config, target string, edit func(*http.Request)) *httptest.ResponseRecorder {
	t.Helper()
	return get(t, c, target, func(r *http.Request) {
		r.Method = http.MethodPost
		r.Header.Set(admin.ControlHeader, "1")
		if edit != nil {
			edit(r)
		}
	})
}

func TestChaosIsShown(t *testing.T) {
	c, _ := withChaos(t, chaos.Config{})
	none := config()
	none.Chaos = chaos.New(chaos.Config{Disabled: true})
	t.Cleanup(none.Chaos.Close)
	for _, one := range []struct {
		name, target string
		config       admin.Config
		status       int
		contains     string
		contentType  string
	}{
		{"index", "/", c, 200, "/chaos/rearm?namespace=", "text/plain; charset=utf-8"},
		{"index without", "/", config(), 200, "why the others do not\n", "text/plain; charset=utf-8"},
		{"without", "/chaos", config(), 404, "", ""},
		{"no experiments", "/chaos", none, 200, "chaos is off: switched off by --chaos=false (since 20", ""},
		{"at a glance", "/chaos", c, 200, "shop/slow     Active   1        1         0       0        20", ""},
		{"why halted", "/chaos", c, 200, "\nshop/stopped: 1 of 1 requests failed", ""},
		{"rearm hint", "/chaos", c, 200, "\n  arm it again: breakwater chaos rearm shop/stopped\n", ""},
		{"why invalid", "/chaos", c, 200, "\nshop/wrong: toxic \"a\": latency", ""},
		{"why refused", "/chaos", c, 200, "\nshop/refused: TargetNotFound: no cart\n", ""},
		{"refused at a glance", "/chaos", c, 200, "\nshop/refused  Refused  0", ""},
		{"as JSON", "/chaos?format=json", c, 200, `{"enabled":true,"experiments":[{"namespace":"shop","name":"slow","phase":"Active","until":"20`, "application/json"},
		{"format", "/chaos?format=xml", c, 400, `unknown format "xml"`, ""},
		{"log", "/chaos/log", c, 200, `"object":"NetworkChaos/shop/slow","toxic":"a"`, "application/x-ndjson"},
		{"report", "/report", c, 200, "Fault report of 20", ""},
		{"report as Markdown", "/report?format=markdown", c, 200, "# Fault report: 4 experiments, 3 failed", "text/markdown; charset=utf-8"},
		{"report as JUnit", "/report?format=junit", c, 200, `<failure message="refused: `, "application/xml"},
		{"report as JSON", "/report?format=json", c, 200, `"outcome": "refused"`, "application/json"},
		{"report format", "/report?format=pdf", c, 400, "unknown format \"pdf\": want table", ""},
	} {
		t.Run(one.name, func(t *testing.T) {
			w := get(t, one.config, one.target, nil)
			if w.Code != one.status || !strings.Contains(w.Body.String(), one.contains) {
				t.Errorf("%d\n%s\nwant %d %q", w.Code, w.Body, one.status, one.contains)
			}
			if got := w.Header().Get("Content-Type"); one.contentType != "" && got != one.contentType {
				t.Errorf("Content-Type is %q", got)
			}
		})
	}
}

func TestToxicsAreShown(t *testing.T) {
	c, e := withChaos(t, chaos.Config{})
	e.Apply(&proxy.Snapshot{})
	c.Toxics = func() []toxiproxy.Toxic {
		return []toxiproxy.Toxic{
			{Proxy: "shop.db", Name: "l2", Type: "latency", Attributes: map[string]any{"latency": 100.0, "jitter": 0.0}, Stream: "downstream", Toxicity: 1},
			{Proxy: "p", Name: "\n" + strings.Repeat("n", 1000), Type: "noop", Stream: "upstream", Toxicity: 0.5, Idle: "the proxy is disabled"},
		}
	}
	shown := func(target string, wants ...string) {
		t.Helper()
		body := get(t, c, target, nil).Body.String()
		for _, want := range wants {
			if !strings.Contains(body, want) {
				t.Errorf("no %q in\n%.3000s", want, body)
			}
		}
	}
	shown("/chaos", "chaos is on\nno experiments\n", "\ntoxiproxy shop.db/l2   ", "  latency  jitter=0 latency=100  downstream  1\n",
		"\ntoxiproxy p/ nnn", "nnn... does not act: the proxy is disabled\n")
	shown("/chaos?format=json", `"toxics":[{"proxy":"shop.db","name":"l2","type":"latency","attributes":{"jitter":0,"latency":100},"stream":"downstream","toxicity":1},`)
	e.SetEnabled(false)
	shown("/chaos", "chaos is off: switched off by ", "\nthese toxics do not act while chaos is off\n")
}

// One replica of several says that it speaks for itself only, and what is for all.
func TestAReplicaSpeaksForItself(t *testing.T) {
	c, _ := withChaos(t, chaos.Config{})
	c.Replica, c.Switch = "pod-1", "the ConfigMap system/switch"
	for _, step := range []struct {
		method, target, says string
	}{
		{"GET", "/chaos", "chaos is on in the replica pod-1\n"},
		{"POST", "/chaos/off", "chaos is off in the replica pod-1: no experiment and no toxic acts until it is switched on again or the process " +
			"restarts\nother replicas go on; in all of them the ConfigMap system/switch switches chaos off\n"},
		{"GET", "/chaos", "chaos is off in the replica pod-1: switched off by the admin endpoint (since 20"},
		{"GET", "/chaos?format=json", `{"replica":"pod-1","enabled":false,`},
		{"POST", "/chaos/on", "chaos is on in the replica pod-1\n"},
		{"POST", "/chaos/rearm?namespace=shop&name=stopped", "shop/stopped is armed again, in all replicas as soon as the cluster knows\n"},
	} {
		w := get(t, c, step.target, nil)
		if step.method == http.MethodPost {
			w = post(t, c, step.target, nil)
		}
		if !strings.HasPrefix(w.Body.String(), step.says) {
			t.Errorf("%s %s: %q, want %q", step.method, step.target, w.Body, step.says)
		}
	}
}

func TestFaultLogIsLinesOfJSON(t *testing.T) {
	c, e := withChaos(t, chaos.Config{})
	body := get(t, c, "/chaos/log", nil).Body.String()
	n := 0
	for line := range strings.Lines(body) {
		var f chaos.Fault
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			t.Errorf("%q: %v", line, err)
		}
		n++
	}
	if n == 0 || n != len(e.Faults()) {
		t.Errorf("%d lines, want %d", n, len(e.Faults()))
	}
	if _, err := chaos.ReadReplay(strings.NewReader(body)); err != nil {
		t.Errorf("it cannot be replayed: %v", err)
	}
}

func TestControls(t *testing.T) {
	c, e := withChaos(t, chaos.Config{})
	step := func(target string, status int, says string, slow proxy.ExperimentPhase) {
		t.Helper()
		w := post(t, c, target, nil)
		if w.Code != status || !strings.Contains(w.Body.String(), says) || phase(e, "slow") != slow {
			t.Errorf("%s: %d %q, and it is %s; want %d %q and %s", target, w.Code, w.Body, phase(e, "slow"), status, says, slow)
		}
	}
	step("/chaos/off", 200, "chaos is off", proxy.ExperimentOff)
	step("/chaos/off", 200, "chaos is off", proxy.ExperimentOff)
	step("/chaos/on", 200, "chaos is on", proxy.ExperimentActive)
	step("/report/forget", 200, "forgotten", proxy.ExperimentActive)
	if phase(e, "stopped") != proxy.ExperimentHalted {
		t.Fatalf("it is %s", phase(e, "stopped"))
	}
	step("/chaos/rearm?namespace=shop&name=stopped", 200, "shop/stopped is armed again", proxy.ExperimentActive)
	if phase(e, "stopped") != proxy.ExperimentActive {
		t.Errorf("it is %s", phase(e, "stopped"))
	}
	step("/chaos/rearm?namespace=shop&name=stopped", 409, "shop/stopped is not halted, it is Active\n", proxy.ExperimentActive)
	if body := get(t, c, "/chaos", nil).Body.String(); !strings.Contains(body, "\nshop/stopped: its guard judges from 1 requests in 1m0s on\n") {
		t.Errorf("the guard is not shown:\n%s", body)
	}
	if body := get(t, c, "/chaos?format=json", nil).Body.String(); !strings.Contains(body, `"guard":{"minRequests":1,"window":60}`) {
		t.Errorf("the guard is not shown:\n%s", body)
	}
	step("/chaos/rearm?namespace=shop&name=gone%0a", 404, "there is no experiment shop/gone \n", proxy.ExperimentActive)
	step("/chaos/rearm?namespace=shop&name=wrong", 409, "shop/wrong is not halted, it is Invalid: toxic \"a\": latency", proxy.ExperimentActive)
	step("/chaos/rearm?namespace=shop&name=refused", 409, "shop/refused is not halted, it is Refused: TargetNotFound: no cart\n", proxy.ExperimentActive)
	step("/chaos/rearm?name=slow", 400, "want ?namespace=", proxy.ExperimentActive)

	disabled, e := withChaos(t, chaos.Config{Disabled: true})
	if w := post(t, disabled, "/chaos/on", nil); w.Code != 409 || !strings.Contains(w.Body.String(), "chaos stays off: switched off by --chaos=false") || e.Enabled() {
		t.Errorf("got %q", w.Body)
	}
}

func TestWhoMayControl(t *testing.T) {
	c, e := withChaos(t, chaos.Config{})
	set := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	for _, one := range []struct {
		name, target string
		edit         func(*http.Request)
		status       int
	}{
		{"GET", "/chaos/off", func(r *http.Request) { r.Method = "GET" }, 405},
		{"HEAD", "/chaos/off", func(r *http.Request) { r.Method = "HEAD" }, 405},
		{"PUT", "/chaos/off", func(r *http.Request) { r.Method = "PUT" }, 405},
		{"a preflight request", "/chaos/off", func(r *http.Request) { r.Method = "OPTIONS" }, 405},
		{"POST to what only reads", "/chaos", nil, 405},
		{"POST to a path that is like one", "/chaos/off/", nil, 405},
		{"POST to an alias", "//chaos/off", nil, 405},
		{"without the field", "/chaos/off", func(r *http.Request) { r.Header.Del(admin.ControlHeader) }, 403},
		{"with another value", "/chaos/off", set(admin.ControlHeader, "0"), 403},
		{"a form", "/chaos/off", func(r *http.Request) { r.ContentLength = 3 }, 400},
		{"from elsewhere", "/chaos/off", func(r *http.Request) { r.RemoteAddr = "10.0.0.1:1" }, 403},
		{"by a rebound name", "/chaos/off", func(r *http.Request) { r.Host = "evil.example" }, 421},
		{"of another origin", "/chaos/off", set("Origin", "https://evil.example"), 403},
		{"of an opaque origin", "/chaos/off", set("Origin", "null"), 403},
		{"by a page", "/chaos/off", set("Sec-Fetch-Site", "cross-site"), 403},
	} {
		t.Run(one.name, func(t *testing.T) {
			w := post(t, c, one.target, one.edit)
			if w.Code != one.status || !e.Enabled() {
				t.Errorf("%d %q, want %d; enabled: %v", w.Code, w.Body, one.status, e.Enabled())
			}
			if len(w.Header()["Access-Control-Allow-Origin"]) > 0 {
				t.Error("other origins are let in")
			}
		})
	}
	for _, path := range []string{"/chaos", "/chaos/log", "/report"} {
		if w := get(t, c, path, func(r *http.Request) { r.RemoteAddr = "10.0.0.1:1" }); w.Code != 403 {
			t.Errorf("%s from elsewhere: %d", path, w.Code)
		}
	}
}

// The kill switch works while the endpoint is busy with what is expensive.
func TestKillSwitchIsNotHeldUp(t *testing.T) {
	c, e := withChaos(t, chaos.Config{})
	begun, release := make(chan struct{}), make(chan struct{})
	c.Explain = func(admin.Query) (fmt.Stringer, error) {
		begun <- struct{}{}
		<-release
		return answer(""), nil
	}
	h := admin.New(c)
	call := func(method, target string) int {
		r := httptest.NewRequest(method, target, nil)
		r.Host, r.RemoteAddr = "localhost", "127.0.0.1:1"
		r.Header.Set(admin.ControlHeader, "1")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	codes := make(chan int)
	for range 4 {
		go func() { codes <- call("GET", "/explain?url=a/") }()
		<-begun
	}
	if code := call("POST", "/chaos/off"); code != 200 || e.Enabled() {
		t.Errorf("%d, enabled: %v", code, e.Enabled())
	}
	close(release)
	for range 4 {
		<-codes
	}
}

// The report says the same as the metrics.
func TestReportAndMetricsAgree(t *testing.T) {
	c, e := withChaos(t, chaos.Config{})
	m := telemetry.New()
	m.SampleChaos(e.Status)
	c.Metrics = telemetry.NewRegistry(m, "test")
	for i := range 5 {
		client := netip.AddrPortFrom(netip.MustParseAddr("192.0.2.2"), uint16(i+1))
		e.Open(chaos.Place{Route: db, Client: client, Attempt: 1}).Close(chaos.Outcome{})
	}
	var document struct {
		Suites []struct {
			Name       string `xml:"name,attr"`
			Properties []struct {
				Name  string `xml:"name,attr"`
				Value string `xml:"value,attr"`
			} `xml:"properties>property"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(get(t, c, "/report?format=junit", nil).Body.Bytes(), &document); err != nil {
		t.Fatal(err)
	}
	metrics := get(t, c, "/metrics", nil).Body.String()
	series := map[string]string{"matched": "matched", "injected": "injected", "skippedByCap": "skipped", "dryRun": "dry_run", "halts": "halts"}
	compared, sum := 0, 0
	for _, s := range document.Suites {
		for _, p := range s.Properties {
			name := series[p.Name]
			if name == "" {
				continue
			}
			found := regexp.MustCompile(fmt.Sprintf(`\nbreakwater_chaos_%s_total\{experiment="%s"\} (\d+)\n`, name, s.Name)).FindStringSubmatch(metrics)
			if found == nil || found[1] != p.Value {
				t.Errorf("%s of %s: the report says %s, the metrics %v", name, s.Name, p.Value, found)
			}
			compared++
			if n, err := strconv.Atoi(p.Value); err == nil && name == "injected" {
				sum += n
			}
		}
	}
	if compared != 20 || sum != 7 { // six by "slow", one by "stopped"
		t.Errorf("%d numbers compared, %d injected", compared, sum)
	}
}
