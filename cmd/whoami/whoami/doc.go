// Package whoami is the demo and test backend: an HTTP service that answers with what it received, and misbehaves on
// request. It is compatible byte for byte with the paths, flags and text of the well-known whoami image, so that it can
// stand in for it in existing manifests, and adds what tests of a proxy need.
//
// It imports neither gRPC nor anything of Kubernetes; gRPC lives in package whoamigrpc and is wired by cmd/whoami.
//
// # The compatible part
//
//	/ and any unknown path   the request as text; ?wait=100ms delays, ?env=true adds the environment (if allowed)
//	/api                     the same as JSON
//	/bench                   "1"
//	/data                    ?size=&unit=&attachment= bytes of a known pattern
//	/echo                    WebSocket echo
//	/health                  POST an integer to set the status that GET answers
//	/openapi.yaml            the description of all paths
//
// # What is added
//
//	/api/v2                  rich JSON: protocol, TLS, ALPN, SNI, trailers, body digest, pod, namespace, service
//	/status/{code}           that status
//	/delay/{duration}        a late answer
//	/drip, /sse              bodies in small portions
//	/unstable                fails at ?failure_rate=
//	/retry/                  fails ?succeedAfter= times for each ?uuid=, then succeeds: /retry/?uuid=a&succeedAfter=2
//	/readyz                  readiness; POST /readyz/enable and /readyz/disable toggle it
//	/trailers, /early-hints, /informational/{code}
//
// Every path honours x-set-response-status-code, x-set-response-delay-ms and x-set-response-content-type, as a request
// field or as a query parameter (the field wins); an unusable value is ignored. Every response names who answered in
// X-Whoami-Instance and, when a zone is set, X-Whoami-Zone.
//
// # Deliberate quirks
//
// Kept, because existing users rely on them:
//   - The text shows HTTP/1.1 even for an HTTP/2 request, with Content-Length or Transfer-Encoding before the sorted
//     fields and "Go-http-client/1.1" for a missing User-Agent: it is the request as Go would send it on.
//     The true protocol is in /api/v2.
//   - An unknown path answers 200, so that a rewritten path shows in the request line.
//   - An unparsable wait, size, unit or attachment is ignored, not refused.
//   - /data of size 0 or 1 is empty; from 2 on it has exactly size bytes.
//   - A client certificate is asked for but not required unless a CA is given.
//
// Different on purpose:
//   - The environment is never shown unless Options.AllowEnv is set: ?env=true would disclose injected Secrets.
//   - Paths are not cleaned by redirects: "//a" and "/a/../b" are echoed as they came.
//   - A request body is echoed whole whatever its size; the first MiB is read before the answer begins, the rest is
//     echoed while it arrives.
//   - The verbose log has one line per request, with the path quoted so that it cannot break the line.
//   - /data?attachment=true has the true size.
//   - /health refuses a status outside 200-599 with 400.
//   - A certificate without its key, or a key without its certificate, is an error.
//   - h2c is by prior knowledge only (RFC 9113 §3.3); the Upgrade to h2c is obsolete and ignored.
//   - A WebSocket message is limited to 16 MiB.
//
// A Handler may be used by any number of goroutines at once.
package whoami
