// Package stream puts TCP streams through a proxy and measures them: messages that go to and fro, bulk, and how long it takes until
// a stream ends, and how soon a change acts on streams that are open. Serve is the endpoint that the proxy stands in front of, and Relay
// the least that a proxy can do. Control makes proxies and toxics through Toxiproxy's API.
//
// Serve and Relay serve any number of connections at once; everything else is for one goroutine at a time.
package stream
