package stream

import (
	"errors"
	"strconv"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/balancer"
	"github.com/breakwater-gateway/breakwater/proxy/chance"
	"github.com/breakwater-gateway/breakwater/proxy/telemetry"
	"github.com/breakwater-gateway/breakwater/proxy/upstream"
)

// Backend is the live form of a proxy.Backend. It is the same for as long as the Backend exists, whatever its Endpoints become.
type Backend interface {
	// Endpoints returns what may be used by a connection that was routed in a generation of the configuration; false if the
	// Backend does not exist.
	Endpoints(generation uint64) (Endpoints, bool)
	Metrics() *telemetry.Backend
}

// Endpoints are those of a Backend at one moment.
type Endpoints interface {
	// Pick chooses one that is not in tried, if possible one that could be reached lately; nil if there is none.
	Pick(x *proxy.Exchange, tried []*upstream.Endpoint) *upstream.Endpoint
	// Has reports whether e is among them.
	Has(e *upstream.Endpoint) bool
	Config() *proxy.Backend
}

// Route is the running form of the StreamRoute of a Listener. It is immutable but for the Backends' live state.
type Route struct {
	cfg      *proxy.StreamRoute
	listener *proxy.Listener
	shares   []share
	weights  balancer.Weighted
	random   func() uint64 // for weights
	metrics  *telemetry.Stream
}

type share struct {
	cfg     *proxy.WeightedBackend
	backend Backend // nil if the reference is not valid
}

// RouteID is what the metrics of a Route are kept under; false if l has none.
func RouteID(l *proxy.Listener) (telemetry.StreamID, bool) {
	if l.Stream == nil {
		return telemetry.StreamID{}, false
	}
	return telemetry.StreamID{Object: l.Stream.ID, Rule: l.Stream.Rule}, true
}

// NewRoute makes the running form of l.Stream, whose shares by weight come from draws. backend returns the live form of a Backend, whether
// it exists or not.
func NewRoute(l *proxy.Listener, m *telemetry.Metrics, draws *chance.Draws, backend func(proxy.BackendID) Backend) *Route {
	r := &Route{cfg: l.Stream, listener: l, metrics: noStream}
	if l.Stream == nil {
		r.cfg = &noRoute
		return r
	}
	id, _ := RouteID(l)
	r.metrics = m.Stream(id)
	weights := make([]int32, len(r.cfg.Backends))
	r.shares = make([]share, len(r.cfg.Backends))
	for i := range r.cfg.Backends {
		b := &r.cfg.Backends[i]
		weights[i] = b.Weight
		r.shares[i].cfg = b
		if b.Invalid == "" {
			r.shares[i].backend = backend(b.Backend)
		}
	}
	r.weights, r.random = balancer.NewWeighted(weights), draws.Source("share", r.cfg.ID.String(), strconv.Itoa(r.cfg.Rule))
	return r
}

// noStream is what the connections of Listeners that nobody serves count on; it is shown nowhere.
var (
	noStream = new(telemetry.Stream)
	noRoute  = proxy.StreamRoute{Invalid: "the listener has no route"}
)

// Listener returns the Listener that the Route belongs to.
func (r *Route) Listener() *proxy.Listener { return r.listener }

var (
	errNoBackend  = errors.New("the route has no backend")
	errUnknown    = errors.New("the backend does not exist")
	errNoEndpoint = errors.New("no endpoint is ready")
)

// share picks one of the shares by weight.
func (r *Route) share() (*share, error) {
	if r.cfg.Invalid != "" {
		return nil, errors.New(r.cfg.Invalid)
	}
	i := r.weights.Pick(r.random())
	if i < 0 {
		return nil, errNoBackend
	}
	sh := &r.shares[i]
	if sh.backend == nil {
		return sh, errors.New(sh.cfg.Invalid)
	}
	return sh, nil
}

// id is what the access log shows.
func (r *Route) id() telemetry.StreamID {
	id, _ := RouteID(r.listener)
	return id
}
