package filter

import "github.com/breakwater-gateway/breakwater/proxy"

// Filter is what every filter of this package is.
type Filter interface {
	proxy.Filter
	// Validate says why the value cannot be used, as the message of a condition; nil if it can.
	Validate() error
	// Describe returns the value for people, in one line: the kind of filter and all that is set, but nothing secret, such as
	// "redirect scheme=https status=302". See describe.
	Describe() string
}

// Kind is one entry of All.
type Kind struct {
	Name string
	Doc  string // one sentence for people
	Zero Filter
}

// All returns every kind of filter.
func All() []Kind {
	return []Kind{
		{"RequestHeaders", "sets, adds and removes fields of the request", RequestHeaders{}},
		{"ResponseHeaders", "sets, adds and removes fields of the response", ResponseHeaders{}},
		{"Redirect", "answers with a redirect to another scheme, host, port or path", Redirect{}},
		{"Rewrite", "changes host and path of the request on its way upstream", Rewrite{}},
	}
}
