package proxy

import "time"

// Route says which requests of a Host it selects and what happens to them.
type Route struct {
	ID      RouteID
	Match   Match
	Filters []Filter // in order; the response sees them in reverse
	// Backends share the requests by weight. A Route without any, or whose weights are all 0, answers 500 unless a
	// Filter has answered before.
	Backends []WeightedBackend
	Timeouts Timeouts
	// Invalid, if not empty, is why this Route cannot be served as configured; every request it selects is answered
	// with 500. It fails closed: the request never goes to a less specific Route.
	Invalid string
}

// StreamRoute says what happens to the connections or sessions of a Listener of protocol TCP or UDP.
type StreamRoute struct {
	ID ObjectID // "TCPRoute" or "UDPRoute"
	// Backends share the connections or sessions by weight; Filters have no meaning here. Without any, or if all weights are
	// 0, connections are reset and datagrams dropped; so is the share of a Backend that is Invalid.
	Backends []WeightedBackend
	Rule     int // index of the rule in the object
	// Invalid, if not empty, is why this Route cannot be served as configured; its connections are reset.
	Invalid string
}

// WeightedBackend is one Backend's share of a Route. It is picked once for each request, connection or session, and further
// attempts stay with it: one without an Endpoint that can be reached fails its share, and none of that falls to others.
type WeightedBackend struct {
	Backend BackendID
	Weight  int32    // 0 to 1,000,000; the share is Weight over the sum of all
	Filters []Filter // applied after the Route's own, only to this share
	// Invalid, if not empty, is why the reference could not be resolved; this share is answered with 500.
	Invalid string
}

// Timeouts of a Route; 0 means no limit of the Route's own. One that is set takes the place of the proxy's own limit on the wait for
// a response head; those on standing still remain in any case.
type Timeouts struct {
	Request time.Duration // from the end of the request head to the end of the response: 504 (GEP-1742)
	Backend time.Duration // one attempt, from its start to the end of the response: 504 (GEP-1742)
	// Unlimited says that the Route wants no limit where none is set above: an Endpoint may take as long as it likes to begin its
	// response.
	Unlimited bool
}

// Match selects requests. All conditions that are set must hold; the zero Match selects every request.
type Match struct {
	Path    PathMatch
	Method  string       // "" is any; otherwise compared exactly, RFC 9110 section 9.1
	Headers []ValueMatch // at most one per name; names are compared without regard to case
	Query   []ValueMatch // at most one per name; names are compared exactly
}

// PathType says how PathMatch.Value is compared with the normal form of the request's path.
type PathType uint8

const (
	// PathPrefix matches element by element: "/a" covers "/a", "/a/" and "/a/b", not "/ab". The trailing slash of
	// the value is ignored. The zero PathMatch is the prefix "/" and covers everything.
	PathPrefix PathType = iota
	// PathExact matches the same bytes only.
	PathExact
	// PathRegex matches an RE2 expression against the whole path, anchored at both ends.
	PathRegex
)

// PathMatch is the condition on the path.
type PathMatch struct {
	Type  PathType
	Value string
}

// ValueType says how a ValueMatch compares.
type ValueType uint8

const (
	// ValueExact matches the same bytes only.
	ValueExact ValueType = iota
	// ValueRegex matches an RE2 expression against the whole value, anchored at both ends.
	ValueRegex
)

// ValueMatch is a condition on a header field or on a query parameter. A header that occurs several times is compared
// as its values joined by "," (RFC 9110 section 5.3); of a repeated query parameter the first value counts.
type ValueMatch struct {
	Type  ValueType
	Name  string
	Value string
}
