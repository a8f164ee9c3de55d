package proxy

import (
	"time"

	"github.com/breakwater-gateway/breakwater/proxy/shape"
)

// Experiment is a set of faults together with the traffic they are meant for, their time and their bounds: what a
// NetworkChaos says. It is immutable; the same pointer in two Snapshots means the same content. Its live state
// (ordinals, counts, a halt) is kept outside the Snapshot under ID and UID.
//
// Experiments that concern the same traffic compose, in the order of Created, then namespace and name.
type Experiment struct {
	ID       ObjectID // Kind "NetworkChaos"
	UID      string   // another one with the same ID begins anew; empty for objects from files
	Revision int64    // metadata.generation
	Created  time.Time

	Targets []ExperimentTarget // the traffic; any one suffices
	// Spared are namespaces, in order, whose Routes are left alone although a Listener or Backend among the Targets serves them.
	Spared []string
	At     Point
	// Matches narrows HTTP traffic to the requests that one of them selects; empty is all. Streams ignore it.
	Matches []Match
	// Percent of the requests or connections that are selected, 0 to 100, by the number at the time when one is decided. Each is
	// decided once.
	Percent shape.Value
	// Endpoints narrows faults at Backend to some Endpoints.
	Endpoints EndpointSelector
	Toxics    []ExperimentToxic // in the order in which they act
	// Sequence, if not empty, says for the first selected requests or connections, one by one, what happens to them;
	// those after its end pass untouched. Percent does not apply then.
	Sequence []SequenceStep
	// SequenceKey tells clients apart, each with a sequence of its own.
	SequenceKey Key

	Window  Window
	Suspend bool
	DryRun  bool // everything is decided and counted, nothing is touched
	Seed    uint64
	// OrdinalKey, if set, replaces the ordinal of a request by a value that it bears, so that decisions do not depend on
	// the order of arrival.
	OrdinalKey Key
	Guard      *Guard
	Token      *Token // nil: every client
	// MaxPercent bounds the share of the target's requests or connections that all Experiments together may touch, 0 to
	// 100; 0 is no bound of this Experiment's own. The least of all that concern a target counts.
	MaxPercent float64
	// Rearm is any text; changing it lifts a halt.
	Rearm string
	// Halts are how often Guards of any replica have halted it, as far as the cluster knows, and Halted is true while the latest of these
	// halts is in force. Who lifts one lifts it for all replicas, with what has arisen in them meanwhile.
	Halts  uint64
	Halted bool
}

// RefusedExperiment is a NetworkChaos that is not accepted as it is written. It does nothing; what it did before it was changed is
// still known under ID and UID.
type RefusedExperiment struct {
	ID       ObjectID
	UID      string
	Revision int64
	Created  time.Time
	Reason   string // one word, as in the condition Accepted
	Message  string
}

// ExperimentTarget names the traffic of one object: of a Route by the object it comes from (HTTPRoute, Ingress,
// TCPRoute, UDPRoute, ...), of a Listener (Gateway with or without Section), or of a Backend (Service).
type ExperimentTarget struct {
	Object  ObjectID
	Section string // of a Gateway; "" is all
}

// Point is where a fault acts.
type Point uint8

const (
	// Client is between the client and routing: the gateway's own retries and timeouts do not see the fault.
	Client Point = iota
	// AtBackend is between the gateway's retry, timeout and health logic and one Endpoint.
	AtBackend
)

// String returns "Client" or "Backend".
func (p Point) String() string { return [...]string{"Client", "Backend"}[p] }

// Direction is the direction in which bytes move, in Toxiproxy's words.
type Direction uint8

const (
	// Downstreamward bytes move from the Endpoint to the client; Toxiproxy's stream "downstream", and its default.
	Downstreamward Direction = iota
	// Upstreamward bytes move from the client to the Endpoint; Toxiproxy's stream "upstream".
	Upstreamward
)

// String returns "downstream" or "upstream".
func (d Direction) String() string { return [...]string{"downstream", "upstream"}[d] }

// ExperimentToxic is one Toxic of an Experiment.
type ExperimentToxic struct {
	Name      string    // unique in the Experiment
	Direction Direction // of byte and datagram toxics; request faults ignore it
	// Toxicity is the share of the connections or requests that get it, 0 to 1. It is decided once for each, together with
	// Experiment.Percent and as of the same time.
	Toxicity shape.Value
	Toxic    Toxic
}

// Toxic is the configuration of one fault, a comparable and printable value. What it can do is said by the interfaces it
// implements: toxic.Stream and toxic.Datagram (package toxic) for bytes and datagrams, fault.Fault (package fault) for HTTP
// requests.
type Toxic interface {
	// Type is the fault's name: Toxiproxy's where it has one ("latency", "reset_peer"), in the same style otherwise.
	Type() string
}

// SequenceStep says what happens to Count requests or connections in a row.
type SequenceStep struct {
	Count  int
	Toxics []string // names of the Experiment's toxics that act; empty: the request passes untouched
}

// KeyType says where a Key is found.
type KeyType uint8

