package testbed_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/chaos"
	"github.com/breakwater-gateway/breakwater/test/testbed"
)

func TestBudgetOverAllExperiments(t *testing.T) {
	const n = 200
	one := func(name string, lines ...string) string {
		return onIngress(name, append(lines, "percent: 60", fmt.Sprint("seed: ", len(name)), abort(503))...)
	}
	for name, c := range map[string]struct {
		experiments string
		most        int
	}{
		"both":      {one("x", "maxPercent: 50") + one("other", "maxPercent: 50"), n / 2},
		"the least": {one("x", "maxPercent: 50") + one("other", "maxPercent: 20"), n / 5},
		"one":       {one("x", "maxPercent: 10") + one("other"), n / 10},
	} {
		t.Run(name, func(t *testing.T) {
			tb, shop := shopBed(t, c.experiments)
			hit := 0
			for i := 1; i <= n; i++ {
				if get(tb, "/") == 503 {
					hit++
				}
				if hit*n > c.most*i {
					t.Fatalf("%d of the first %d have been hit, at most %d of %d may be", hit, i, c.most, n)
				}
			}
			if hit < c.most*8/10 {
				t.Errorf("%d of %d have been hit: the cap holds back too much", hit, n)
			}
			x, other := state(t, tb, "x"), state(t, tb, "other")
			if x.SkippedByCap+other.SkippedByCap == 0 || int(shop.Requests.Load()) != n-hit {
				t.Errorf("%d and %d skipped; the backend got %d", x.SkippedByCap, other.SkippedByCap, shop.Requests.Load())
			}
		})
	}
}

func TestDryRunCountsWhatARealRunInjects(t *testing.T) {
	const n = 150
	of := func(line string) string {
		return onIngress("x", "percent: 35", "seed: 5", "maxPercent: 30", line,
			"toxics: [{type: Abort, percent: 90, abort: {status: 503}}, {type: Delay, percent: 10, delay: {latency: 1ms}}]")
	}
	dry, log := logged(t, of("dryRun: true"), n)
	if dry != strings.Repeat(".", n) {
		t.Errorf("a dry run touches requests: %s", dry)
	}
	tb, _ := shopBed(t, of("dryRun: true"))
	statuses(tb, n)
	before := state(t, tb, "x")
	if before.Injected != 0 || before.Matched != n || before.DryRun == 0 || before.SkippedByCap == 0 {
		t.Errorf("the dry run: %+v", before)
	}
	tb, _ = shopBed(t, of(""))
	statuses(tb, n)
	after := state(t, tb, "x")
	if after.Injected != before.DryRun || after.SkippedByCap != before.SkippedByCap || after.DryRun != 0 {
		t.Errorf("%d injected and %d skipped; the dry run said %d and %d", after.Injected, after.SkippedByCap, before.DryRun, before.SkippedByCap)
	}
	_, real := logged(t, of(""), n)
	if got, want := strings.ReplaceAll(strings.Join(decisions(t, log, "Abort"), "\n"), "dryRun", "inject"),
		strings.Join(decisions(t, real, "Abort"), "\n"); got != want {
		t.Errorf("the dry run's log:\n%s\nthe real one's\n%s", got, want)
	}
}

const tokenSecret = `
apiVersion: v1
kind: Secret
metadata: {name: chaos-token}
stringData: {key: topsecret}
---
`

