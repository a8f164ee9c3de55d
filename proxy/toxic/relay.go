package toxic

import (
	"fmt"
	"net"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy/park"
)

// Relay is a Link that gives up its goroutines while it has nothing to do, which is parking: no toxic acts, nothing is held, neither
// peer has ended what it sends, and nothing has moved for a while. It gets others when one of the peers has sent something, or has
// gone, when a toxic is set, and when it has been idle for Options.Idle. Only a Relay between bare sockets is ever parked.
type Relay struct {
	link    link
	parking parking
	client  net.Conn
	server  net.Conn
	ended   func(Result)
}

// NewRelay returns a Relay that calls ended once it has ended, and has closed both connections.
func NewRelay(client, endpoint net.Conn, slot *Slot, o Options, ended func(Result)) *Relay {
	r := &Relay{client: client, server: endpoint, ended: ended}
	r.link.init(slot, o)
	if o.Lot != nil {
		r.parking = parking{lot: o.Lot, calm: o.Calm}
		if o.Calm <= 0 {
			r.parking.calm = DefaultCalm
		}
		r.parking.entry.Wake = r.woken
		r.link.parking = &r.parking
	}
	return r
}

// Run passes bytes until the Relay has ended, or is parked for the first time. What is to be done later has goroutines of its own.
func (r *Relay) Run() { r.carry(func() { r.link.begin(r.client, r.server) }) }

// Wake makes the Relay notice that one of its connections has been closed. Who closes one must call it afterwards.
func (r *Relay) Wake() { r.link.unpark() }

// woken is called when the Relay is not parked any more.
func (r *Relay) woken() { r.carry(r.link.prepareAgain) }

// carry carries bytes, once prepared, until the Relay ends or is parked.
func (r *Relay) carry(prepare func()) {
	if result, isOver := r.carryOn(prepare); isOver {
		r.ended(result)
	}
}

func (r *Relay) carryOn(prepare func()) (result Result, isOver bool) {
	defer func() {
		if p := recover(); p != nil { // not of a direction, which notices by itself
			reset(r.client)
			reset(r.server)
			r.link.abandon()
			result, isOver = Result{Cause: ByPanic, Err: fmt.Errorf("panic: %v\n%s", p, debug.Stack())}, true
		}
	}()
	prepare()
	if r.link.carry() {
		return Result{}, false
	}
	return r.link.finish(false), true
}

// parking is the part of a link that lets it wait without goroutines. Both directions stop for it, as they do to be taken off a Conn,
// and are made anew afterwards.
type parking struct {
	lot   *park.Lot
	calm  time.Duration
	entry park.Entry
	idle  *time.Timer // wakes for Options.Idle; nil without

	written, received [2]int64 // by the directions before
}

// calm is what a direction knows of how long nothing has moved in it. It costs nothing while bytes move: reading gives up from time
// to time to look, as long as the link may come to be parked.
type calm struct {
	lookAt    time.Time   // the next time
	looked    int64       // bytes delivered, the last time
	isLooking atomic.Bool // it waits no longer than until then
	isCalm    atomic.Bool // they had not become more since the time before
}

// prepare gives a new direction what those before it have left.
func (p *parking) prepare(d *direction) {
	d.written, d.passed = p.written[d.which], p.received[d.which]
	d.lookAt, d.looked = time.Now().Add(p.calm), d.written
}

// untilLook returns t, or when to look if that comes first.
func (d *direction) untilLook(t time.Time) time.Time {
	looks := d.link.mayPark()
	d.isLooking.Store(looks)
	if !looks || !t.IsZero() && t.Before(d.lookAt) {
		return t
	}
	return d.lookAt
}

// mayPark reports whether the link can be parked once it is calm. While a toxic acts it cannot, and never once a peer has ended what it
// sends.
func (l *link) mayPark() bool { return l.parking != nil && l.ended.Load() == 0 && l.slot.Empty() }

// checkCalm stops both directions if it is time to, and nothing has moved in either: for park.
func (d *direction) checkCalm() {
	l, now := d.link, time.Now()
	if l.parking == nil || now.Before(d.lookAt) {
		return
	}
	isCalm := d.written == d.looked
	d.isCalm.Store(isCalm)
	d.lookAt, d.looked = now.Add(l.parking.calm), d.written
	if !isCalm || !l.mayPark() {
		return
	}
	switch other := l.directions[1-d.which]; {
	case other.isCalm.Load():
		l.stop()
	case !other.isLooking.Load():
		other.kick() // it began to wait while a toxic acted on this direction
	}
}

// isRestful reports whether a link whose directions have stopped has nothing to do until something becomes of its connections or its
// toxics.
func (l *link) isRestful() bool {
	is := !l.holds()
	for _, d := range l.directions {
		is = is && d.written == d.looked && !d.isCounted
	}
	if !is {
		for _, d := range l.directions {
			d.isCalm.Store(false)
		}
	}
	return is
}

// park leaves a link whose directions have stopped to the Lot. It reports false if they go on.
func (l *link) park() bool {
	l.goOn()
	if !l.isRestful() {
		return false
	}
	p := l.parking
	var sockets [2]syscall.RawConn
	var seen [2]*[]decided
	for which, d := range l.directions {
		sockets[which], seen[which] = d.src.raw, d.seen
		p.written[which], p.received[which] = d.written, d.received()
	}
	l.detaching.mu.Lock()
	l.directions = [2]*direction{}
	l.detaching.mu.Unlock()
	until := l.deadline(Never)
	if !until.IsZero() {
		p.idle = time.AfterFunc(time.Until(until), func() { l.unpark() })
	}
	if p.lot.Park(&p.entry, sockets[:]...) {
		// Who has changed something before that has not found the link in the Lot. From here on it may be somebody else's.
		isStale := !until.IsZero() && !time.Now().Before(until)
		for which := range seen {
			isStale = isStale || l.slot.of[which].Load() != seen[which]
		}
		if !isStale || !p.lot.Take(&p.entry) {
			return true
		}
	}
	l.prepareAgain()
	return false
}

// unpark takes the link out of the Lot and lets it go on. It reports false if it is not there.
func (l *link) unpark() bool {
	p := l.parking
	if p == nil || !p.lot.Take(&p.entry) {
		return false
	}
	go p.entry.Wake()
	return true
}

// prepareAgain prepares carry once the link is not in the Lot any more.
func (l *link) prepareAgain() {
	if p := l.parking; p.idle != nil {
		p.idle.Stop()
		p.idle = nil
	}
	l.makeDirections()
}
