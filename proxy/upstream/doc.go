// Package upstream keeps what is known of Endpoints beyond one Snapshot: their idle connections, the requests in flight and
// recent failures to connect.
//
// A Registry hands out one *Endpoint per Backend and address and keeps it for as long as anybody has it Acquired, so that
// pools and counters survive every change of configuration. All methods may be called concurrently.
package upstream
