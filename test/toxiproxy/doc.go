// Package toxiproxy tests that Toxiproxy's own command line and Go client work unchanged with our API, and that our answers are
// those of its server. There is nothing in it to import.
package toxiproxy
