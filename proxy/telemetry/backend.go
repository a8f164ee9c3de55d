package telemetry

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Outcome is how one attempt at an Endpoint ended.
type Outcome uint8

const (
	// OK: the response, whatever its status, was delivered whole.
	OK Outcome = iota
	// ConnectFailure: no connection could be made.
	ConnectFailure
	// Timeout: a connect, header, idle or attempt timeout passed.
	Timeout
	// Reset: the Endpoint closed or reset the connection before the end of the response.
	Reset
	// Malformed: the Endpoint's answer is not valid HTTP.
	Malformed
	// Canceled: the client went away first.
	Canceled
	// Fault: an experiment ended the response on its way to the client; the Endpoint has done nothing wrong.
	Fault
)

// outcomes are the values of the label "outcome", indexed by Outcome.
var outcomes = [...]string{"ok", "connect_failure", "timeout", "reset", "malformed", "canceled", "fault"}

// String returns the label value.
func (o Outcome) String() string { return outcomes[o] }

// Backend counts the attempts at the Endpoints of one Backend. Its series appear with the first attempt, the number of
// Endpoints at once. What a request touches is on two cache lines, as in Route.
type Backend struct {
	inFlight  atomic.Int64
	attempts  [len(outcomes)]atomic.Uint64
	head      histogram
	retries   atomic.Uint64
	connects  atomic.Uint64
	endpoints atomic.Int64
	label     string
}

// Begin records that an attempt starts. Every Begin is followed by exactly one End.
func (b *Backend) Begin() { b.inFlight.Add(1) }

// End records how an attempt ended.
func (b *Backend) End(o Outcome) {
	b.inFlight.Add(-1)
	b.attempts[o].Add(1)
}

// Head records the time from the start of an attempt to the end of its response head.
func (b *Backend) Head(d time.Duration) { b.head.observe(d) }

// Retry records that an attempt failed and another one follows.
func (b *Backend) Retry() { b.retries.Add(1) }

// Connect records a connection made to an Endpoint, in contrast to one taken from the pool.
func (b *Backend) Connect() { b.connects.Add(1) }

// SetEndpoints records how many Endpoints the Backend has now.
func (b *Backend) SetEndpoints(n int) { b.endpoints.Store(int64(n)) }

// backendDescs describe the series of all Backends.
type backendDescs struct {
	attempts, retries, connects, inFlight, head, endpoints *prometheus.Desc
}

func newBackendDescs() backendDescs {
	return backendDescs{
		attempts:  desc("backend_attempts_total", "Attempts at endpoints, by backend and how they ended.", "backend", "outcome"),
		retries:   desc("backend_retries_total", "Attempts that failed and were followed by another.", "backend"),
		connects:  desc("backend_connections_opened_total", "Connections made to endpoints.", "backend"),
		inFlight:  desc("backend_attempts_in_flight", "Attempts that have not ended.", "backend"),
		head:      desc("backend_response_head_seconds", "Time from the start of an attempt to the end of its response head.", "backend"),
		endpoints: desc("backend_endpoints", "Endpoints in the snapshot served now.", "backend"),
	}
}

func (d *backendDescs) describe(ch chan<- *prometheus.Desc) {
	ch <- d.attempts
	ch <- d.retries
	ch <- d.connects
	ch <- d.inFlight
	ch <- d.head
	ch <- d.endpoints
}

func (b *Backend) collect(ch chan<- prometheus.Metric, d *backendDescs) {
	ch <- gauge(d.endpoints, float64(b.endpoints.Load()), b.label)
	inFlight, used := b.inFlight.Load(), false
	for o := range b.attempts {
		if n := b.attempts[o].Load(); n != 0 {
			used = true
			ch <- counter(d.attempts, float64(n), b.label, outcomes[o])
		}
	}
	if !used && inFlight == 0 {
		return
	}
	ch <- gauge(d.inFlight, float64(inFlight), b.label)
	ch <- counter(d.retries, float64(b.retries.Load()), b.label)
	ch <- counter(d.connects, float64(b.connects.Load()), b.label)
	ch <- b.head.collect(d.head, b.label)
}
