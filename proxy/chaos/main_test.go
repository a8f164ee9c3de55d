package chaos

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/fault"
	"github.com/breakwater-gateway/breakwater/proxy/shape"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	routeID    = proxy.ObjectID{Kind: "HTTPRoute", Namespace: "shop", Name: "cart"}
	listenerID = proxy.ListenerID{Object: proxy.ObjectID{Kind: "Gateway", Namespace: "shop", Name: "gw"}, Section: "http"}
	backendID  = proxy.BackendID{Kind: "Service", Namespace: "shop", Name: "cart", Port: 80}
	serviceID  = proxy.ObjectID{Kind: "Service", Namespace: "shop", Name: "cart"}
	route      = &proxy.Route{ID: proxy.RouteID{Object: routeID}, Backends: []proxy.WeightedBackend{{Backend: backendID, Weight: 1}}}
)

func abort(status int) proxy.Toxic { return fault.Abort{Status: status} }

func delay(ms float64) proxy.Toxic { return fault.Delay{Latency: shape.Const(ms)} }

// experiment returns one that is in force for an hour from now on, of the toxics, on everything at Client.
func anExperiment(name string, toxics ...proxy.Toxic) *proxy.Experiment {
	x := &proxy.Experiment{
		ID: proxy.ObjectID{Kind: "NetworkChaos", Namespace: "shop", Name: name}, UID: "uid-" + name, Percent: shape.Const(100), Seed: 7,
		Targets: []proxy.ExperimentTarget{{Object: routeID}},
		Window:  proxy.Window{Start: time.Now(), Duration: time.Hour},
	}
	for i, t := range toxics {
		x.Toxics = append(x.Toxics, proxy.ExperimentToxic{Name: string(rune('a' + i)), Toxicity: shape.Const(1), Toxic: t})
	}
	return x
}

// with returns a changed copy.
func with(x *proxy.Experiment, change func(*proxy.Experiment)) *proxy.Experiment {
	next := *x
	next.Toxics, next.Targets = slices.Clone(x.Toxics), slices.Clone(x.Targets)
	change(&next)
	return &next
}

func endpointAt(i byte) proxy.Endpoint {
	return proxy.Endpoint{Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, i}), 80)}
}

func snapshot(experiments ...*proxy.Experiment) *proxy.Snapshot {
	b := &proxy.Backend{ID: backendID, Endpoints: []proxy.Endpoint{endpointAt(1), endpointAt(2), endpointAt(3)}}
	return &proxy.Snapshot{Experiments: experiments, Backends: map[proxy.BackendID]*proxy.Backend{backendID: b}}
}

func newEngine(t testing.TB, cfg Config, experiments ...*proxy.Experiment) *Engine {
	t.Helper()
	e := New(cfg)
	t.Cleanup(e.Close)
	e.Apply(snapshot(experiments...))
	for _, s := range e.Status() {
		if s.Problem != "" {
			t.Fatalf("%s: %s", s.ID, s.Problem)
		}
	}
	return e
}

// request is one that the tests' Route has selected.
func request(fields ...string) *proxy.Exchange {
	x := &proxy.Exchange{Route: route, Listener: listenerID, Start: time.Now()}
	x.Request.Method, x.Request.Path = []byte("GET"), []byte("/p")
	x.Request.ClientIP = netip.MustParseAddr("192.0.2.1")
	for i := 0; i < len(fields); i += 2 {
		x.Request.Header.Add([]byte(fields[i]), []byte(fields[i+1]))
	}
	return x
}

// serve serves a request as the server would, but waits for nothing and has no fault keep another from acting. It returns one letter for
// each toxic that acted, by its name.
func serve(e *Engine, x *proxy.Exchange, change ...func(*proxy.Exchange)) string {
	q := e.Begin(x, backendID)
	if q == nil {
		return ""
	}
	defer func() { q.End(x, time.Now()) }()
	x.Response.Status = 200
	for _, c := range change {
		c(x)
	}
	return act(q.Client(x, nil))
}

// attempt is serve for one attempt at an Endpoint after another.
func attempts(e *Engine, x *proxy.Exchange, endpoints ...proxy.Endpoint) (acted []string) {
	q := e.Begin(x, backendID)
	x.Response.Status = 200
	x.Backend = &route.Backends[0]
	for _, at := range endpoints {
		x.Attempts++
		x.Endpoint = at
		acted = append(acted, act(q.Attempt(x, nil)))
	}
	if q != nil {
		q.End(x, time.Now())
	}
	return acted
}

// act lets everything act, and returns its names.
func act(f *Faults) (acted string) {
	if f == nil {
		return ""
	}
	for i := range f.steps {
		f.acts(&f.steps[i])
		acted += f.steps[i].armed.cfg.Name
	}
	for i := range f.toxics {
		f.injected(f.toxics[i].of)
		f.toxics[i].each(func(t *armed) {
			if t.fault == nil {
				acted += t.cfg.Name
			}
		})
	}
	return acted
}

func status(t testing.TB, e *Engine, name string) proxy.ExperimentStatus {
	t.Helper()
	for _, s := range e.Status() {
		if s.ID.Name == name {
			return s
		}
	}
	t.Error("no experiment", name)
	return proxy.ExperimentStatus{}
}
