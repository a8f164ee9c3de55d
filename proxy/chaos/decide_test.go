package chaos

import (
	"fmt"
	"math"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/shape"
	"github.com/breakwater-gateway/breakwater/proxy/toxic"
)

func TestWhoIsConcerned(t *testing.T) {
	target := func(kind, name, section string) proxy.ExperimentTarget {
		return proxy.ExperimentTarget{Object: proxy.ObjectID{Kind: kind, Namespace: "shop", Name: name}, Section: section}
	}
	for _, c := range []struct {
		name   string
		target proxy.ExperimentTarget
		want   string
	}{
		{"its route", target("HTTPRoute", "cart", ""), "a"},
		{"another route", target("HTTPRoute", "other", ""), ""},
		{"a route of another kind", target("Ingress", "cart", ""), ""},
		{"its gateway", target("Gateway", "gw", ""), "a"},
		{"its section", target("Gateway", "gw", "http"), "a"},
		{"another section", target("Gateway", "gw", "https"), ""},
		{"another gateway", target("Gateway", "gw2", ""), ""},
		{"its service", target("Service", "cart", ""), "a"},
		{"another service", target("Service", "other", ""), ""},
		{"another namespace", proxy.ExperimentTarget{Object: proxy.ObjectID{Kind: "HTTPRoute", Namespace: "else", Name: "cart"}}, ""},
	} {
		e := newEngine(t, Config{}, with(anExperiment("x", abort(503)), func(x *proxy.Experiment) {
			x.Targets = []proxy.ExperimentTarget{target("HTTPRoute", "nobody", ""), c.target}
		}))
		for range 2 { // the second comes from the cache
			if got := serve(e, request()); got != c.want {
				t.Errorf("%s: %q, want %q", c.name, got, c.want)
			}
		}
	}
}

func TestMatches(t *testing.T) {
	e := newEngine(t, Config{}, with(anExperiment("x", abort(503)), func(x *proxy.Experiment) {
		x.Matches = []proxy.Match{
			{Path: proxy.PathMatch{Value: "/a"}, Method: "POST"},
			{Path: proxy.PathMatch{Type: proxy.PathExact, Value: "/p"}, Headers: []proxy.ValueMatch{{Name: "X-A", Value: "1"}}},
		}
	}))
	if got := serve(e, request()); got != "" {
		t.Errorf("a request that no match selects got %q", got)
	}
	if got := serve(e, request("x-a", "1")); got != "a" {
		t.Errorf("a request that the second match selects got %q", got)
	}
	post := request()
	post.Request.Method, post.Request.Path = []byte("POST"), []byte("/a/b")
	if got := serve(e, post); got != "a" {
		t.Errorf("a request that the first match selects got %q", got)
	}
	if s := status(t, e, "x"); s.Matched != 2 || s.Injected != 2 {
		t.Errorf("%+v", s)
	}
}

// Behind a target that is shared, Routes of other namespaces may not be meant.
func TestSparedNamespaces(t *testing.T) {
	for _, target := range []proxy.ObjectID{routeID, listenerID.Object, {Kind: "Service", Namespace: "shop", Name: "cart"}} {
		exp := with(anExperiment("x", abort(503), toxic.Noop{}), func(x *proxy.Experiment) {
			x.Targets = []proxy.ExperimentTarget{{Object: target}}
			x.Token = &proxy.Token{Header: "X-Chaos", Secret: "s"}
		})
		plain := with(exp, func(x *proxy.Experiment) { x.ID.Name, x.UID, x.Token = "y", "uid-y", nil })
		e := newEngine(t, Config{}, exp, plain)
		c := e.Open(Place{Route: routeID, Listener: listenerID, Backend: backendID, Endpoint: endpointAt(1)})
		for _, spared := range [][]string{nil, {"other", "some"}, {"other", "shop", "some"}} {
			change := func(x *proxy.Experiment) { x.Spared = spared }
			e.Apply(snapshot(with(exp, change), with(plain, change)))
			want := len(spared) < 3 || target == routeID
			x := request("X-Chaos", "wrong")
			if got := serve(e, x) != ""; got != want || x.Request.Header.Has("X-Chaos") == want {
				t.Errorf("%s, spared %v: acts is %v, fields %q", target, spared, got, x.Request.Header.Fields)
			}
			if got := !c.Slot.Empty(); got != want {
				t.Errorf("%s, spared %v: acts on a live connection is %v", target, spared, got)
			}
		}
		c.Close(Outcome{})
	}
}

func TestACMEChallengesAreNeverTouched(t *testing.T) {
	e := newEngine(t, Config{}, anExperiment("x", abort(503)))
	x := request()
	x.Request.Path = []byte("/.well-known/acme-challenge/token")
	if got := serve(e, x); got != "" {
		t.Errorf("got %q", got)
	}
}

// run serves n requests and returns what acted on each.
func run(e *Engine, n int, fields ...string) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = serve(e, request(fields...))
	}
	return all
}

