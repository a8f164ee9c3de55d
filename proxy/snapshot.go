package proxy

import "strconv"

// Snapshot is everything the proxy serves at one moment. It and all that it reaches are immutable from the moment it
// is applied, so it may be read by any number of goroutines. Successive snapshots share what has not changed: the same
// *Host or *Backend pointer means the same content, and the proxy skips the work of compiling it again.
type Snapshot struct {
	// Listeners in a stable order. Several may share one Port when their Hostnames differ.
	Listeners []*Listener
	// Backends by identity. A Route that names a Backend which is not here is answered with 500.
	Backends map[BackendID]*Backend
	// Experiments in the order in which they compose: by Created, then namespace and name.
	Experiments []*Experiment
	// Refused are the NetworkChaos that are no Experiments because they are not accepted, by namespace and name.
	Refused []RefusedExperiment
	// ChaosOff is the kill switch: no Experiment acts, whatever it says.
	ChaosOff bool
	// ChaosSwitch says, for readers, what ChaosOff comes from; empty if it is false.
	ChaosSwitch string
	// ChaosNamespaces are the namespaces, in order, whose TCPRoutes may be given toxics without an Experiment.
	ChaosNamespaces []string
}

// ObjectID names the configuration object something came from. It is provenance, shown by metrics, logs and explain,
// and never parsed.
type ObjectID struct {
	Kind      string // "Ingress", "HTTPRoute", "TCPRoute", "UDPRoute", "Gateway", "Service"
	Namespace string
	Name      string
}

// String returns Kind/Namespace/Name.
func (o ObjectID) String() string { return o.Kind + "/" + o.Namespace + "/" + o.Name }

// ListenerID names a Listener: the Gateway (or the Ingress entry point) and the section of it.
type ListenerID struct {
	Object  ObjectID
	Section string
}

// String returns the object and, if there is one, the section behind a colon.
func (l ListenerID) String() string {
	if l.Section == "" {
		return l.Object.String()
	}
	return l.Object.String() + ":" + l.Section
}

// RouteID names one Match of one rule of an object. It is stable for as long as the rule keeps its place.
type RouteID struct {
	Object ObjectID
	Rule   int // index of the rule in the object, from 0; -1 for an Ingress's default backend
	Match  int // index of the match (HTTPRoute) or of the path (Ingress) in the rule, from 0
}

// String returns the object and the rule, for instance "HTTPRoute/shop/cart/0": the value of a metric's route label.
// The match is left out so that the number of label values is bounded by the number of rules.
func (r RouteID) String() string {
	if r.Rule < 0 {
		return r.Object.String() + "/default"
	}
	return r.Object.String() + "/" + strconv.Itoa(r.Rule)
}

// BackendID is the identity of a Backend: a port of a named object. Pools, health and counters are kept under it (and
// under the Endpoint's address), so they outlive every Snapshot.
type BackendID struct {
	Kind      string // "Service"
	Namespace string
	Name      string
	Port      int32
	// Stream is TCP or UDP for the Backend of StreamRoutes and empty for that of Routes: one number may be a TCP and a UDP
	// port, and what is learnt of an Endpoint by requests says nothing about connections.
	Stream Protocol
}

// String returns Namespace/Name:Port, with "/tcp" or "/udp" behind it for streams.
func (b BackendID) String() string {
	s := b.Namespace + "/" + b.Name + ":" + strconv.Itoa(int(b.Port))
	if b.Stream != "" {
		s += "/" + string(b.Stream)
	}
	return s
}
