package toxic

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/park"
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
	// Idle is the time without a byte in either direction, and with none held back that is to go on by itself, after which the
	// connection is closed; 0 is for ever.
	Idle time.Duration
	// Buffer bounds the bytes that are held back in each direction; when so many wait, no more is read. 0 is DefaultBuffer. A
	// latency of d lets at most Buffer bytes through in every d.
	Buffer int
	// Budget, if not nil, bounds what all that share it hold back together.
	Budget *Budget
	// Moved, where not nil, are what bytes are added to as they are delivered, by proxy.Direction. They may be shared by many Links.
	Moved [2]*atomic.Uint64
	// Ended, if not nil, is called once a Conn has been closed or reset and nothing that was written to it is held back any more. It
	// must not block. A Link does not call it: it returns.
	Ended func()
	// Panicked, if not nil, is told if a toxic has panicked on a Conn, which is the end of that. A Link does not call it.
	Panicked func(err error)
	// Lot is where a Relay waits without goroutines; nil: it never does. Calm is for how long nothing must have moved before that;
	// it may take twice the time. 0 is DefaultCalm. A Link and a Conn do not look at them.
	Lot  *park.Lot
	Calm time.Duration
}

// ended notes that a Conn is over.
func (o *Options) ended() {
	if o.Ended != nil {
		o.Ended()
	}
}

// moved notes that bytes have been delivered.
func (o *Options) moved(which proxy.Direction, n int) {
	if m := o.Moved[which]; m != nil {
		m.Add(uint64(n))
	}
}

// DefaultCalm is the default of Options.Calm.
const DefaultCalm = 2 * time.Second

// DefaultBuffer is the default of Options.Buffer, in bytes: a latency of 50 ms lets 1.3 GB/s through. Memory is taken only for bytes
// that really wait.
const DefaultBuffer = 64 << 20

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
	// Received are the bytes that came, by proxy.Direction: those delivered, and those that toxics held back or cut off.
	Received [2]int64
	Cause    Cause
	Side     Side   // whose end came first (ByPeers), or whose connection broke (ByReset)
	Toxic    Active // that ended it (ByToxic) or panicked (ByPanic)
	Err      error  // of the connection (ByReset), or the panic and its stack (ByPanic)
}

// Link passes bytes between client and endpoint, through the toxics of slot, until both directions have ended, and closes both
// connections. A half-close is passed on. A connection with TLS must have done its handshake. Who calls it lends it its goroutine; it
// uses one more while it runs.
//
// Closing a connection from outside, as another goroutine may, cuts the Link, whatever toxics hold back: what is held back is lost,
// and the other connection is reset. It acts at once where a connection is a bare socket, otherwise within a second.
func Link(client, endpoint net.Conn, slot *Slot, o Options) Result {
	return newLink(slot, o).run(client, endpoint)
}

func newLink(slot *Slot, o Options) *link {
	l := &link{}
	l.init(slot, o)
	return l
}

func (l *link) init(slot *Slot, o Options) {
	if o.Buffer <= 0 {
		o.Buffer = DefaultBuffer
	}
	l.slot, l.options, l.began = slot, o, time.Now()
}

func (l *link) run(client, endpoint net.Conn) Result {
	l.begin(client, endpoint)
	return l.finish(l.carry())
}

// begin prepares carry.
func (l *link) begin(client, endpoint net.Conn) {
	l.client, l.stopClient = interruptible(client)
	l.endpoint, l.stopEndpoint = interruptible(endpoint)
	l.makeDirections()
	if l.detaching.endSent {
		l.directions[l.detaching.to].hasSentEnd.Store(true)
	}
	l.unwatch = l.slot.watch(l.kickSome)
}

// finish is what follows carry. It leaves the connections open if the link has been taken off them.
func (l *link) finish(isOff bool) Result {
	l.unwatch()
	for _, d := range l.directions {
		d.chain.close()
	}
	if !isOff {
		_ = l.client.Close()
		_ = l.endpoint.Close()
	}
	l.stopClient()
	l.stopEndpoint()
	down, up := l.directions[proxy.Downstreamward], l.directions[proxy.Upstreamward]
	l.result.Upstream, l.result.Downstream = up.written, down.written
	for _, d := range l.directions {
		l.result.Received[d.which] = d.received()
	}
	return l.result
}

// abandon gives back what a link uses that has panicked while its directions did not run.
func (l *link) abandon() {
	if l.unwatch != nil {
		l.unwatch()
	}
	for _, d := range l.directions {
		if d != nil {
			d.chain.drop()
		}
	}
}

// link is a running Link.
type link struct {
	slot       *Slot
	options    Options
	began      time.Time
	client     net.Conn
	endpoint   net.Conn
	directions [2]*direction // by proxy.Direction; nil while the link is parked. Changed under detaching.mu

	stopClient, stopEndpoint, unwatch func()
	parking                           *parking // nil: the link is never parked

	state     atomic.Int32 // carrying, pausing, closing or over
	detaching detaching
	ended     atomic.Int32 // peers that have ended what they send
	goneAt    atomic.Int64 // when both had and what is withheld for ever is given up, on the stream's clock; 0 is not yet
	touched   atomic.Int64 // when a byte moved last, on the stream's clock; kept only with an idle timeout
	asked     atomic.Int64 // when the client's first bytes came, on the stream's clock; 0 is not yet
	isTold    atomic.Bool  // the Follower has been told of the first bytes that the client got

	mu        sync.Mutex // guards what follows
	result    Result
	hasResult bool // how it began to end is known
	shutCount int
	resetBy   [2]bool // by Side: the connection was reset
	brokenOf  [2]bool // by Side: the connection failed in whatever way
}

