package chaos

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/toxic"
)

// scaled is a Snapshot in which the Backend has Endpoints 1 to n.
func scaled(exp *proxy.Experiment, n byte) *proxy.Snapshot {
	b := &proxy.Backend{ID: backendID}
	for i := byte(1); i <= n; i++ {
		b.Endpoints = append(b.Endpoints, endpointAt(i))
	}
	s := snapshot(exp)
	s.Backends[backendID] = b
	return s
}

// liveStreams are one live connection to each Endpoint from 1 on.
type liveStreams []*Connection

func (s *liveStreams) open(t *testing.T, e *Engine, upTo byte) {
	for i := byte(len(*s) + 1); i <= upTo; i++ {
		c := e.Open(Place{Route: routeID, Listener: listenerID, Backend: backendID, Endpoint: endpointAt(i), Attempt: 1,
			Client: netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), uint16(i))})
		t.Cleanup(func() { c.Close(Outcome{}) })
		*s = append(*s, c)
	}
}

// sick are the Endpoints to which something acts.
func (s *liveStreams) sick() (all []int) {
	for i, c := range *s {
		if !c.Slot.Empty() {
			all = append(all, i+1)
		}
	}
	return all
}

func oneSick(change func(*proxy.Experiment)) *proxy.Experiment {
	return with(anExperiment("x", toxic.Noop{}), func(x *proxy.Experiment) {
		x.At, x.Endpoints, x.Seed = proxy.AtBackend, proxy.EndpointSelector{Count: 1}, 5
		if change != nil {
			change(x)
		}
	})
}

// One sick pod is one sick pod, whatever becomes of the others.
func TestLiveConnectionsFollowTheChoiceOfEndpoints(t *testing.T) {
	exp := oneSick(nil)
	e := newEngine(t, Config{}, exp)
	var live liveStreams
	live.open(t, e, 3)
	first := live.sick()
	injected := []int{first[0]}
	for _, n := range []byte{20, 3, 1, 0, 20, 12} {
		e.Apply(scaled(exp, n))
		live.open(t, e, n)
		got := live.sick()
		if want := min(int(n), 1); len(got) != want || want == 1 && got[0] > int(n) {
			t.Errorf("with %d endpoints those are sick: %v", n, got)
		}
		if n == 20 && slices.Equal(got, first) {
			t.Fatal("the choice has not moved")
		}
		for _, i := range got {
			if !slices.Contains(injected, i) {
				injected = append(injected, i)
			}
		}
	}
	if s := status(t, e, "x"); s.Matched != 20 || s.Injected != uint64(len(injected)) {
		t.Errorf("%+v, want 20 and %d", s, len(injected))
	}
}

// A pod that serves several ports is one pod. Where no pod is known, it is the address that ports of a Service have in common.
func TestOneSickPodIsOneWithAllItsPorts(t *testing.T) {
	names := map[string]func(i byte) proxy.Endpoint{
		"pods": func(i byte) proxy.Endpoint {
			e := endpointAt(i)
			e.Pod = fmt.Sprintf("shop/pod-%d", i)
			return e
		},
		"addresses": endpointAt,
		"hosts":     func(i byte) proxy.Endpoint { return proxy.Endpoint{Hostname: fmt.Sprintf("h%d", i)} },
	}
	backend := func(at func(byte) proxy.Endpoint, ports ...uint16) *proxy.Backend {
		b := &proxy.Backend{ID: backendID}
		for _, port := range ports {
			for i := byte(1); i <= 5; i++ {
				e := at(i)
				e.Address = netip.AddrPortFrom(e.Address.Addr(), port)
				b.Endpoints = append(b.Endpoints, e)
			}
		}
		return b
	}
	for name, at := range names {
		for _, c := range []struct {
			sel  proxy.EndpointSelector
			want int
		}{{proxy.EndpointSelector{Count: 1}, 1}, {proxy.EndpointSelector{Count: 3}, 3}, {proxy.EndpointSelector{Percent: 30}, 2}, {proxy.EndpointSelector{Count: 9}, 5}} {
			for seed := range uint64(20) {
				sick := func(ports ...uint16) map[string]int { // how many ports of each
					found, b := map[string]int{}, backend(at, ports...)
					set := choose(c.sel, b, seed, proxy.ObjectID{Name: "x"})
					for _, e := range b.Endpoints {
						if _, ok := set[e.ID()]; ok {
							found[e.Hostname+e.Address.Addr().String()]++
						}
					}
					return found
				}
				a, b := sick(3901), sick(3902)
				if len(a) != c.want || !maps.Equal(a, b) {
					t.Fatalf("%s, %+v, seed %d: %v and %v", name, c.sel, seed, a, b)
				}
				if name != "pods" {
					continue
				}
				both := sick(3901, 3902)
				for pod := range a {
					a[pod] = 2
				}
				if !maps.Equal(a, both) {
					t.Fatalf("%+v, seed %d: %v of one backend, want %v", c.sel, seed, both, a)
				}
			}
		}
	}
}

// The same pods are chosen for as long as they exist, wherever they are.
func TestASickPodThatMovesStaysSick(t *testing.T) {
	at := func(pod string, address byte) proxy.Endpoint {
		e := endpointAt(address)
		e.Pod = "shop/" + pod
		return e
	}
	one := proxy.EndpointSelector{Count: 1}
	before := &proxy.Backend{Endpoints: []proxy.Endpoint{at("db-0", 1), at("db-1", 2), at("db-2", 3)}}
	after := &proxy.Backend{Endpoints: []proxy.Endpoint{at("db-0", 11), at("db-1", 12), at("db-2", 13)}}
	for seed := range uint64(10) {
		was, is := choose(one, before, seed, proxy.ObjectID{}), choose(one, after, seed, proxy.ObjectID{})
		for i := range before.Endpoints {
			_, a := was[before.Endpoints[i].ID()]
			if _, b := is[after.Endpoints[i].ID()]; a != b {
				t.Errorf("seed %d: sick is %v, then %v", seed, was, is)
			}
		}
	}
}

