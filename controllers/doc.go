// Package controllers turns the cluster, or a folder of manifests, into what the data plane serves, and tells the cluster
// about it.
//
//	informers ─> events ─> loop: View ─> translate.Build ─> DataPlane.Apply
//	                                                     └> Report ─> outbox ─> status.Writer, infrastructure.Writer
//
// One goroutine, the loop, owns the View and runs every build; everything that it hands on is immutable. Every replica
// runs it. The writers run on the replica that leads, and nothing of what a client is served waits for them or for
// leadership: when the API server is away the last snapshot stays in service, and the replica stays ready.
//
// The data plane is seen as one call, Apply. This package knows no HTTP.
package controllers
