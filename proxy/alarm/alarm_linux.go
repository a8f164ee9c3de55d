package alarm

import (
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Set makes the process look at its timers at a time. One call serves one ring; a time that has passed only lets the next one
// take its place. It costs less than setting the timer did and may be called concurrently.
func Set(at time.Time) {
	c := theClock()
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue.set(at.Sub(began), time.Since(began))
}

// began is where the queue's times begin, on the clock of package time and, as zero, on CLOCK_MONOTONIC.
var began, zero = bothClocks()

// bothClocks reads the two clocks as closely after one another as a few attempts bring: whoever is interrupted between them reads
// two times.
func bothClocks() (began time.Time, zero time.Duration) {
	best := time.Duration(-1)
	for range 5 {
		before, now, after := monotonic(), time.Now(), monotonic()
		if gap := after - before; best < 0 || gap < best {
			best, began, zero = gap, now, after
		}
	}
	return began, zero
}

func monotonic() time.Duration {
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) != nil {
		return -1
	}
	return time.Duration(now.Nano())
}

// clock is the timerfd of the process.
type clock struct {
	file *os.File // registered with the runtime's poller; kept from being collected
	fd   int      // of file

	mu    sync.Mutex
	queue queue // guarded by mu
}

var theClock = sync.OnceValue(newClock)

// newClock returns nil if the kernel has no timerfd for us: timers are late then.
func newClock() *clock {
	if zero < 0 {
		return nil
	}
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil
	}
	c := &clock{fd: fd, file: os.NewFile(uintptr(fd), "timerfd")}
	c.queue.bell = c
	return c
}

// ring implements bell.
func (c *clock) ring(at time.Duration) {
	_ = unix.TimerfdSettime(c.fd, unix.TFD_TIMER_ABSTIME, &unix.ItimerSpec{Value: unix.NsecToTimespec(int64(zero + at))}, nil)
}