// Where no pod is known, what is at one address is several all the same.
func TestOneSickEndpointOfSeveralAtOneAddress(t *testing.T) {
	b := &proxy.Backend{}
	for port := range uint16(4) {
		b.Endpoints = append(b.Endpoints, proxy.Endpoint{Address: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), 8000+port)})
	}
	found := map[proxy.EndpointID]struct{}{}
	for seed := range uint64(40) {
		got := choose(proxy.EndpointSelector{Count: 1}, b, seed, proxy.ObjectID{})
		maps.Copy(found, got)
		again := choose(proxy.EndpointSelector{Count: 1}, b, seed, proxy.ObjectID{})
		two := choose(proxy.EndpointSelector{Percent: 50}, b, seed, proxy.ObjectID{})
		if len(got) != 1 || len(two) != 2 || !maps.Equal(got, again) {
			t.Errorf("seed %d: %v, %v and %v", seed, got, again, two)
		}
	}
	if len(found) != len(b.Endpoints) {
		t.Errorf("whatever the seed, only these are chosen: %v", found)
	}
}

// What is about to end counts only if there is nothing else.
func TestEndpointsThatEndAreTheLastChoice(t *testing.T) {
	for seed := range uint64(20) {
		b := &proxy.Backend{Endpoints: []proxy.Endpoint{endpointAt(1), endpointAt(2), endpointAt(3)}}
		b.Endpoints[0].Terminating, b.Endpoints[1].Terminating = true, true
		chosen := func(sel proxy.EndpointSelector) map[proxy.EndpointID]struct{} {
			return choose(sel, b, seed, proxy.ObjectID{})
		}
		for _, sel := range []proxy.EndpointSelector{{Count: 1}, {Count: 3}, {Percent: 1}, {Percent: 100}} {
			if got := chosen(sel); len(got) != 1 || !slices.Contains(slices.Collect(maps.Keys(got)), b.Endpoints[2].ID()) {
				t.Errorf("%+v: %v", sel, got)
			}
		}
		b.Endpoints[2].Terminating = true
		if got := chosen(proxy.EndpointSelector{Count: 2}); len(got) != 2 {
			t.Errorf("all are about to end: %v", got)
		}
	}
}

// Somebody may ask for the choice between a change of the Backend and the moment when live connections are told of it.
func TestAChoiceThatSomebodyHasSeenStillReachesLiveConnections(t *testing.T) {
	exp := oneSick(nil)
	e := newEngine(t, Config{}, exp)
	var live liveStreams
	live.open(t, e, 3)
	next := scaled(exp, 20)
	e.backends.Store(&next.Backends)
	live.open(t, e, 20)
	e.Apply(next)
	if got := live.sick(); len(got) != 1 {
		t.Errorf("those are sick: %v", got)
	}
}

// Whatever cannot be concerned is not looked at.
func TestAChangeOfEndpointsCostsOthersNothing(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*proxy.Experiment)
		to     func(*proxy.Experiment) *proxy.Snapshot
		looks  bool
	}{
		"another choice":  {nil, func(x *proxy.Experiment) *proxy.Snapshot { return scaled(x, 20) }, true},
		"the same choice": {nil, func(x *proxy.Experiment) *proxy.Snapshot { return scaled(x, 3) }, false},
		"all endpoints":   {func(x *proxy.Experiment) { x.Endpoints.Count = 0 }, func(x *proxy.Experiment) *proxy.Snapshot { return scaled(x, 20) }, false},
		"another target": {
			func(x *proxy.Experiment) { x.Targets[0].Object.Name = "other" },
			func(x *proxy.Experiment) *proxy.Snapshot { return scaled(x, 20) }, false,
		},
		"another backend": {nil, func(x *proxy.Experiment) *proxy.Snapshot {
			s, other := scaled(x, 3), backendID
			other.Name = "other"
			s.Backends[other] = &proxy.Backend{ID: other}
			return s
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			exp := oneSick(test.change)
			e := newEngine(t, Config{}, exp)
			e.Apply(scaled(exp, 3))
			var live liveStreams
			live.open(t, e, 3)
			for _, c := range live {
				c.isKnown = false // update sets it
			}
			e.Apply(test.to(exp))
			for i, c := range live {
				if c.isKnown != test.looks {
					t.Errorf("connection %d is looked at: %v", i, c.isKnown)
				}
			}
		})
	}
}

// The first of a Sequence are the first that come to a sick Endpoint, not those that were open when it became that.
func TestAChoiceThatMovesTakesNoPlaceInASequence(t *testing.T) {
	exp := oneSick(func(x *proxy.Experiment) { x.Sequence = []proxy.SequenceStep{{Count: 2, Toxics: []string{"a"}}} })
	e := newEngine(t, Config{}, exp)
	e.Apply(scaled(exp, 20))
	var live liveStreams
	live.open(t, e, 20)
	if got := live.sick(); len(got) != 1 || got[0] < 4 {
		t.Fatalf("sick is %v, which three endpoints have as well", got)
	}
	e.Apply(scaled(exp, 3))
	if got := live.sick(); len(got) != 0 {
		t.Errorf("open connections take places: %v", got)
	}
	var later liveStreams
	later.open(t, e, 3)
	if got := later.sick(); len(got) != 1 {
		t.Errorf("the second place is taken by %v", got)
	}
}
