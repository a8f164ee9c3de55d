// Package telemetry counts and records what the data plane does: Prometheus metrics and the access log.
//
// The hot path works on handles bound beforehand (Route, Backend, Listener): a few atomic additions, no lock, no map,
// no allocation. Labels are bounded by configuration: a route is one rule of one object, a backend one port of one
// object, a code is its class. No host, path, method or address a client sends ever becomes a label.
//
// It is not a tracer and not the log of the process itself (that is log/slog). Everything exported may be called by any
// number of goroutines at once unless said otherwise.
package telemetry