func TestDecisionsRepeat(t *testing.T) {
	exp := with(anExperiment("x", delay(1), delay(2)), func(x *proxy.Experiment) {
		x.Percent = shape.Const(50)
		x.Toxics[0].Toxicity = shape.Const(0.5)
		x.Toxics[1].Toxicity = shape.Const(0.3)
	})
	const n = 2000
	first := run(newEngine(t, Config{}, exp), n)
	if again := run(newEngine(t, Config{}, exp), n); !slices.Equal(first, again) {
		t.Error("the same order of requests met other faults")
	}
	other := run(newEngine(t, Config{}, with(exp, func(x *proxy.Experiment) { x.Seed++ })), n)
	if slices.Equal(first, other) {
		t.Error("another seed decides the same")
	}
	counts := map[string]float64{}
	for _, s := range first {
		counts[s]++
	}
	for what, share := range map[string]float64{"a": 0.5 * 0.5 * 0.7, "b": 0.5 * 0.5 * 0.3, "ab": 0.5 * 0.5 * 0.3, "": 0.5 + 0.5*0.5*0.7} {
		if got := counts[what] / n; math.Abs(got-share) > 4*math.Sqrt(share*(1-share)/n) {
			t.Errorf("%q on a share of %v, want %v", what, got, share)
		}
	}
}

// Adding a toxic, or an experiment, does not change what others decide.
func TestOthersKeepTheirDecisions(t *testing.T) {
	exp := anExperiment("x", delay(1))
	exp.Percent, exp.Toxics[0].Toxicity = shape.Const(60), shape.Const(0.4)
	before := run(newEngine(t, Config{}, exp), 500)
	after := run(newEngine(t, Config{}, anExperiment("w", delay(5)), with(exp, func(x *proxy.Experiment) {
		x.Toxics = append([]proxy.ExperimentToxic{{Name: "z", Toxicity: shape.Const(0.5), Toxic: delay(3)}}, x.Toxics...)
	})), 500)
	for i := range before {
		got := after[i][1:] // without w's, which stands first and always acts
		if strings.ReplaceAll(got, "z", "") != before[i] {
			t.Fatalf("request %d: %q, was %q", i, got, before[i])
		}
	}
}

func TestChangesKeepOrdinals(t *testing.T) {
	exp := anExperiment("x", delay(1))
	exp.Percent = shape.Const(50)
	want := run(newEngine(t, Config{}, exp), 200)
	e := newEngine(t, Config{}, exp)
	got := run(e, 100)
	e.Apply(snapshot(with(exp, func(x *proxy.Experiment) { x.Revision++ })))
	got = append(got, run(e, 100)...)
	if !slices.Equal(got, want) {
		t.Error("a change that does not concern decisions has begun them anew")
	}
	e.Apply(snapshot(with(exp, func(x *proxy.Experiment) { x.UID = "another" })))
	if s := status(t, e, "x"); s.Matched != 0 {
		t.Errorf("another object of the same name goes on with %d", s.Matched)
	}
	if again := run(e, 100); !slices.Equal(again, want[:100]) {
		t.Error("another object of the same name does not begin at the first ordinal")
	}
}

func TestOrdinalKeyDoesNotDependOnOrder(t *testing.T) {
	exp := with(anExperiment("x", delay(1)), func(x *proxy.Experiment) {
		x.Percent, x.OrdinalKey = shape.Const(50), proxy.Key{Type: proxy.HeaderKey, Name: "X-Id"}
	})
	decide := func(order []int) map[int]string {
		e, got := newEngine(t, Config{}, exp), map[int]string{}
		for _, i := range order {
			got[i] = serve(e, request("x-id", fmt.Sprint(i)))
		}
		return got
	}
	var up, down []int
	for i := range 300 {
		up, down = append(up, i), append([]int{i}, down...)
	}
	a, b := decide(up), decide(down)
	n := 0
	for i := range a {
		if a[i] != b[i] {
			t.Fatalf("request %d: %q and %q", i, a[i], b[i])
		}
		n += len(a[i])
	}
	if n < 110 || n > 190 {
		t.Errorf("%d of 300, want about half", n)
	}
}

func TestSequence(t *testing.T) {
	exp := with(anExperiment("x", abort(503), delay(1)), func(x *proxy.Experiment) {
		x.Percent = shape.Const(0) // does not apply
		x.Sequence = []proxy.SequenceStep{{Count: 2, Toxics: []string{"a"}}, {Count: 1}, {Count: 1, Toxics: []string{"b"}}}
	})
	want := []string{"a", "a", "", "b", "", "", ""}
	if got := run(newEngine(t, Config{}, exp), 7); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	exp = with(exp, func(x *proxy.Experiment) { x.SequenceKey = proxy.Key{Type: proxy.CookieKey, Name: "user"} })
	e := newEngine(t, Config{}, exp)
	for i, w := range want {
		for _, user := range []string{"user=1", "x=user; user=2"} {
			if got := serve(e, request("Cookie", user)); got != w {
				t.Errorf("%s, request %d: %q, want %q", user, i, got, w)
			}
		}
	}
	bad := New(Config{})
	defer bad.Close()
	bad.Apply(snapshot(with(exp, func(x *proxy.Experiment) {
		x.Sequence = []proxy.SequenceStep{{Count: 1, Toxics: []string{"nobody"}}}
	})))
	if s := bad.Status()[0]; s.Phase != proxy.ExperimentInvalid || !strings.Contains(s.Problem, "nobody") {
		t.Errorf("%+v", s)
	}
}

