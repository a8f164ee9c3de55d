package chaos

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// guard measures the traffic of an experiment's targets and halts the experiment when a bound is broken. It looks with every
// request that ends, and at the moment at which a request in flight becomes too slow. The zero value guards nothing.
type guard struct {
	of *experiment
	on atomic.Bool // there is a configuration

	mu         sync.Mutex // guards what follows
	cfg        proxy.Guard
	buckets    [guardBuckets]guardCount
	sum        guardCount
	latest     int64 // the bucket that counts now, since began
	began      time.Time
	head, tail *flight // in flight, the oldest first
	timer      *time.Timer

	forgotten atomic.Uint64 // how often what had been measured was forgotten; changed under mu
}

// guardBuckets is how finely the window slides.
const guardBuckets = 50

// guardCount is what a guard has learnt in some time. Whether something has failed and how long it took may be learnt at two times.
type guardCount struct {
	total, failed int // requests that have ended, and connections and sessions of which something has been learnt
	timed, slow   int // what a latency is known of, be it only that it is too great
}

// flight is a request in flight, as a guard sees it.
type flight struct {
	next, prev *flight
	forgotten  uint64        // the guard's, when the request began: what began before it forgot counts no more
	start      time.Time     // zero if the guard does not wait for it
	in         bool          // in the list of those that it waits for
	late       bool          // has been counted as slow
	head       time.Duration // how long the response head took, if that is what counts; 0 otherwise
	touched    bool
}

// verdict is what a guard has last counted of a connection or session, of which more may be learnt.
type verdict struct {
	of        *guard
	hadFailed bool // before it ended: only a guard that has not forgotten counts the end

	// Guarded by of.mu.
	counted   guardCount // total and failed only
	bucket    int64      // in which it stands
	forgotten uint64     // the guard's, when it was counted
}

// configure makes cfg what is guarded; nil is nothing. What has been measured is forgotten if it changes.
func (g *guard) configure(cfg *proxy.Guard) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case cfg == nil:
		g.on.Store(false)
		g.cfg = proxy.Guard{}
		g.clear()
	case g.cfg != *cfg:
		g.cfg = *cfg
		g.clear()
		g.on.Store(true)
	}
}

// reset forgets what has been measured.
func (g *guard) reset() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.clear()
}

func (g *guard) clear() {
	g.buckets, g.sum, g.latest, g.began = [guardBuckets]guardCount{}, guardCount{}, 0, time.Now()
	g.forgotten.Add(1)
	for f := g.head; f != nil; f = g.head {
		g.unlink(f)
	}
	if g.timer != nil {
		g.timer.Stop()
		g.timer = nil
	}
}

