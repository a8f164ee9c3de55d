// Package proxy is the vocabulary of the data plane: the values that describe what to serve (Snapshot and everything
// in it) and the one value that every protocol, filter, balancer and toxic sees while a request is served (Exchange).
//
// It knows nothing of Kubernetes, imports the standard library only and contains no mechanism: the packages below it
// (http1, router, filter, balancer, upstream, server, telemetry; stream for TCP and UDP; chaos, toxic, fault and toxiproxy for what
// is broken on purpose) do the work.
//
// # Glossary
//
// One name per thing; the words in brackets are synonyms that this project does not use.
//
//   - Snapshot: everything the proxy serves at one moment, immutable (config, generation, table).
//   - Listener: a port with a protocol and an optional hostname on which traffic arrives (entrypoint, bind, server).
//   - Host: a host name with its routes inside a Listener (vhost, domain, server).
//   - Route: a Match with what happens to the requests it selects (rule, location, path).
//   - Match: the conditions on host, path, method, headers and query (predicate, matcher).
//   - Filter: the configuration of one step that changes a request or a response (middleware, plugin, handler).
//   - Backend: a named set of Endpoints with a protocol and a Balancer (cluster, pool, service, upstream).
//   - Endpoint: one address that serves a Backend (server, target, member, instance).
//   - Balancer: the configuration of a policy that chooses an Endpoint; a Picker is its running form.
//   - Toxic: the configuration of one fault on a stream or a request, as in Toxiproxy.
//   - Experiment: which Toxics act on what, at which Point, when and with which guard (scenario, attack): a NetworkChaos.
//   - Slot: the Toxics that act on one connection at this moment; it can be changed while bytes flow.
//   - Exchange: one request with its response and everything learnt on the way (context, transaction, ctx).
//
// Downstream is the client side, upstream the Endpoint side, whatever the direction of the bytes.
//
// # The phases of a request
//
//	accept        server: a connection on a Listener's port
//	read head     http1: parse and refuse; one normal form of the path
//	route         router: Listener, Host, Route
//	decide        chaos: which Experiments act; those at Client see the request here, and the response last
//	filter        filter: each Filter's Step sees the request, in order; one may answer
//	pick          balancer: a Backend by weight, an Endpoint by policy
//	try           chaos: those at Backend act on this attempt, as if the Endpoint did
//	connect       upstream: an idle connection or a new one; another Endpoint if it cannot be reached
//	send          http1: the request head and body, as the downstream delivers it
//	read head     http1: the response head; 1xx responses pass at once
//	filter        filter: each Step sees the response, in reverse order
//	deliver       http1: the response head and body, trailers
//	log           telemetry: counters, histogram, access log
package proxy
