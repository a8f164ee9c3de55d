package chaos

import (
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
		x.At, x.Endpoints = proxy.AtBackend, proxy.EndpointSelector{Count: 1}
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
