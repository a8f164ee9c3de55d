package chaos

import (
	"container/list"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/toxic"
)

// Place is where a connection or session is.
type Place struct {
	Route    proxy.ObjectID
	Listener proxy.ListenerID
	Backend  proxy.BackendID
	Endpoint proxy.Endpoint
	Client   netip.AddrPort
	Datagram bool // a UDP session
	// Attempt counts the Endpoints tried for one connection of a client, from 1.
	Attempt int
}

// Connection is a live connection, or session of datagrams, that is passed on as it is. What Experiments decide for it is in Slot,
// and stays so for as long as it lives: changes of Experiments reach it by themselves, and what has been decided once is not
// decided again.
type Connection struct {
	Slot *toxic.Slot

	engine *Engine
	fixed  bool // no Experiment is added: it belongs to a request

	mu        sync.Mutex // guards what follows
	place     Place      // is not changed
	concern   *concern
	decisions []decision // one for each Experiment that has looked at it
	credited  []*budget
	admission admission
	actives   []toxic.Active
	touched   bool
	ended     bool
	manual    *manualOrdinal // nil: none yet
	meeting   Meeting        // with what acts by hand
	opened    time.Time      // for its first attempt
	latency   time.Duration  // until the client got the first of an answer; 0 is not yet
	failed    bool           // as far as is known
	hadFailed bool           // before it ended
	isCut     bool           // by a toxic: what comes into force now does not concern it
	isKnown   bool           // update has been called before
	verdicts  []*verdict     // of the Guards
	// concerned are the experiments that had toxics on the connection, or acted when something was learnt of it: they report it, be they
	// over at its end.
	concerned []*experiment
	// experiments are those that have had actives, and owners of Manuals that have.
	experiments []proxy.ObjectID

	at *list.Element // guarded by connections.mu
}

// Outcome is what has become of a connection.
type Outcome struct {
	// Failed: no Endpoint could be reached, or the connection to it broke. What toxics do to it is known without.
	Failed               bool
	Upstream, Downstream int64 // bytes delivered
	Retries              int   // Endpoints tried beyond the first
	// Retried: another Endpoint is going to be tried. The rest is not looked at.
	Retried bool
}

// Open registers a connection on its way to an Endpoint that is about to be dialled. It must be closed.
// A second attempt for the same client's connection goes on with what was decided at the first, and a session that moves to another
// Endpoint with what is known of it. It must not be called on a nil Engine.
func (e *Engine) Open(p Place) *Connection {
	c := &Connection{engine: e, place: p, Slot: toxic.NewSlot(), opened: time.Now()}
	c.Slot.Follow(toxic.Follower{Cut: c.cut, Answered: c.answered, Lost: c.lost})
	if p.Attempt > 1 {
		if before := e.conns.before(p.client()); before != nil {
			before.mu.Lock()
			c.opened = before.opened
			c.decisions, c.credited, c.admission, c.touched = before.decisions, before.credited, before.admission, before.touched
			c.manual, c.meeting = before.manual, before.meeting
			c.latency, c.failed, c.verdicts, c.concerned = before.latency, before.failed, before.verdicts, before.concerned
			before.mu.Unlock()
			for i := range c.decisions {
				c.decisions[i].again(p.Attempt)
			}
		}
	}
	e.conns.open(c)
	return c
}

// Missed tells of a connection, or session, that has failed for want of an Endpoint to try. Guards and reports see it, but it has no
// ordinal and takes no place in a Sequence: nothing can act on it. It must not be called on a nil Engine, and costs one load while no
// Experiment acts.
func (e *Engine) Missed(p Place) {
	all := e.plan.Load()
	if all == nil {
		return
	}
	concern := all.find(p.Route, p.Listener, p.Backend, nil)
	if concern == nil {
		return
	}
	for i := range concern.interests {
		if a := concern.interests[i].action; a.concernsStreams() && !a.halted.Load() {
			a.matched.Add(1)
		}
	}
	c := &Connection{engine: e, place: p, Slot: toxic.NewSlot(), concern: concern}
	c.Close(Outcome{Failed: true})
}

