package toxic

import (
	"io"
	"net"
	"sync"
	"time"
)

// Side is one of the two peers of a connection through the proxy.
type Side uint8

const (
	// ClientSide is the peer that has connected to us.
	ClientSide Side = iota
	// EndpointSide is the peer that we have connected to.
	EndpointSide
)

// String returns "client" or "endpoint".
func (s Side) String() string { return [...]string{"client", "endpoint"}[s] }

// Options bound what a Link or a Conn uses. The zero value has the defaults.
type Options struct {
	// Idle is the time without a byte in either direction, and with none held back, after which the connection is closed; 0 is
	// for ever.
	Idle time.Duration
	// Buffer bounds the bytes that are held back in each direction; when so many wait, no more is read. 0 is DefaultBuffer. A
	// latency of d lets at most Buffer bytes through in every d.
	Buffer int
}

// DefaultBuffer is the default of Options.Buffer, in bytes. Memory is taken only for bytes that really wait.
const DefaultBuffer = 32 << 20

// Cause says why a Link has ended.
type Cause uint8

const (
	// ByPeers: both peers have ended their direction.
	ByPeers Cause = iota
	// ByReset: the connection to one peer broke.
	ByReset
	// ByToxic: a toxic ended it.
	ByToxic
	// ByIdle: nothing moved for Options.Idle.
	ByIdle
	// ByPanic: a toxic panicked. Nothing but this connection is concerned.
	ByPanic
)

// String returns "peers", "reset", "toxic", "idle" or "panic".
func (c Cause) String() string { return [...]string{"peers", "reset", "toxic", "idle", "panic"}[c] }

// Result says what a Link has done.
type Result struct {
	Upstream   int64 // bytes delivered to the endpoint
	Downstream int64 // bytes delivered to the client
	Cause      Cause
	Side       Side   // whose end came first (ByPeers), or whose connection broke (ByReset)
	Toxic      Active // that ended it (ByToxic) or panicked (ByPanic)
	Err        error  // of the connection (ByReset), or the panic and its stack (ByPanic)
}

// Link passes bytes between client and endpoint, through the toxics of slot, until both directions have ended, and closes both
// connections. A half-close is passed on. Who calls it lends it its goroutine; it uses one more while it runs.
func Link(client, endpoint net.Conn, slot *Slot, o Options) Result {
	var r Result
	var w sync.WaitGroup
	w.Go(func() { r.Upstream = carry(endpoint, client) })
	r.Downstream = carry(client, endpoint)
	w.Wait()
	_ = client.Close()
	_ = endpoint.Close()
	return r
}

func carry(dst, src net.Conn) int64 {
	n, _ := io.Copy(dst, src)
	if cw, ok := dst.(interface{ CloseWrite() error }); ok {
		_ = cw.CloseWrite()
	} else {
		_ = dst.Close()
	}
	return n
}
