package chaos

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/shape"
)

func mint(t testing.TB, secret, name string, expiry time.Time) string {
	t.Helper()
	token, err := MintToken(secret, "shop", name, expiry)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tok := &proxy.Token{Header: "X-Chaos", Cookie: "chaos", Baggage: "chaos", Secret: "s3cret"}
		exp := with(anExperiment("x", abort(503)), func(x *proxy.Experiment) { x.Token = tok })
		e := newEngine(t, Config{}, exp)
		defer e.Close()
		soon := time.Now().Add(time.Minute)
		good := mint(t, "s3cret", "x", soon)
		parts := strings.Split(good, ".")
		for _, c := range []struct {
			name   string
			fields []string
			want   string
			left   string // what goes upstream
		}{
			{"none", nil, "", ""},
			{"header", []string{"x-chaos", good}, "a", ""},
			{"header with others", []string{"A", "1", "x-chaos", good, "B", "2"}, "a", "A=1 B=2"},
			{"cookie", []string{"Cookie", "a=1; chaos=" + good + "; b=2"}, "a", "Cookie=a=1; b=2"},
			{"cookie first", []string{"Cookie", "chaos=" + good + "; b=2"}, "a", "Cookie=b=2"},
			{"cookie alone", []string{"Cookie", "chaos=" + good}, "a", ""},
			{"cookie with white space, as parsers take it (RFC 6265 section 5.2)", []string{"Cookie", "a=1; chaos = " + good + " ;b=2"}, "a", "Cookie=a=1;b=2"},
			{"second of two cookies", []string{"Cookie", "chaos=x; chaos=" + good}, "a", ""},
			{"baggage", []string{"Baggage", "a=1, chaos=" + good + ";p=2 , b=2"}, "a", "Baggage=a=1, b=2"},
			{"baggage in two lines", []string{"baggage", "a=1", "baggage", "chaos = " + good}, "a", "baggage=a=1"},
			{"wrong secret", []string{"X-Chaos", mint(t, "other", "x", soon)}, "", ""},
			{"another experiment's", []string{"X-Chaos", mint(t, "s3cret", "y", soon)}, "", ""},
			{"expired", []string{"X-Chaos", mint(t, "s3cret", "x", time.Now())}, "", ""},
			{"changed expiry", []string{"X-Chaos", parts[0] + ".9999999999." + parts[2]}, "", ""},
			{"another version", []string{"X-Chaos", "v2." + parts[1] + "." + parts[2]}, "", ""},
			{"cut off", []string{"X-Chaos", good[:len(good)-1]}, "", ""},
			{"longer", []string{"X-Chaos", good + "A"}, "", ""},
			{"nothing", []string{"X-Chaos", ""}, "", ""},
			{"very long", []string{"X-Chaos", strings.Repeat("v1.", 1000)}, "", ""},
			{"wrong place", []string{"X-Other", good}, "", "X-Other=" + good},
			{"wrong cookie", []string{"Cookie", "chaos2=" + good + "; chaos=x"}, "", "Cookie=chaos2=" + good},
		} {
			x := request(c.fields...)
			if got := serve(e, x); got != c.want {
				t.Errorf("%s: %q, want %q", c.name, got, c.want)
			}
			var left []string
			for _, f := range x.Request.Header.Fields {
				left = append(left, fmt.Sprintf("%s=%s", f.Name, f.Value))
			}
			if got := strings.Join(left, " "); got != c.left {
				t.Errorf("%s: %q goes upstream, want %q", c.name, got, c.left)
			}
		}
		time.Sleep(time.Minute - time.Second)
		if serve(e, request("X-Chaos", good)) != "a" {
			t.Error("void before its expiry")
		}
		time.Sleep(time.Second)
		if serve(e, request("X-Chaos", good)) != "" {
			t.Error("good after its expiry")
		}
	})
}

