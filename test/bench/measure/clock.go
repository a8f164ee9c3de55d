package measure

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Clock is the CPU time, user and system, that one process has used since its start, its ended threads included and without
// its children. It is counted by the scheduler and not in ticks (clock_getcpuclockid(3)).
func Clock(pid int) (time.Duration, error) {
	const scheduled = 2 // CPUCLOCK_SCHED of the kernel's posix-timers.h
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|scheduled), &t); err != nil {
		return 0, fmt.Errorf("read the CPU clock of process %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}
