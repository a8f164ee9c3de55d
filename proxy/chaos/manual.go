package chaos

import (
	"slices"
	"sync/atomic"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/toxic"
)

// ManualTarget names the TCP connections of one Listener that one Route serves.
type ManualTarget struct {
	Route    proxy.ObjectID
	Listener proxy.ListenerID
}

// manual is what acts on a target by hand. It is immutable but for the count.
type manual struct {
	entries  []*toxic.Entry
	ordinals *atomic.Uint64 // of the connections of the target, for as long as it has toxics
}

// SetManual makes toxics that belong to no Experiment act on all connections of their targets, those that are open included, after
// what Experiments do. It replaces everything that was set before. It never waits for a peer. The kill switches hold for these
// toxics too; guards, caps and reports do not look at them.
func (e *Engine) SetManual(targets map[ManualTarget][]*toxic.Entry) {
	e.mu.Lock()
	defer e.unlock()
	if e.closed {
		return
	}
	next := map[ManualTarget]*manual{}
	for t, entries := range targets {
		if len(entries) == 0 {
			continue
		}
		before := e.manuals[t]
		switch {
		case before == nil:
			next[t] = &manual{entries: entries, ordinals: &atomic.Uint64{}}
		case slices.Equal(before.entries, entries):
			next[t] = before
		default:
			next[t] = &manual{entries: entries, ordinals: before.ordinals}
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
	var next *map[ManualTarget]*manual
	if len(e.manuals) > 0 && !e.off() {
		set := e.manuals
		next = &set
	}
	old := e.manual.Load()
	if old == nil && next == nil || old != nil && next != nil && sameManual(*old, *next) {
		return
	}
	e.manual.Store(next)
	e.conns.update()
}

// sameManual reports whether the same acts.
func sameManual(a, b map[ManualTarget]*manual) bool {
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
	for _, entry := range m.entries {
		actives = append(actives, toxic.Active{Entry: entry, Ordinal: c.manual.n})
	}
	return actives
}

// manualOrdinal is the place of a connection among those of its target.
type manualOrdinal struct {
	of *atomic.Uint64
	n  uint64
}
