package toxic

import (
	"cmp"
	"container/heap"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/alarm"
)

// DatagramLink passes the datagrams of one session, in both directions, through the toxics of a Slot. It has no goroutine:
// datagrams that are not held back are delivered by the caller of Pass, others by a timer. All methods may be called
// concurrently.
type DatagramLink struct {
	slot    *Slot
	deliver func(d proxy.Direction, p []byte)
	buffer  int
	budget  *Budget
	began   time.Time
	unwatch func()
	flows   [2]flow // by proxy.Direction

	mu       sync.Mutex // guards what follows; taken after a flow's
	lost     [2]bool    // by proxy.Direction: what came since its toxics changed has been lost, all of it
	answered bool       // something has been delivered to the client
}

// DatagramResult says what a DatagramLink has done.
type DatagramResult struct {
	Upstream, Downstream int64 // bytes delivered to the endpoint and to the client
	Dropped              int64 // datagrams, in both directions, by toxics, for want of room and by Close
	Withheld             int64 // those of Dropped that were held back when it was closed
	Err                  error // the panic of a toxic and its stack; its direction drops everything after it
}

// NewDatagramLink returns a DatagramLink that hands what it lets through to deliver, which must not keep p, must not block, and
// must not call the DatagramLink or set the Slot. Calls for one direction follow each other. Of the options, Buffer and Budget count:
// what finds no room is dropped.
func NewDatagramLink(slot *Slot, deliver func(d proxy.Direction, p []byte), o Options) *DatagramLink {
	if o.Buffer <= 0 {
		o.Buffer = DefaultBuffer
	}
	l := &DatagramLink{slot: slot, deliver: deliver, buffer: o.Buffer, budget: o.Budget, began: time.Now()}
	for i := range l.flows {
		f := &l.flows[i]
		f.link, f.direction = l, proxy.Direction(i)
	}
	l.unwatch = slot.watch(l.changed)
	return l
}

// Pass takes a datagram that moves in direction d. It may change p, but does not keep it. It reports false, and has done nothing, if the
// DatagramLink has been closed.
func (l *DatagramLink) Pass(d proxy.Direction, p []byte) bool {
	f := &l.flows[d]
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.isClosed {
		return false
	}
	if f.err != nil {
		f.dropped++
	}
	f.run(func() {
		if len(f.stages) == 0 && f.waiting.Len() == 0 {
			f.arrived(p)
			return
		}
		f.shape(f.first(), Packet{Data: p, Due: f.now})
		f.advance()
	})
	l.follow(f)
	return true
}

// Busy reports whether datagrams are held back that will go on by themselves: a session of which that is true is not idle. What is
// withheld for ever does not count.
func (l *DatagramLink) Busy() bool {
	return slices.ContainsFunc([]*flow{&l.flows[0], &l.flows[1]}, (*flow).isBusy)
}

// follow tells the Slot's Follower what has come of a flow, whose lock is held, since its toxics changed.
func (l *DatagramLink) follow(f *flow) {
	isLost := f.arrivals == f.before.arrivals
	if isLost && f.dropped == f.before.dropped || f.isTold && f.isLost == isLost {
		return
	}
	f.isTold, f.isLost = true, isLost
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lost[f.direction] = isLost
	l.slot.lost(l.lost[0] || l.lost[1])
	if f.direction == proxy.Downstreamward && !isLost && !l.answered {
		l.answered = true
		l.slot.answered(0)
	}
}

// Close ends the session and drops what is held back, of which the Slot's Follower is told as of all that is lost. Nothing is delivered
// once it has returned.
func (l *DatagramLink) Close() DatagramResult {
	l.unwatch()
	var r DatagramResult
	for i := range l.flows {
		f := &l.flows[i]
		f.mu.Lock()
		if !f.isClosed {
			f.isClosed = true
			if f.timer != nil {
				f.timer.Stop()
			}
			f.withhold()
			l.follow(f)
			for _, st := range f.stages {
				st.finish()
			}
			for _, w := range f.waiting {
				w.block.free()
			}
			f.charge(-f.room)
			f.stages, f.waiting = nil, nil
		}
		r.Dropped += f.dropped
		r.Withheld += f.withheld
		if f.err != nil {
			r.Err = f.err
		}
		f.mu.Unlock()
	}
	r.Downstream, r.Upstream = l.flows[proxy.Downstreamward].bytes, l.flows[proxy.Upstreamward].bytes
	return r
}

// changed lets the flows follow the Slot in a while: it may be called where deliver must not.
func (l *DatagramLink) changed(which directions) {
	for i := range l.flows {
		if which[i] {
			time.AfterFunc(0, l.flows[i].wake)
		}
	}
}

