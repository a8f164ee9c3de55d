package chaos

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/toxic"
)

// Bounds of what is kept of Manuals: whoever makes and ends them for ever makes nothing grow. What there is no room for is added up. Of
// owners that is the oldest that is not in force, with those of the same fate; those in force are all kept, so that what becomes of one
// never hides in the sum of others. Of rows it is the oldest that is not in force, or else the one that comes, as one row of its owner.
const (
	maxOwners = 100
	maxRows   = 100                 // of an owner
	allRows   = maxOwners * maxRows // beyond which no owner gets more than one and others
)

// fate is what an owner has come to, as far as there is a verdict on it.
type fate int

const (
	hasInjected fate = iota // some connection has got a fault
	inVain                  // none has, although some could
	neverActed              // none could: all was switched off
	fates
)

// ledger holds what has become of Manuals. The zero value is ready, and taken to be off.
type ledger struct {
	mu     sync.Mutex
	on     bool            // guarded by mu; no kill switch is used
	owners []*account      // guarded by mu; in the order in which they came
	others [fates]*account // guarded by mu; those that there is no room for, none in force; nil: none

	types sync.Map // of toxics, to *atomic.Uint64: how often one has been put on a connection, since the beginning
}

// account is what the Manuals of one owner have done, and what its clients saw.
type account struct {
	ledger *ledger
	owner  string                 // "" for others
	totals atomic.Pointer[totals] // since start; never nil

	// Guarded by ledger.mu.
	rows   []*manualRow // in the order in which they came
	others *manualRow   // those that there is no room for; nil: none
	start  time.Time    // when the first came
	end    time.Time    // when the last went, or was switched off; zero while some may act, and if none ever might
	acted  bool         // there have been some while no kill switch was used
}

// totals are the connections that have met what an account is about.
type totals struct {
	matched, injected atomic.Uint64
	clients           [2]clientStats // not touched, touched
}

func newAccount(l *ledger, owner string) *account {
	a := &account{ledger: l, owner: owner}
	a.totals.Store(&totals{})
	return a
}

// manualRow is what the Manuals of one name, type and direction have done.
type manualRow struct {
	toxicStats // without a name: of others
	direction  proxy.Direction
	matched    atomic.Uint64 // connections

	// Guarded by ledger.mu.
	inForce    int
	attributes string // the latest, as is toxicity
	toxicity   float64
	changes    uint64
}

// count returns the count of a type.
func (l *ledger) count(typ string) *atomic.Uint64 {
	n, _ := l.types.LoadOrStore(typ, &atomic.Uint64{})
	return n.(*atomic.Uint64)
}

// begin takes down what is in force from now on.
func (l *ledger) begin(cfg *ManualConfig) (*account, *manualRow) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.account(cfg.Owner)
	if a.start.IsZero() {
		a.start = time.Now()
	}
	if l.on {
		a.end, a.acted = time.Time{}, true
	}
	row := a.row(cfg.Entry)
	row.inForce++
	if row.name == "" {
		return a, row
	}
	if row.attributes != "" && (row.attributes != cfg.Attributes || row.toxicity != cfg.Entry.Toxicity) {
		row.changes++
	}
	row.attributes, row.toxicity = cfg.Attributes, cfg.Entry.Toxicity
	return a, row
}

// follow takes down whether faults may act as far as the kill switches are concerned.
func (l *ledger) follow(on bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.on == on {
		return
	}
	l.on = on
	for _, a := range l.all() {
		switch {
		case !a.inForce():
		case on:
			a.end, a.acted = time.Time{}, true
		default:
			a.end = time.Now()
		}
	}
}

// all are the accounts, others last. l.mu is held.
func (l *ledger) all() []*account {
	all := l.owners
	for _, o := range l.others {
		all = withOthers(all, o)
	}
	return all
}

// end takes down what is not in force any more.
func (l *ledger) end(a *account, row *manualRow) {
	l.mu.Lock()
	defer l.mu.Unlock()
	row.inForce--
	if l.on && !a.inForce() {
		a.end = time.Now()
	}
}

// account returns that of an owner. l.mu is held.
func (l *ledger) account(owner string) *account {
	if i := slices.IndexFunc(l.owners, func(a *account) bool { return a.owner == owner }); i >= 0 {
		return l.owners[i]
	}
	a := newAccount(l, owner)
	l.owners = append(trim(l.owners, maxOwners, (*account).inForce, l.fold), a)
	return a
}

// fold adds an account that is not in force, and is going to be forgotten, to others. l.mu is held.
func (l *ledger) fold(a *account) {
	f := a.fate()
	if l.others[f] == nil {
		l.others[f] = newAccount(l, "")
	}
	l.others[f].add(a)
}

// fate tells what an account has come to so far. ledger.mu is held.
func (a *account) fate() fate {
	switch {
	case a.totals.Load().injected.Load() > 0:
		return hasInjected
	case a.acted:
		return inVain
	}
	return neverActed
}

// makeRoom returns all without the oldest that is not in force, which it folds, if there are as many as there may be. It reports false
// if all of those are in force.
func makeRoom[T any](all []T, most int, inForce func(T) bool, fold func(T)) (left []T, ok bool) {
	if len(all) < most {
		return all, true
	}
	i := slices.IndexFunc(all, func(one T) bool { return !inForce(one) })
	if i < 0 {
		return all, false
	}
	fold(all[i])
	return slices.Delete(all, i, i+1), true
}

// trim is makeRoom until there is room, or all that is left is in force.
func trim[T any](all []T, most int, inForce func(T) bool, fold func(T)) []T {
	for {
		left, ok := makeRoom(all, most, inForce, fold)
		if !ok || len(left) == len(all) {
			return left
		}
		all = left
	}
}

// withOthers returns all with others, unless that is nil.
func withOthers[T any](all []*T, others *T) []*T {
	if others == nil {
		return all
	}
	return append(slices.Clip(all), others)
}

// all are the rows, others last. ledger.mu is held.
func (a *account) all() []*manualRow { return withOthers(a.rows, a.others) }

// inForce reports whether some row is of something in force. ledger.mu is held.
func (a *account) inForce() bool { return slices.ContainsFunc(a.all(), (*manualRow).isInForce) }

// row returns that of a toxic. ledger.mu is held.
func (a *account) row(e *toxic.Entry) *manualRow {
	typ := e.Toxic.Type()
	is := func(r *manualRow) bool { return r.name == e.Name && r.typ == typ && r.direction == e.Direction }
	if i := slices.IndexFunc(a.rows, is); i >= 0 {
		return a.rows[i]
	}
	most := maxRows
	if a.ledger.rows() >= allRows {
		most = 1
	}
	a.rows = trim(a.rows, most, (*manualRow).isInForce, func(r *manualRow) { a.rest().add(r) })
	if len(a.rows) >= most {
		return a.rest()
	}
	r := &manualRow{toxicStats: toxicStats{name: e.Name, typ: typ}, direction: e.Direction}
	a.rows = append(a.rows, r)
	return r
}

// rows is how many there are. l.mu is held.
func (l *ledger) rows() (n int) {
	for _, a := range l.owners {
		n += len(a.rows)
	}
	return n
}

// rest returns others, made if need be. ledger.mu is held.
func (a *account) rest() *manualRow {
	if a.others == nil {
		a.others = &manualRow{}
	}
	return a.others
}

// add takes over the counts of an account that is going to be forgotten. What is counted there later is lost. ledger.mu is held.
func (a *account) add(b *account) {
	sum, from := a.totals.Load(), b.totals.Load()
	sum.matched.Add(from.matched.Load())
	sum.injected.Add(from.injected.Load())
	for i := range sum.clients {
		sum.clients[i].add(&from.clients[i])
	}
	for _, r := range b.all() {
		a.rest().add(r)
	}
	a.acted = a.acted || b.acted
	if a.start.IsZero() || b.start.Before(a.start) {
		a.start = b.start
	}
	if b.end.After(a.end) {
		a.end = b.end
	}
}

// isInForce reports whether a Manual of the row is in force. ledger.mu is held.
func (r *manualRow) isInForce() bool { return r.inForce > 0 }

// add takes over the counts of a row that is going to be forgotten. ledger.mu is held.
func (r *manualRow) add(b *manualRow) {
	r.matched.Add(b.matched.Load())
	r.toxicStats.add(&b.toxicStats)
}

// forget forgets what is not in force. An account that loses something by that begins anew with what is left.
func (l *ledger) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	isOver := func(a *account) bool {
		before := len(a.all())
		a.rows = slices.DeleteFunc(a.rows, func(r *manualRow) bool { return r.inForce == 0 })
		if a.others != nil && a.others.inForce == 0 {
			a.others = nil
		}
		if len(a.all()) < before {
			a.restart()
		}
		return !a.inForce()
	}
	l.owners = slices.DeleteFunc(l.owners, isOver)
	l.others = [fates]*account{}
}

// restart forgets what has been counted. Connections that are open now count no more until toxics are put on them again; what those that
// are on them do is still in the rows. ledger.mu is held.
func (a *account) restart() {
	a.totals.Store(&totals{})
	a.start, a.end, a.acted = time.Now(), time.Time{}, a.ledger.on
	for _, r := range a.all() {
		r.matched.Store(0)
		r.reset()
		r.changes = 0
	}
}

// report makes the parts of all owners.
func (l *ledger) report(off bool) (all []ExperimentReport) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range l.all() {
		all = append(all, a.report(off))
	}
	return all
}

// report makes the part of one owner. ledger.mu is held.
func (a *account) report(off bool) ExperimentReport {
	sum := a.totals.Load()
	r := ExperimentReport{
		Kind: ManualKind, Name: a.owner, Phase: proxy.ExperimentActive.String(), Matched: sum.matched.Load(), Injected: sum.injected.Load(),
		NeverActed: !a.acted, Toxics: []ToxicReport{}, UninjectedTraffic: sum.clients[0].report(), InjectedTraffic: sum.clients[1].report(),
	}
	start := a.start.UTC()
	r.Start = &start
	if end := a.end.UTC(); !end.IsZero() {
		r.End = &end
	}
	switch {
	case !a.inForce():
		r.Phase = "Removed"
	case off:
		r.Phase = proxy.ExperimentOff.String()
	}
	for _, row := range a.all() {
		t := row.report()
		t.Manual = &ManualReport{
			Attributes: row.attributes, Toxicity: row.toxicity, Changes: row.changes, Removed: row.inForce == 0, Matched: row.matched.Load(),
		}
		if t.Name != "" {
			t.Manual.Stream = row.direction.String()
		}
		r.Toxics = append(r.Toxics, t)
	}
	return r
}

// ManualCounts are how often Manuals of each type have been put on connections since the beginning, by type. They never go down.
func (e *Engine) ManualCounts() map[string]uint64 {
	counts := map[string]uint64{}
	e.ledger.types.Range(func(typ, n any) bool {
		counts[typ.(string)] = n.(*atomic.Uint64).Load()
		return true
	})
	return counts
}
