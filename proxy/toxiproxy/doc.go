// Package toxiproxy serves the HTTP API of Toxiproxy 2.12 (github.com/Shopify/toxiproxy), so that its clients and its command
// line work unchanged: proxies with toxics are made, changed and removed while connections are open.
//
// Proxies made through the API are listeners of this process; TCP routes of the configuration are shown beside them, and their
// toxics can be changed too, but not the routes. What Toxiproxy is known to do wrong is not copied: removing a toxic never waits
// for a peer, toxicity is decided once per connection, values are checked, a half-close is passed on, and dialling never keeps
// a listener from accepting. What its clients may rely on is kept; Config.Strict names the exceptions, and what differs on TCP
// routes.
//
// The package is a façade: toxic does the work. A Server may be used by any number of goroutines.
package toxiproxy
