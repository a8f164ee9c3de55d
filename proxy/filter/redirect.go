package filter

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// Redirect answers every request with another URL in Location (Gateway API, HTTPRequestRedirectFilter). What is not set
// is taken from the request; the query is always kept.
//
// Location is built from parts that cannot leave their place: it is always absolute, a host that holds anything but
// letters, digits and "-._:[]" is answered with 400, and in path and query every byte that a URL cannot hold is
// percent-encoded.
type Redirect struct {
	Scheme   string // "", "http" or "https"
	Hostname string // without port; "" keeps the request's
	// Port; 0 is the well-known port of Scheme if that is set, otherwise ListenerPort. The well-known port of the scheme
	// in use is left out of Location.
	Port uint16
	// ListenerPort is where clients reach the Listener: the Gateway listener's port, not the one that this process binds.
	// 0 keeps the port that the client addressed.
	ListenerPort uint16
	Path         Path
	Status       int // 301, 302, 303, 307 or 308; 0 is 302
}

var _ Filter = Redirect{}

// Validate reports values that Location or the status line cannot take.
func (f Redirect) Validate() error {
	switch f.Scheme {
	case "", "http", "https":
	default:
		return fmt.Errorf("scheme: %q is neither http nor https", f.Scheme)
	}
	switch f.Status {
	case 0, 301, 302, 303, 307, 308:
	default:
		return fmt.Errorf("status: %d is none of 301, 302, 303, 307 and 308", f.Status)
	}
	if err := validateHostname(f.Hostname); err != nil {
		return err
	}
	return f.Path.Validate()
}

// Describe implements Filter.
func (f Redirect) Describe() string {
	return describe("redirect",
		setting{"scheme", text(f.Scheme)},
		setting{"hostname", text(f.Hostname)},
		setting{"port", number(int(f.Port))},
		setting{"listenerPort", number(int(f.ListenerPort))},
		setting{"path", f.Path.describe()},
		setting{"status", number(f.Status)},
	)
}

// New makes the step.
func (f Redirect) New() proxy.Step {
	s := &redirect{
		name:     []byte("Location"),
		scheme:   f.Scheme,
		hostname: []byte(f.Hostname),
		port:     f.Port,
		listener: f.ListenerPort,
		path:     newPathChange(f.Path),
		status:   f.Status,
		badHost:  &proxy.Answer{Status: 400, Body: "there is no host to redirect to\n"},
	}
	if s.status == 0 {
		s.status = 302
	}
	if s.port == 0 && s.scheme != "" {
		s.port = wellKnownPort(s.scheme)
	}
	return s
}

type redirect struct {
	name     []byte
	scheme   string
	hostname []byte
	port     uint16 // 0: depends on the listener or the request
	listener uint16
	path     pathChange
	status   int
	badHost  *proxy.Answer
}

// Request answers.
func (s *redirect) Request(x *proxy.Exchange) *proxy.Answer {
	r := &x.Request
	scheme, host := s.scheme, s.hostname
	if scheme == "" {
		scheme = "http"
		if r.Scheme == "https" {
			scheme = "https"
		}
	}
	if len(host) == 0 {
		host = r.Host
		if !isLocationHost(host) {
			return s.badHost
		}
	}
	port := s.port
	if port == 0 {
		port = s.listener
	}
	if port == 0 {
		port = authorityPort(r.Authority)
	}
	head, tail := s.path.apply(x)

	const longest = len("https://:65535/?")
	location := x.Scratch(longest + len(host) + 3*(len(head)+len(tail)+len(r.Query)))[:0]
	location = append(location, scheme...)
	location = append(location, "://"...)
	location = append(location, host...)
	if port != 0 && port != wellKnownPort(scheme) {
		location = append(location, ':')
		location = strconv.AppendUint(location, uint64(port), 10)
	}
	if len(head) == 0 && len(tail) == 0 {
		location = append(location, '/')
	}
	location = appendEscaped(location, head, '?')
	location = appendEscaped(location, tail, '?')
	if r.HasQuery {
		location = append(location, '?')
		location = appendEscaped(location, r.Query, '#')
	}
	return x.Answer(s.status, proxy.Field{Name: s.name, Value: location})
}

// Response changes nothing.
func (*redirect) Response(*proxy.Exchange) {}

func wellKnownPort(scheme string) uint16 {
	if scheme == "https" {
		return 443
	}
	return 80
}

// authorityPort returns the port of an authority, 0 if it has none.
func authorityPort(authority []byte) uint16 {
	at := bytes.LastIndexByte(authority, ':')
	if at < 0 || bytes.IndexByte(authority[at:], ']') >= 0 {
		return 0
	}
	port := 0
	for _, c := range authority[at+1:] {
		if c < '0' || c > '9' || port > 65535 {
			return 0
		}
		port = port*10 + int(c-'0')
	}
	if port > 65535 {
		return 0
	}
	return uint16(port)
}

// isLocationHost reports whether a host can stand in a URL as it is, and as nothing else than a host.
func isLocationHost(host []byte) bool {
	for _, c := range host {
		if !isAlphanumeric(c) && strings.IndexByte("-._:[]", c) < 0 {
			return false
		}
	}
	return len(host) > 0
}

// appendEscaped appends a part of a URL and percent-encodes what a URL cannot hold (RFC 3986 section 2), and the byte
// end, which would end the part. "%" stays: the part is encoded already.
func appendEscaped(to, part []byte, end byte) []byte {
	const digits = "0123456789ABCDEF"
	for _, c := range part {
		if c > ' ' && c < 0x7f && c != end && c != '#' && strings.IndexByte("\"<>\\^`{|}", c) < 0 {
			to = append(to, c)
		} else {
			to = append(to, '%', digits[c>>4], digits[c&15])
		}
	}
	return to
}
