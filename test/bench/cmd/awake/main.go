// Command awake keeps processors from sleeping while latency is measured. A loop runs on each processor that it may use, under the
// policy SCHED_IDLE (sched(7)): every ordinary thread preempts it at once, so that it takes a processor's idle time and nothing else.
// It has the effect of booting with idle=poll, and needs no right to do so.
//
// It says "awake" when all loops run, and ends when its input does, so also with its parent, or when its time is over.
//
// Start it with GODEBUG=asyncpreemptoff=1: else the runtime interrupts each loop a hundred times a second, from ordinary threads.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	limit := flag.Duration("limit", 10*time.Minute, "time after which it ends by itself, with an error")
	flag.Parse()
	log.SetFlags(0)
	// A collection would wait for the loops, which nothing interrupts. There is no garbage.
	debug.SetGCPercent(-1)
	time.AfterFunc(*limit, func() { log.Fatalf("ended after %v", *limit) })
	if err := stayAwake(); err != nil {
		log.Fatal(err)
	}
	fmt.Println("awake")
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		log.Fatal(err)
	}
}

// stayAwake starts a loop on each processor that the program may use, and returns when all of them run. They end with the program.
func stayAwake() error {
	var allowed unix.CPUSet
	if err := unix.SchedGetaffinity(0, &allowed); err != nil {
		return fmt.Errorf("list the processors: %w", err)
	}
	n := allowed.Count()
	runtime.GOMAXPROCS(n + 1) // for all else than the loops
	started := make(chan error, n)
	for cpu, found := 0, 0; found < n; cpu++ {
		if allowed.IsSet(cpu) {
			found++
			go loop(cpu, started)
		}
	}
	var err error
	for range n {
		err = errors.Join(err, <-started)
	}
	return err
}

// loop keeps one processor busy for good.
func loop(cpu int, started chan<- error) {
	runtime.LockOSThread()
	err := becomeIdle(cpu)
	started <- err
	for n := 0; err == nil; n++ {
	}
}

// becomeIdle lets this thread run on one processor alone, and only if nothing else wants it.
func becomeIdle(cpu int) error {
	var one unix.CPUSet
	one.Set(cpu)
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return fmt.Errorf("stay on processor %d: %w", cpu, err)
	}
	if err := unix.SchedSetAttr(0, &unix.SchedAttr{Policy: unix.SCHED_IDLE}, 0); err != nil {
		return fmt.Errorf("set SCHED_IDLE: %w", err)
	}
	return nil
}
