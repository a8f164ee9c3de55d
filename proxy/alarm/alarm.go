// Package alarm makes the runtime's timers and deadlines ring on time.
//
// On Linux the runtime waits for its next timer in epoll_wait(2), whose timeout is in whole milliseconds: in a process with nothing
// else to do, a timer of 5.1 ms rings after 6. A timerfd(2) of which the poller is told when it rings, and which nobody reads, ends
// that wait on the microsecond, and the runtime then looks at all its timers. So who has set a timer or a deadline calls Set with
// the same time, and when it has rung Set again, or Next, since one ring is asked of the kernel at a time; After does both. Without
// the calls, or if there is no timerfd to be had, timers are merely late.
package alarm

import "time"

// After is time.NewTimer, on time. done ends the wait and must be called.
func After(d time.Duration) (rung <-chan time.Time, done func()) {
	t := time.NewTimer(d)
	Set(time.Now().Add(d))
	return t.C, func() {
		t.Stop()
		Next()
	}
}

// Next is called by who has waited and waits no more: the next one who has asked is rung for.
func Next() { Set(time.Time{}) }

// bell is what rings.
type bell interface {
	// ring asks for a ring at a time from the start of the queue, instead of what has been asked for before.
	ring(at time.Duration)
}

// queue is the times that have been asked for, a heap, of which the bell knows the first.
type queue struct {
	bell  bell
	times []time.Duration
	asked time.Duration // of the bell; 0 is nothing
}

// most bounds the memory of a queue. What is asked for beyond it is forgotten.
const most = 1 << 16

// set notes a time, unless it has passed, and forgets those that have.
func (q *queue) set(at, now time.Duration) {
	for len(q.times) > 0 && q.times[0] <= now {
		q.pop()
	}
	if at > now && len(q.times) < most {
		q.push(at)
	}
	if len(q.times) > 0 && q.times[0] != q.asked {
		q.asked = q.times[0]
		q.bell.ring(q.asked)
	}
}

// push and pop are those of container/heap, for numbers.
func (q *queue) push(at time.Duration) {
	q.times = append(q.times, at)
	for i := len(q.times) - 1; i > 0; {
		up := (i - 1) / 2
		if q.times[up] <= at {
			return
		}
		q.times[i], q.times[up] = q.times[up], at
		i = up
	}
}

func (q *queue) pop() {
	last := len(q.times) - 1
	at := q.times[last]
	q.times = q.times[:last]
	for i := 0; ; {
		down := 2*i + 1
		if down >= last {
			if last > 0 {
				q.times[i] = at
			}
			return
		}
		if down+1 < last && q.times[down+1] < q.times[down] {
			down++
		}
		if at <= q.times[down] {
			q.times[i] = at
			return
		}
		q.times[i] = q.times[down]
		i = down
	}
}