const (
	// NoKey is the absence of a key: all clients are one.
	NoKey KeyType = iota
	// ClientIPKey is the client's address.
	ClientIPKey
	// HeaderKey is the value of the header field Name.
	HeaderKey
	// CookieKey is the value of the cookie Name.
	CookieKey
)

// Key names something that a request bears and that tells it from others. A request without it has the empty key.
type Key struct {
	Type KeyType
	Name string
}

// EndpointSelector selects Endpoints by their pods; one of which no pod is known counts as one. The zero value selects all. A choice of
// some is stable: the same pods are chosen for as long as they exist (rendezvous hashing by the Experiment's seed).
type EndpointSelector struct {
	Count   int                 // if not 0, so many pods
	Percent float64             // if not 0, this share of the pods, rounded up to a whole one
	Zone    string              // if not "", of this zone only
	Pods    map[string]struct{} // if not nil, only Endpoints of these pods ("namespace/name")
}

// Filters reports whether Endpoints are left out for what they are, whatever their number.
func (s *EndpointSelector) Filters() bool { return s.Zone != "" || s.Pods != nil }

// Fits reports whether Zone and Pods leave an Endpoint to choose from.
func (s *EndpointSelector) Fits(e *Endpoint) bool {
	_, isPod := s.Pods[e.Pod]
	return (s.Zone == "" || e.Zone == s.Zone) && (s.Pods == nil || isPod)
}

// Window is when an Experiment acts. It never acts longer than Duration after a start, whatever happens to clocks or
// configuration: the proxy holds the deadline on its monotonic clock.
type Window struct {
	// Start of the only window, without a Schedule.
	Start time.Time
	// Duration of each window; always positive.
	Duration time.Duration
	// Schedule, if not "", is a cron expression of five fields in TimeZone: each match starts a window.
	Schedule string
	TimeZone string // IANA name; "" is UTC
}

// Guard halts an Experiment when the measured traffic becomes too bad. Bounds that are 0 do not apply.
type Guard struct {
	Window       time.Duration // what is looked at: the last so much of time
	MinRequests  int           // fewer in the window prove nothing
	MaxErrorRate float64       // 0 to 1: share of what has failed; the API's Guard says what that is
	MaxLatency   time.Duration // bound on the Quantile of latency; likewise
	Quantile     float64       // 0 to 1
	// OnlyUninjected looks only at the target's traffic that got no fault; otherwise all of the target's is looked at.
	OnlyUninjected bool
}

// Token restricts an Experiment to requests that bear a signed token. What bears a token is removed before the request
// goes upstream.
type Token struct {
	Header, Cookie, Baggage string // where to look: a header field, a cookie, a member of W3C baggage; "" is not
	Secret                  string // HMAC-SHA256 key
}

// ExperimentPhase says what an Experiment does now.
type ExperimentPhase uint8

const (
	// ExperimentPending has no window now, but will have one.
	ExperimentPending ExperimentPhase = iota
	// ExperimentActive acts, or with DryRun counts what it would do.
	ExperimentActive
	// ExperimentSuspended is held by Suspend. Its window goes on.
	ExperimentSuspended
	// ExperimentOff is in its window but held by the kill switch.
	ExperimentOff
	// ExperimentHalted was halted by its Guard, here or in another replica, until it is re-armed. Its window goes on.
	ExperimentHalted
	// ExperimentExpired has had its last window and does not act again, whatever the clock says.
	ExperimentExpired
	// ExperimentInvalid cannot act as it is configured; see ExperimentStatus.Problem.
	ExperimentInvalid
	// ExperimentRefused is no Experiment of the Snapshot as it is written; see ExperimentStatus.Problem.
	ExperimentRefused
)

// String returns the phase as one word.
func (p ExperimentPhase) String() string {
	return [...]string{"Pending", "Active", "Suspended", "Off", "Halted", "Expired", "Invalid", "Refused"}[p]
}

// ExperimentStatus is what has become of an Experiment in this process. Counts are of requests, or of connections, since the
// process first saw the Experiment; they never go down.
type ExperimentStatus struct {
	ID       ObjectID
	UID      string
	Revision int64 // of the configuration in force
	Phase    ExperimentPhase
	Problem  string // why it is invalid or refused; otherwise empty
	// SwitchedOff names the kill switches that are used, if the Phase is ExperimentOff.
	SwitchedOff []string

	Matched      uint64 // that its Targets, Token and Matches select
	Injected     uint64 // that got at least one fault
	SkippedByCap uint64 // that would have got one but for a MaxPercent
	DryRun       uint64 // that would have got one but for DryRun

	// Start and End are those of the window now, or of the last one; both zero before the first. End is the deadline at which
	// the window ends, or has ended.
	Start, End time.Time
	Next       time.Time // the start of the next window; zero if there is none, or none is known yet

	Guard        *Guard    // of the configuration in force; nil: none
	Halts        uint64    // how often the Guard has halted it here
	HaltedAt     time.Time // of the halt in force, if it arose here; otherwise zero
	HaltedReason string    // of the halt in force; otherwise empty
	HaltedRearm  string    // Experiment.Rearm when it was halted
	// LiftedHalts is such that Rearm has lifted, here, those of the cluster's halts whose number (Experiment.Halts) is below it.
	LiftedHalts uint64
}
