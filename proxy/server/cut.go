package server

import (
	"fmt"

	"github.com/breakwater-gateway/breakwater/proxy/stream"
)

// CutError is the error of a Shutdown whose context ended: what was still in service then, and has been cut off.
type CutError struct {
	Requests int           // in flight
	Tunnels  int           // connections that have switched protocols, such as WebSockets
	Streams  []stream.Live // TCP connections and UDP sessions, by Route
	Err      error         // the context's
}

// Error implements error.
func (e *CutError) Error() string {
	streams := 0
	for _, l := range e.Streams {
		streams += l.Count
	}
	return fmt.Sprintf("cut off %d requests, %d tunnels and %d streams: %v", e.Requests, e.Tunnels, streams, e.Err)
}

// Unwrap returns the context's error.
func (e *CutError) Unwrap() error { return e.Err }

// live says what is in service.
func (s *Server) live() CutError {
	e := CutError{Streams: s.streams.Live()}
	e.Requests, e.Tunnels = s.http1.Live()
	return e
}