// A token never goes upstream, whatever state the experiment is in.
func TestTokensAreAlwaysRemoved(t *testing.T) {
	exp := with(anExperiment("x", abort(503)), func(x *proxy.Experiment) { x.Token = &proxy.Token{Header: "X-Chaos", Secret: "s"} })
	for name, change := range map[string]func(*proxy.Experiment){
		"active":    func(*proxy.Experiment) {},
		"suspended": func(x *proxy.Experiment) { x.Suspend = true },
		"expired":   func(x *proxy.Experiment) { x.Window.Start = time.Now().Add(-2 * time.Hour) },
		"halted":    func(x *proxy.Experiment) { x.Halted = true },
		"dry run":   func(x *proxy.Experiment) { x.DryRun = true },
		"invalid":   func(x *proxy.Experiment) { x.Window.Duration = 0 },
	} {
		e := New(Config{})
		e.Apply(snapshot(with(exp, change)))
		x := request("X-Chaos", mint(t, "s", "x", time.Now().Add(time.Hour)))
		if got := serve(e, x); (got != "") != (name == "active") {
			t.Errorf("%s: %q", name, got)
		}
		if x.Request.Header.Len() != 0 {
			t.Errorf("%s: the token goes upstream", name)
		}
		other := request("X-Chaos", "1")
		other.Route = &proxy.Route{ID: proxy.RouteID{Object: proxy.ObjectID{Kind: "HTTPRoute", Name: "other"}}}
		serve(e, other)
		if other.Request.Header.Len() != 1 {
			t.Errorf("%s: another route's field is removed", name)
		}
		e.Close()
	}
}

func TestMintTokenRefuses(t *testing.T) {
	now := time.Now()
	for _, err := range []error{
		second(MintToken("", "a", "b", now)), second(MintToken("s", "", "b", now)), second(MintToken("s", "a", "", now)),
		second(MintToken("s", "a", "b", time.Time{})),
	} {
		if err == nil {
			t.Error("no error")
		}
	}
	if slices.Contains([]string{mint(t, "s", "b", now)}, mint(t, "s", "c", now)) {
		t.Error("two experiments share a token")
	}
}

func second(_ string, err error) error { return err }

// FuzzToken: what is no token is not taken for one. After strip nobody bears one, and other cookies and other members stay.
func FuzzToken(f *testing.F) {
	f.Add(uint8(0), "v1.1.x")
	f.Add(uint8(0), "TOKEN")
	f.Add(uint8(1), "a=1; chaos=TOKEN; ;=")
	f.Add(uint8(1), " chaos=TOKEN;chaos;b")
	f.Add(uint8(1), "a; chaos = TOKEN ;b")
	f.Add(uint8(2), "a=1;b , chaos=TOKEN;p=1,,")
	f.Add(uint8(2), "chaos, a;chaos=1")
	f.Add(uint8(3), "chaos=TOKEN")
	id := proxy.ObjectID{Namespace: "shop", Name: "x"}
	token := mint(f, "s", "x", time.Unix(100, 0))
	f.Fuzz(func(t *testing.T, place uint8, value string) {
		name := []string{"X-Chaos", "cookie", "Baggage", "Other"}[place%4]
		tok := &proxy.Token{Header: "X-Chaos", Cookie: "chaos", Baggage: "chaos", Secret: "s"}
		if x := request(name, value); bears(&x.Request, tok, id, time.Unix(1, 0)) {
			t.Errorf("%q is taken for a token", value)
		}
		x := request(name, strings.ReplaceAll(value, "TOKEN", token))
		want, _ := partsOf(x)
		strip(&x.Request, tok)
		if got, tokens := partsOf(x); tokens > 0 || !slices.Equal(got, want) || bears(&x.Request, tok, id, time.Unix(1, 0)) {
			t.Errorf("%s: %q: left are %d tokens and %q, want %q", name, value, tokens, got, want)
		}
	})
}

// partsOf returns what a request bears but for tokens, without white space around and what is empty, and how many places for tokens.
func partsOf(x *proxy.Exchange) (others []string, tokens int) {
	for _, f := range x.Request.Header.Fields {
		separator := map[string]string{"cookie": ";", "Baggage": ","}[string(f.Name)]
		if separator == "" {
			if others = append(others, string(f.Value)); string(f.Name) == "X-Chaos" {
				others, tokens = nil, 1
			}
			continue
		}
		for part := range strings.SplitSeq(string(f.Value), separator) {
			part = strings.TrimSpace(part)
			key, _, hasValue := strings.Cut(part, "=")
			if strings.TrimSpace(key) == "chaos" && (separator == ";" || hasValue) {
				tokens++
			} else if part != "" {
				others = append(others, part)
			}
		}
	}
	return others, tokens
}

