package chaos

import (
	"encoding/json"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy/toxic"
)

// Fault is one line of the fault log: what one toxic does to one request or connection, and what has become of it. A toxic that was to act
// and never came to do so, for instance because an earlier one had answered the request, has no line.
type Fault struct {
	Time    time.Time `json:"time"`
	Object  string    `json:"object"`            // the Experiment: Kind/Namespace/Name; of a Manual Toxiproxy//Owner
	Toxic   string    `json:"toxic"`             // its name
	Target  string    `json:"target"`            // the Route or, at Backend, the Endpoint
	Ordinal uint64    `json:"ordinal"`           // of the request or connection
	Attempt int       `json:"attempt,omitempty"` // from 2
	// Decision is "inject" when it begins to act; "cap" or "dryRun" for what was not injected for that reason; "end" when a toxic on a
	// connection is over, which tells bytes and delay, when a response is over whose body a fault has had, which tells bytes, or when the
	// delay of a request has ended early.
	Decision string  `json:"decision"`
	Bytes    int64   `json:"bytes"`
	Delay    float64 `json:"delay"` // seconds; with "inject", how long a request is to be delayed
	// Since tells runs apart that are in one log: it is when the process came to know the Experiment, from when on it hands out ordinals. Zero
	// for Manuals.
	Since time.Time `json:"since,omitzero"`
	// Seed is the Experiment's, or that of the Manual: together with Ordinal it decides what the toxic draws within a connection or
	// session.
	Seed uint64 `json:"seed"`
}

const (
	decidedInject = "inject"
	decidedCap    = "cap"
	decidedDryRun = "dryRun"
	decidedEnd    = "end"
)

// faultLog keeps the latest lines and hands all to a writer.
type faultLog struct {
	lines   chan []byte // nil without a writer
	done    chan struct{}
	dropped atomic.Uint64

	mu     sync.Mutex
	ring   []Fault // guarded by mu
	next   int     // guarded by mu; the oldest, once the ring is full
	closed bool    // guarded by mu
}

const (
	ringSize   = 1000
	linesAhead = 4096 // that may wait for the writer
)

func newFaultLog(w io.Writer) *faultLog {
	l := &faultLog{}
	if w != nil {
		l.lines, l.done = make(chan []byte, linesAhead), make(chan struct{})
		go l.write(w)
	}
	return l
}

func (l *faultLog) write(w io.Writer) {
	defer close(l.done)
	for line := range l.lines {
		if _, err := w.Write(line); err != nil {
			l.dropped.Add(1)
		}
	}
}

// add logs f. It never waits for the writer.
func (l *faultLog) add(f Fault) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.ring) < ringSize {
		l.ring = append(l.ring, f)
	} else {
		l.ring[l.next] = f
		l.next = (l.next + 1) % ringSize
	}
	if l.lines == nil || l.closed {
		return
	}
	line, err := json.Marshal(f)
	if err != nil { // a time or a number out of range
		l.dropped.Add(1)
		return
	}
	select {
	case l.lines <- append(line, '\n'):
	default:
		l.dropped.Add(1)
	}
}

// latest returns what is kept, the oldest first.
func (l *faultLog) latest() []Fault {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append(append(make([]Fault, 0, len(l.ring)), l.ring[l.next:]...), l.ring[:l.next]...)
}

// lastWrites is how long close waits for a writer that is stuck.
const lastWrites = 2 * time.Second

func (l *faultLog) close() {
	if l.lines == nil {
		return
	}
	l.mu.Lock()
	l.closed = true
	close(l.lines)
	l.mu.Unlock()
	select {
	case <-l.done:
	case <-time.After(lastWrites):
	}
}

// Faults returns the latest lines of the fault log, at most a thousand, the oldest first.
func (e *Engine) Faults() []Fault { return e.log.latest() }

// DroppedFaults is how many lines the writer of the fault log has not got.
func (e *Engine) DroppedFaults() uint64 { return e.log.dropped.Load() }

// signature is what all lines about a toxic have in common.
type signature struct {
	log           *faultLog
	object, toxic string
	since         time.Time
	seed          uint64
}

// logged adds a line about the toxic.
func (s *signature) logged(target string, ordinal uint64, decision string, n int64, delay time.Duration) {
	f := Fault{
		Time: time.Now().UTC(), Object: s.object, Toxic: s.toxic, Target: target, Ordinal: ordinal &^ attemptBits,
		Decision: decision, Bytes: n, Delay: delay.Seconds(), Since: s.since, Seed: s.seed,
	}
	if late := int(ordinal >> attemptShift); late > 0 {
		f.Attempt = late + 1
	}
	s.log.add(f)
}

func (t *armed) signature() signature {
	return signature{log: t.of.engine.log, object: t.of.name, toxic: t.cfg.Name, since: t.of.since, seed: t.seed}
}

// logged adds a line about a toxic.
func (t *armed) logged(target string, ordinal uint64, decision string, n int64, delay time.Duration) {
	s := t.signature()
	s.logged(target, ordinal, decision, n, delay)
}

// log adds a line for each toxic that would have acted.
func (d *decision) log(decided, target string) {
	d.each(func(t *armed) { t.logged(target, d.ordinal, decided, 0, 0) })
}

// targets remembers where a toxic acts on connections, until it is over there. The zero value is ready.
type targets struct {
	mu sync.Mutex
	of map[uint64]string // guarded by mu; by ordinal
}

// maxTargets bounds what is remembered: beyond it a line of the log may lack its target.
const maxTargets = 100_000

func (t *targets) get(ordinal uint64) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.of[ordinal]
}

func (t *targets) set(ordinal uint64, target string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.of == nil {
		t.of = map[uint64]string{}
	}
	if len(t.of) >= maxTargets { // of connections on which the toxic has never come to act
		clear(t.of)
	}
	t.of[ordinal] = target
}

func (t *targets) drop(ordinal uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.of, ordinal)
}

// active returns the toxic as it is to act on one connection.
func (t *armed) active(ordinal uint64, target string) toxic.Active {
	t.targets.set(ordinal, target)
	return toxic.Active{Entry: t.Entry, Ordinal: ordinal}
}

// observer returns what the toxics engine tells of the toxic.
func (t *armed) observer() func(toxic.Observation) {
	w := &witness{t.signature(), t.stats, t.targets}
	return w.observe
}

// witness logs what one toxic does on connections, and counts what has become of it. On how many it is counts whoever puts it there: it
// may be taken off one and put on it again.
type witness struct {
	signature
	stats *toxicStats
	where *targets
}

func (w *witness) observe(o toxic.Observation) {
	switch {
	case !o.Applied:
	case o.Final:
		w.over(o)
	default:
		w.logged(w.where.get(o.Ordinal), o.Ordinal, decidedInject, 0, 0)
	}
}

// over counts and logs what the toxic has done to a connection.
func (w *witness) over(o toxic.Observation) {
	target := w.where.get(o.Ordinal)
	w.where.drop(o.Ordinal)
	w.stats.bytes.Add(o.Bytes)
	w.stats.delay.observe(o.Delay)
	if o.Ended != toxic.None {
		w.stats.ended.Add(1)
	}
	w.logged(target, o.Ordinal, decidedEnd, o.Bytes, o.Delay)
}
