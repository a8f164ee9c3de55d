// Package authority decides by which names clients may call an endpoint for operators.
//
// It keeps out pages whose name was made to resolve to the endpoint's address (DNS rebinding): to a browser they are of the same
// origin, but they send their own name. It knows nothing of the traffic that is proxied. Names may be used by any number of
// goroutines.
package authority

import (
	"net"
	"net/netip"
	"strings"
)

// Names are the names of an endpoint, in lower case.
type Names map[string]bool

// NewNames returns Names with these and localhost.
func NewNames(names ...string) Names {
	set := Names{"localhost": true}
	for _, n := range names {
		set[strings.ToLower(n)] = true
	}
	return set
}

// Host returns an authority without its port, if it has one.
func Host(authority string) string {
	if host, _, err := net.SplitHostPort(authority); err == nil {
		return host
	}
	return authority
}

// Known reports whether the authority of a request (RFC 9110 section 7.2), with or without a port, is an address or one of the names.
func (n Names) Known(authority string) bool {
	host := Host(authority)
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return true
	}
	return n[strings.ToLower(host)]
}