// again makes a decision that of another attempt.
func (d *decision) again(attempt int) {
	if d.cfg.At == proxy.AtBackend {
		d.attempt, d.ordinal = attempt, attemptOrdinal(d.ordinal&^attemptBits, attempt)
		d.settled, d.chosen, d.met = false, false, nil
	}
}

// Dial says what becomes of the dial. It is held up by one after the other, and fails if one that still holds says so.
func (c *Connection) Dial() (all []toxic.Hold) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.decisions {
		d := &c.decisions[i]
		acts := func(t *armed) bool {
			return slices.ContainsFunc(c.actives, func(a toxic.Active) bool { return a.Entry == t.Entry })
		}
		if slices.ContainsFunc(d.toxics, acts) {
			all = d.dial(all)
		}
	}
	return all
}

// Experiments are those whose toxics have been put on the connection, and owners of Manuals of which that is true. They must not be
// changed.
func (c *Connection) Experiments() []proxy.ObjectID {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clip(c.experiments)
}

// Close says what has become of the connection, and takes its toxics out of the Slot.
func (c *Connection) Close(o Outcome) {
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		return
	}
	c.concernMore()
	concerned, touched, meeting, known := c.concerned, c.touched, c.meeting, c.failed
	done := outcome{
		failed: o.Failed || c.failed, latency: c.latency, upstream: o.Upstream, downstream: o.Downstream, retries: o.Retries, stream: true,
	}
	c.mu.Unlock()
	c.end()
	if o.Retried {
		c.engine.conns.remember(c)
		return
	}
	for _, x := range concerned {
		x.clients[index(touched)].done(&done)
	}
	meeting.close(&done)
	c.judge(true, func() time.Duration { c.failed, c.hadFailed = done.failed, known; return 0 })
}

// concernMore adds to concerned. c.mu is held.
func (c *Connection) concernMore() {
	if c.concern == nil {
		return
	}
	for i := range c.concern.interests {
		c.isOf(c.concern.interests[i].experiment)
	}
}

// isOf adds x to concerned. c.mu is held.
func (c *Connection) isOf(x *experiment) {
	if !slices.Contains(c.concerned, x) {
		c.concerned = append(c.concerned, x)
	}
}

// cut is told that a toxic has ended the connection.
func (c *Connection) cut() {
	c.judge(false, func() time.Duration { c.failed, c.isCut = true, true; return 0 })
}

// lost is told whether toxics let nothing through.
func (c *Connection) lost(isLost bool) {
	c.mu.Lock()
	isNews := isLost || c.failed || c.latency > 0 // that nothing is lost says little of a session without an answer
	c.mu.Unlock()
	if isNews {
		c.judge(false, func() time.Duration { c.failed = isLost; return 0 })
	}
}

// answered is told that the client has got the first of an answer, of whom nothing had come for some time.
func (c *Connection) answered(quiet time.Duration) {
	c.judge(false, func() time.Duration {
		if c.latency > 0 { // by another Endpoint
			return 0
		}
		c.latency = max(time.Since(c.opened)-quiet, 1)
		return c.latency
	})
}

// judge notes what learn learns of the connection and shows it to the Guards. learn returns the latency if it is that. It is called
// under c.mu, and so are the Guards, so that what they see last is what is. Once the connection has ended nothing is learnt but how:
// another attempt may have followed it, with its verdicts.
func (c *Connection) judge(isEnd bool, learn func() time.Duration) {
	type halt struct {
		of     *experiment
		reason string
	}
	var halts []halt
	c.mu.Lock()
	if c.ended && !isEnd {
		c.mu.Unlock()
		return
	}
	latency := learn()
	c.concernMore()
	if c.concern != nil && c.concern.guarded {
		for i := range c.concern.interests {
			x := c.concern.interests[i].experiment
			if reason := x.guard.judge(c.verdict(&x.guard), c.failed, latency, c.touched); reason != "" {
				halts = append(halts, halt{x, reason})
			}
		}
	}
	c.mu.Unlock()
	for _, h := range halts {
		h.of.stop(h.reason)
	}
}

