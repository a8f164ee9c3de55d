// Package apiserver runs a Kubernetes API server for the bench, fills it with Ingresses, Services and EndpointSlices, edits
// one of them and takes the time until a proxy serves the edit. A Client may be used concurrently; the other types are for
// one goroutine at a time.
package apiserver
