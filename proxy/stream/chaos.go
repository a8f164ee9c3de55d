package stream

import (
	"net/netip"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/toxic"
)

// Place is where a connection or session goes.
type Place struct {
	Listener proxy.ListenerID
	Route    proxy.ObjectID
	Backend  proxy.BackendID // zero if none has been picked
	Endpoint proxy.Endpoint  // zero if there is none
	Client   netip.AddrPort
	Protocol proxy.Protocol // TCP or UDP
	// Attempt counts the Endpoints tried for one connection, from 1.
	Attempt int
}

// Chaos says what acts on connections and sessions.
type Chaos interface {
	// Open is called before an Endpoint is dialled. It returns nil if nothing can ever act on the connection.
	Open(p Place) Connection
	// Missed is called for a connection or session that has failed because there is no Endpoint to try.
	Missed(p Place)
}

// Connection is what acts on one connection or session, from before its Endpoint is dialled. It may change at any time.
type Connection interface {
	// Slot holds the toxics; never nil.
	Slot() *toxic.Slot
	// Dial says what becomes of the dial: what toxic.Await makes of it.
	Dial() []toxic.Hold
	// Experiments are those whose faults have acted on it.
	Experiments() []proxy.ObjectID
	// Close is called once, after the end.
	Close(Ending)
}

// Ending says what has become of a connection or session.
type Ending struct {
	// Retried: its Endpoint could not be reached and another is tried. Then the rest is zero.
	Retried bool
	// Failed: no Endpoint could be reached, or the connection to it broke.
	Failed   bool
	Up, Down int64 // bytes passed on
	Attempts int
}