// What is kept for Routes goes when they may have gone.
func TestForgetsRoutes(t *testing.T) {
	exp := anExperiment("x", abort(503))
	e := newEngine(t, Config{}, exp)
	serve(e, request())
	before := e.plan.Load()
	e.Apply(snapshot(exp))
	if e.plan.Load() != before {
		t.Error("a change of endpoints must not cost what has been found out")
	}
	snap := snapshot(exp)
	snap.Listeners = []*proxy.Listener{{}}
	e.Apply(snap)
	if e.plan.Load() == before {
		t.Error("routes that have gone are kept")
	}
}

func TestSequenceKeysAreBounded(t *testing.T) {
	var s sequences
	s.take("first")
	for i := range 2 * maxSequences {
		s.take(fmt.Sprint(i))
		if i%100 == 0 {
			s.take("busy")
		}
	}
	if len(s.places) != maxSequences || s.recent.Len() != maxSequences {
		t.Errorf("%d and %d keys", len(s.places), s.recent.Len())
	}
	if n := s.take("busy"); n != 2*maxSequences/100 {
		t.Errorf("a busy key was forgotten: %d", n)
	}
	if s.take("first") != 0 {
		t.Error("the oldest key was kept")
	}
}

// What clients send is not kept: a value may be as long as a request's head.
func TestSequenceKeysAreNotKept(t *testing.T) {
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	var s sequences
	before, long := heap(), strings.Repeat("k", 60<<10)
	for i := range 1000 {
		s.take(fmt.Sprint(long, i))
	}
	if after := heap(); after > before+5<<20 {
		t.Errorf("%d bytes are kept for 1000 keys", after-before)
	}
	if s.take(long+"0") != 1 || s.take(long+"x") != 0 {
		t.Error("keys are mixed up")
	}
}

// At Backend every attempt counts as a request: with all of attempt 1 aborted by a sequence, the second attempt passes.
func TestAttempts(t *testing.T) {
	exp := with(anExperiment("x", abort(503)), func(x *proxy.Experiment) {
		x.At = proxy.AtBackend
		x.Sequence = []proxy.SequenceStep{{Count: 1, Toxics: []string{"a"}}}
	})
	if got := attempts(newEngine(t, Config{}, exp), request(), endpointAt(1), endpointAt(2)); !slices.Equal(got, []string{"a", ""}) {
		t.Errorf("%q", got)
	}
	exp = with(exp, func(x *proxy.Experiment) { x.Sequence, x.Percent = nil, shape.Const(50) })
	e := newEngine(t, Config{}, exp)
	both, second := 0, 0
	for range 400 {
		got := attempts(e, request(), endpointAt(1), endpointAt(2))
		if got[0] != "" {
			both++
			if got[1] != "" {
				second++
			}
		}
	}
	if both < 150 || both > 250 || second < both/3 || second > 2*both/3 {
		t.Errorf("of 400 first attempts %d, of their second ones %d; want about half each", both, second)
	}
	e = newEngine(t, Config{}, with(exp, func(x *proxy.Experiment) { x.Percent = shape.Const(100) }))
	for range 10 {
		attempts(e, request(), endpointAt(1), endpointAt(2), endpointAt(3))
	}
	if s := status(t, e, "x"); s.Matched != 10 || s.Injected != 10 {
		t.Errorf("%+v: a request counts once", s)
	}
}

// Whether requests are tried again does not change what later requests meet.
func TestRetriesDoNotRenumber(t *testing.T) {
	exp := with(anExperiment("x", abort(503)), func(x *proxy.Experiment) { x.At, x.Percent = proxy.AtBackend, shape.Const(50) })
	one, two := newEngine(t, Config{}, exp), newEngine(t, Config{}, exp)
	for i := range 200 {
		a := attempts(one, request(), endpointAt(1))
		b := attempts(two, request(), endpointAt(1), endpointAt(2), endpointAt(3))
		if a[0] != b[0] {
			t.Fatalf("request %d: %q and %q", i, a, b)
		}
	}
}

func TestOneSickEndpoint(t *testing.T) {
	exp := with(anExperiment("x", abort(503)), func(x *proxy.Experiment) {
		x.At, x.Endpoints = proxy.AtBackend, proxy.EndpointSelector{Count: 1}
	})
	e := newEngine(t, Config{}, exp)
	got := attempts(e, request(), endpointAt(1), endpointAt(2), endpointAt(3))
	if n := strings.Count(strings.Join(got, ""), "a"); n != 1 {
		t.Errorf("%q: want one of three", got)
	}
	if again := attempts(e, request(), endpointAt(1), endpointAt(2), endpointAt(3)); !slices.Equal(got, again) {
		t.Errorf("%q, then %q", got, again)
	}
	if got := attempts(e, request(), endpointAt(9)); got[0] != "" {
		t.Error("a fault at an endpoint that the backend does not have")
	}
}

