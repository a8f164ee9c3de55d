package chaos

import (
	"slices"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy/chance"
)

// kind tells apart what toxics may act on.
type kind uint8

const (
	requests  kind = 1 << iota // of HTTP, and their connections
	streams                    // TCP connections that are passed on as they are
	datagrams                  // UDP sessions
)

// decision is what one Experiment has decided for one request, attempt or connection.
type decision struct {
	*interest
	ordinal   uint64
	attempt   int    // 1 for the first, and for what has no attempts
	place     uint64 // in the Sequence
	settled   bool   // it has been chosen or not
	chosen    bool   // by Percent or Sequence; then the toxics decide, each for itself
	counted   bool   // as injected or skipped
	rehearsed bool   // counted by a dry run
	isReal    bool   // of a connection: numbered by a real run
	client    string // what SequenceKey has found
	kind      kind
	age       time.Duration // of the action when it was settled; 0 if no threshold changes over time
	// dealt are the names of the toxics that were dealt before an edit of an Experiment that had a Sequence, or has one since: no others
	// come to act. nil otherwise.
	dealt []string
	met   []*toxicStats // that count the connection, which may lose a toxic and get it again
}

// number decides what depends on the place in the order, for something that has been matched. key is what OrdinalKey has found in
// it: without a value the place counts, so that those without are not all one.
func (a *action) number(key string) (ordinal uint64) {
	a.matched.Add(1)
	return a.renumber(key)
}

// renumber is number for what has been matched before, by a dry run if this is none, or the other way round.
func (a *action) renumber(key string) (ordinal uint64) {
	ordinals := &a.ordinals
	if a.cfg.DryRun {
		ordinals = &a.rehearsed
	}
	n := ordinals.Add(1) - 1
	if key != "" {
		return hashed(a.ordinal, key)
	}
	return n
}

// hashed makes an ordinal of a value.
func hashed(k chance.Key, value string) uint64 {
	return chance.NewKey(k.Bits(0), value).Bits(0) &^ attemptBits
}

// The ordinal of an attempt after the first is the request's with the attempt's number in the uppermost bits, which no count
// of requests reaches: whether one request is tried again never changes what another meets.
const (
	attemptShift = 56
	attemptBits  = uint64(0xff) << attemptShift
)

func attemptOrdinal(ordinal uint64, attempt int) uint64 {
	return ordinal | uint64(min(attempt-1, 255))<<attemptShift
}

// choose decides by Percent or Sequence, as of now.
func (d *decision) choose() {
	a := d.action
	d.settled, d.dealt = true, nil
	if a.changes {
		d.age = time.Since(a.began)
	}
	if a.engine.cfg.Replay.knows(a.name) {
		d.chosen = true // each toxic has its own lines
		return
	}
	if len(a.sequence) > 0 {
		d.place = a.sequences.take(d.client)
		d.chosen = d.place < a.sequence[len(a.sequence)-1].upTo
		return
	}
	d.chosen = a.percent.Float(d.ordinal)*100 < a.cfg.Percent.At(d.age)
}

// keep is called before an edited configuration is followed. Where there is a Sequence before or after the edit, what comes later is dealt
// anew, and what is there keeps what it has been dealt, as that is now: it takes no place in the Sequence that begins, and does not get
// everything because the Sequence is gone.
func (d *decision) keep(next *action) {
	if d.dealt == nil && len(d.sequence) == 0 && len(next.sequence) == 0 {
		return
	}
	dealt := []string{}
	d.each(func(t *armed) { dealt = append(dealt, t.cfg.Name) })
	d.settled, d.dealt = true, dealt
}

// meet counts a connection for one of the toxics that act on it, once.
func (d *decision) meet(t *armed) {
	if !slices.Contains(d.met, t.stats) {
		d.met = append(d.met, t.stats)
		t.stats.decided.Add(1)
		t.stats.applied.Add(1)
	}
}

// each calls f with those of the toxics that act, in order.
func (d *decision) each(f func(*armed)) {
	if !d.chosen {
		return
	}
	for _, t := range d.candidates() {
		if t.acts&d.kind != 0 && d.draws(t) {
			f(t)
		}
	}
}

// any reports whether some toxic acts.
func (d *decision) any() bool {
	if !d.chosen {
		return false
	}
	for _, t := range d.candidates() {
		if t.acts&d.kind != 0 && d.draws(t) {
			return true
		}
	}
	return false
}

// candidates are the toxics that were dealt before an edit, or that the Sequence names at this place; all, without one.
func (d *decision) candidates() []*armed {
	a := d.action
	switch {
	case a.engine.cfg.Replay.knows(a.name):
		return a.toxics
	case d.dealt != nil:
		return slices.DeleteFunc(slices.Clone(a.toxics), func(t *armed) bool { return !slices.Contains(d.dealt, t.cfg.Name) })
	case len(a.sequence) == 0:
		return a.toxics
	}
	for i := range a.sequence {
		if d.place < a.sequence[i].upTo {
			return a.sequence[i].toxics
		}
	}
	return nil
}

// draws tells whether the toxic acts. Its draw is the one of package toxic.
func (d *decision) draws(t *armed) bool {
	if r := d.engine.cfg.Replay; r.knows(d.name) {
		return r.acts(d.name, t.cfg.Name, d.ordinal, d.cfg.DryRun)
	}
	return t.Key.Float(d.ordinal) < t.cfg.Toxicity.At(d.age)
}

// inForce reports whether the toxic is still in force.
func (t *armed) inForce() bool {
	select {
	case <-t.gone:
		return false
	default:
		return !t.of.halted.Load()
	}
}

// admission is whether a request may be touched at all.
type admission uint8

const (
	undecided admission = iota
	admitted
	denied
)

// admit decides whether what wants to touch a request may, and counts it if not. all are the budgets that the request counts for,
// target is what the log says of it. It returns true if the faults are to act.
func (d *decision) admit(all []share, state *admission, target string) bool {
	a := d.action
	if a.cfg.DryRun {
		if !d.rehearsed {
			d.rehearsed = true
			if !takeAll(d.dry) {
				a.skipped.Add(1)
				d.log(decidedCap, target)
				return false
			}
			a.dry.Add(1)
			d.log(decidedDryRun, target)
		}
		return false
	}
	if *state == undecided {
		*state = denied
		if takeAll(all) {
			*state = admitted
		}
	}
	if !d.counted && *state != admitted {
		d.counted = true
		a.skipped.Add(1)
		d.log(decidedCap, target)
	}
	return *state == admitted
}

// count counts what has been admitted as injected.
func (d *decision) count() {
	if !d.counted {
		d.counted = true
		d.injected.Add(1)
	}
}