// flow is one direction of a DatagramLink.
type flow struct {
	link      *DatagramLink
	direction proxy.Direction

	mu       sync.Mutex // guards what follows
	seen     *[]decided
	stages   []*packetStage
	waiting  packets
	count    uint64 // of packets that have waited, for their order
	room     int    // bytes taken by them
	now      time.Duration
	timer    *time.Timer
	bytes    int64
	withheld int64 // datagrams that were held back when it was closed
	err      error
	isClosed bool

	tally
	before         tally // at the last change of toxics
	isTold, isLost bool  // the Follower has been told, since then, and what
}

// tally counts the datagrams of a flow.
type tally struct{ arrivals, dropped int64 }

// packetStage is one toxic at work on one direction of a session.
type packetStage struct {
	decided
	shaper DatagramShaper
	emit   func(Packet)
	seen   int64
	in     time.Duration
	passed int // of the datagram that is being shaped
	lost   int
	delay  time.Duration
}

func (st *packetStage) finish() {
	st.observe(Observation{Applied: true, Final: true, Bytes: st.seen, Delay: st.delay, Lost: st.lost})
}

// wake is called by timers.
func (f *flow) wake() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.run(f.advance)
	f.link.follow(f)
}

// run calls do at the present time and with the present toxics, and sets the timer for what is left.
func (f *flow) run(do func()) {
	if f.isClosed || f.err != nil {
		return
	}
	defer f.recovered()
	f.now = time.Since(f.link.began)
	if list := f.link.slot.of[f.direction].Load(); list != f.seen {
		f.set(list)
		f.link.follow(f)
		f.before, f.isTold = f.tally, false
	}
	do()
	f.schedule()
}

// recovered notes the panic of a toxic. It is deferred.
func (f *flow) recovered() {
	if p := recover(); p != nil {
		f.err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
	}
}

// next is when the first of what is held back is due.
func (f *flow) next() time.Duration {
	next := Never
	if f.waiting.Len() > 0 {
		next = f.waiting[0].due
	}
	for _, st := range f.stages {
		if h, ok := st.shaper.(Holder); ok {
			next = min(next, h.Next())
		}
	}
	return next
}

func (f *flow) isBusy() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err == nil && f.next() != Never
}

// withhold counts what is held back as lost.
func (f *flow) withhold() {
	defer f.recovered()
	lose := func(by *packetStage) {
		f.withheld++
		f.dropped++
		if by != nil { // it is nil behind a toxic that is gone
			by.lost++
		}
	}
	for _, w := range f.waiting {
		lose(w.from)
	}
	for _, st := range f.stages {
		if h, ok := st.shaper.(Holder); ok && f.err == nil {
			h.Release(Never, func(Packet) { lose(st) })
		}
	}
}

func (f *flow) schedule() {
	next := f.next()
	if next != Never {
		alarm.Set(f.link.began.Add(next))
	}
	switch d := next - time.Since(f.link.began); {
	case next == Never:
		if f.timer != nil {
			f.timer.Stop()
			alarm.Next()
		}
	case f.timer == nil:
		f.timer = time.AfterFunc(d, f.wake)
	default:
		f.timer.Reset(d)
	}
}

// set puts toxics in force. What those held that are gone goes on at once, to those that came behind them.
func (f *flow) set(list *[]decided) {
	f.advance()
	f.seen = list
	old := f.stages
	f.stages = nil
	for _, d := range *list {
		toxic, isDatagram := d.Toxic.(Datagram)
		if !isDatagram {
			continue
		}
		if at := slices.IndexFunc(old, func(st *packetStage) bool { return st.Active == d.Active }); at >= 0 {
			f.stages = append(f.stages, old[at])
			continue
		}
		s := Site{Direction: f.direction, Rand: d.Key.Rand(d.Ordinal), Shared: d.Shared}
		if !d.Began.IsZero() {
			s.Began = d.Began.Sub(f.link.began)
		}
		st := &packetStage{decided: d, shaper: toxic.NewDatagram(s)}
		st.emit = func(p Packet) { f.emitted(st, p) }
		f.stages = append(f.stages, st)
	}
	behind := (*packetStage)(nil) // the next one that is still there
	heirs := map[*packetStage]*packetStage{}
	for _, st := range slices.Backward(old) {
		if slices.Contains(f.stages, st) {
			behind = st
		} else {
			heirs[st] = behind
		}
	}
	for i := range f.waiting {
		w := &f.waiting[i]
		if _, gone := heirs[w.from]; gone {
			w.due = min(w.due, f.now)
		}
		if heir, gone := heirs[w.to]; gone {
			w.to = heir
		}
	}
	for _, st := range slices.Backward(old) { // what is further on came before
		heir, gone := heirs[st]
		if !gone {
			continue
		}
		f.renumber(st)
		if h, ok := st.shaper.(Holder); ok {
			f.keeping(h, func() {
				h.Release(Never, func(p Packet) { f.wait(heir, nil, Packet{Data: p.Data, Due: f.now}) })
			})
		}
		st.finish()
	}
	f.advance()
}

