package proxy

import (
	"io"
	"net/netip"
	"time"
)

// Exchange is one request with its response and all that is learnt of it on the way. It is what the router, filters,
// balancers, toxics and telemetry see, whatever protocol the client speaks.
//
// One goroutine owns it. Every byte slice reached from it is valid only until the Exchange ends: clone what must live
// longer.
type Exchange struct {
	Request  Request
	Response Response

	Listener ListenerID       // set when the request head has been read
	Route    *Route           // nil until routed, or when no Route matched
	Backend  *WeightedBackend // the share of the Route that was picked; nil before, or when the proxy answered
	Endpoint Endpoint         // the Endpoint of the latest attempt
	Attempts int              // upstream attempts so far
	Start    time.Time        // when the request head was complete
	// UpstreamTime is how long the latest attempt took from its start to the end of the response head; 0 without one.
	UpstreamTime time.Duration
	// Failure is why the proxy had to answer itself, or why the response was cut short; nil otherwise.
	Failure *Error
	// Experiments are those whose faults have acted on it, in the order in which they did.
	Experiments []ObjectID

	// RequestBytes and ResponseBytes count body bytes passed on so far.
	RequestBytes, ResponseBytes int64
	// HeadBytes is the length of the response head as it is sent; 0 before.
	HeadBytes int64

	host, path   []byte // see Original
	scratch      []byte
	answer       Answer
	answerHeader [2]Field
}

// KeepOriginal notes the host and the path as the client asked for them, before Filters rewrite them.
func (x *Exchange) KeepOriginal() { x.host, x.path = x.Request.Host, x.Request.Path }

// Original returns the host and the path that the client asked for, the path in its normal form: what a log shows.
func (x *Exchange) Original() (host, path []byte) {
	if x.path == nil {
		return x.Request.Host, x.Request.Path
	}
	return x.host, x.path
}

// Request is the head of a request and access to its body.
type Request struct {
	Method []byte // case-sensitive token
	Scheme string // "http" or "https"
	// Authority is the host as the client sent it but in lower case, with its port if it gave one: the value of the Host field.
	Authority []byte
	// Host is Authority without port, in lower case, without a final dot: what routing uses. IPv6 literals keep
	// their brackets.
	Host []byte
	// Path is the one normal form of the target's path, used for matching and forwarding. It begins with "/".
	Path []byte
	// Query is what follows "?" in the target, as sent; HasQuery tells "/p?" from "/p".
	Query    []byte
	HasQuery bool
	// Minor is the minor version of HTTP/1.x; 1 for newer protocols.
	Minor uint8
	// Header holds the end-to-end fields in the order received, without Host, Content-Length and hop-by-hop fields.
	Header Header
	// ContentLength is the length of the body, -1 if it is not known beforehand; 0 means there is no body.
	ContentLength int64
	// Body reads the content, without framing. It is nil when there is none. Reading it may send 100 Continue.
	Body Body
	// Upgrade is the value of the Upgrade field if the request asks for a protocol switch, otherwise empty.
	Upgrade []byte
	// Expect is true if the client waits for 100 Continue before it sends the body (RFC 9110 section 10.1.1).
	Expect bool
	// Trailers is true if the client takes trailer fields ("TE: trailers", RFC 9110 section 10.1.4).
	Trailers bool

	Port     uint16         // the Listener's port that the connection arrived on
	Peer     netip.AddrPort // the downstream connection's remote address
	ClientIP netip.Addr     // the client as far as trusted proxies tell; Peer's address without them
}

// Idempotent reports whether the method is one that may be sent twice (RFC 9110 section 9.2.2).
func (r *Request) Idempotent() bool {
	switch string(r.Method) {
	case "GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE":
		return true
	}
	return false
}

// Body reads the content of a message.
type Body interface {
	io.Reader
	// Trailer returns the trailer fields; it is complete once Read has returned io.EOF. It may return nil.
	Trailer() *Header
}

// Response is the head of a response.
type Response struct {
	Status int
	Reason []byte // the reason phrase as received; nil stands for the registered one
	Header Header // end-to-end fields, without Content-Length and hop-by-hop fields
	// ContentLength is the length of the body, -1 if it is not known beforehand.
	ContentLength int64
	// Local is true for an answer of the proxy itself.
	Local bool
	// Close ends the client's connection after this response, and tells the client so (RFC 9112 section 9.6).
	Close bool
}

// Scratch returns n bytes that live as long as the Exchange, for values that filters build.
func (x *Exchange) Scratch(n int) []byte {
	if cap(x.scratch)-len(x.scratch) < n {
		x.scratch = make([]byte, 0, max(2*cap(x.scratch), n, 512))
	}
	at := len(x.scratch)
	x.scratch = x.scratch[: at+n : cap(x.scratch)]
	return x.scratch[at : at+n : at+n]
}

// Answer returns an Answer that lives as long as the Exchange, for one that depends on the request. Up to two fields cost
// no allocation. It is the same one at every call.
func (x *Exchange) Answer(status int, header ...Field) *Answer {
	x.answer = Answer{Status: status, Header: append(x.answerHeader[:0], header...)}
	return &x.answer
}

// Reset makes the Exchange ready for another request and keeps its storage. Byte slices got from it are void.
func (x *Exchange) Reset() {
	req, res, scratch := x.Request.Header.Fields[:0], x.Response.Header.Fields[:0], x.scratch[:0]
	*x = Exchange{scratch: scratch}
	x.Request.Header.Fields, x.Response.Header.Fields = req, res
}
