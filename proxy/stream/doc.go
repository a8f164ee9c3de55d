// Package stream is the data plane of TCP and UDP: it passes connections and sessions on to Endpoints as they are, and knows the
// PROXY protocol.
//
// A TCP connection has a goroutine of its own, which dials an Endpoint and then leaves the bytes to a toxic.Relay: that needs none while
// nothing happens. A UDP port has one goroutine that reads what clients send, and one per session that reads what its Endpoint
// answers. What acts on a connection or session is said by Chaos when it is opened and may change while it lives.
//
// The package binds no ports and knows no Snapshots: package server hands it connections and Routes. It does not look into
// what it passes on. All methods may be called concurrently unless said otherwise.
package stream