// renumber puts what waits behind a stage after all else that waits for the same time, in the order that it has.
func (f *flow) renumber(from *packetStage) {
	var its []*waitingPacket
	for i := range f.waiting {
		if w := &f.waiting[i]; w.from == from {
			its = append(its, w)
		}
	}
	slices.SortFunc(its, func(a, b *waitingPacket) int { return cmp.Compare(a.number, b.number) })
	for _, w := range its {
		f.count++
		w.number = f.count
	}
	heap.Init(&f.waiting)
}

func (f *flow) first() *packetStage {
	if len(f.stages) == 0 {
		return nil
	}
	return f.stages[0]
}

func (f *flow) after(st *packetStage) *packetStage {
	if i := slices.Index(f.stages, st); i >= 0 && i+1 < len(f.stages) {
		return f.stages[i+1]
	}
	return nil
}

// shape gives p to a stage; nil is the end of the way.
func (f *flow) shape(st *packetStage, p Packet) {
	if st == nil {
		f.arrived(p.Data)
		return
	}
	st.seen += int64(len(p.Data))
	st.in, st.passed = p.Due, 0
	h, holds := st.shaper.(Holder)
	if holds && f.room+len(p.Data) <= f.link.budget.share(f.link.buffer) {
		f.keeping(h, func() { h.ShapePacket(p, st.emit) })
		return
	}
	if !holds {
		st.shaper.ShapePacket(p, st.emit)
	}
	if st.passed == 0 {
		st.lost++
		f.dropped++
	}
}

// keeping notes what do lets a Holder keep, or let go.
func (f *flow) keeping(h Holder, do func()) {
	before := h.Held()
	do()
	f.charge(h.Held() - before)
}

// emitted takes what a stage lets out.
func (f *flow) emitted(st *packetStage, p Packet) {
	st.passed++
	if p.Due != Never {
		st.delay = max(st.delay, p.Due-st.in)
	}
	f.wait(f.after(st), st, p)
}

// wait keeps p until it is due at a stage.
func (f *flow) wait(to, from *packetStage, p Packet) {
	if p.Due <= f.now && f.waiting.Len() == 0 && to == nil {
		f.arrived(p.Data)
		return
	}
	class := classFor(len(p.Data))
	if f.room+classes[class] > f.link.budget.share(f.link.buffer) || len(p.Data) > classes[class] {
		f.dropped++
		return
	}
	b := newBlock(class)
	b.data = b.data[:copy(b.data, p.Data)]
	f.charge(b.cost())
	f.count++
	heap.Push(&f.waiting, waitingPacket{block: b, due: p.Due, number: f.count, to: to, from: from})
}

// advance moves everything that is due.
func (f *flow) advance() {
	for {
		for _, st := range f.stages {
			if h, ok := st.shaper.(Holder); ok && h.Next() <= f.now {
				st.in = f.now
				f.keeping(h, func() { h.Release(f.now, st.emit) })
			}
		}
		if f.waiting.Len() == 0 || f.waiting[0].due > f.now {
			return
		}
		w := heap.Pop(&f.waiting).(waitingPacket)
		f.charge(-w.block.cost())
		f.shape(w.to, Packet{Data: w.block.data, Due: w.due})
		w.block.free()
	}
}

// charge notes that n bytes more of memory are taken, or fewer.
func (f *flow) charge(n int) {
	f.room += n
	f.link.budget.charge(n)
}

func (f *flow) arrived(p []byte) {
	f.bytes += int64(len(p))
	f.arrivals++
	f.link.deliver(f.direction, p)
}

// waitingPacket is a datagram that waits to come to a stage.
type waitingPacket struct {
	block    *block
	due      time.Duration
	number   uint64
	to, from *packetStage
}

// packets is a heap by due, then in the order of arrival.
type packets []waitingPacket

// Len implements heap.Interface.
func (p packets) Len() int { return len(p) }

// Less implements heap.Interface.
func (p packets) Less(i, j int) bool {
	if p[i].due != p[j].due {
		return p[i].due < p[j].due
	}
	return p[i].number < p[j].number
}

// Swap implements heap.Interface.
func (p packets) Swap(i, j int) { p[i], p[j] = p[j], p[i] }

// Push implements heap.Interface.
func (p *packets) Push(x any) { *p = append(*p, x.(waitingPacket)) }

// Pop implements heap.Interface.
func (p *packets) Pop() any {
	last := len(*p) - 1
	x := (*p)[last]
	(*p)[last] = waitingPacket{}
	*p = (*p)[:last]
	return x
}