// verdict returns what a Guard has counted of the connection. c.mu is held.
func (c *Connection) verdict(g *guard) *verdict {
	i := slices.IndexFunc(c.verdicts, func(v *verdict) bool { return v.of == g })
	if i < 0 {
		i = len(c.verdicts)
		c.verdicts = append(c.verdicts, &verdict{of: g})
	}
	c.verdicts[i].hadFailed = c.hadFailed
	return c.verdicts[i]
}

// Release takes the toxics of a request out of the Slot of the connection that has outlived it. It may be called again.
func (c *Connection) Release() { c.end() }

// end takes the connection out of the registry and the toxics out of its Slot.
func (c *Connection) end() {
	c.engine.conns.remove(c)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return // the Slot may belong to the next request on a pooled connection
	}
	c.ended = true
	c.actives = nil
	c.Slot.Set()
}

// update brings the Slot up to date.
func (c *Connection) update() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended || c.isCut {
		return
	}
	p := c.engine.plan.Load() // under the lock: who comes last has the latest
	c.concern = nil
	if p != nil {
		c.concern = p.find(c.place.Route, c.place.Listener, c.place.Backend, nil)
	}
	var actives []toxic.Active
	if c.concern != nil {
		c.credit()
		for i := range c.concern.interests {
			actives = c.decide(&c.concern.interests[i], actives)
		}
	}
	c.isKnown = true
	c.touched = c.touched || len(actives) > 0
	actives = c.addManual(actives)
	if !slices.Equal(actives, c.actives) {
		c.actives = actives
		c.Slot.Set(actives...)
	}
}

// credit counts the connection for the budgets that it has not been counted for yet. A connection that is touched must be allowed
// to be by each of them. c.mu is held.
func (c *Connection) credit() {
	if c.fixed {
		return
	}
	var fresh []share
	for _, s := range c.concern.shares {
		if !slices.Contains(c.credited, s.budget) {
			s.request(s.rate)
			fresh = append(fresh, s)
			c.credited = append(c.credited, s.budget)
		}
	}
	for i := range c.concern.interests {
		for _, s := range c.concern.interests[i].dry {
			if !slices.Contains(c.credited, s.budget) {
				s.request(s.rate)
				c.credited = append(c.credited, s.budget)
			}
		}
	}
	switch {
	case c.admission == admitted && !takeAll(fresh):
		c.admission = denied
	case c.admission == denied && len(c.concern.shares) == 0:
		c.admission = undecided
	}
}

// decide adds what one Experiment lets act. c.mu is held.
func (c *Connection) decide(i *interest, actives []toxic.Active) []toxic.Active {
	a := i.action
	if a.halted.Load() {
		return actives
	}
	d := c.decision(i)
	if d == nil {
		return actives
	}
	if a.cfg.At == proxy.AtBackend && !a.endpoints.has(c.place.Backend, c.place.Endpoint.ID()) {
		d.settled = d.settled || len(a.sequence) > 0 // if its Endpoint is chosen later, it is open already
		return actives
	}
	if !d.settled { // only now: what faults pass by takes no place in a Sequence
		d.choose()
	}
	if !d.any() || !d.admit(c.concern.shares, &c.admission, c.place.target()) {
		return actives
	}
	d.count()
	c.isOf(a.experiment)
	d.each(func(t *armed) {
		if t.fault == nil && t.inForce() {
			c.experiments = addTo(c.experiments, a.key.id)
			d.meet(t)
			actives = append(actives, t.active(d.ordinal, c.place.target()))
		}
	})
	return actives
}

