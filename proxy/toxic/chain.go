package toxic

import (
	"slices"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// chain is the toxics of one direction of a connection and the bytes between them. It does no I/O and does not look at a clock:
// who owns it tells it what has come and what time it is, and takes what it has let out.
//
// Each toxic holds back its own bytes, which go to the next one when they are due. So when a toxic is taken out, what it held
// still passes through those behind it, and nothing that others have counted or planned needs to be undone.
type chain struct {
	direction proxy.Direction
	began     time.Time
	stages    []*stage
	now       time.Duration // of the last advance

	out    queue    // let out, to be written
	outEnd End      // of the source, after out
	end    injected // by a toxic, and through all behind it; after out unless urgent

	blocks ring // all blocks that hold bytes not taken yet, in the order of the stream
	rings  int  // memory of large queues, in bytes: many small pieces take more than their bytes
	memory int  // of both
	budget *Budget
	taken  int64
}

// late is how much time may have passed since bytes left one toxic for them to be taken to have reached the next one at that
// time. If more has passed, the peer has kept us waiting.
const late = 5 * time.Millisecond

// idle reports whether the chain does nothing: no toxics, and no bytes.
func (c *chain) idle() bool {
	return len(c.stages) == 0 && c.out.n == 0 && c.outEnd == None && c.end.end == None
}

// arrive takes the bytes that b holds.
func (c *chain) arrive(b *block) {
	b.left = len(b.data)
	c.taken += int64(b.left)
	c.blocks.push(b)
	c.charge(b.cost())
	c.feed(0, entry{block: b, n: b.left}, c.now)
	c.weigh()
}

// shrink makes the newest block take less memory, if it has to wait.
func (c *chain) shrink() {
	if c.blocks.n == 0 {
		return
	}
	b := c.blocks.newest()
	before := b.cost()
	b.shrink()
	c.charge(b.cost() - before)
}

// charge notes that n bytes more of memory are taken, or fewer.
func (c *chain) charge(n int) {
	c.memory += n
	c.budget.charge(n)
}

// weigh notes what the queues take.
func (c *chain) weigh() {
	n := c.out.memory()
	for _, st := range c.stages {
		n += st.held.memory()
	}
	c.charge(n - c.rings)
	c.rings = n
}

// finish takes the end of what the source sends: FIN or RST.
func (c *chain) finish(end End) { c.feed(0, entry{end: end}, c.now) }

// room returns how many bytes more may come.
func (c *chain) room(buffer int) int {
	n := c.budget.share(buffer) - c.memory
	if len(c.stages) > 0 {
		if st := c.stages[0]; st.bound > 0 {
			n = min(n, st.bound-st.bytes)
		}
	}
	return n
}

func (c *chain) feed(stage int, e entry, at time.Duration) {
	if stage < len(c.stages) {
		c.stages[stage].shape(e, at)
		return
	}
	if e.n > 0 {
		c.out.push(e)
	}
	if e.end != None {
		c.outEnd = e.end
	}
}

func (c *chain) feedEnd(stage int, i injected, at time.Duration) {
	if stage < len(c.stages) && i.end != RST {
		c.stages[stage].shapeInjected(i, at)
		return
	}
	c.end = i
}

// advance moves everything that is due.
func (c *chain) advance(now time.Duration) {
	c.now = now
	defer c.weigh()
	for moved := true; moved; {
		moved = false
		for i, st := range c.stages {
			for c.release(i, st) {
				moved = true
			}
		}
		if len(c.stages) < 2 {
			return // nothing can have made room for something
		}
	}
}

// release moves what leaves a stage first, if it is due.
func (c *chain) release(i int, st *stage) bool {
	if st.ended {
		return false
	}
	pending := st.pending.end != None && st.pending.due <= c.now
	if st.held.n > 0 {
		due := st.held.at(0).due
		if due <= c.now && (!pending || due <= st.pending.due) && c.accepts(i+1) {
			at := max(due, c.now-late)
			c.feed(i+1, st.pop(at), at)
			return true
		}
	}
	if pending && !c.follows(i, st) {
		st.ended = true
		c.feedEnd(i+1, st.pending, max(st.pending.due, c.now-late))
	}
	return st.ended
}

// follows reports whether the end that is pending in a stage comes after bytes for which the next one has no room.
func (c *chain) follows(i int, st *stage) bool {
	return !st.pending.urgent && st.held.n > 0 && st.held.at(0).due <= st.pending.due && !c.accepts(i+1)
}

func (c *chain) accepts(stage int) bool { return stage >= len(c.stages) || c.stages[stage].accepts() }

// next returns when there is something to do again; Never if not.
func (c *chain) next() time.Duration {
	next := Never
	for i, st := range c.stages {
		if st.ended {
			continue
		}
		if st.held.n > 0 && c.accepts(i+1) {
			next = min(next, st.held.at(0).due)
		}
		if st.pending.end != None && !c.follows(i, st) {
			next = min(next, st.pending.due)
		}
	}
	return next
}

// hasPending reports whether an injected end is on its way.
func (c *chain) hasPending() bool {
	return slices.ContainsFunc(c.stages, func(st *stage) bool { return st.pending.end != None && !st.ended })
}

// ready returns the bytes that can be written in one piece, nil if there are none.
func (c *chain) ready() []byte {
	if c.out.n == 0 {
		return nil
	}
	e := c.out.at(0)
	n := e.n
	for i := 1; i < c.out.n && !e.apart; i++ {
		f := c.out.at(i)
		if f.block != e.block || f.offset != e.offset+n || f.apart {
			break
		}
		n += f.n
	}
	return e.block.bytes(e.offset, n)
}

// take removes the first n bytes of what is ready: they have been written.
func (c *chain) take(n int) {
	for n > 0 {
		e := c.out.at(0)
		some := min(n, e.n)
		n -= some
		b := e.block
		e.offset, e.n = e.offset+some, e.n-some
		if e.n == 0 {
			c.out.pop()
		}
		if b.left -= some; b.left == 0 {
			c.charge(-b.cost())
			c.blocks.pop()
			b.free()
		}
	}
	c.weigh()
}

// set puts the toxics in force that concern this direction.
func (c *chain) set(list []decided, now time.Duration) {
	c.advance(now)
	old := c.stages
	from := make([]int, len(old)) // the place among the new stages to which the content of an old one goes
	for i := range from {
		from[i] = -1
	}
	var fresh []*stage
	c.stages = nil
	for _, d := range list {
		if _, isStream := d.Toxic.(Stream); !isStream {
			continue
		}
		st, at := c.stageFor(d, old)
		if at >= 0 && from[at] >= 0 { // two toxics of one name
			st, at = newStage(d, c.site(d)), -1
		}
		if at >= 0 {
			from[at] = len(c.stages)
		}
		if at < 0 || old[at] != st {
			fresh = append(fresh, st)
		}
		c.stages = append(c.stages, st)
	}
	c.cancel(old)
	for _, st := range fresh {
		st.open(now)
	}
	c.move(old, from)
	for _, st := range old {
		if !slices.Contains(c.stages, st) {
			st.finish()
		}
	}
	c.advance(now)
}

// stageFor returns the stage for a toxic, and the index of the old one whose place it takes, which may be itself; -1 if none.
func (c *chain) stageFor(d decided, old []*stage) (*stage, int) {
	if at := slices.IndexFunc(old, func(st *stage) bool { return st.Active == d.Active }); at >= 0 {
		return old[at], at
	}
	st := newStage(d, c.site(d))
	at := slices.IndexFunc(old, func(st *stage) bool { return st.Name == d.Name })
	if heir, ok := st.shaper.(Heir); ok && at >= 0 {
		heir.Inherit(old[at].shaper, old[at].bytes)
	}
	return st, at
}

// cancel takes back the ends that toxics have injected which are not in force any more.
func (c *chain) cancel(old []*stage) {
	for _, st := range old {
		if by := st.pending.by; by != nil && !slices.Contains(c.stages, by) {
			st.pending, st.ended = injected{}, false
		}
	}
	if c.end.end != None && !slices.Contains(c.stages, c.end.by) {
		c.end = injected{}
	}
}

// move brings what old stages held to where from says, or to the next stage behind that is still there, the oldest bytes first.
// A stage that has got another place among the others starts empty, lest bytes overtake.
func (c *chain) move(old []*stage, from []int) {
	behind := len(c.stages)
	for i, st := range slices.Backward(old) {
		to := from[i]
		switch {
		case to >= 0 && to < behind && c.stages[to] == st:
			behind = to
			continue
		case to >= 0 && to < behind: // changed: what it held meets the new parameters, as of when it came
			behind = to
			for _, e := range st.unwind() {
				c.feed(to, e, e.in)
			}
		default:
			for st.held.n > 0 {
				c.feed(behind, st.pop(c.now), c.now)
			}
			st.last = 0
		}
		if p := st.pending; p.end != None && p.by != st && !st.ended {
			c.feedEnd(behind, p, c.now)
		}
	}
}

func (c *chain) site(d decided) Site {
	s := Site{Direction: c.direction, Rand: d.Key.Rand(d.Ordinal), Shared: d.Shared}
	if !d.Began.IsZero() {
		s.Began = min(d.Began.Sub(c.began), c.now)
	}
	return s
}

// shaping returns the toxic that is shaping something, or has panicked over it.
func (c *chain) shaping() Active {
	for _, st := range c.stages {
		if st.isShaping {
			return st.Active
		}
	}
	return Active{}
}

// close frees everything. The observers are told.
func (c *chain) close() {
	for _, st := range c.stages {
		st.finish()
	}
	c.drop()
}

// drop frees everything.
func (c *chain) drop() {
	for c.blocks.n > 0 {
		c.blocks.pop().free()
	}
	c.charge(-c.memory)
	c.stages, c.out, c.rings = nil, queue{}, 0
}
