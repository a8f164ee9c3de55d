package proxy

import "net/netip"

// Backend is a named set of Endpoints. It is immutable; the same pointer in two Snapshots means the same content. A
// Backend that exists but has no usable Endpoint is answered with 503.
type Backend struct {
	ID        BackendID
	Protocol  Protocol
	Balancer  Balancer // nil is balancer.RoundRobin
	Endpoints []Endpoint
	// ProxyProtocol is the version of the PROXY protocol header that a TCP connection to an Endpoint begins with, 1 or 2; 0
	// is none.
	ProxyProtocol uint8
}

// Endpoint is one address that serves a Backend. It is comparable.
type Endpoint struct {
	Address netip.AddrPort
	// Hostname, if not empty, is resolved at each dial and Address gives only the port (a Service of type
	// ExternalName).
	Hostname string
	// Terminating endpoints still serve and are used only while no other Endpoint is ready (KEP-1669).
	Terminating bool
	Zone        string
	Node        string
	Pod         string // "namespace/name" of the pod, if it is one
}

// EndpointID is what pools and health are kept under.
type EndpointID struct {
	Address  netip.AddrPort
	Hostname string
}

// ID returns the Endpoint's identity.
func (e Endpoint) ID() EndpointID { return EndpointID{e.Address, e.Hostname} }

// String returns the address to dial.
func (e Endpoint) String() string { return e.ID().String() }

// String returns host:port.
func (e EndpointID) String() string {
	if e.Hostname == "" {
		return e.Address.String()
	}
	return e.Hostname + ":" + netip.AddrPortFrom(netip.IPv4Unspecified(), e.Address.Port()).String()[len("0.0.0.0:"):]
}

// Balancer is the configuration of a policy that chooses an Endpoint. Values are comparable and printable; New makes
// the running form for one set of Endpoints. Implementations live in package balancer, one file each.
type Balancer interface {
	// New makes the Picker for targets. It draws what it needs from random, which may be called concurrently.
	New(targets []Target, random func() uint64) Picker
}

// Target is what a Balancer knows of one Endpoint: its configuration and its live state, which outlives the Snapshot.
type Target interface {
	Endpoint() Endpoint
	InFlight() int64 // requests now being served
}

// Picker chooses among the Targets it was made for. It is called by many goroutines at once and must not block or
// allocate.
type Picker interface {
	// Pick returns an index into the Targets. avoid, if not nil, reports the indexes that have failed for this
	// Exchange; when every one is avoided Pick returns -1.
	Pick(x *Exchange, avoid func(i int) bool) int
}
