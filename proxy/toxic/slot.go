package toxic

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// Slot holds the toxics that act on one connection, or one session of datagrams, in both directions. All methods may be called
// concurrently; none ever waits for a peer.
type Slot struct {
	current atomic.Pointer[[]decided]    // never nil once made by NewSlot; immutable
	of      [2]atomic.Pointer[[]decided] // by proxy.Direction: those that act on it; likewise

	cut atomic.Pointer[func()] // see OnCut; nil: nobody

	mu       sync.Mutex // guards changes of current, and what follows
	watchers []*watcher
}

// decided is an Active whose toxicity has been decided.
type decided struct {
	Active
	applied bool
}

// watcher is told of changes. Its function must not block.
type watcher struct{ changed func(directions) }

// directions are some of the two.
type directions [2]bool

var bothDirections = directions{true, true}

// NewSlot returns a Slot in which the toxics act, in their order.
func NewSlot(as ...Active) *Slot {
	s := &Slot{}
	s.current.Store(&[]decided{})
	for d := range s.of {
		s.of[d].Store(&[]decided{})
	}
	if len(as) > 0 {
		s.Set(as...)
	}
	return s
}

// Set replaces the toxics that act. It returns at once; live streams follow within milliseconds. Toxics whose Entry and ordinal
// were there before keep their decision and their state.
func (s *Slot) Set(as ...Active) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := *s.current.Load()
	now := make([]decided, len(as))
	for i, a := range as {
		at := slices.IndexFunc(old, func(d decided) bool { return d.Active == a })
		if at >= 0 {
			now[i] = old[at]
			continue
		}
		now[i] = decided{Active: a, applied: a.decide()}
		a.observe(Observation{Applied: now[i].applied})
	}
	s.current.Store(&now)
	var changed directions
	for d := range s.of {
		changed[d] = s.setOf(proxy.Direction(d), now)
	}
	for _, w := range s.watchers {
		w.changed(changed)
	}
}

// setOf keeps those of all toxics that act on a direction, and reports whether they are others than before: with thousands of
// connections it counts that only the directions which have something to do are woken.
func (s *Slot) setOf(d proxy.Direction, all []decided) bool {
	var list []decided
	for _, one := range all {
		if one.applied && one.Direction == d {
			list = append(list, one)
		}
	}
	if slices.Equal(*s.of[d].Load(), list) {
		return false
	}
	s.of[d].Store(&list)
	return true
}

// OnCut has f called as soon as one of the toxics ends the connection, which may yet linger then. f must not block. It takes the
// place of the one before.
func (s *Slot) OnCut(f func()) { s.cut.Store(&f) }

// wasCut tells that one of the toxics has ended the connection.
func (s *Slot) wasCut() {
	if f := s.cut.Load(); f != nil {
		(*f)()
	}
}

// Empty reports whether nothing acts.
func (s *Slot) Empty() bool {
	return !slices.ContainsFunc(*s.current.Load(), func(d decided) bool { return d.applied })
}

// watch calls changed after every Set, with the directions on which others act now, until the function that it returns is called. The
// former must not block.
func (s *Slot) watch(changed func(directions)) (stop func()) {
	w := &watcher{changed}
	s.mu.Lock()
	s.watchers = append(s.watchers, w)
	s.mu.Unlock()
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if at := slices.Index(s.watchers, w); at >= 0 {
			s.watchers = slices.Delete(s.watchers, at, at+1)
		}
	}
}
