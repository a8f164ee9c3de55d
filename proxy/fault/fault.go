// Package fault injects faults into HTTP requests and responses: answers in the place of the endpoint's, delays, changed fields,
// bodies that break off.
//
// A fault is a plain value (Abort{...}); New makes its running form. Each fault is one file.
// Faults know nothing of experiments, of routing, of the connection or of the protocol's version: what is to be wrong on the wire
// they say with proxy.Damage, and the client's Responder realises it. They act at either Point: at Client the client is the one
// who sees the fault, at Backend the gateway sees it as an Endpoint's misbehaviour.
//
// Values are immutable and comparable and may be used concurrently; a Step belongs to one request.
package fault

import (
	"errors"
	"math/rand/v2"
	"syscall"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// Fault is a Toxic for HTTP requests.
type Fault interface {
	proxy.Toxic
	// New makes the running form for one request.
	New(s Site) Step
	// Validate names the field that is out of range, and the range.
	Validate() error
}

// Site is what a fault's running form knows of the request that it is made for.
type Site struct {
	At    proxy.Point
	Rand  *rand.Rand    // this fault's own for this request; depends on the seed, the fault's name and the request's ordinal
	Began time.Duration // how long ago the fault came into force: for shapes over time
	// Pause waits on behalf of the request. It ends early, with an error, when the client has left, a timeout of the Route has
	// passed or the proxy stops. Only the goroutine that owns the Exchange calls it.
	Pause func(d time.Duration) *proxy.Error
	// InForce reports whether the fault still is to act; nil: it is. A body may take hours: what has not been cut by then goes on
	// as it is.
	InForce func() bool
}

// age returns what tells how long the fault has been in force, for shapes that are looked at later than when the Step is made.
func (s Site) age() func() time.Duration {
	made := time.Now()
	return func() time.Duration { return s.Began + time.Since(made) }
}

// inForce reports whether the fault is still to act.
func (s Site) inForce() bool { return s.InForce == nil || s.InForce() }

// side is who damages a response.
func (s Site) side() proxy.Side {
	if s.At == proxy.AtBackend {
		return proxy.Upstream
	}
	return proxy.Downstream
}

// Step is the running form of a Fault for one request. The goroutine that owns the Exchange uses it. What is zero does
// nothing. The fields act in this order.
type Step struct {
	// Delay is waited for before the request goes on.
	Delay time.Duration
	// Request changes the request.
	Request func(x *proxy.Exchange)
	// End ends the connection without an answer.
	End End
	// Reply is sent in place of the endpoint's response.
	Reply *Reply
	// Response sees the response head, also that of a Reply.
	Response func(x *proxy.Exchange)
	// Body wraps the response body. Damage to framing it asks for by a *proxy.Damage as Read's error.
	Body func(x *proxy.Exchange, b proxy.Body) proxy.Body
}

// End says how a connection ends without an answer.
type End uint8

const (
	// None: it does not end.
	None End = iota
	// FIN ends it in an orderly way.
	FIN
	// RST resets it.
	RST
)

var errNoAnswer = errors.New("connection closed without a response")

// Failure is how the gateway sees an Endpoint that ends its connection with e in place of an answer. As with a connection that
// was in use before, another attempt is safe if the method may be sent twice (RFC 9110 section 9.2.2).
func (e End) Failure(x *proxy.Exchange) *proxy.Error {
	err := errNoAnswer
	if e == RST {
		err = syscall.ECONNRESET
	}
	return &proxy.Error{
		Side: proxy.Upstream, Op: "read response head", Status: 502, Retry: x.Request.Idempotent(), Err: err,
	}
}

// Reply is a whole response of a fault. It is immutable.
type Reply struct {
	Status int
	Header []proxy.Field // all fields but Content-Length and Date
	Body   string        // as it is; "" is none
}

// Fill makes the Reply x's response and returns its body, nil if there is none: what Responder.Deliver takes.
func (r *Reply) Fill(x *proxy.Exchange) proxy.Body {
	res := &x.Response
	*res = proxy.Response{Status: r.Status, Header: proxy.Header{Fields: append(res.Header.Fields[:0], r.Header...)}, Local: true}
	if r.Status == 304 { // a length would be that of the response to a request without conditions (RFC 9110 section 8.6)
		res.ContentLength = -1
	}
	if r.Body == "" {
		return nil
	}
	res.ContentLength = int64(len(r.Body))
	return &proxy.Text{Rest: r.Body}
}

// Respond lets the steps see the response head and wrap its body, the last step first: it is nearest to the endpoint. b is what
// Responder.Deliver would have been given, and may be nil. A protocol switch is left alone, and the body of a response that has
// none.
func Respond(steps []Step, x *proxy.Exchange, b proxy.Body) proxy.Body {
	for i := len(steps) - 1; i >= 0; i-- {
		s := &steps[i]
		if x.Response.Status == 101 {
			return b
		}
		wrap := s.Body != nil && b != nil && hasContent(x) // as it was before the step changes the length
		if s.Response != nil {
			s.Response(x)
		}
		if wrap {
			b = s.Body(x, b)
		}
	}
	return b
}

// hasContent reports whether the response may have content (RFC 9110 section 6.4.1).
func hasContent(x *proxy.Exchange) bool {
	switch {
	case string(x.Request.Method) == "HEAD", x.Response.Status < 200, x.Response.Status == 204, x.Response.Status == 304:
		return false
	}
	return x.Response.ContentLength != 0
}
