package toxic

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// Slot holds the toxics that act on one connection, or one session of datagrams, in both directions. All methods may be called
// concurrently; none ever waits for a peer.
type Slot struct {
	current atomic.Pointer[[]decided]    // never nil once made by NewSlot; immutable
	of      [2]atomic.Pointer[[]decided] // by proxy.Direction: those that act on it; likewise

	follower atomic.Pointer[Follower] // nil: nobody

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

// Set replaces the toxics that act. It returns at once: what comes afterwards meets the new ones, and what is held back follows within
// milliseconds. Toxics whose Entry and ordinal were there before keep their decision and their state.
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

// Follower is told what becomes of a connection or session, as soon as that shows. Its functions must not block, nor call what they
// are told of; each may be nil.
type Follower struct {
	// Cut: a toxic has ended the connection, which may yet linger.
	Cut func()
	// Answered: the client has got the first bytes, or the first datagram. quiet is for how long the client had sent nothing itself
	// since there has been a way to the endpoint; 0 for sessions of datagrams. It is called once for a Link. A Conn does not call it.
	Answered func(quiet time.Duration)
	// Lost: in some direction of a session the datagrams that came since its toxics changed have been lost, all of them. It is called
	// with the first that is lost or gets through after each change, and with the first that gets through when others were lost.
	Lost func(isLost bool)
}

// Follow has f told of the connection, or session, that the Slot is used for from then on, in the place of the one before.
func (s *Slot) Follow(f Follower) { s.follower.Store(&f) }

// wasCut tells the Follower.
func (s *Slot) wasCut() {
	if f := s.follower.Load(); f != nil && f.Cut != nil {
		f.Cut()
	}
}

// answered tells the Follower.
func (s *Slot) answered(quiet time.Duration) {
	if f := s.follower.Load(); f != nil && f.Answered != nil {
		f.Answered(quiet)
	}
}

// lost tells the Follower.
func (s *Slot) lost(isLost bool) {
	if f := s.follower.Load(); f != nil && f.Lost != nil {
		f.Lost(isLost)
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
