package proxy

// Protocol is what a Listener speaks with clients or a Backend with its Endpoints.
type Protocol string

const (
	// HTTP1 is HTTP/1.1 (and HTTP/1.0 from clients) over plain TCP, RFC 9112.
	HTTP1 Protocol = "http/1.1"
	// TCP is a stream of bytes that is passed on as it is.
	TCP Protocol = "tcp"
	// UDP is datagrams that are passed on as they are.
	UDP Protocol = "udp"
)

// Stream reports whether what arrives is passed on as it is, so that no request is ever seen.
func (p Protocol) Stream() bool { return p == TCP || p == UDP }

// Listener is where traffic arrives: a port, and on it the requests whose host its Hostname covers.
//
// Several Listeners may share a Port. A request belongs to the one with the most specific Hostname that covers its
// host and is never seen by the others (Gateway API, "HTTP listener isolation").
type Listener struct {
	ID       ListenerID
	Port     uint16 // the port to bind, as seen from inside the process; never 0
	Protocol Protocol
	Hostname string // "" covers every host; otherwise the syntax of Host.Name
	// Fallthrough lets a request that none of the Routes of the most specific Host select be tried on the less
	// specific Hosts of this Listener (Gateway API: hostnames are a matter of precedence). Without it the Host is
	// chosen first and is final (Ingress).
	Fallthrough bool
	Hosts       []*Host
	// Default, if not nil, serves the requests that no Host's Route selects. Its Match is not looked at.
	Default *Route
	// Stream is what happens to the connections (TCP) or sessions (UDP) that arrive; such a Listener has no Hosts, and shares
	// its Port with no other of the same transport. nil: nobody serves them, and they are closed at once.
	Stream *StreamRoute
	// ProxyProtocol: connections from trusted peers begin with a PROXY protocol header, version 1 or 2, which tells the
	// client's address.
	ProxyProtocol bool
}

// Host is a host name and its Routes. It is immutable, and the same pointer in two Snapshots means the same content.
type Host struct {
	// Name is in lower case without a final dot: "" covers every host, "*.example.com" the hosts below example.com,
	// anything else that host alone.
	Name string
	// SingleLabel narrows a wildcard to exactly one label (Ingress); without it one or more are covered (Gateway API).
	SingleLabel bool
	// Routes in any order: the router applies Gateway API's precedence (path type and length, method, number of
	// headers, number of query parameters), and of equal Routes the one that stands first here wins.
	Routes []*Route
}