// What Faults say for bytes is only for toxics of bytes, and datagram toxics do not act on requests.
func TestKindsOfToxics(t *testing.T) {
	e := newEngine(t, Config{}, anExperiment("x", toxic.Noop{}, delay(1)))
	x := request()
	q := e.Begin(x, backendID)
	f := q.Client(x, nil)
	if !f.HasToxics() || len(f.steps) != 1 {
		t.Errorf("%d steps, toxics %v", len(f.steps), f.HasToxics())
	}
	f.acts(&f.steps[0])
	slot := toxic.NewSlot()
	f.Attach(slot)
	if slot.Empty() {
		t.Error("nothing in the slot")
	}
	if f := e.Faults(); len(f) != 2 || f[1].Toxic != "a" || f[1].Target != routeID.String()+"/0" && f[1].Target != routeID.String() {
		t.Errorf("%+v", f)
	}
	q.End(x, time.Now())
	if !slot.Empty() {
		t.Error("the slot has toxics although the request has ended")
	}
	e = newEngine(t, Config{}, anExperiment("x", delay(1)))
	c := e.Open(Place{Route: routeID, Listener: listenerID, Backend: backendID, Endpoint: endpointAt(1)})
	c.Close(Outcome{})
	if s := status(t, e, "x"); s.Injected != 0 {
		t.Error("a fault for requests counts as injected into a stream")
	}
}

// What lacks the value that decides is not all one: percent holds for it too.
func TestOrdinalKeyThatIsMissing(t *testing.T) {
	const n = 1000
	for name, one := range map[string]func(e *Engine) bool{
		"request": func(e *Engine) bool { return serve(e, request()) != "" },
		"empty":   func(e *Engine) bool { return serve(e, request("X-Case", "")) != "" },
		"connection": func(e *Engine) bool {
			c := e.Open(Place{Route: routeID, Listener: listenerID, Backend: backendID, Endpoint: endpointAt(1)})
			defer c.Close(Outcome{})
			return !c.Slot.Empty()
		},
	} {
		e := newEngine(t, Config{}, with(anExperiment("x", toxic.Noop{}), func(x *proxy.Experiment) {
			x.Percent, x.OrdinalKey = shape.Const(5), proxy.Key{Type: proxy.HeaderKey, Name: "X-Case"}
		}))
		hit := 0
		for range n {
			if one(e) {
				hit++
			}
		}
		if hit < n*3/100 || hit > n*7/100 {
			t.Errorf("%s: %d of %d with 5 %%", name, hit, n)
		}
	}
}

// A connection that goes to an endpoint without faults takes no place in the sequence, as no request does.
func TestSequenceAtOneEndpoint(t *testing.T) {
	toxics := map[string]proxy.Toxic{"requests": abort(503), "connections": toxic.Noop{}, "second attempts": toxic.Noop{}}
	for name, acts := range map[string]func(e *Engine, at proxy.Endpoint) bool{
		"requests": func(e *Engine, at proxy.Endpoint) bool { return attempts(e, request(), at)[0] != "" },
		"connections": func(e *Engine, at proxy.Endpoint) bool {
			c := e.Open(Place{Route: routeID, Listener: listenerID, Backend: backendID, Endpoint: at})
			defer c.Close(Outcome{})
			return !c.Slot.Empty()
		},
		"second attempts": func(e *Engine, at proxy.Endpoint) bool {
			p := Place{Route: routeID, Listener: listenerID, Backend: backendID, Client: netip.MustParseAddrPort("192.0.2.1:1"), Attempt: 1}
			p.Endpoint = endpointAt(99) // nobody knows it any more
			e.Open(p).Close(Outcome{Retried: true})
			p.Endpoint, p.Attempt = at, 2
			c := e.Open(p)
			defer c.Close(Outcome{})
			return !c.Slot.Empty()
		},
	} {
		e := newEngine(t, Config{}, with(anExperiment("x", toxics[name]), func(x *proxy.Experiment) {
			x.At, x.Endpoints = proxy.AtBackend, proxy.EndpointSelector{Count: 1}
			x.Sequence = []proxy.SequenceStep{{Count: 2, Toxics: []string{"a"}}}
		}))
		b := (*e.backends.Load())[backendID]
		sick, well := proxy.Endpoint{}, proxy.Endpoint{}
		for _, at := range b.Endpoints {
			if e.order[0].act.endpoints.has(backendID, at.ID()) {
				sick = at
			} else {
				well = at
			}
		}
		var got []bool
		for _, at := range []proxy.Endpoint{well, sick, well, well, sick, sick} {
			got = append(got, acts(e, at))
		}
		if want := []bool{false, true, false, false, true, false}; !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

func TestSequenceOfEachWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		exp := with(anExperiment("x", abort(503)), func(x *proxy.Experiment) {
			x.Created = time.Now()
			x.Window = proxy.Window{Schedule: "0 * * * *", Duration: 10 * time.Minute}
			x.Sequence = []proxy.SequenceStep{{Count: 2, Toxics: []string{"a"}}}
		})
		e := newEngine(t, Config{}, exp)
		defer e.Close()
		for hour := range 3 {
			time.Sleep(time.Until(exp.Created.Add(time.Duration(hour)*time.Hour + time.Second)))
			got := ""
			for i := range 4 {
				if i == 1 {
					e.Apply(snapshot(with(exp, func(x *proxy.Experiment) { x.Halted = false }))) // changes nothing
				}
				got += serve(e, request()) + "."
			}
			if got != "a.a..." {
				t.Errorf("hour %d: %q", hour, got)
			}
		}
	})
}