// begin notes a request in flight.
func (g *guard) begin(f *flight, start time.Time) {
	f.forgotten = g.forgotten.Load()
	if !g.on.Load() {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.cfg.MaxLatency <= 0 {
		return
	}
	*f = flight{forgotten: g.forgotten.Load(), start: start, in: true, prev: g.tail}
	if g.tail == nil {
		g.head = f
	} else {
		g.tail.next = f
	}
	g.tail = f
	g.watch()
}

// watch has late called when the oldest request becomes slow. g.mu is held.
func (g *guard) watch() {
	if g.head == nil || g.timer != nil {
		return
	}
	var t *time.Timer
	t = time.AfterFunc(time.Until(g.head.start.Add(g.cfg.MaxLatency))+time.Nanosecond, func() { g.late(&t) })
	g.timer = t
}

// late counts the requests in flight that have become slow.
func (g *guard) late(mine **time.Timer) {
	g.mu.Lock()
	if g.timer != *mine {
		g.mu.Unlock()
		return
	}
	g.timer = nil
	now := time.Now()
	for f := g.head; f != nil && now.Sub(f.start) > g.cfg.MaxLatency; f = g.head {
		g.unlink(f)
		if f.late = !g.cfg.OnlyUninjected || !f.touched; f.late {
			g.count(now, guardCount{timed: 1, slow: 1})
		}
	}
	g.watch()
	reason := g.broken()
	g.mu.Unlock()
	if reason != "" {
		g.of.stop(reason)
	}
}

func (g *guard) unlink(f *flight) {
	if f.prev == nil {
		g.head = f.next
	} else {
		f.prev.next = f.next
	}
	if f.next == nil {
		g.tail = f.prev
	} else {
		f.next.prev = f.prev
	}
	f.prev, f.next, f.in = nil, nil, false
}

// touch notes that a request in flight has got a fault.
func (g *guard) touch(f *flight) {
	if !g.on.Load() {
		return
	}
	g.mu.Lock()
	f.touched = true
	g.mu.Unlock()
}

// answered notes that the head of a response has come, after a time that is what counts of the request.
func (g *guard) answered(f *flight, took time.Duration) {
	if f.start.IsZero() {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if f.in {
		g.unlink(f)
	}
	f.head = max(took, 1)
}

// end counts a request.
func (g *guard) end(f *flight, o *outcome, touched bool) {
	if !g.on.Load() && f.start.IsZero() {
		return
	}
	g.mu.Lock()
	latency := o.latency
	if f.head > 0 {
		latency = f.head
	}
	if f.in {
		g.unlink(f)
	}
	reason := ""
	if g.on.Load() && f.forgotten == g.forgotten.Load() && (!touched || !g.cfg.OnlyUninjected) {
		one := guardCount{total: 1}
		if o.failed {
			one.failed = 1
		}
		if !f.late {
			one.took(latency, g.cfg.MaxLatency)
		}
		g.count(time.Now(), one)
		reason = g.broken()
	}
	g.mu.Unlock()
	if reason != "" {
		g.of.stop(reason)
	}
}

// judge counts a connection or session of which something has been learnt, once in a window, whatever else is learnt in it: what counts
// is the latest. latency is 0 unless it is that which has been learnt. It returns why the experiment is to be stopped; "" is not.
func (g *guard) judge(v *verdict, failed bool, latency time.Duration, touched bool) (reason string) {
	if !g.on.Load() {
		return ""
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if touched && g.cfg.OnlyUninjected {
		return ""
	}
	g.slide(time.Now())
	switch forgotten := g.forgotten.Load(); {
	case v.forgotten == forgotten && v.bucket > g.latest-guardBuckets:
		g.add(v.bucket, v.counted, -1)
	case v.forgotten != forgotten && v.hadFailed: // before the experiment was armed again perhaps
		return ""
	default:
		v.forgotten = forgotten
	}
	v.counted, v.bucket = guardCount{total: 1}, g.latest
	if failed {
		v.counted.failed = 1
	}
	one := v.counted
	if latency > 0 {
		one.took(latency, g.cfg.MaxLatency)
	}
	g.add(g.latest, one, 1)
	return g.broken()
}

// count adds to the window. g.mu is held.
func (g *guard) count(now time.Time, one guardCount) {
	g.slide(now)
	g.add(g.latest, one, 1)
}

// slide drops what is too old for the window. g.mu is held.
func (g *guard) slide(now time.Time) {
	bucket := int64(now.Sub(g.began) / max(g.cfg.Window/guardBuckets, 1))
	for ; g.latest < bucket; g.latest++ {
		if bucket-g.latest > guardBuckets {
			g.latest = bucket - guardBuckets
		}
		old := &g.buckets[(g.latest+1)%guardBuckets]
		g.sum.add(*old, -1)
		*old = guardCount{}
	}
}

// add adds to a bucket of the window. g.mu is held.
func (g *guard) add(bucket int64, one guardCount, sign int) {
	g.buckets[bucket%guardBuckets].add(one, sign)
	g.sum.add(one, sign)
}

// took counts a latency.
func (c *guardCount) took(latency, bound time.Duration) {
	c.timed = 1
	if bound > 0 && latency > bound {
		c.slow = 1
	}
}

func (c *guardCount) add(o guardCount, sign int) {
	c.total += sign * o.total
	c.failed += sign * o.failed
	c.timed += sign * o.timed
	c.slow += sign * o.slow
}

// broken says which bound the traffic in the window breaks; "" is none. g.mu is held.
func (g *guard) broken() string {
	enough := max(g.cfg.MinRequests, 1)
	n, failed := g.sum.total, g.sum.failed
	if bound := g.cfg.MaxErrorRate; bound > 0 && n >= enough && float64(failed) > bound*float64(n)+1e-9 {
		return fmt.Sprintf("%d of %d requests failed in %v: more than %.4g%%", failed, n, g.cfg.Window, bound*100)
	}
	q := g.cfg.Quantile
	if q <= 0 || q > 1 {
		q = 0.99
	}
	n, slow := g.sum.timed, g.sum.slow
	if bound := g.cfg.MaxLatency; bound > 0 && n >= enough && float64(slow) > (1-q)*float64(n)+1e-9 {
		return fmt.Sprintf("%d of %d requests took longer than %v in %v: more than %.4g%%", slow, n, bound, g.cfg.Window, (1-q)*100)
	}
	return ""
}
