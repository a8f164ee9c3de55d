package chaos

import (
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// Config of an Engine. The zero value is usable.
type Config struct {
	Log *slog.Logger // nil is slog.Default
	// FaultLog gets a line of JSON for every fault; nil: only the latest are kept, see Engine.Faults. A slow writer loses lines,
	// which are counted, and never holds up traffic.
	FaultLog io.Writer
	// Replay, if not nil, decides in the place of chance for the Experiments that it names.
	Replay *Replay
	// Now is the wall clock, which Windows are given in; nil is time.Now. It is asked when a window is armed; what has been armed
	// runs on the monotonic clock.
	Now func() time.Time
	// Halted, if not nil, is told of each halt by a Guard. It must not block, nor call the Engine.
	Halted func(id proxy.ObjectID, reason string)
	// Disabled keeps every Experiment from acting, for the life of the process.
	Disabled bool
}

// Engine holds the live state of Experiments. A nil *Engine has none and touches nothing.
type Engine struct {
	cfg      Config
	log      *faultLog
	plan     atomic.Pointer[plan] // nil while nothing is to be done for any request
	backends atomic.Pointer[map[proxy.BackendID]*proxy.Backend]
	changed  chan struct{}
	requests sync.Pool
	conns    connections
	manual   atomic.Pointer[map[ManualTarget]*byHand] // nil while nothing acts by hand
	ledger   ledger                                   // of what acts, or has acted, by hand
	cuts     cutLedger

	mu        sync.Mutex // guards what follows
	live      map[identity]*experiment
	order     []*experiment // as in the Snapshot
	retired   []*experiment // have left it; the oldest first
	listeners []*proxy.Listener
	manuals   map[ManualTarget]*byHand // set, whether they act or not
	followers []func(on bool)          // of the kill switches
	switches  [killSwitches]time.Time  // since when each is used; zero: it is not
	events    []event                  // to be logged by unlock
	// chaosSwitch is Snapshot.ChaosSwitch.
	chaosSwitch string
	// replayChecked: whoever replays the wrong log has been warned.
	replayChecked bool
	timer         *time.Timer
	closed        bool
}

// identity is what live state is kept under.
type identity struct {
	id  proxy.ObjectID
	uid string
}

// maxRetired bounds the Experiments that are still reported after they have left the Snapshot.
const maxRetired = 100

// New returns an Engine without Experiments. It must be closed.
func New(cfg Config) *Engine {
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	e := &Engine{cfg: cfg, log: newFaultLog(cfg.FaultLog), changed: make(chan struct{}, 1), live: map[identity]*experiment{}}
	e.requests.New = func() any { return &Request{engine: e} }
	e.backends.Store(&map[proxy.BackendID]*proxy.Backend{})
	if cfg.Disabled {
		e.switches[flagSwitch] = time.Now()
	}
	e.FollowSwitches(e.ledger.follow)
	if cfg.Replay != nil {
		if names := cfg.Replay.severalRuns(); len(names) > 0 {
			cfg.Log.Warn("the fault log that is replayed has several runs of experiments: the last one of each is repeated",
				"experiments", names[:min(len(names), maxNamed)])
		}
	}
	return e
}

// Apply makes the Experiments of a Snapshot those that are in force. It does not keep the Snapshot from being served: what
// is wrong with an Experiment is said by Status.
func (e *Engine) Apply(snap *proxy.Snapshot) {
	if e == nil {
		return
	}
	compiled := e.prepare(snap, func(*proxy.Experiment) bool { return true })
	e.mu.Lock()
	defer e.unlock()
	if e.closed {
		return
	}
	e.backends.Store(&snap.Backends)
	e.setSnapshot(snap)
	e.checkReplay(snap)
	order := make([]*experiment, 0, len(snap.Experiments)+len(snap.Refused))
	for _, cfg := range snap.Experiments {
		x := e.find(identity{cfg.ID, cfg.UID}, cfg.Created)
		if slices.Contains(order, x) {
			continue // given twice
		}
		x.configure(cfg, compiled[cfg])
		order = append(order, x)
	}
	for i := range snap.Refused {
		r := &snap.Refused[i]
		x := e.find(identity{r.ID, r.UID}, r.Created)
		if slices.Contains(order, x) {
			continue
		}
		x.refuse(r)
		order = append(order, x)
	}
	for _, x := range e.order {
		if !slices.Contains(order, x) {
			e.retire(x)
		}
	}
	e.order = order
	fresh := !slices.Equal(e.listeners, snap.Listeners)
	e.listeners = snap.Listeners
	e.refresh(fresh)
	e.followEndpoints()
}

// followEndpoints lets live connections follow where faults act at some Endpoints only, and those are others now. e.mu is held.
func (e *Engine) followEndpoints() {
	p := e.plan.Load()
	if p == nil {
		return
	}
	moved := map[proxy.BackendID]bool{}
	for _, a := range p.actions {
		a.endpoints.moved(moved)
	}
	if len(moved) > 0 {
		e.conns.update(moved)
	}
}

// find returns the live state of an object, new if there is none. e.mu is held.
func (e *Engine) find(key identity, created time.Time) *experiment {
	x := e.live[key]
	if x == nil {
		if x = e.takeBack(key, created); x == nil {
			x = newExperiment(e, key)
		}
		e.live[key] = x
	}
	return x
}

// Withdraw makes a Snapshot that cannot be served end what it is to end: everything if its kill switch is used, and the
// Experiments that have left it, that it suspends, halts or refuses. Nothing begins, and nothing that acts is changed.
func (e *Engine) Withdraw(snap *proxy.Snapshot) {
	if e == nil {
		return
	}
	ends := func(cfg *proxy.Experiment) bool { return cfg.Suspend || cfg.Halted }
	compiled := e.prepare(snap, ends)
	e.mu.Lock()
	defer e.unlock()
	if e.closed {
		return
	}
	kept := make([]*experiment, 0, len(e.order))
	for _, x := range e.order {
		i := slices.IndexFunc(snap.Experiments, func(cfg *proxy.Experiment) bool { return identity{cfg.ID, cfg.UID} == x.key })
		if i < 0 {
			r := slices.IndexFunc(snap.Refused, func(r proxy.RefusedExperiment) bool { return identity{r.ID, r.UID} == x.key })
			if r < 0 {
				e.retire(x)
				continue
			}
			x.refuse(&snap.Refused[r])
			kept = append(kept, x)
			continue
		}
		kept = append(kept, x)
		if cfg := snap.Experiments[i]; ends(cfg) {
			x.configure(cfg, compiled[cfg])
		}
	}
	e.order = kept
	e.refresh(false)
}

// Obey ends all faults if the Snapshot throws the kill switch, and does nothing otherwise: a switch that it releases waits for Apply. It
// is for the time before whatever else the Snapshot takes.
func (e *Engine) Obey(snap *proxy.Snapshot) {
	if e == nil || !snap.ChaosOff {
		return
	}
	e.mu.Lock()
	defer e.unlock()
	if !e.closed {
		e.setSnapshot(snap)
		e.obeySwitches(false)
	}
}

// prepare obeys the Snapshot, and then compiles the Matches of those of its Experiments that are new and wanted, without e.mu: nobody
// who throws a kill switch is to wait for regular expressions.
func (e *Engine) prepare(snap *proxy.Snapshot, wanted func(*proxy.Experiment) bool) map[*proxy.Experiment]matchers {
	e.Obey(snap)
	known := map[*proxy.Experiment]bool{}
	e.mu.Lock()
	for _, x := range e.live {
		known[x.cfg] = true
	}
	e.unlock()
	compiled := map[*proxy.Experiment]matchers{}
	for _, cfg := range snap.Experiments {
		if !known[cfg] && wanted(cfg) {
			compiled[cfg] = newMatchers(cfg)
		}
	}
	return compiled
}

// retire forgets an Experiment that has left the Snapshot, but for what is to be reported of it.
func (e *Engine) retire(x *experiment) {
	delete(e.live, x.key)
	x.deleted = true
	x.rest()
	e.tell(x)
	e.retired = append(e.retired, x)
	if len(e.retired) > maxRetired {
		e.retired = slices.Delete(e.retired, 0, len(e.retired)-maxRetired)
	}
}

// takeBack returns the live state of an Experiment that has left the Snapshot and is in it again: whoever refuses an object for a
// moment lifts no halt and restarts no sequence. It returns nil if there is none of the same object.
func (e *Engine) takeBack(key identity, created time.Time) *experiment {
	i := slices.IndexFunc(e.retired, func(x *experiment) bool { return x.key == key && x.cfg.Created.Equal(created) })
	if i < 0 {
		return nil
	}
	x := e.retired[i]
	e.retired = slices.Delete(e.retired, i, i+1)
	x.deleted = false
	return x
}

// refresh brings everything up to date with configuration, clock and switches. fresh is true if Routes may have gone, so that
// what is cached for them must go too. e.mu is held.
func (e *Engine) refresh(fresh bool) {
	if e.closed {
		return
	}
	e.obeySwitches(fresh)
	now := time.Now()
	wake := time.Duration(-1)
	for _, x := range e.order {
		if d := x.advance(now, e.cfg.Now()); d >= 0 && (wake < 0 || d < wake) {
			wake = d
		}
	}
	e.wakeIn(wake)
	e.rebuild(fresh)
	e.applyManual()
	for _, x := range e.order {
		e.tell(x)
	}
	select {
	case e.changed <- struct{}{}:
	default:
	}
}

// obeySwitches takes everything out of force if a kill switch is used. It comes before whatever may take its time, such as looking
// for the times of schedules. e.mu is held.
func (e *Engine) obeySwitches(fresh bool) {
	if !e.off() {
		return
	}
	for _, x := range e.order {
		x.rest()
	}
	e.rebuild(fresh)
	e.applyManual()
}

// wakeIn has refresh called again after d; never, if d is negative. e.mu is held.
func (e *Engine) wakeIn(d time.Duration) {
	if e.timer != nil {
		e.timer.Stop()
		e.timer = nil
	}
	if d < 0 {
		return
	}
	e.timer = time.AfterFunc(d, func() {
		e.mu.Lock()
		defer e.unlock()
		e.refresh(false)
	})
}

// SetEnabled is the kill switch: with false no Experiment acts until it is called with true. Windows go on meanwhile. Other
// switches stay as they are: any one suffices.
func (e *Engine) SetEnabled(on bool) {
	e.mu.Lock()
	defer e.unlock()
	e.set(adminSwitch, !on)
	e.refresh(false)
}

// Enabled reports whether no kill switch is used.
func (e *Engine) Enabled() bool {
	e.mu.Lock()
	defer e.unlock()
	return !e.off()
}

// Rearm lifts the halt of an Experiment, wherever it arose, and reports whether there was one.
func (e *Engine) Rearm(id proxy.ObjectID) bool {
	e.mu.Lock()
	defer e.unlock()
	found := false
	for _, x := range e.order {
		if x.key.id == id && x.rearm() {
			found = true
		}
	}
	if found {
		e.say("experiment is armed again", "experiment", id.String())
		e.refresh(false)
	}
	return found
}

// ToldHalt notes that the cluster has heard of the halt that arose here at this time (ExperimentStatus.HaltedAt), and counts it as the one
// of this number (Experiment.Halts): its own, or one of another replica that was in force already. From then on it is lifted when that
// is. It does nothing if there is another halt by now, or none.
func (e *Engine) ToldHalt(uid string, at time.Time, number uint64) {
	e.mu.Lock()
	defer e.unlock()
	for _, x := range e.order {
		if x.key.uid == uid && x.halt.here && x.halt.at.Equal(at) {
			x.halt.number = number
			x.settleHalt()
			x.halted.Store(x.isHalted())
			e.refresh(false)
		}
	}
}

// Status says what has become of every Experiment of the Snapshot, in its order, and then of those that it refuses.
func (e *Engine) Status() []proxy.ExperimentStatus {
	if e == nil {
		return nil
	}
	e.mu.Lock()
	defer e.unlock()
	all := make([]proxy.ExperimentStatus, len(e.order))
	for i, x := range e.order {
		all[i] = x.status()
	}
	return all
}

// Changed returns a channel that gets a value when the phase of an Experiment may have changed. It is for one reader. Counts
// change without it.
func (e *Engine) Changed() <-chan struct{} { return e.changed }

// Close ends every fault, the timers and the fault log, whose last lines it writes. Nothing acts afterwards.
func (e *Engine) Close() {
	if e == nil {
		return
	}
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return
	}
	e.order, e.manuals = nil, nil
	e.refresh(true)
	e.closed = true
	e.unlock()
	e.log.close()
}
