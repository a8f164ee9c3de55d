package toxic

import (
	"time"
)

// stage is one toxic at work on one direction of a connection: its shaper, and what that holds back.
type stage struct {
	decided
	shaper Shaper
	emit   func(Chunk) // takes what the shaper lets out; made once, so that shaping allocates nothing

	held  queue
	bytes int           // in held
	bound int           // of bytes, above which the stage takes no more; 0 is none
	last  time.Duration // due of the newest in held: bytes never overtake
	// pending is the end that a toxic has injected, here or before this stage.
	pending injected
	ended   bool // pending has left: nothing more may

	// What Shape is being called with, and how much of it has been emitted.
	input     entry
	passed    injected
	used      int
	isShaping bool // Shape is being called, or has panicked

	seen  int64 // bytes that came
	delay time.Duration
	by    End // how it ended the connection
}

// injected is an end that a toxic has added.
type injected struct {
	end    End
	due    time.Duration
	urgent bool
	by     *stage
}

// Bounded is implemented by Shapers that want only so many bytes to wait in them: what is more waits before them, in the end at
// the sender.
type Bounded interface {
	// Bound returns a number of bytes, asked for once.
	Bound() int
}

// Heir is implemented by Shapers that go on where the one they replace left off, when the parameters of a toxic are changed.
type Heir interface {
	// Inherit is called once, before the first chunk. old is the running form of the toxic of the same name and, if that has not
	// been changed, of the same type. What old held back, held bytes, is shaped again by the new one.
	Inherit(old Shaper, held int)
}

func newStage(d decided, s Site) *stage {
	st := &stage{decided: d}
	st.shaper = d.Toxic.(Stream).New(s)
	if b, ok := st.shaper.(Bounded); ok {
		st.bound = b.Bound()
	}
	st.emit = st.take
	return st
}

// accepts reports whether another chunk may come.
func (st *stage) accepts() bool { return st.bound == 0 || st.bytes < st.bound }

// open shows the shaper the beginning of the stream.
func (st *stage) open(at time.Duration) {
	st.input, st.passed, st.used = entry{in: at}, injected{}, 0
	st.call(Chunk{Due: at, Open: true})
}

// shape gives e to the shaper.
func (st *stage) shape(e entry, at time.Duration) {
	e.in = at
	st.input, st.passed, st.used = e, injected{}, 0
	st.seen += int64(e.n)
	if e.n > 0 {
		st.call(Chunk{Data: e.data(), Due: at})
		st.takeRest(e)
	}
	if e.end != None {
		st.used = e.n
		st.call(Chunk{Due: at, End: e.end})
	}
}

// call lets the shaper see c.
func (st *stage) call(c Chunk) {
	st.isShaping = true
	st.shaper.Shape(c, st.emit)
	st.isShaping = false
}

// takeRest withholds what the shaper did not emit: it is not for the engine to lose bytes.
func (st *stage) takeRest(e entry) {
	if rest := e.n - st.used; rest > 0 {
		st.push(entry{block: e.block, offset: e.offset + st.used, n: rest, in: e.in, due: Never})
		st.used = e.n
	}
}

// shapeInjected gives the shaper an end that was injected before this stage.
func (st *stage) shapeInjected(i injected, at time.Duration) {
	st.input, st.passed, st.used = entry{in: at}, i, 0
	st.call(Chunk{Due: at, End: i.end, Injected: true})
}

// take receives what the shaper emits.
func (st *stage) take(c Chunk) {
	if n := min(len(c.Data), st.input.n-st.used); n > 0 {
		e := entry{block: st.input.block, offset: st.input.offset + st.used, n: n, in: st.input.in, due: c.Due, apart: c.Apart || st.input.apart}
		st.used += n
		st.push(e)
	}
	switch {
	case c.End == None:
	case st.passed.end != None:
		i := st.passed
		i.end, i.due = c.End, max(c.Due, st.last)
		if st.pending.end == None || i.due < st.pending.due {
			st.pending = i
		}
	case c.Injected:
		st.pending = injected{end: c.End, due: c.Due, urgent: c.Urgent || c.End == RST, by: st}
	default:
		st.push(entry{in: st.input.in, due: c.Due, end: c.End})
	}
}

func (st *stage) push(e entry) {
	e.due = max(e.due, st.last)
	st.last = e.due
	st.bytes += e.n
	st.held.push(e)
}

// pop takes out what leaves first, at a time.
func (st *stage) pop(at time.Duration) entry {
	e := st.held.pop()
	st.bytes -= e.n
	st.delay = max(st.delay, at-e.in)
	return e
}

// unwind takes out everything held, for another stage to shape it again; runs of one chunk become one entry again.
func (st *stage) unwind() (es []entry) {
	for st.held.n > 0 {
		e := st.pop(st.held.at(0).in)
		if n := len(es); n > 0 {
			if l := &es[n-1]; l.block == e.block && l.in == e.in && l.offset+l.n == e.offset && l.end == None && e.n > 0 {
				l.n, l.end = l.n+e.n, e.end
				continue
			}
		}
		es = append(es, e)
	}
	st.last = 0
	return es
}

// finish tells the observer what has become of the toxic.
func (st *stage) finish() {
	st.observe(Observation{Applied: true, Final: true, Bytes: st.seen, Delay: st.delay, Ended: st.by})
}