func TestToken(t *testing.T) {
	tb := testbed.New(t, oneIngress("shop.example.com", "shop"))
	seen := make(chan http.Header, 1)
	tb.Backend("shop", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen <- r.Header.Clone() }))
	tb.Write("chaos.yaml", tokenSecret+onIngress("x",
		"token: {header: X-Chaos, cookie: chaos, baggage: chaos, secretRef: {name: chaos-token}}",
		"toxics: [{type: Headers, headers: {response: {set: [{name: X-Hit, value: hit}]}}}]"))
	mint := func(secret, name string, good time.Duration) string {
		t.Helper()
		token, err := chaos.MintToken(secret, "default", name, time.Now().Add(good))
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	good := mint("topsecret", "x", time.Hour)
	hits := uint64(0)
	for _, c := range []struct {
		name  string
		field []string
		hit   bool
	}{
		{"none", nil, false},
		{"header", []string{"X-Chaos", good}, true},
		{"cookie", []string{"Cookie", "a=b; chaos=" + good + "; c=d"}, true},
		{"baggage", []string{"Baggage", "user=1, chaos=" + good + ";ttl=1"}, true},
		{"wrong place", []string{"X-Other", good}, false},
		{"wrong secret", []string{"X-Chaos", mint("guessed", "x", time.Hour)}, false},
		{"expired", []string{"X-Chaos", mint("topsecret", "x", -time.Second)}, false},
		{"another experiment's", []string{"X-Chaos", mint("topsecret", "y", time.Hour)}, false},
		{"extended", []string{"X-Chaos", strings.Replace(good, "v1.", "v1.9", 1)}, false},
		{"nonsense", []string{"X-Chaos", "v1.."}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			res := tb.Get("shop.example.com", "/", c.field...)
			if hit := res.Header.Get("X-Hit") != ""; hit != c.hit || res.Status != 200 {
				t.Errorf("hit: %v, status %d", hit, res.Status)
			}
			if c.hit {
				hits++
			}
			got := <-seen
			if got.Get("X-Chaos") != "" || strings.Contains(fmt.Sprint(got["Cookie"], got["Baggage"]), "chaos") {
				t.Errorf("the backend got %v", got)
			}
			if c.name == "cookie" && got.Get("Cookie") != "a=b; c=d" || c.name == "baggage" && got.Get("Baggage") != "user=1" {
				t.Errorf("the backend got cookies %q and baggage %q", got["Cookie"], got["Baggage"])
			}
		})
	}
	if s := state(t, tb, "x"); s.Matched != hits || s.Injected != hits {
		t.Errorf("%d matched, %d injected, want %d", s.Matched, s.Injected, hits)
	}
	// The token does not reach the backend either when the experiment does not act.
	tb.Write("chaos.yaml", tokenSecret+onIngress("x", "suspend: true", "token: {header: X-Chaos, secretRef: {name: chaos-token}}", abort(503)))
	tb.Get("shop.example.com", "/", "X-Chaos", good)
	if got := <-seen; got.Get("X-Chaos") != "" {
		t.Errorf("suspended: the backend got %v", got)
	}
}

func TestGuardHaltsAtTheBreachUntilRearmed(t *testing.T) {
	of := func(rearm string, lines ...string) string {
		return onIngress("x", append(lines, "rearm: "+rearm, "guard: {maxErrorPercent: 50, minRequests: 10, window: 10m}", abort(503))...)
	}
	tb, _ := shopBed(t, of("a"))
	if got := statuses(tb, 30); got != strings.Repeat("a", 10)+strings.Repeat(".", 20) {
		t.Errorf("it halts with the tenth request: %s", got)
	}
	s := state(t, tb, "x")
	if s.Phase != proxy.ExperimentHalted || s.Halts != 1 || s.HaltedRearm != "a" || !strings.Contains(s.HaltedReason, "10 of 10 requests failed") {
		t.Errorf("%+v", s)
	}
	tb.Write("chaos.yaml", of("a", "seed: 9", "percent: 99"))
	if got := statuses(tb, 5); got != "....." {
		t.Errorf("another edit lifts the halt: %s", got)
	}
	tb.Write("chaos.yaml", of("b"))
	if got := statuses(tb, 15); got != strings.Repeat("a", 10)+"....." {
		t.Errorf("rearmed: %s", got)
	}
	if !tb.Chaos.Rearm(s.ID) {
		t.Error("there is no halt to lift")
	}
	if got := statuses(tb, 15); got != strings.Repeat("a", 10)+"....." {
		t.Errorf("rearmed by the operator: %s", got)
	}
	if s := state(t, tb, "x"); s.Halts != 3 || s.Injected != 30 {
		t.Errorf("%d halts, %d injected", s.Halts, s.Injected)
	}
}

// A request in flight that becomes too slow is enough: the guard does not wait for its end.
func TestGuardOfLatencyLetsGoWhatIsHeld(t *testing.T) {
	tb, _ := shopBed(t, onIngress("x", "guard: {maxLatency: 100ms, percentile: 50, minRequests: 1}", "toxics: [{type: Delay, delay: {latency: 1h}}]"))
	began := time.Now()
	if got := get(tb, "/"); got != 200 {
		t.Errorf("got %d", got)
	}
	if took := time.Since(began); took < 100*time.Millisecond || took > time.Minute {
		t.Errorf("took %v", took)
	}
	if s := state(t, tb, "x"); s.Phase != proxy.ExperimentHalted {
		t.Errorf("%+v", s)
	}
}