func TestEndpointsAreChosenStably(t *testing.T) {
	endpoints := func(ids ...byte) *proxy.Backend {
		b := &proxy.Backend{ID: backendID}
		for _, i := range ids {
			e := endpointAt(i)
			e.Zone, e.Pod = string(rune('a'+i%2)), fmt.Sprintf("shop/pod-%d", i)
			b.Endpoints = append(b.Endpoints, e)
		}
		return b
	}
	chosen := func(sel proxy.EndpointSelector, b *proxy.Backend) (ids []byte) {
		for e := range choose(sel, b, 7, proxy.ObjectID{Name: "x"}) {
			a := e.Address.Addr().As4()
			ids = append(ids, a[3])
		}
		slices.Sort(ids)
		return ids
	}
	ten := endpoints(0, 1, 2, 3, 4, 5, 6, 7, 8, 9)
	three := chosen(proxy.EndpointSelector{Count: 3}, ten)
	if len(three) != 3 {
		t.Fatal(three)
	}
	reversed := endpoints(9, 8, 7, 6, 5, 4, 3, 2, 1, 0)
	if again := chosen(proxy.EndpointSelector{Count: 3}, reversed); !slices.Equal(three, again) {
		t.Errorf("%v, in another order %v", three, again)
	}
	var rest []byte
	for i := range byte(10) {
		if i != three[0] {
			rest = append(rest, i)
		}
	}
	after := chosen(proxy.EndpointSelector{Count: 3}, endpoints(rest...))
	if len(after) != 3 || !slices.Contains(after, three[1]) || !slices.Contains(after, three[2]) {
		t.Errorf("%v, then %v", three, after)
	}
	for percent, want := range map[float64]int{1: 1, 10: 1, 11: 2, 50: 5, 100: 10} {
		if got := chosen(proxy.EndpointSelector{Percent: percent}, ten); len(got) != want {
			t.Errorf("%v %%: %v, want %d", percent, got, want)
		}
	}
	if got := chosen(proxy.EndpointSelector{Zone: "a"}, ten); !slices.Equal(got, []byte{0, 2, 4, 6, 8}) {
		t.Error(got)
	}
	pods := map[string]struct{}{"shop/pod-3": {}, "shop/pod-4": {}, "shop/gone": {}}
	if got := chosen(proxy.EndpointSelector{Pods: pods}, ten); !slices.Equal(got, []byte{3, 4}) {
		t.Error(got)
	}
	if got := chosen(proxy.EndpointSelector{Pods: map[string]struct{}{}}, ten); len(got) != 0 {
		t.Error("no pod at all selects", got)
	}
	if got := chosen(proxy.EndpointSelector{Count: 99}, ten); len(got) != 10 {
		t.Error(got)
	}
}

func TestEndpointsFollowTheBackend(t *testing.T) {
	exp := with(anExperiment("x", abort(503)), func(x *proxy.Experiment) {
		x.At, x.Endpoints = proxy.AtBackend, proxy.EndpointSelector{Pods: map[string]struct{}{"shop/sick": {}}}
	})
	e := newEngine(t, Config{}, exp)
	if got := attempts(e, request(), endpointAt(1)); got[0] != "" {
		t.Error("no endpoint is of this pod")
	}
	snap := snapshot(exp)
	b := *snap.Backends[backendID]
	b.Endpoints = slices.Clone(b.Endpoints)
	b.Endpoints[1].Pod = "shop/sick"
	snap.Backends[backendID] = &b
	e.Apply(snap)
	if got := attempts(e, request(), endpointAt(1), b.Endpoints[1]); !slices.Equal(got, []string{"", "a"}) {
		t.Errorf("%q", got)
	}
}

func TestRequestsThatNothingConcernsCostNoAllocation(t *testing.T) {
	for name, experiments := range map[string][]*proxy.Experiment{
		"no experiment": nil,
		"another route's": {with(anExperiment("x", abort(503)), func(x *proxy.Experiment) {
			x.Targets = []proxy.ExperimentTarget{
				{Object: proxy.ObjectID{Kind: "HTTPRoute", Name: "other"}}, {Object: proxy.ObjectID{Kind: "Gateway", Name: "other"}},
				{Object: proxy.ObjectID{Kind: "Service", Name: "other"}},
			}
		})},
		"matches, injects nothing": {with(anExperiment("x", abort(503)), func(x *proxy.Experiment) { x.Percent = shape.Const(0) })},
	} {
		e := newEngine(t, Config{}, experiments...)
		x := request()
		x.Response.Status = 200
		n := testing.AllocsPerRun(1000, func() {
			if q := e.Begin(x, backendID); q != nil {
				q.Client(x, nil)
				q.End(x, time.Now())
			}
		})
		if n > 0.1 && !raceEnabled {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkBegin(b *testing.B) {
	none := with(anExperiment("x", abort(503)), func(x *proxy.Experiment) { x.Percent = shape.Const(0) })
	for name, experiments := range map[string][]*proxy.Experiment{
		"none":     nil,
		"matching": {none},
		"guarded": {with(none, func(x *proxy.Experiment) {
			x.MaxPercent = 50
			x.Guard = &proxy.Guard{Window: time.Minute, MaxErrorRate: 0.5, MaxLatency: 24 * time.Hour}
		})},
		"elsewhere": {with(none, func(x *proxy.Experiment) { x.Targets[0].Object.Name = "other" })},
	} {
		b.Run(name, func(b *testing.B) {
			e := newEngine(b, Config{}, experiments...)
			b.ReportAllocs()
			b.RunParallel(func(p *testing.PB) {
				x := request()
				x.Response.Status = 200
				for p.Next() {
					if q := e.Begin(x, backendID); q != nil {
						q.Client(x, nil)
						q.End(x, time.Now())
					}
				}
			})
		})
	}
}

// A token is for the gateway: no endpoint gets it, not even where no fault acts.
func TestTokensAreRemovedOnEveryPath(t *testing.T) {
	e := newEngine(t, Config{}, with(anExperiment("x", abort(503)), func(x *proxy.Experiment) {
		x.Token = &proxy.Token{Header: "X-Chaos", Secret: "s"}
	}))
	for _, path := range []string{"/p", "/.well-known/acme-challenge/t"} {
		x := request("X-Chaos", "v1.secret", "X-Other", "1")
		x.Request.Path = []byte(path)
		if q := e.Begin(x, backendID); q != nil {
			q.End(x, time.Now())
		}
		if x.Request.Header.Has("X-Chaos") || !x.Request.Header.Has("X-Other") {
			t.Errorf("%s: %q", path, x.Request.Header.Fields)
		}
	}
}

// A token is for the gateway: no Backend sees it, be it that of another share of the Route, or behind a Route that is spared.
func TestNoBackendSeesAToken(t *testing.T) {
	cart, other := backendID, proxy.BackendID{Kind: "Service", Namespace: "shop", Name: "cart-v2", Port: 80}
	split := &proxy.Route{ID: proxy.RouteID{Object: routeID}, Backends: []proxy.WeightedBackend{{Backend: cart, Weight: 9}, {Backend: other, Weight: 1}}}
	elsewhere := &proxy.Route{ID: split.ID, Backends: split.Backends[1:]}
	for name, test := range map[string]struct {
		target proxy.ObjectID
		spared []string
		route  *proxy.Route
		to     proxy.BackendID
		passes bool
	}{
		"the target":                       {serviceID, nil, split, cart, false},
		"another share":                    {serviceID, nil, split, other, false},
		"a share without a Backend":        {serviceID, nil, split, proxy.BackendID{}, false},
		"a spared Route to the target":     {serviceID, []string{"shop"}, split, cart, false},
		"a spared Route, another share":    {serviceID, []string{"shop"}, split, other, false},
		"a spared Route on the Listener":   {listenerID.Object, []string{"shop"}, elsewhere, other, false},
		"a Route that is the target":       {routeID, nil, elsewhere, other, false},
		"a Route that has nothing with it": {serviceID, nil, elsewhere, other, true},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEngine(t, Config{}, with(anExperiment("x", abort(503)), func(x *proxy.Experiment) {
				x.Targets, x.Spared = []proxy.ExperimentTarget{{Object: test.target}}, test.spared
				x.Token = &proxy.Token{Header: "X-Chaos", Secret: "s"}
			}))
			token, err := MintToken("s", "shop", "x", time.Now().Add(time.Hour))
			if err != nil {
				t.Fatal(err)
			}
			x := request("X-Chaos", token)
			x.Route = test.route
			if q := e.Begin(x, test.to); q != nil {
				defer q.End(x, time.Now())
			}
			if got := x.Request.Header.Has("X-Chaos"); got != test.passes {
				t.Errorf("the token passes: %v", got)
			}
		})
	}
}
