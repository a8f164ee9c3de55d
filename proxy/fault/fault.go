// Package fault injects faults into HTTP requests and responses: answers in the place of the endpoint's, delays, changed fields,
// bodies that break off.
//
// A fault is a plain value (Abort{...}); New makes its running form. Each fault is one file, and one line in the list All.
// Faults know nothing of experiments, of routing or of the connection; they act at either Point.
package fault

import (
	"math/rand/v2"
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
	Rand  *rand.Rand    // this fault's own for this request; depends on the seed, the fault's name and the request's ordinal
	Began time.Duration // how long ago the fault came into force: for shapes over time
	// Gone is closed once the fault is not in force any more: its time is up, or somebody has stopped it. What waits or slows
	// down must then let the rest pass at once. nil: it stays.
	Gone <-chan struct{}
}

// Step is the running form of a Fault for one request. The goroutine that owns the Exchange uses it. A nil field does nothing.
type Step struct {
	// Delay is waited for before the request goes on.
	Delay time.Duration
	// Request sees the request; what it answers is sent in place of the endpoint's response.
	Request func(x *proxy.Exchange) *proxy.Answer
	// Response sees the response head.
	Response func(x *proxy.Exchange)
	// Body wraps the response body. What it does to framing it says by the errors and lengths it gives; see Cut.
	Body func(x *proxy.Exchange, b proxy.Body) proxy.Body
}