// A request ends after its connection has been put into the pool: the next one's toxics must stay.
func TestEndOfARequestLeavesThePooledConnectionAlone(t *testing.T) {
	exp := with(anExperiment("x", toxic.Latency{Latency: shape.Const(100)}), func(x *proxy.Experiment) { x.At = proxy.AtBackend })
	e := newEngine(t, Config{}, exp)
	slot := toxic.NewSlot() // of a connection to an Endpoint
	attempt := func() (*proxy.Exchange, *Request, *Faults) {
		x := request()
		x.Backend, x.Attempts, x.Endpoint = &route.Backends[0], 1, endpointAt(1)
		q := e.Begin(x, backendID)
		f := q.Attempt(x, nil)
		f.Attach(slot)
		return x, q, f
	}
	first, q1, f1 := attempt()
	f1.Detach()
	second, q2, _ := attempt()
	q1.End(first, time.Now())
	if slot.Empty() {
		t.Error("the end of one request has taken the toxics of the next one away")
	}
	q2.End(second, time.Now())
	if !slot.Empty() {
		t.Error("the toxics of the second request outlive it")
	}
}

// "The first two" are the first that come: those that are open when a Sequence begins get nothing and take no place in it.
func TestSequencePassesByWhatIsOpen(t *testing.T) {
	e := newEngine(t, Config{})
	opens := func() *Connection {
		c := e.Open(Place{Route: routeID, Listener: listenerID, Backend: backendID, Endpoint: endpointAt(1), Attempt: 1})
		t.Cleanup(func() { c.Close(Outcome{}) })
		return c
	}
	old := []*Connection{opens(), opens(), opens()}
	e.Apply(snapshot(with(anExperiment("x", toxic.Noop{}), func(x *proxy.Experiment) {
		x.Sequence = []proxy.SequenceStep{{Count: 2, Toxics: []string{"a"}}}
	})))
	for i, want := range []bool{true, true, false} {
		if c := opens(); c.Slot.Empty() == want {
			t.Errorf("connection %d: a toxic is to act: %v", i, want)
		}
	}
	for _, c := range old {
		if !c.Slot.Empty() {
			t.Error("a connection from before has got a toxic")
		}
	}
	if s := status(t, e, "x"); s.Matched != 6 || s.Injected != 2 {
		t.Errorf("%+v", s)
	}
}

// A Match is about requests: what is not HTTP meets none, as it bears no token.
func TestMatchLeavesStreamsAlone(t *testing.T) {
	for _, datagram := range []bool{false, true} {
		e := newEngine(t, Config{}, with(anExperiment("x", toxic.Noop{}, toxic.Drop{}), func(x *proxy.Experiment) {
			x.Matches = []proxy.Match{{Method: "GET"}}
		}))
		c := e.Open(Place{Route: routeID, Listener: listenerID, Backend: backendID, Endpoint: endpointAt(1), Datagram: datagram})
		if s := status(t, e, "x"); !c.Slot.Empty() || s.Matched != 0 {
			t.Errorf("%+v", s)
		}
		c.Close(Outcome{})
		if serve(e, request()) != "a" {
			t.Error("a request that it matches gets nothing")
		}
	}
}

// actsOn says which toxics act on each connection, by name.
func actsOn(all liveStreams) string {
	acts := make([]string, len(all))
	for i, c := range all {
		for _, a := range c.actives {
			acts[i] += a.Entry.Name[len(a.Entry.Name)-1:]
		}
	}
	return strings.Join(acts, ",")
}

