// Package alarm makes waiting end on time.
//
// On Linux the runtime waits for its next timer in epoll_wait(2), whose timeout is in whole milliseconds: in a process with nothing
// else to do, a timer of 5.1 ms rings after 6, and on its way there the process has woken at 5 in vain. A Timer is rung for by a
// timerfd(2) that hangs in the runtime's poller, on the microsecond, and the runtime knows nothing of it.
//
// Who needs one of the runtime's own timers or deadlines, as for the fake time of tests, sets a Timer without a function to the same
// time: its ring makes the runtime look at all it has. Without a timerfd, Timers are the runtime's, and those without a function
// do nothing.
package alarm

import (
	"sync"
	"time"
)

// Timer calls a function at a time. The zero value has none: its ring lets the runtime look at its own timers. Its methods may be
// called concurrently; it must not be copied once it has been used.
type Timer struct {
	f     func()
	at    time.Duration // on the queue's clock
	place int           // in the queue, from 1 on; 0: it is not there
	own   *time.Timer   // instead of the queue, where there is no timerfd
}

// NewTimer returns a Timer that has not been set, and calls f, which must not block: all Timers wait for it. Close must be called once
// it is of no more use.
func NewTimer(f func()) *Timer {
	if c := theClock(); c != nil {
		c.join()
	}
	return &Timer{f: f}
}

// Set lets the Timer ring at a time, and not at another that was set before, unless that has passed. Ringing ends it. Once it has been
// used, it allocates nothing.
func (t *Timer) Set(at time.Time) {
	c := theClock()
	if c == nil {
		t.setOwn(time.Until(at))
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue.set(t, at.Sub(began), time.Since(began))
}

// Stop lets the Timer not ring. Its function may be on its way already.
func (t *Timer) Stop() {
	c := theClock()
	if c == nil {
		if t.own != nil {
			t.own.Stop()
		}
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue.stop(t, time.Since(began))
}

// Close is Stop, for good. It must be called once.
func (t *Timer) Close() {
	t.Stop()
	if c := theClock(); c != nil && t.f != nil {
		c.leave()
	}
}

func (t *Timer) setOwn(d time.Duration) {
	switch {
	case t.f == nil:
	case t.own == nil:
		t.own = time.AfterFunc(d, t.f)
	default:
		t.own.Reset(d)
	}
}

// After is time.NewTimer, on time. done ends the wait and must be called.
func After(d time.Duration) (rung <-chan time.Time, done func()) {
	t, ring := time.NewTimer(d), new(Timer)
	ring.Set(time.Now().Add(d))
	return t.C, func() {
		t.Stop()
		ring.Stop()
	}
}

// clock serves all Timers.
type clock struct {
	bell   bell
	passed []*Timer // of rung

	mu     sync.Mutex // guards what follows
	queue  queue
	users  int  // Timers that have a function
	isRung bool // by a goroutine, which stays as long as there are users
}

// join notes a Timer with a function.
func (c *clock) join() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.users++
	if !c.isRung {
		c.isRung = true
		go c.bell.serve(c.rung)
	}
}

// leave is the reverse of join.
func (c *clock) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.users--; c.users == 0 {
		c.bell.ring(0)
	}
}

// rung calls the functions of Timers whose time has come. It returns false if there can be no more.
func (c *clock) rung() bool {
	c.mu.Lock()
	c.passed = c.queue.passed(c.passed[:0], time.Since(began))
	c.isRung = c.users > 0
	goesOn := c.isRung
	c.mu.Unlock()
	for _, t := range c.passed {
		t.f()
	}
	clear(c.passed)
	return goesOn
}

// bell is what rings.
type bell interface {
	// ring asks for a ring at a time on the queue's clock, instead of what has been asked for before.
	ring(at time.Duration)
	// serve calls rung, which looks at a clock itself, after each ring and maybe more often, until it returns false.
	serve(rung func() bool)
}

// queue is the Timers that have been set, a heap, of the first of which the bell knows.
type queue struct {
	bell   bell
	timers []*Timer
	asked  time.Duration // of the bell; 0 is nothing
}

// set puts t into the queue, or elsewhere in it.
func (q *queue) set(t *Timer, at, now time.Duration) {
	q.remove(t)
	if at > now || t.f != nil {
		t.at = at
		q.timers = append(q.timers, t)
		t.place = len(q.timers)
		q.up(t.place)
	}
	q.ask(now)
}

// stop takes t out of the queue.
func (q *queue) stop(t *Timer, now time.Duration) {
	q.remove(t)
	q.ask(now)
}

// passed takes out the Timers whose time has come, and appends those that have something to call to a slice.
func (q *queue) passed(to []*Timer, now time.Duration) []*Timer {
	for len(q.timers) > 0 && q.timers[0].at <= now {
		t := q.timers[0]
		q.remove(t)
		if t.f != nil {
			to = append(to, t)
		}
	}
	q.asked = 0 // the bell may have rung a little early
	q.ask(now)
	return to
}

// ask asks the bell for the first of the queue. Of those that have passed, only who has something to call is still of interest.
func (q *queue) ask(now time.Duration) {
	for len(q.timers) > 0 && q.timers[0].f == nil && q.timers[0].at <= now {
		q.remove(q.timers[0])
	}
	if len(q.timers) > 0 && q.timers[0].at != q.asked {
		q.asked = q.timers[0].at
		q.bell.ring(q.asked)
	}
}

// remove takes t out if it is in the queue.
func (q *queue) remove(t *Timer) {
	i, last := t.place, len(q.timers)
	if i == 0 {
		return
	}
	t.place = 0
	moved := q.timers[last-1]
	q.timers[last-1] = nil
	q.timers = q.timers[:last-1]
	if moved != t {
		q.put(moved, i)
		q.down(i)
		q.up(i)
	}
}

func (q *queue) put(t *Timer, place int) { q.timers[place-1], t.place = t, place }

// up and down are those of container/heap, by places, which count from 1.
func (q *queue) up(i int) {
	t := q.timers[i-1]
	for ; i > 1 && t.at < q.timers[i/2-1].at; i /= 2 {
		q.put(q.timers[i/2-1], i)
	}
	q.put(t, i)
}

func (q *queue) down(i int) {
	t := q.timers[i-1]
	for 2*i <= len(q.timers) {
		least := 2 * i
		if least < len(q.timers) && q.timers[least].at < q.timers[least-1].at {
			least++
		}
		if t.at <= q.timers[least-1].at {
			break
		}
		q.put(q.timers[least-1], i)
		i = least
	}
	q.put(t, i)
}
