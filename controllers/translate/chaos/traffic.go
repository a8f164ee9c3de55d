package chaos

import (
	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/fault"
	"github.com/breakwater-gateway/breakwater/proxy/toxic"
)

// traffic is a set of kinds of traffic.
type traffic uint8

const (
	requests traffic = 1 << iota // of HTTP
	streams                      // the bytes of connections, those that carry HTTP included
	datagrams

	everything = requests | streams | datagrams
)

// actsOn returns what a toxic can act on.
func actsOn(t proxy.Toxic) (all traffic) {
	if _, ok := t.(fault.Fault); ok {
		all |= requests
	}
	if _, ok := t.(toxic.Stream); ok {
		all |= streams
	}
	if _, ok := t.(toxic.Datagram); ok {
		all |= datagrams
	}
	return all
}

// carriedBy returns what an object of a kind carries; of a Gateway and a Service the kind does not tell.
func carriedBy(kind string) traffic {
	switch kind {
	case kindHTTPRoute, kindIngress:
		return requests | streams
	case kindTCPRoute:
		return streams
	case kindUDPRoute:
		return datagrams
	}
	return everything
}