func TestGuardOfUninjectedTraffic(t *testing.T) {
	tb := testbed.New(t, oneIngress("shop.example.com", "shop"))
	tb.Backend("shop", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/broken" {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	tb.Write("chaos.yaml", onIngress("x", "match: [{path: {value: /faulty}}]",
		"guard: {maxErrorPercent: 20, minRequests: 5, traffic: Uninjected}", abort(503)))
	for range 20 {
		if got := get(tb, "/faulty"); got != 503 {
			t.Fatal("its own faults halt it")
		}
	}
	for range 5 {
		get(tb, "/broken")
	}
	if got := get(tb, "/faulty"); got != 200 {
		t.Errorf("got %d when others suffer", got)
	}
}

func killSwitch(value string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: breakwater-chaos}\ndata: {chaos: \"" + value + "\"}\n"
}

func TestKillSwitches(t *testing.T) {
	tb, _ := shopBed(t, onIngress("x", abort(503)))
	want := func(what, all string) {
		t.Helper()
		if got := statuses(tb, len(all)); got != all {
			t.Errorf("%s: %s, want %s", what, got, all)
		}
	}
	want("on", "aa")
	tb.Write("switch.yaml", killSwitch("off"))
	want("off by ConfigMap", "..")
	if s := state(t, tb, "x"); s.Phase != proxy.ExperimentOff {
		t.Errorf("%v", s.Phase)
	}
	tb.Write("switch.yaml", killSwitch("disabled"))
	want("off by another word", "..")
	tb.Chaos.SetEnabled(false)
	tb.Write("switch.yaml", killSwitch("on"))
	want("off by the operator", "..")
	tb.Chaos.SetEnabled(true)
	want("on again", "aa")
	tb.Write("switch.yaml", killSwitch("off"))
	want("off by ConfigMap again", "..")
	tb.Delete("switch.yaml")
	want("without the ConfigMap", "aa")

	off, _ := shopBed(t, onIngress("x", abort(503)), testbed.WithChaos(func(c *chaos.Config) { c.Disabled = true }))
	off.Chaos.SetEnabled(true)
	if got := statuses(off, 2); got != ".." {
		t.Errorf("nothing lifts the flag: %s", got)
	}
}

// A namespace that may not be broken is left alone behind a Gateway of one that may.
func TestRoutesOfOthersBehindASharedGateway(t *testing.T) {
	route := func(namespace string) string {
		return fmt.Sprintf(`
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web, namespace: %[1]s}
spec:
  parentRefs: [{name: edge, namespace: default}]
  hostnames: [%[1]s.example.com]
  rules: [{filters: [{type: RequestRedirect, requestRedirect: {hostname: other.example.com, statusCode: 302}}]}]
---`, namespace)
	}
	namespace := func(name, chaos string) string {
		return fmt.Sprintf("\napiVersion: v1\nkind: Namespace\nmetadata: {name: %s, labels: {breakwater-gateway.io/chaos: %s}}\n---", name, chaos)
	}
	tb := testbed.New(t, namespace("default", "enabled")+route("tenant")+route("friend")+`
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: default}
spec:
  gatewayClassName: breakwater
  listeners: [{name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}]
`)
	tb.Write("chaos.yaml", experiment("x", "duration: 1h", "targetRefs: [{kind: Gateway, name: edge}]", abort(503)))
	want := func(host string, status int) {
		t.Helper()
		res, err := tb.Do(testbed.Request{Host: host + ".example.com", Path: "/", Port: tb.GatewayPort("edge", 80)})
		if err != nil || res.Status != status {
			t.Errorf("%s: %v, %v, want %d", host, res, err, status)
		}
	}
	tb.Write("tenant.yaml", namespace("tenant", "disabled"))
	want("tenant", 302)
	want("friend", 503)
	tb.Write("tenant.yaml", namespace("tenant", "enabled"))
	want("tenant", 503)
}

// What is waiting for a fault is let go by every way in which a fault ends.
func TestWhatWaitsIsLetGo(t *testing.T) {
	for name, end := range map[string]func(tb *testbed.Bed, toxics string){
		"switch by the operator": func(tb *testbed.Bed, _ string) { tb.Chaos.SetEnabled(false) },
		"switch by ConfigMap":    func(tb *testbed.Bed, _ string) { tb.Write("switch.yaml", killSwitch("off")) },
		"deleted":                func(tb *testbed.Bed, _ string) { tb.Delete("chaos.yaml") },
		"suspended":              func(tb *testbed.Bed, toxics string) { tb.Write("chaos.yaml", onIngress("x", toxics, "suspend: true")) },
		"dry run":                func(tb *testbed.Bed, toxics string) { tb.Write("chaos.yaml", onIngress("x", toxics, "dryRun: true")) },
		"match changed": func(tb *testbed.Bed, toxics string) {
			tb.Write("chaos.yaml", onIngress("x", toxics, "match: [{method: PUT}]"))
		},
	} {
		for _, at := range []string{"at: Client", "at: Backend"} {
			for _, toxic := range []string{
				"{type: Delay, delay: {latency: 1h}}",
				"{type: Latency, direction: Upstream, latency: {latency: 1h}}",
				"{type: Latency, direction: Downstream, latency: {latency: 1h}}",
			} {
				if name == "match changed" && !strings.Contains(toxic, "Delay") {
					continue // what has been decided for a connection stays
				}
				t.Run(name+at+toxic, func(t *testing.T) { letGo(t, "toxics: ["+toxic+"]", at, end) })
			}
		}
	}
}

