package filter

import (
	"fmt"
	"strings"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// Rewrite changes host and path of the request on its way upstream (Gateway API, HTTPURLRewriteFilter). Routing is over
// by then: the Route stays the same. The query is kept.
type Rewrite struct {
	Hostname string // for Host, without port; "" keeps what the client sent
	Path     Path
}

var _ Filter = Rewrite{}

// Validate reports a host name that is none and what Path reports.
func (f Rewrite) Validate() error {
	if err := validateHostname(f.Hostname); err != nil {
		return err
	}
	return f.Path.Validate()
}

// Describe implements Filter.
func (f Rewrite) Describe() string {
	return describe("rewrite", setting{"hostname", text(f.Hostname)}, setting{"path", f.Path.describe()})
}

// New makes the step.
func (f Rewrite) New() proxy.Step {
	return &rewrite{hostname: []byte(f.Hostname), path: newPathChange(f.Path)}
}

type rewrite struct {
	hostname []byte
	path     pathChange
}

// Request puts the new host and path in place.
func (s *rewrite) Request(x *proxy.Exchange) *proxy.Answer {
	r := &x.Request
	if len(s.hostname) > 0 {
		r.Authority, r.Host = s.hostname, s.hostname
	}
	head, tail := s.path.apply(x)
	if len(tail) == 0 {
		r.Path = head
		return nil
	}
	path := x.Scratch(len(head) + len(tail))
	copy(path[copy(path, head):], tail)
	r.Path = path
	return nil
}

// Response changes nothing.
func (*rewrite) Response(*proxy.Exchange) {}

// validateHostname checks a host name of Gateway API's PreciseHostname: lower case, no wildcard, no port; "" is none.
func validateHostname(name string) error {
	if name == "" {
		return nil
	}
	invalid := fmt.Errorf("hostname: %q is not a host name in lower case", name)
	if len(name) > 253 {
		return invalid
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return invalid
		}
		for i := range len(label) {
			if c := label[i]; c != '-' && (!isAlphanumeric(c) || 'A' <= c && c <= 'Z') {
				return invalid
			}
		}
	}
	return nil
}
