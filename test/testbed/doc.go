// Package testbed is a whole Breakwater for tests: Kubernetes YAML in, a live proxy on loopback, HTTP answers out, through
// the same steps as the standalone mode: view.Folder, translate.Build, server.Apply. There is no cluster, no mock
// and no fixed port.
//
//	tb := testbed.New(t, `kind: Ingress ...`)
//	tb.Backend("cart", nil)
//	tb.Get("shop.example.com", "/cart").Served("cart")
//
// Everything ends with the test. The methods of a Bed are for the test's own goroutine, but for Do, Get and Send, which
// any goroutine may call.
package testbed
