package proxy

import "fmt"

// Side says where an error arose.
type Side uint8

const (
	// Internal: in the proxy itself.
	Internal Side = iota
	// Downstream: on the client's side.
	Downstream
	// Upstream: on the Endpoint's side.
	Upstream
)

// String returns "internal", "downstream" or "upstream".
func (s Side) String() string { return [...]string{"internal", "downstream", "upstream"}[s] }

// Error is a failure of an Exchange: where it arose, what was attempted, how the client is answered and whether another
// attempt is safe.
type Error struct {
	Side Side
	// Op is what was attempted, for instance "read request head" or "connect".
	Op string
	// Status is the answer for the client; 0 when none can be sent.
	Status int
	// Retry is true when the Endpoint cannot have acted on the request, so that another attempt is safe.
	Retry bool
	Err   error
}

// Error returns side, operation and cause.
func (e *Error) Error() string { return fmt.Sprintf("%s: %s: %v", e.Side, e.Op, e.Err) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }
