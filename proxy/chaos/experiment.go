package chaos

import (
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/chance"
	"github.com/breakwater-gateway/breakwater/proxy/fault"
	"github.com/breakwater-gateway/breakwater/proxy/router"
	"github.com/breakwater-gateway/breakwater/proxy/toxic"
)

// experiment is the live state of one Experiment: what outlives its configuration.
type experiment struct {
	engine *Engine
	key    identity
	name   string    // as faults' keys and the log have it
	since  time.Time // when it was made, for the log

	ordinals                        atomic.Uint64 // handed out so far, but for those of a dry run
	rehearsed                       atomic.Uint64 // the same in a dry run, which begins where the real one will
	matched, injected, skipped, dry atomic.Uint64
	halted                          atomic.Bool // ahead of the plan, so that a halt acts at once
	sequences                       sequences
	guard                           guard
	clients                         [2]clientStats // not touched, touched
	toxics                          toxicTable

	// Guarded by Engine.mu.
	cfg      *proxy.Experiment
	problem  string
	accepted bool              // cfg is, or was, the object's content; otherwise it only says who it is
	refused  string            // why the object is no Experiment as it is now; cfg is what it was before then
	told     *proxy.Experiment // the configuration that the log has last said acts; nil: none
	act      *action           // what it does when it acts; nil if there is a problem
	acting   bool
	acted    bool      // it has been acting, and not as a dry run
	rested   time.Time // since when it does not act, on the monotonic clock; zero if it does, or never has
	deleted  bool
	window   window
	first    window // the first in which it acted, as it was then: since then there are counts
	opened   bool   // the window has been open
	halt     halt
	budgets  map[proxy.ExperimentTarget]*budget
}

// halt is why an experiment is halted, and how often it has been.
type halt struct {
	here   bool // by its own Guard
	at     time.Time
	reason string
	rearm  string // Experiment.Rearm at that time
	number uint64 // which of the cluster's halts (Experiment.Halts) it has become; 0 until the cluster has heard of it
	count  uint64
	lifted uint64 // ExperimentStatus.LiftedHalts
}

// action is the compiled form of an Experiment. It is immutable.
type action struct {
	*experiment
	cfg       *proxy.Experiment
	seed      uint64 // cfg's, or that of the log that is replayed
	matchers  []*router.Matcher
	percent   chance.Key
	ordinal   chance.Key // of OrdinalKey's values
	toxics    []*armed
	sequence  []step
	endpoints *endpoints
	budgets   []*budget // of the targets; empty without a MaxPercent
	began     time.Time // since when the toxics are in force; zero before
	changes   bool      // Percent, or the Toxicity of some toxic, is not the same for ever
}

// step is the compiled form of a SequenceStep.
type step struct {
	upTo   uint64 // the place, from 0, at which the next one begins
	toxics []*armed
}

// armed is one toxic of an action.
type armed struct {
	*toxic.Entry
	of    *experiment
	cfg   proxy.ExperimentToxic
	seed  uint64      // of the action
	fault fault.Fault // nil if it is for bytes or datagrams
	acts  kind
	gone  chan struct{}
	stats *toxicStats
	// targets are where it acts on connections.
	targets *targets
}

func newExperiment(e *Engine, key identity) *experiment {
	x := &experiment{engine: e, key: key, name: key.id.String(), since: time.Now().UTC(), budgets: map[proxy.ExperimentTarget]*budget{}}
	x.guard.of = x
	return x
}

// configure makes cfg the configuration. Engine.mu is held.
func (x *experiment) configure(cfg *proxy.Experiment, m matchers) {
	x.refused, x.accepted = "", true
	old := x.cfg
	if old == cfg {
		return
	}
	wasHalted := old != nil && (x.isHalted() || cfg.Halts > old.Halts) // the latter: for so short a time that it was not seen here
	x.cfg = cfg
	x.settleHalt()
	if !cfg.Halted {
		x.halt.lifted = 0 // what was lifted is gone: whatever comes is another one, even if who told of it does not count
	}
	x.halt.lifted = min(x.halt.lifted, cfg.Halts+1) // the count begins anew where an object is restored without its status
	if wasHalted && !x.isHalted() {
		x.guard.reset() // before anything acts: what it has measured has had its halt, be it that of another replica
	}
	x.halted.Store(x.isHalted())
	x.guard.configure(cfg.Guard)
	if old != nil && old.Revision != cfg.Revision {
		x.sequences.reset()
	}
	if old != nil && old.DryRun != cfg.DryRun { // what one of both has saved up is not for the other
		clear(x.budgets)
		x.rehearsed.Store(x.ordinals.Load())
	}
	act, err := compile(x, cfg, m)
	x.problem = ""
	if err == nil {
		err = checkWindow(&cfg.Window)
	}
	if err != nil {
		act, x.problem = nil, err.Error()
	}
	x.act = act
	for target := range x.budgets {
		if cfg.MaxPercent <= 0 || !slices.Contains(cfg.Targets, target) {
			delete(x.budgets, target)
		}
	}
}

// refuse notes that the object is no Experiment as it is now. A halt and what has been counted stay. Engine.mu is held.
func (x *experiment) refuse(r *proxy.RefusedExperiment) {
	x.refused = r.Reason + ": " + r.Message
	if x.cfg == nil {
		x.cfg = &proxy.Experiment{ID: r.ID, UID: r.UID, Revision: r.Revision, Created: r.Created}
	}
	x.rest()
}

// isHalted reports whether the experiment is halted, here or elsewhere. Engine.mu is held.
func (x *experiment) isHalted() bool {
	return x.halt.here || x.cfg.Halted && x.cfg.Halts >= x.halt.lifted
}

// settleHalt ends a halt that arose here if Experiment.Rearm has changed since, or if it has been lifted in the cluster. One that the
// cluster has not heard of cannot have been: what has been lifted there was another's. Engine.mu is held.
func (x *experiment) settleHalt() {
	isLifted := x.halt.number > 0 && !x.cfg.Halted && x.cfg.Halts >= x.halt.number
	if x.halt.here && (isLifted || x.halt.rearm != x.cfg.Rearm) {
		x.halt.here = false
		x.guard.reset()
	}
}

// rearm lifts the halt there is. One that another replica tells of later is another one. Engine.mu is held.
func (x *experiment) rearm() bool {
	was := x.isHalted()
	x.halt.here, x.halt.lifted = false, x.cfg.Halts+1
	x.guard.reset()
	x.halted.Store(false)
	return was
}

// stop is called by the Guard, from whoever has brought the traffic that broke a bound.
func (x *experiment) stop(reason string) {
	if x.halted.Swap(true) {
		return
	}
	e := x.engine
	e.mu.Lock()
	if x.halt.here { // a configuration took the flag back before this halt was noted, and another breach has come first
		e.unlock()
		return
	}
	x.halt = halt{
		here: true, at: e.cfg.Now(), reason: reason, rearm: x.cfg.Rearm, count: x.halt.count + 1, lifted: x.halt.lifted,
	}
	x.halted.Store(true)
	x.guard.reset()
	e.refresh(false)
	e.unlock()
	e.cfg.Log.Warn("experiment halted by its guard", "experiment", x.name, "reason", reason)
	if e.cfg.Halted != nil {
		e.cfg.Halted(x.key.id, reason)
	}
}

// advance brings the window up to date and decides whether the experiment acts. It returns in how long that has to be done
// again; negative is never. Engine.mu is held.
func (x *experiment) advance(now, wall time.Time) time.Duration {
	if x.problem != "" || x.refused != "" {
		x.rest()
		return -1
	}
	tick := x.window.tick
	wake := x.window.advance(x.cfg, now, wall)
	x.opened = x.opened || x.window.open
	if !x.window.tick.Equal(tick) { // each run of a Schedule has the Sequence from its beginning
		x.sequences.reset()
	}
	if x.window.open && !x.cfg.Suspend && !x.isHalted() && !x.engine.off() {
		if !x.first.armed {
			x.first = x.window
		}
		x.acting, x.rested = true, time.Time{}
		x.acted = x.acted || !x.cfg.DryRun
		x.act = x.act.begin(x.window.start)
	} else {
		x.rest()
	}
	return wake
}

// rest has the experiment not act. Engine.mu is held.
func (x *experiment) rest() {
	if x.acting {
		x.rested = time.Now()
	}
	x.acting, x.act = false, x.act.end()
}

// span returns the beginning of the first window in which the experiment acted, and when it ceased to act, on the wall clock as it was
// when that window was armed. The end is nil if it acts, both are if it has never acted. Engine.mu is held.
func (x *experiment) span() (start, end *time.Time) {
	w := x.first
	if !w.armed {
		return nil, nil
	}
	if !x.rested.IsZero() {
		at := w.from.Add(x.rested.Sub(w.start))
		end = &at
	}
	return &w.from, end
}

// Retired says what has become of Experiments that have left the Snapshot, as far as that is remembered; the oldest first.
func (e *Engine) Retired() []proxy.ExperimentStatus {
	if e == nil {
		return nil
	}
	e.mu.Lock()
	defer e.unlock()
	all := make([]proxy.ExperimentStatus, len(e.retired))
	for i, x := range e.retired {
		all[i] = x.status()
	}
	return all
}

// status says what has become of the experiment. Engine.mu is held.
func (x *experiment) status() proxy.ExperimentStatus {
	s := proxy.ExperimentStatus{
		ID: x.key.id, UID: x.key.uid, Revision: x.cfg.Revision, Phase: x.phase(), Problem: x.problem,
		Guard:   x.cfg.Guard,
		Matched: x.matched.Load(), Injected: x.injected.Load(), SkippedByCap: x.skipped.Load(), DryRun: x.dry.Load(),
		Start: x.window.from, End: x.window.to, Next: x.window.next, Halts: x.halt.count,
		LiftedHalts: x.halt.lifted,
	}
	if x.refused != "" {
		s.Problem = x.refused
	}
	if s.Phase == proxy.ExperimentOff {
		s.SwitchedOff = x.engine.names()
	}
	switch {
	case x.halt.here:
		s.HaltedAt, s.HaltedReason, s.HaltedRearm = x.halt.at, x.halt.reason, x.halt.rearm
	case x.isHalted():
		s.HaltedReason, s.HaltedRearm = "halted by another replica", x.cfg.Rearm
	}
	return s
}

func (x *experiment) phase() proxy.ExperimentPhase {
	switch {
	case x.refused != "":
		return proxy.ExperimentRefused
	case x.problem != "":
		return proxy.ExperimentInvalid
	case x.window.over:
		return proxy.ExperimentExpired
	case x.deleted:
		return proxy.ExperimentExpired
	case x.isHalted():
		return proxy.ExperimentHalted
	case x.cfg.Suspend:
		return proxy.ExperimentSuspended
	case !x.window.open:
		return proxy.ExperimentPending
	case x.engine.off():
		return proxy.ExperimentOff
	}
	return proxy.ExperimentActive
}

// matchers are the compiled Matches of an Experiment, or what is wrong with them. It may take milliseconds to make them.
type matchers struct {
	all []*router.Matcher
	err error
}

func newMatchers(cfg *proxy.Experiment) (m matchers) {
	for i := range cfg.Matches {
		one, err := router.NewMatcher(&cfg.Matches[i])
		if err != nil {
			return matchers{err: fmt.Errorf("match %d: %w", i, err)}
		}
		m.all = append(m.all, one)
	}
	return m
}

// compile makes the action of an Experiment that does not act yet.
func compile(x *experiment, cfg *proxy.Experiment, m matchers) (*action, error) {
	id := x.key.id
	a := &action{
		experiment: x, cfg: cfg,
		seed: x.engine.cfg.Replay.seed(x.name, cfg.Seed),
	}
	a.percent = chance.NewKey(a.seed, id.Namespace, id.Name)
	a.ordinal = chance.NewKey(a.seed, id.Namespace, id.Name, "", "ordinal")
	if m.err != nil {
		return nil, m.err
	}
	a.matchers = m.all
	a.changes = cfg.Percent.Changes() || slices.ContainsFunc(cfg.Toxics, func(t proxy.ExperimentToxic) bool { return t.Toxicity.Changes() })
	for i, t := range cfg.Toxics {
		if slices.ContainsFunc(cfg.Toxics[:i], func(o proxy.ExperimentToxic) bool { return o.Name == t.Name }) {
			return nil, fmt.Errorf("toxic %q is given twice", t.Name)
		}
		one, err := a.arm(t)
		if err != nil {
			return nil, fmt.Errorf("toxic %q: %w", t.Name, err)
		}
		a.toxics = append(a.toxics, one)
	}
	if cfg.Token != nil && cfg.Token.Secret == "" {
		return nil, fmt.Errorf("token: the secret is empty")
	}
	if cfg.MaxPercent > 0 {
		for _, t := range cfg.Targets {
			if x.budgets[t] == nil {
				x.budgets[t] = &budget{}
			}
			a.budgets = append(a.budgets, x.budgets[t])
		}
	}
	a.endpoints = newEndpoints(x, cfg.Endpoints, a.seed)
	return a, a.compileSequence()
}

// arm makes the armed form of a toxic. What is in force already with the same content is taken over.
func (a *action) arm(t proxy.ExperimentToxic) (*armed, error) {
	x, id := a.experiment, a.key.id
	if before := x.act; before != nil && before.seed == a.seed {
		i := slices.IndexFunc(before.toxics, func(o *armed) bool { return same(o.cfg, t) })
		if i >= 0 {
			return before.toxics[i].taken(sameTraffic(before.cfg, a.cfg)), nil
		}
	}
	one := &armed{of: x, cfg: t, seed: a.seed, stats: x.toxics.get(t.Name, t.Toxic.Type())}
	if v, ok := t.Toxic.(interface{ Validate() error }); ok {
		if err := v.Validate(); err != nil {
			return nil, err
		}
	}
	if f, ok := t.Toxic.(fault.Fault); ok {
		one.fault, one.acts = f, requests
	}
	if _, ok := t.Toxic.(toxic.Stream); ok {
		one.acts |= requests | streams
	}
	if _, ok := t.Toxic.(toxic.Datagram); ok {
		one.acts |= datagrams
	}
	one.Entry = &toxic.Entry{
		Name: x.name + "/" + t.Name, Direction: t.Direction, Toxic: t.Toxic,
		Toxicity: 1, // it is put only where decision.draws has decided so, as of another time perhaps
		Key:      chance.NewKey(a.seed, id.Namespace, id.Name, t.Name),
	}
	return one, nil
}

// taken returns the toxic for another version of its Experiment. Unless that is for the same traffic, what waits is let go; live
// connections keep the Entry.
func (t *armed) taken(sameTraffic bool) *armed {
	if sameTraffic || t.gone == nil {
		return t
	}
	next := *t
	next.gone = make(chan struct{})
	return &next
}

// sameTraffic reports whether two versions of an Experiment touch the same requests.
func sameTraffic(a, b *proxy.Experiment) bool {
	return a.At == b.At && a.DryRun == b.DryRun && slices.Equal(a.Targets, b.Targets) && slices.Equal(a.Spared, b.Spared) &&
		slices.EqualFunc(a.Matches, b.Matches, func(m, n proxy.Match) bool {
			return m.Path == n.Path && m.Method == n.Method && slices.Equal(m.Headers, n.Headers) && slices.Equal(m.Query, n.Query)
		})
}

// same reports whether two toxics have the same content. Values that cannot be compared never do.
func same(a, b proxy.ExperimentToxic) (equal bool) {
	defer func() {
		if recover() != nil {
			equal = false
		}
	}()
	return a == b
}

// compileSequence resolves the names in the Sequence.
func (a *action) compileSequence() error {
	at := uint64(0)
	for i, s := range a.cfg.Sequence {
		one := step{}
		for _, name := range s.Toxics {
			j := slices.IndexFunc(a.toxics, func(t *armed) bool { return t.cfg.Name == name })
			if j < 0 {
				return fmt.Errorf("sequence: step %d: there is no toxic %q", i, name)
			}
			one.toxics = append(one.toxics, a.toxics[j])
		}
		at += uint64(max(s.Count, 0))
		one.upTo = at
		a.sequence = append(a.sequence, one)
	}
	return nil
}

// begin returns the action with every toxic in force since start. Those that are stay as they are.
func (a *action) begin(start time.Time) *action {
	if a.began.Equal(start) && !slices.ContainsFunc(a.toxics, func(t *armed) bool { return t.gone == nil || !t.Began.Equal(start) }) {
		return a
	}
	next := a.with(func(t *armed) *armed {
		if t.gone != nil && t.Began.Equal(start) {
			return t
		}
		next := *t
		next.targets = &targets{}
		entry := *t.Entry
		entry.Began, entry.Observe = start, next.observer()
		if s, ok := t.cfg.Toxic.(toxic.Sharer); ok {
			entry.Shared = s.NewShared()
		}
		next.Entry, next.gone = &entry, make(chan struct{})
		return &next
	})
	next.began = start
	return next
}

// end returns the action with no toxic in force.
func (a *action) end() *action {
	if a == nil || !slices.ContainsFunc(a.toxics, func(t *armed) bool { return t.gone != nil }) {
		return a
	}
	return a.with(func(t *armed) *armed {
		next := *t
		next.gone = nil
		return &next
	})
}

// with returns the action with other armed toxics in the place of its own.
func (a *action) with(change func(*armed) *armed) *action {
	next := *a
	next.toxics = make([]*armed, len(a.toxics))
	for i, t := range a.toxics {
		next.toxics[i] = change(t)
	}
	next.sequence = nil
	_ = next.compileSequence() // it has been compiled before
	return &next
}
