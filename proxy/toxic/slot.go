package toxic

import (
	"slices"
	"sync"
	"sync/atomic"
)

// Slot holds the toxics that act on one connection, or one session of datagrams, in both directions. All methods may be called
// concurrently; none ever waits for a peer.
type Slot struct {
	current atomic.Pointer[[]decided] // never nil once made by NewSlot; immutable

	mu       sync.Mutex // guards changes of current, and what follows
	watchers []*watcher
}

// decided is an Active whose toxicity has been decided.
type decided struct {
	Active
	applied bool
}

// watcher is told of changes. Its function must not block.
type watcher struct{ changed func() }

// NewSlot returns a Slot in which the toxics act, in their order.
func NewSlot(as ...Active) *Slot {
	s := &Slot{}
	s.current.Store(&[]decided{})
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
	for _, w := range s.watchers {
		w.changed()
	}
}

// Empty reports whether nothing acts.
func (s *Slot) Empty() bool {
	return !slices.ContainsFunc(*s.current.Load(), func(d decided) bool { return d.applied })
}

// watch calls changed after every Set, until the function that it returns is called. The former must not block.
func (s *Slot) watch(changed func()) (stop func()) {
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
