// Package admin is the HTTP endpoint for operators: health, readiness, metrics, the snapshot served and why a request
// goes where it goes. It only reads.
//
// It is safe to leave on and safe to bind beyond loopback:
//
//   - GET and HEAD only, no bodies, small headers, short timeouts, few expensive requests at once.
//   - The Host must be an address, localhost or a configured name, and a browser must not come from another origin, so
//     that no web page can read it by DNS rebinding.
//   - /snapshot, /explain and /debug/pprof answer clients on the same machine (or in the same pod) only, wherever the
//     endpoint is bound; probes and scrapers need nothing but /healthz, /readyz and /metrics.
//
// Nothing it prints comes from a Secret.
package admin
