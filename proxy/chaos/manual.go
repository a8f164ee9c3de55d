package chaos

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/toxic"
)

// ManualKind is the Kind of the object that owns Manuals, in reports and logs. No Experiment has it.
const ManualKind = "Toxiproxy"

// ManualConfig says what a Manual is.
type ManualConfig struct {
	Owner      string       // the proxy, or TCP route, by its name in the API
	Entry      *toxic.Entry // has no Observe yet: NewManual sets it
	Seed       uint64       // that the Entry's Key was made of
	Attributes string       // as the report shows them
}

// Manual is a toxic that belongs to no Experiment: one made through the API for Toxiproxy's clients. It is in the Report, and what it
// does is in the fault log, until its Owner is forgotten. It must be ended.
type Manual struct {
	*toxic.Entry
	owner   proxy.ObjectID
	account *account
	row     *manualRow
	count   *atomic.Uint64 // of ledger.types
	witness witness
}

// NewManual makes a Manual, which acts where its Actives are used. What has had the same Owner, name, type and direction goes on with
// its counts.
func (e *Engine) NewManual(cfg ManualConfig) *Manual {
	m := &Manual{Entry: cfg.Entry, owner: proxy.ObjectID{Kind: ManualKind, Name: cfg.Owner}, count: e.ledger.count(cfg.Entry.Toxic.Type())}
	m.account, m.row = e.ledger.begin(&cfg)
	m.witness = witness{
		signature{log: e.log, object: m.owner.String(), toxic: cfg.Entry.Name, seed: cfg.Seed}, &m.row.toxicStats, &targets{},
	}
	m.Observe = m.witness.observe
	return m
}

// End says that the toxic is not in force any more.
func (m *Manual) End() { m.account.ledger.end(m.account, m.row) }

// met counts a connection on which the toxic has not been before.
func (m *Manual) met(acts bool) {
	m.row.matched.Add(1)
	if acts {
		m.row.decided.Add(1)
		m.row.applied.Add(1)
		m.count.Add(1)
	}
}

// acts tells whether the toxic acts on a connection. Its draw is the one of package toxic.
func (m *Manual) acts(ordinal uint64) bool { return m.Key.Float(ordinal) < m.Toxicity }

// Meeting is what one connection has had to do with Manuals. The zero value has met none. It is not for concurrent use.
type Meeting struct {
	totals  *totals   // that it is counted in; nil: none
	latest  []*Manual // that it has met
	touched bool
}

// Actives returns what makes all Manuals that are in force for a connection act on it, and counts the connection: once, and once for each
// Manual that was not among the latest. target is what the fault log says of it. all must not be changed afterwards.
func (v *Meeting) Actives(all []*Manual, ordinal uint64, target string) []toxic.Active {
	if len(all) == 0 {
		return nil
	}
	if t := all[0].account.totals.Load(); v.totals != t {
		*v = Meeting{totals: t}
		t.matched.Add(1)
	}
	actives := make([]toxic.Active, len(all))
	for i, m := range all {
		actives[i] = toxic.Active{Entry: m.Entry, Ordinal: ordinal}
		acts := m.acts(ordinal)
		if !slices.Contains(v.latest, m) {
			m.met(acts)
		}
		if !acts {
			continue
		}
		m.witness.where.set(ordinal, target)
		if !v.touched {
			v.touched = true
			v.totals.injected.Add(1)
		}
	}
	v.latest = all
	return actives
}

// HasMet reports whether the connection has been counted.
func (v *Meeting) HasMet() bool { return v.totals != nil }

// Close says what has become of the connection. latency is the time until its client got the first of an answer, 0 if that is not known.
func (v *Meeting) Close(o Outcome, latency time.Duration) {
	v.close(&outcome{
		stream: true, failed: o.Failed, latency: latency, upstream: o.Upstream, downstream: o.Downstream, retries: o.Retries,
	})
}

func (v *Meeting) close(o *outcome) {
	if v.totals != nil {
		v.totals.clients[index(v.touched)].done(o)
	}
}

// ManualTarget names the TCP connections of one Listener that one Route serves.
type ManualTarget struct {
	Route    proxy.ObjectID
	Listener proxy.ListenerID
}

// byHand is what acts on a target by hand. It is immutable but for the count.
type byHand struct {
	toxics   []*Manual
	ordinals *atomic.Uint64 // of the connections of the target, for as long as it has toxics
}

// SetManual makes toxics that belong to no Experiment act on all connections of their targets, those that are open included, after
// what Experiments do. It replaces everything that was set before. It never waits for a peer. The kill switches hold for these
// toxics too; guards and caps do not look at them.
func (e *Engine) SetManual(targets map[ManualTarget][]*Manual) {
	e.mu.Lock()
	defer e.unlock()
	if e.closed {
		return
	}
	next := map[ManualTarget]*byHand{}
	for t, toxics := range targets {
		if len(toxics) == 0 {
			continue
		}
		before := e.manuals[t]
		switch {
		case before == nil:
			next[t] = &byHand{toxics: toxics, ordinals: &atomic.Uint64{}}
		case slices.Equal(before.toxics, toxics):
			next[t] = before
		default:
			next[t] = &byHand{toxics: toxics, ordinals: before.ordinals}
		}
	}
	e.manuals = next
	e.applyManual()
}

// FollowSwitches calls told with whether faults may act as far as the kill switches are concerned: before it returns, and from
// then on before whoever uses a switch goes on. The same may be told again. told must not block, nor call the Engine.
func (e *Engine) FollowSwitches(told func(on bool)) {
	e.mu.Lock()
	defer e.unlock()
	e.followers = append(e.followers, told)
	told(!e.off())
}

// applyManual brings live connections up to date with what acts by hand and with the kill switches. e.mu is held.
func (e *Engine) applyManual() {
	for _, told := range e.followers {
		told(!e.off())
	}
	var next *map[ManualTarget]*byHand
	if len(e.manuals) > 0 && !e.off() {
		set := e.manuals
		next = &set
	}
	old := e.manual.Load()
	if old == nil && next == nil || old != nil && next != nil && sameManual(*old, *next) {
		return
	}
	e.manual.Store(next)
	e.conns.update(nil)
}

// sameManual reports whether the same acts.
func sameManual(a, b map[ManualTarget]*byHand) bool {
	if len(a) != len(b) {
		return false
	}
	for t, m := range a {
		if b[t] != m {
			return false
		}
	}
	return true
}

// addManual adds what acts by hand. A connection takes its ordinal when it first meets a toxic. c.mu is held.
func (c *Connection) addManual(actives []toxic.Active) []toxic.Active {
	all := c.engine.manual.Load() // under the lock: who comes last has the latest
	if all == nil || c.fixed || c.place.Datagram {
		return actives
	}
	m := (*all)[ManualTarget{c.place.Route, c.place.Listener}]
	if m == nil {
		return actives
	}
	if c.manual == nil || c.manual.of != m.ordinals {
		c.manual = &manualOrdinal{of: m.ordinals, n: m.ordinals.Add(1) - 1}
	}
	actives = append(actives, c.meeting.Actives(m.toxics, c.manual.n, c.place.target())...)
	if c.meeting.touched {
		c.experiments = addTo(c.experiments, m.toxics[0].owner)
	}
	return actives
}

// manualOrdinal is the place of a connection among those of its target.
type manualOrdinal struct {
	of *atomic.Uint64
	n  uint64
}
