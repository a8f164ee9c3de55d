package alarm

import (
	"os"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

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

// timer is the timerfd of the process. Nobody reads it: that the poller tells of it is enough.
type timer struct {
	file *os.File // registered with the runtime's poller
	raw  syscall.RawConn
	fd   int // of file
}

var theClock = sync.OnceValue(newClock)

// newClock returns nil if the kernel has no timerfd for us.
func newClock() *clock {
	if zero < 0 {
		return nil
	}
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil
	}
	t := &timer{fd: fd, file: os.NewFile(uintptr(fd), "timerfd")}
	if t.raw, err = t.file.SyscallConn(); err != nil || t.file.SetReadDeadline(time.Time{}) != nil { // the poller does not know it
		_ = t.file.Close()
		return nil
	}
	c := &clock{bell: t}
	c.queue.bell = t
	return c
}

// ring implements bell. A time of 0 or less, which has passed long ago, would stop the timer instead. The scheduler is not told of the
// call, which cannot block: being told would wake a thread of its own.
func (t *timer) ring(at time.Duration) {
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(max(zero+at, 1)))}
	_, _, _ = syscall.RawSyscall6(unix.SYS_TIMERFD_SETTIME, uintptr(t.fd), unix.TFD_TIMER_ABSTIME, uintptr(unsafe.Pointer(&spec)), 0, 0, 0)
}

// serve implements bell. The poller calls at once, and again after each ring.
func (t *timer) serve(rung func() bool) {
	_ = t.raw.Read(func(uintptr) bool { return !rung() })
}