// decision returns what the Experiment has decided for the connection, now if it has not before; nil is nothing. c.mu is held.
func (c *Connection) decision(i *interest) *decision {
	a := i.action
	for n := range c.decisions {
		if d := &c.decisions[n]; d.experiment == a.experiment {
			switch {
			case d.cfg.DryRun != a.cfg.DryRun && !c.fixed:
				switch {
				case !d.isReal:
					d.ordinal = attemptOrdinal(a.renumber(streamKey(a.cfg.OrdinalKey, c.place.Client.Addr())), d.attempt)
					d.settled, d.chosen, d.isReal = len(a.sequence) > 0, false, true
				case d.settled || c.isKnown: // it stays, and is what the dry run counts
					d.keep(a)
				}
				isOver := func(b *budget) bool { return slices.Contains(d.budgets, b) } // the next run has others
				c.credited = slices.DeleteFunc(c.credited, isOver)
			case d.cfg.Revision != a.cfg.Revision && (d.settled || c.isKnown):
				d.keep(a)
			}
			d.interest = i
			return d
		}
	}
	if c.fixed || !a.concernsStreams() {
		return nil
	}
	d := decision{interest: i, attempt: 1, kind: streams, isReal: !a.cfg.DryRun}
	d.ordinal = a.number(streamKey(a.cfg.OrdinalKey, c.place.Client.Addr()))
	if c.place.Datagram {
		d.kind = datagrams
	}
	d.client = streamKey(a.cfg.SequenceKey, c.place.Client.Addr())
	// The first of a Sequence are the first that come while it acts: those that are open already would use it up.
	d.settled = len(a.sequence) > 0 && c.isKnown
	c.decisions = append(c.decisions, d)
	return &c.decisions[len(c.decisions)-1]
}

// concernsStreams reports whether what is not HTTP can be concerned: it bears no token and meets no match.
func (a *action) concernsStreams() bool { return a.cfg.Token == nil && len(a.matchers) == 0 }

func (p *Place) target() string {
	if p.Endpoint == (proxy.Endpoint{}) {
		return p.Route.String()
	}
	return p.Endpoint.String()
}

// client is what tells the connection of a client from all others.
func (p *Place) client() client { return client{p.Listener, p.Client, p.Datagram} }

type client struct {
	listener proxy.ListenerID
	addr     netip.AddrPort
	datagram bool
}

// connections is the registry of live ones, in the order in which they came, and of failed attempts that others follow.
type connections struct {
	mu     sync.Mutex
	list   list.List              // guarded by mu
	failed map[client]*Connection // guarded by mu
}

// maxFailed bounds the failed attempts that are remembered: those beyond are decided anew.
const maxFailed = 4096

// remember keeps what an attempt has decided for the one that follows.
func (r *connections) remember(c *Connection) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed == nil {
		r.failed = map[client]*Connection{}
	}
	if len(r.failed) >= maxFailed {
		clear(r.failed)
	}
	r.failed[c.place.client()] = c
}

// before returns what has been remembered, and forgets it.
func (r *connections) before(k client) *Connection {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.failed[k]
	delete(r.failed, k)
	return c
}

// open adds c, and then decides: a change of Experiments either comes before that or finds c here.
func (r *connections) open(c *Connection) {
	r.mu.Lock()
	c.at = r.list.PushBack(c)
	r.mu.Unlock()
	c.update()
}

func (r *connections) remove(c *Connection) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.at != nil {
		r.list.Remove(c.at)
		c.at = nil
	}
}

// update lets every connection that is at one of the Backends, nil being any, follow a change. It never waits for a peer.
func (r *connections) update(at map[proxy.BackendID]bool) {
	r.mu.Lock()
	var all []*Connection
	if at == nil {
		all = make([]*Connection, 0, r.list.Len())
	}
	for i := r.list.Front(); i != nil; i = i.Next() {
		if c := i.Value.(*Connection); at == nil || at[c.place.Backend] {
			all = append(all, c)
		}
	}
	r.mu.Unlock()
	for _, c := range all {
		c.update()
	}
}