// Connections that are open when a Sequence begins, changes or goes keep the toxics that they have been dealt, as those are now, and
// never get others.
func TestOpenConnectionsTakeNoPlaceInALaterSequence(t *testing.T) {
	steps := func(count int, names ...string) []proxy.SequenceStep {
		return []proxy.SequenceStep{{Count: count, Toxics: names}}
	}
	for name, test := range map[string]struct {
		at           proxy.Point
		first        func(*proxy.Experiment)
		next         []func(*proxy.Experiment) // one edit after the other
		before, kept string
		later        string
	}{
		"added": {
			next: []func(*proxy.Experiment){func(x *proxy.Experiment) {
				x.Toxics = append(x.Toxics, proxy.ExperimentToxic{Name: "c", Toxicity: shape.Const(1), Toxic: toxic.Down{Reset: true}})
				x.Sequence = steps(1, "c")
			}},
			before: "ab,ab,ab", kept: "ab,ab,ab", later: "c,,",
		},
		"added at backend": {
			at: proxy.AtBackend, next: []func(*proxy.Experiment){func(x *proxy.Experiment) { x.Sequence = steps(1, "b") }},
			before: "ab,ab,ab", kept: "ab,ab,ab", later: "b,,",
		},
		"added for endpoints that had nothing": {
			at:     proxy.AtBackend,
			first:  func(x *proxy.Experiment) { x.Endpoints.Zone = "elsewhere" },
			next:   []func(*proxy.Experiment){func(x *proxy.Experiment) { x.Endpoints.Zone, x.Sequence = "", steps(1, "b") }},
			before: ",,", kept: ",,", later: "b,,",
		},
		"added while suspended, with another toxic": {
			next: []func(*proxy.Experiment){
				func(x *proxy.Experiment) { x.Suspend = true },
				func(x *proxy.Experiment) { x.Toxics[1].Toxic, x.Sequence = toxic.Down{}, steps(1, "b") },
				func(x *proxy.Experiment) { x.Suspend = false },
			},
			before: "ab,ab,ab", kept: "ab,ab,ab", later: "b,,",
		},
		"added with a greater toxicity": {
			first:  func(x *proxy.Experiment) { x.Toxics[1].Toxicity = shape.Const(0) },
			next:   []func(*proxy.Experiment){func(x *proxy.Experiment) { x.Toxics[1].Toxicity, x.Sequence = shape.Const(1), steps(1, "b") }},
			before: "a,a,a", kept: "a,a,a", later: "b,,",
		},
		"changed": {
			first:  func(x *proxy.Experiment) { x.Sequence = steps(2, "a") },
			next:   []func(*proxy.Experiment){func(x *proxy.Experiment) { x.Sequence = steps(2, "b") }},
			before: "a,a,", kept: "a,a,", later: "b,b,",
		},
		"longer": {
			first:  func(x *proxy.Experiment) { x.Sequence = steps(1, "a") },
			next:   []func(*proxy.Experiment){func(x *proxy.Experiment) { x.Sequence = steps(9, "b") }, func(x *proxy.Experiment) { x.Sequence = steps(1, "a", "b") }},
			before: "a,,", kept: "a,,", later: "ab,,",
		},
		"a toxic edited": {
			first:  func(x *proxy.Experiment) { x.Sequence = steps(1, "a", "b") },
			next:   []func(*proxy.Experiment){func(x *proxy.Experiment) { x.Toxics[1].Toxic = toxic.Down{Reset: true} }},
			before: "ab,,", kept: "ab,,", later: "ab,,",
		},
		"a toxic edited twice at backend": {
			at:    proxy.AtBackend,
			first: func(x *proxy.Experiment) { x.Sequence = steps(1, "a", "b") },
			next: []func(*proxy.Experiment){
				func(x *proxy.Experiment) { x.Toxics[1].Toxic = toxic.Down{Reset: true} },
				func(x *proxy.Experiment) { x.Toxics[1].Toxic = toxic.Down{} },
			},
			before: "ab,,", kept: "ab,,", later: "ab,,",
		},
		"a toxic taken away and given back": {
			first: func(x *proxy.Experiment) { x.Sequence = steps(1, "a") },
			next: []func(*proxy.Experiment){
				func(x *proxy.Experiment) { x.Toxics, x.Sequence = x.Toxics[1:], steps(1, "b") },
				func(x *proxy.Experiment) { x.Toxics = anExperiment("x", toxic.Noop{}, toxic.Noop{}).Toxics },
			},
			before: "a,,", kept: ",,", later: "b,,",
		},
		"removed": {
			first:  func(x *proxy.Experiment) { x.Sequence = steps(1, "a") },
			next:   []func(*proxy.Experiment){func(x *proxy.Experiment) { x.Sequence = nil }},
			before: "a,,", kept: "a,,", later: "ab,ab,ab",
		},
		"removed, with an edited and a new toxic": {
			first: func(x *proxy.Experiment) { x.Sequence = steps(2, "a") },
			next: []func(*proxy.Experiment){
				func(x *proxy.Experiment) { x.Sequence, x.Toxics[0].Toxic = nil, toxic.Down{} },
				func(x *proxy.Experiment) {
					x.Toxics = append(x.Toxics, proxy.ExperimentToxic{Name: "c", Toxicity: shape.Const(1), Toxic: toxic.Noop{}})
				},
			},
			before: "a,a,", kept: "a,a,", later: "abc,abc,abc",
		},
		"removed while suspended": {
			at:    proxy.AtBackend,
			first: func(x *proxy.Experiment) { x.Sequence = steps(1, "b") },
			next: []func(*proxy.Experiment){
				func(x *proxy.Experiment) { x.Suspend = true },
				func(x *proxy.Experiment) { x.Suspend, x.Sequence = false, nil },
			},
			before: "b,,", kept: "b,,", later: "ab,ab,ab",
		},
		"removed and added again": {
			first: func(x *proxy.Experiment) { x.Sequence = steps(1, "a") },
			next: []func(*proxy.Experiment){
				func(x *proxy.Experiment) { x.Sequence = nil },
				func(x *proxy.Experiment) { x.Sequence = steps(2, "b") },
			},
			before: "a,,", kept: "a,,", later: "b,b,",
		},
		"removed, then a toxic taken away and given back": {
			first: func(x *proxy.Experiment) { x.Sequence = steps(1, "a") },
			next: []func(*proxy.Experiment){
				func(x *proxy.Experiment) { x.Sequence = nil },
				func(x *proxy.Experiment) { x.Toxics = x.Toxics[1:] },
				func(x *proxy.Experiment) { x.Toxics = anExperiment("x", toxic.Noop{}, toxic.Noop{}).Toxics },
			},
			before: "a,,", kept: ",,", later: "ab,ab,ab",
		},
		"removed from endpoints that had nothing": {
			at:     proxy.AtBackend,
			first:  func(x *proxy.Experiment) { x.Endpoints.Zone, x.Sequence = "elsewhere", steps(1, "a") },
			next:   []func(*proxy.Experiment){func(x *proxy.Experiment) { x.Endpoints.Zone, x.Sequence = "", nil }},
			before: ",,", kept: ",,", later: "ab,ab,ab",
		},
	} {
		t.Run(name, func(t *testing.T) {
			exp := with(anExperiment("x", toxic.Noop{}, toxic.Noop{}), func(x *proxy.Experiment) {
				x.At = test.at
				if test.first != nil {
					test.first(x)
				}
			})
			e := newEngine(t, Config{}, exp)
			var live liveStreams
			live.open(t, e, 3)
			if got := actsOn(live); got != test.before {
				t.Fatalf("before the edit: %q, want %q", got, test.before)
			}
			injected := status(t, e, "x").Injected
			for _, change := range test.next {
				exp = with(exp, func(x *proxy.Experiment) { x.Revision++; change(x) })
				e.Apply(snapshot(exp))
			}
			if got := actsOn(live); got != test.kept {
				t.Errorf("connections from before: %q, want %q", got, test.kept)
			}
			if s := status(t, e, "x"); s.Injected != injected {
				t.Errorf("%d are injected, %d before the edit", s.Injected, injected)
			}
			live.open(t, e, 6)
			if got := actsOn(live[3:]); got != test.later {
				t.Errorf("new connections: %q, want %q", got, test.later)
			}
		})
	}
}

