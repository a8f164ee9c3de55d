// Package server is the data plane as one thing: it applies Snapshots, binds their ports and serves each Exchange by way of
// the router, filters, balancers and upstream connections.
//
// Apply compiles a Snapshot and swaps one pointer. Connections, pools, counters and limits live outside the compiled form
// under the identity of what they belong to, so that no change of configuration loses any of them. Hosts and Backends that
// are the same pointers as before are not compiled again.
package server
