// Package admin is the HTTP endpoint for operators: health, readiness, metrics, the snapshot served and why a request
// goes where it goes; what experiments do, and the kill switch for them. It changes nothing else.
//
// It is safe to leave on and safe to bind beyond loopback:
//
//   - GET and HEAD only, but for the controls of experiments; no bodies, small headers, short timeouts, few expensive requests at once.
//   - The Host must be an address, localhost or a configured name, and a browser must not come from another origin, so
//     that no web page can read it by DNS rebinding.
//   - The controls take POST only, with a header field that no page of another origin can send, from clients on the same machine.
//   - /snapshot, /explain, /chaos, /report and /debug/pprof answer clients on the same machine (or in the same pod) only, wherever the
//     endpoint is bound; probes and scrapers need nothing but /healthz, /readyz and /metrics.
//
// Nothing it prints comes from a Secret.
package admin