// At Backend each attempt is one of the first that come, and none has been open before.
func TestALaterAttemptTakesAPlaceInASequenceThatHasBegunMeanwhile(t *testing.T) {
	exp := with(anExperiment("x", toxic.Noop{}, toxic.Noop{}), func(x *proxy.Experiment) { x.At = proxy.AtBackend })
	e := newEngine(t, Config{}, exp)
	p := Place{Route: routeID, Listener: listenerID, Backend: backendID, Endpoint: endpointAt(1), Attempt: 1}
	e.Open(p).Close(Outcome{Retried: true})
	e.Apply(snapshot(with(exp, func(x *proxy.Experiment) {
		x.Revision++
		x.Sequence = []proxy.SequenceStep{{Count: 1, Toxics: []string{"b"}}}
	})))
	p.Attempt = 2
	c := e.Open(p)
	defer c.Close(Outcome{})
	var live liveStreams
	live.open(t, e, 1)
	if got := actsOn(append(liveStreams{c}, live...)); got != "b," {
		t.Errorf("%q", got)
	}
}

// What finds no Endpoint is counted and judged as what gets nothing. Nothing is decided for it, and nothing of it is kept.
func TestWhatFindsNoEndpointIsNotDecided(t *testing.T) {
	selective := with(anExperiment("matches", toxic.Noop{}), func(x *proxy.Experiment) { x.Matches = []proxy.Match{{Method: "GET"}} })
	exp := with(anExperiment("x", toxic.Noop{}), func(x *proxy.Experiment) {
		x.Sequence, x.MaxPercent = []proxy.SequenceStep{{Count: 2, Toxics: []string{"a"}}}, 50
	})
	e := newEngine(t, Config{}, exp, selective)
	m := manualOf(e, "redis", "slow", "", 1)
	e.SetManual(map[ManualTarget][]*Manual{{routeID, listenerID}: {m}})
	for _, datagram := range []bool{false, true} {
		for range 5 {
			e.Missed(Place{Route: routeID, Listener: listenerID, Backend: backendID, Attempt: 1, Datagram: datagram})
		}
	}
	a := e.order[0].act
	if n, kept := a.ordinals.Load(), len(a.toxics[0].targets.of)+len(m.witness.where.of); n != 0 || kept != 0 || e.conns.list.Len() != 0 {
		t.Errorf("%d ordinals, %d targets, %d connections", n, kept, e.conns.list.Len())
	}
	if all := e.Faults(); len(all) != 0 {
		t.Errorf("%+v", all)
	}
	for i, matched := range []uint64{10, 0} {
		r := e.Report().Experiments[i]
		if r.Matched != matched || r.Injected+r.SkippedByCap != 0 || r.UninjectedTraffic.Failed != 10 || r.InjectedTraffic.Connections != 0 {
			t.Errorf("%+v", r)
		}
	}
	m.End()
	e.Apply(snapshot(with(exp, func(x *proxy.Experiment) { x.MaxPercent = 0 })))
	e.SetManual(nil)
	var live liveStreams
	live.open(t, e, 3)
	if got := actsOn(live); got != "a,a," {
		t.Errorf("those that find one: %q", got)
	}
	e.Apply(snapshot())
	e.Missed(live[0].place) // nobody cares
}