// The states of a link.
const (
	carrying int32 = iota
	pausing        // both directions are to stop for now: see detaching and parking
	closing        // in an orderly way
	over
)

func (l *link) newDirection(which proxy.Direction, src, dst net.Conn) *direction {
	d := &direction{link: l, which: which, src: newReader(src), dst: newWriter(dst), wake: make(chan struct{}, 1), rings: Never}
	d.chain.direction, d.chain.began, d.chain.budget = which, l.began, l.options.Budget
	if l.parking != nil {
		l.parking.prepare(d)
	}
	return d
}

// makeDirections makes both directions anew.
func (l *link) makeDirections() {
	down, up := l.newDirection(proxy.Downstreamward, l.endpoint, l.client), l.newDirection(proxy.Upstreamward, l.client, l.endpoint)
	l.detaching.mu.Lock()
	defer l.detaching.mu.Unlock()
	l.directions = [2]*direction{down, up}
}

func (l *link) now() time.Duration { return time.Since(l.began) }

func (l *link) isClosing() bool { return l.state.Load() == closing }

func (l *link) kick() { l.kickSome(bothDirections) }

func (l *link) kickSome(which directions) {
	if which == (directions{}) || l.unpark() {
		return
	}
	l.detaching.mu.Lock()
	defer l.detaching.mu.Unlock()
	if l.detaching.isOff {
		return
	}
	for _, d := range l.directions {
		if d != nil && which[d.which] {
			d.kick()
		}
	}
}

// deadline returns when to give up waiting for something that is due; zero is never.
func (l *link) deadline(due time.Duration) time.Time {
	if l.options.Idle > 0 {
		due = min(due, time.Duration(l.touched.Load())+l.options.Idle)
	}
	if due == Never {
		return time.Time{}
	}
	return l.began.Add(due)
}

// touch notes that bytes have moved.
func (l *link) touch() {
	if l.options.Idle > 0 {
		l.touched.Store(int64(l.now()))
	}
}

// firstOf notes that the first bytes have come from the client, or have been delivered to it.
func (l *link) firstOf(which proxy.Direction) {
	switch {
	case l.detaching.news != nil: // of a Conn
	case which == proxy.Upstreamward:
		l.asked.CompareAndSwap(0, int64(max(l.now(), 1)))
	case !l.isTold.Swap(true):
		l.slot.answered(time.Duration(l.asked.Load()))
	}
}

// checkIdle ends the link if nothing has moved for too long.
func (l *link) checkIdle() {
	if l.options.Idle <= 0 || l.now() < time.Duration(l.touched.Load())+l.options.Idle {
		return
	}
	for _, d := range l.directions {
		if d.isBusy.Load() {
			l.touch()
			return
		}
	}
	l.end(Close, Result{Cause: ByIdle})
}

// end ends both directions, with RST or in an orderly way. The first call counts.
func (l *link) end(how End, r Result) {
	if l.isEnding(how, r) && r.Cause == ByToxic {
		l.slot.wasCut()
	}
}

// isEnding is end, and reports whether this is the first call.
func (l *link) isEnding(how End, r Result) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state.Load() > pausing {
		return false
	}
	if !l.hasResult || r.Cause != ByReset {
		l.result, l.hasResult = r, true
	}
	if r.Cause == ByToxic {
		l.detaching.cut()
	}
	if how != RST {
		l.state.Store(closing)
		l.kick()
		return true
	}
	l.state.Store(over)
	for _, d := range l.directions {
		reset(d.src.nc)
	}
	l.kick()
	return true
}

// shut counts the directions that have ended.
func (l *link) shut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.shutCount++; l.shutCount == len(l.directions) && l.state.Load() <= pausing {
		l.state.Store(over)
		l.kick()
	}
}

// firstEnd notes that the peer on a side has ended what it sends.
func (l *link) firstEnd(side Side) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.hasResult {
		l.result, l.hasResult = Result{Cause: ByPeers, Side: side}, true
	}
}

// broken notes that the connection to a side has failed. When both have, nobody is left to wait for anything.
func (l *link) broken(side Side, err error) {
	l.mu.Lock()
	if errors.Is(err, syscall.ECONNRESET) {
		l.resetBy[side] = true
	}
	l.brokenOf[side] = true
	if !l.hasResult || l.result.Cause == ByPeers {
		l.result, l.hasResult = Result{Cause: ByReset, Side: side, Err: err}, true
	}
	isOver := l.brokenOf[1-side]
	l.mu.Unlock()
	if isOver {
		l.cut(side)
	}
}

// wasReset reports whether a failed write has shown that a peer has reset its connection, so that what looks like the end of
// what it sends is not one.
func (l *link) wasReset(side Side) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.resetBy[side]
}