func letGo(t *testing.T, toxics, at string, end func(*testbed.Bed, string)) {
	tb, _ := shopBed(t, onIngress("x", toxics, at))
	done := make(chan int, 1)
	go func() { // Do may be called by any goroutine
		res, err := tb.Do(testbed.Request{Host: "shop.example.com", Path: "/"})
		if err != nil {
			t.Error(err)
			res = &testbed.Response{}
		}
		done <- res.Status
	}()
	tb.Eventually("the request is held", func() bool { return state(t, tb, "x").Injected == 1 })
	end(tb, toxics)
	if got := <-done; got != 200 {
		t.Errorf("got %d", got)
	}
}

func TestDeadline(t *testing.T) {
	tb, _ := shopBed(t, "")
	name := ""
	tb.Eventually("a request comes before the deadline", func() bool { // a slow machine may need several experiments
		name += "x"
		began := time.Now()
		tb.Write("chaos.yaml", experiment(name, "duration: 600ms", "targetRefs: [{kind: Ingress, name: shop}]", abort(503)))
		isHit := get(tb, "/") == 503
		tb.Eventually("the fault is gone", func() bool { return get(tb, "/") == 200 })
		if took := time.Since(began); took < 600*time.Millisecond {
			t.Fatalf("gone after %v", took)
		}
		return isHit
	})
	if s := state(t, tb, name); s.Phase != proxy.ExperimentExpired {
		t.Errorf("%+v", s)
	}
	tb.Write("other.yaml", oneIngress("other.example.com", "other")) // an edit of something else
	tb.Backend("third", nil)
	if got := statuses(tb, 3); got != "..." {
		t.Errorf("it is back: %s", got)
	}
}

func TestScheduleThatIsNotDueDoesNothing(t *testing.T) {
	next := time.Now().UTC().Add(12 * time.Hour)
	tb, _ := shopBed(t, onIngress("x", fmt.Sprintf(`schedule: "%d %d * * *"`, next.Minute(), next.Hour()), abort(503)))
	if got := statuses(tb, 3); got != "..." {
		t.Errorf("%s", got)
	}
	if s := state(t, tb, "x"); s.Phase != proxy.ExperimentPending || s.Next.IsZero() {
		t.Errorf("%+v", s)
	}
}

func TestNamespacesOptOut(t *testing.T) {
	tb, _ := shopBed(t, onIngress("x", abort(503)))
	if got := get(tb, "/"); got != 503 {
		t.Fatalf("got %d", got)
	}
	namespace := func(label string) string {
		return "apiVersion: v1\nkind: Namespace\nmetadata: {name: default, labels: {breakwater-gateway.io/chaos: " + label + "}}\n"
	}
	tb.Write("namespace.yaml", namespace("disabled"))
	if got := get(tb, "/"); got != 200 || !strings.Contains(tb.Report(), "NamespaceNotEnabled") {
		t.Errorf("got %d from a namespace that has opted out; the report says\n%s", got, tb.Report())
	}
	tb.Write("namespace.yaml", namespace("enabled"))
	if got := get(tb, "/"); got != 503 {
		t.Errorf("got %d from a namespace that has opted in", got)
	}
}

// Probes of ACME are served in the middle of everything.
func TestACMEIsNeverTouched(t *testing.T) {
	tb, _ := shopBed(t, onIngress("x", abort(503)))
	if got := get(tb, "/.well-known/acme-challenge/token"); got != 200 {
		t.Errorf("got %d", got)
	}
	if got := get(tb, "/x/../.well-known/acme-challenge/token"); got != 200 {
		t.Errorf("the same path in other words: got %d", got)
	}
	if got := get(tb, "/.well-known/acme"); got != 503 {
		t.Errorf("another path: got %d", got)
	}
}