// A session that moves to another Endpoint, or a connection that is tried again, stays in the report of what acted on it before.
func TestWhatMovesIsReportedByWhatHasActed(t *testing.T) {
	exp := anExperiment("x", toxic.Noop{})
	for _, datagram := range []bool{false, true} {
		e := newEngine(t, Config{}, exp)
		p := Place{Route: routeID, Listener: listenerID, Backend: backendID, Endpoint: endpointAt(1), Attempt: 1, Datagram: datagram}
		c := e.Open(p)
		c.answered(0)
		e.Apply(snapshot())
		for p.Attempt < 3 {
			c.Close(Outcome{Retried: true})
			p.Attempt++
			c = e.Open(p)
		}
		c.Close(Outcome{Upstream: 7})
		if r := e.Report().Experiments[0]; r.InjectedTraffic.Connections != 1 || r.InjectedTraffic.UpstreamBytes != 7 || r.UninjectedTraffic.Connections != 0 {
			t.Errorf("%+v", r)
		}
	}
}

// A dry run that becomes real decides each attempt as what it is, and logs it as that: a replay finds it by its ordinal and attempt.
func TestALaterAttemptStaysOneWhenADryRunBecomesReal(t *testing.T) {
	for at, want := range map[proxy.Point]int{proxy.Client: 0, proxy.AtBackend: 2} {
		exp := with(anExperiment("x", toxic.Noop{}), func(x *proxy.Experiment) { x.At, x.DryRun = at, true })
		e := newEngine(t, Config{}, exp)
		p := Place{Route: routeID, Listener: listenerID, Backend: backendID, Endpoint: endpointAt(1), Attempt: 1}
		e.Open(p).Close(Outcome{Retried: true})
		p.Attempt = 2
		c := e.Open(p)
		defer c.Close(Outcome{})
		e.Apply(snapshot(with(exp, func(x *proxy.Experiment) { x.DryRun = false; x.Revision++ })))
		all := e.Faults()
		if last := all[len(all)-1]; last.Decision != "inject" || last.Ordinal != 0 || last.Attempt != want {
			t.Errorf("%v: %+v", at, last)
		}
	}
}

// What is learnt of an attempt once another has followed it says nothing of that.
func TestNewsThatComesTooLateIsNotJudged(t *testing.T) {
	for name, late := range map[string]func(*Connection){
		"lost":     func(c *Connection) { c.lost(true) },
		"cut":      func(c *Connection) { c.cut() },
		"answered": func(c *Connection) { c.answered(0) },
	} {
		t.Run(name, func(t *testing.T) {
			e := newEngine(t, Config{}, guarded())
			p := Place{Route: routeID, Listener: listenerID, Backend: backendID, Endpoint: endpointAt(1), Attempt: 1, Datagram: true}
			old := e.Open(p)
			old.judge(false, func() time.Duration { return 0 })
			old.Close(Outcome{Retried: true})
			p.Attempt = 2
			c := e.Open(p)
			defer c.Close(Outcome{})
			late(old)
			wantSum(t, &e.order[0].guard, guardCount{total: 1})
		})
	}
}

// A live connection does not keep the budgets of dry runs and real runs that are over.
func TestBudgetsOfEarlierRunsAreNotKept(t *testing.T) {
	exp := with(anExperiment("x", toxic.Noop{}), func(x *proxy.Experiment) { x.MaxPercent = 50 })
	other := with(anExperiment("y", toxic.Noop{}), func(x *proxy.Experiment) { x.MaxPercent = 50 })
	e := newEngine(t, Config{}, exp, other)
	var live liveStreams
	live.open(t, e, 1)
	for range 10 {
		exp = with(exp, func(x *proxy.Experiment) { x.Revision++; x.DryRun = !x.DryRun })
		e.Apply(snapshot(exp, other))
	}
	want := slices.Concat(e.order[1].act.budgets, e.order[0].act.budgets)
	if got := live[0].credited; !slices.Equal(got, want) {
		t.Errorf("%d budgets, want 2: of the other, and of the latest run", len(got))
	}
}
