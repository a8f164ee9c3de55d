package telemetry

import (
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/prometheus/client_golang/prometheus"
)

// Metrics holds every metric of one server. It is a prometheus.Collector.
type Metrics struct {
	routes    family[proxy.RouteID, Route]
	backends  family[proxy.BackendID, Backend]
	listeners family[uint16, Listener]
	streams   family[StreamID, Stream]

	refused [len(refusals)]atomic.Uint64
	noRoute atomic.Uint64
	config  configMetrics
	log     logMetrics
	idle    atomic.Pointer[IdleConnections]
	chaos   atomic.Pointer[func() []proxy.ExperimentStatus]
	manual  atomic.Pointer[ManualCounts]
	held    atomic.Pointer[func() int64]

	descs descs
}

var _ prometheus.Collector = (*Metrics)(nil)

// New returns Metrics in which everything is zero.
func New() *Metrics { return &Metrics{descs: newDescs()} }

// Route returns the handle for the rule that id belongs to, a new one if need be. id.Match is ignored: all Matches of a
// rule share one handle. The handle lives on until Retain drops it.
func (m *Metrics) Route(id proxy.RouteID) *Route {
	id = ruleOf(id)
	return m.routes.get(id, func() *Route { return &Route{label: label(id.String())} })
}

// Backend returns the handle for a Backend, a new one if need be.
func (m *Metrics) Backend(id proxy.BackendID) *Backend {
	return m.backends.get(id, func() *Backend { return &Backend{label: label(id.String())} })
}

// Listener returns the handle for a port, a new one if need be.
func (m *Metrics) Listener(port uint16) *Listener {
	return m.listeners.get(port, func() *Listener { return &Listener{label: portLabel(port)} })
}

// Kept says what stays when a Snapshot is applied; a nil function keeps everything.
type Kept struct {
	Routes   func(proxy.RouteID) bool // called with a Match of 0
	Backends func(proxy.BackendID) bool
	Ports    func(uint16) bool
	Streams  func(StreamID) bool
}

// Retain drops the series of everything that has left the Snapshot. Exchanges in flight may go on using their handles;
// nobody sees what they count. It must not be called while handles for a newer Snapshot are being made.
func (m *Metrics) Retain(k Kept) {
	m.routes.retain(k.Routes)
	m.backends.retain(k.Backends)
	m.listeners.retain(k.Ports)
	m.streams.retain(k.Streams)
}

// Refused records a request or connection that was refused for what the client has sent.
func (m *Metrics) Refused(r Refusal) { m.refused[r].Add(1) }

// NoRoute records a request that no Route selected, answered with 404.
func (m *Metrics) NoRoute() { m.noRoute.Add(1) }

// IdleConnections counts connections that wait for use. Its functions are called once per scrape.
type IdleConnections struct {
	Downstream func() int // those of clients that wait for a request
	Upstream   func() int // those to Endpoints that are kept for another request
}

// SampleIdle says where the numbers of idle connections come from. Before it is called there are no such series.
func (m *Metrics) SampleIdle(c IdleConnections) { m.idle.Store(&c) }

// family is a set of handles by identity. Looking one up is for the time a Snapshot is compiled, not for requests.
type family[K comparable, V any] struct {
	mu      sync.Mutex // guards members
	members map[K]*V
}

func (f *family[K, V]) get(id K, create func() *V) *V {
	f.mu.Lock()
	defer f.mu.Unlock()
	v := f.members[id]
	if v == nil {
		if f.members == nil {
			f.members = map[K]*V{}
		}
		v = create()
		f.members[id] = v
	}
	return v
}

func (f *family[K, V]) retain(keep func(K) bool) {
	if keep == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for id := range f.members {
		if !keep(id) {
			delete(f.members, id)
		}
	}
}

// all returns the members at this moment, so that collecting does not hold up a Snapshot.
func (f *family[K, V]) all() []*V {
	f.mu.Lock()
	defer f.mu.Unlock()
	vs := make([]*V, 0, len(f.members))
	for _, v := range f.members {
		vs = append(vs, v)
	}
	return vs
}

// label makes s fit to be a label value.
func label(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// Size is how much a Snapshot holds.
type Size struct{ Listeners, Hosts, Routes, Backends, Endpoints int }

// configMetrics is what is known of the configuration served.
type configMetrics struct {
	applied, rejected atomic.Uint64
	duration          histogram
	lastApplied       atomic.Int64 // Unix nanoseconds, 0 before the first
	size              atomic.Pointer[Size]
	propagation       histogram
	builds            [len(lanes)]histogram
	problems          atomic.Int64 // one more than the number, 0 before it is known
}

// Applied records that a Snapshot began to serve at the time at, took as long to compile, and holds size.
func (m *Metrics) Applied(at time.Time, took time.Duration, size Size) {
	m.config.applied.Add(1)
	m.config.duration.observe(took)
	m.config.lastApplied.Store(at.UnixNano())
	m.config.size.Store(&size)
}

// Rejected records a Snapshot that could not be applied; the one before it goes on serving.
func (m *Metrics) Rejected() { m.config.rejected.Add(1) }

// Lane says how much of the configuration was built for one change of it.
type Lane int

// The lanes.
const (
	FullLane      Lane = iota // everything, as anything may have changed
	EndpointsLane             // Endpoints only
)

var lanes = [...]string{FullLane: "full", EndpointsLane: "endpoints"}

// Built records the time that it took to make a Snapshot from the configuration objects, which precedes applying it. A
// build whose Snapshot is the one served already is not to be recorded.
func (m *Metrics) Built(l Lane, took time.Duration) { m.config.builds[l].observe(took) }

// Propagated records the time from when a change of the configuration was noticed until it served.
func (m *Metrics) Propagated(d time.Duration) { m.config.propagation.observe(d) }

// SetProblems records how many problems the configuration has now. Before it is called there is no such series.
func (m *Metrics) SetProblems(n int) { m.config.problems.Store(int64(n) + 1) }
