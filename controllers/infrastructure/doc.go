// Package infrastructure gives every Gateway a place of its own: ports inside the pod that no other Gateway uses, a
// Service in the Gateway's namespace that maps the Gateway's ports to them, and EndpointSlices that lead the Service to
// the pods.
//
// The targetPorts of these Services are the record of which Gateway has which ports. Every replica reads it (Record) and
// binds what it says; only the leader extends it (Allocate) and writes Services and EndpointSlices (Writer). A Gateway
// therefore has no port until its Service exists, and all replicas agree on the ports without talking to one another.
//
// The addresses of the pods are not read from Pods: the EndpointSlices of the Service that selects the pods already list
// every replica with its readiness, so the leader copies them and needs no rights on Pods.
//
// Everything but Writer is a pure function.
package infrastructure
