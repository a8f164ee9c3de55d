package telemetry

import (
	"strconv"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// Listener counts the connections of one port.
type Listener struct {
	label    string
	accepted atomic.Uint64
	open     atomic.Int64
}

// Open records an accepted connection. Every Open is followed by exactly one Close.
func (l *Listener) Open() {
	l.accepted.Add(1)
	l.open.Add(1)
}

// Close records that an accepted connection has ended.
func (l *Listener) Close() { l.open.Add(-1) }

// Refusal is why a request, or a connection, was refused for what the client has sent: before it was routed, or for its body.
type Refusal uint8

const (
	// MalformedHead: the request line or a field is not valid, 400.
	MalformedHead Refusal = iota
	// MalformedBody: the framing of the body is not valid, 400.
	MalformedBody
	// AmbiguousFraming: the length of the body could be read in two ways (RFC 9112 section 6.3), 400.
	AmbiguousFraming
	// InvalidHost: the host is missing, repeated, not valid or not that of the target, 400.
	InvalidHost
	// TooLarge: request line, header or body exceed their limit, 413, 414 or 431.
	TooLarge
	// SlowClient: head or body did not arrive in time, 408.
	SlowClient
	// Unsupported: a version, method, expectation or transfer coding that the proxy does not offer, 417, 501 or 505.
	Unsupported
	// TooMany: a limit on connections was reached; the connection is closed.
	TooMany
	// ProxyHeader: the PROXY protocol header is missing, malformed, late or comes from a peer that is not trusted; the connection is
	// closed.
	ProxyHeader
)

// refusals are the values of the label "reason", indexed by Refusal.
var refusals = [...]string{
	"malformed_head", "malformed_body", "ambiguous_framing", "invalid_host", "too_large", "slow_client", "unsupported", "too_many", "proxy_header",
}

// String returns the label value.
func (r Refusal) String() string { return refusals[r] }

// listenerDescs describe the series of all Listeners.
type listenerDescs struct{ accepted, open *prometheus.Desc }

func newListenerDescs() listenerDescs {
	return listenerDescs{
		accepted: desc("connections_accepted_total", "Connections accepted from clients.", "port"),
		open:     desc("connections_open", "Connections of clients now open.", "port"),
	}
}

func (d *listenerDescs) describe(ch chan<- *prometheus.Desc) {
	ch <- d.accepted
	ch <- d.open
}

func (l *Listener) collect(ch chan<- prometheus.Metric, d *listenerDescs) {
	ch <- counter(d.accepted, float64(l.accepted.Load()), l.label)
	ch <- gauge(d.open, float64(l.open.Load()), l.label)
}

func portLabel(port uint16) string { return strconv.Itoa(int(port)) }
