// Package stream puts TCP streams through a proxy and measures them: messages that go to and fro, bulk, and how long it takes until
// a stream ends, and how soon a change acts on streams that are open. The Endpoint is what the proxy stands in front of. Control makes proxies and toxics through Toxiproxy's API.
//
// An Endpoint serves any number of connections at once; everything else is for one goroutine at a time.
package stream
