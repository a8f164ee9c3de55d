package server

import (
	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/chaos"
	"github.com/breakwater-gateway/breakwater/proxy/stream"
	"github.com/breakwater-gateway/breakwater/proxy/toxic"
)

// streamChaos lets Experiments act on connections and sessions.
type streamChaos struct{ engine *chaos.Engine }

var _ stream.Chaos = streamChaos{}

// Open implements stream.Chaos.
func (s streamChaos) Open(p stream.Place) stream.Connection {
	return faultyStream{s.engine.Open(placeOf(p))}
}

// Missed implements stream.Chaos.
func (s streamChaos) Missed(p stream.Place) { s.engine.Missed(placeOf(p)) }

func placeOf(p stream.Place) chaos.Place {
	return chaos.Place{
		Route: p.Route, Listener: p.Listener, Backend: p.Backend, Endpoint: p.Endpoint, Client: p.Client, Attempt: p.Attempt,
		Datagram: p.Protocol == proxy.UDP,
	}
}

type faultyStream struct{ c *chaos.Connection }

// Slot implements stream.Connection.
func (f faultyStream) Slot() *toxic.Slot { return f.c.Slot }

// Dial implements stream.Connection.
func (f faultyStream) Dial() []toxic.Hold { return f.c.Dial() }

// Experiments implements stream.Connection.
func (f faultyStream) Experiments() []proxy.ObjectID { return f.c.Experiments() }

// Close implements stream.Connection.
func (f faultyStream) Close(e stream.Ending) {
	f.c.Close(chaos.Outcome{
		Retried: e.Retried, Failed: e.Failed, Upstream: e.Up, Downstream: e.Down, Retries: max(e.Attempts-1, 0),
	})
}
