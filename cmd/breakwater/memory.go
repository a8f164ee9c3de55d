package main

import (
	"context"
	"log/slog"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// garbagePercent is how much the heap may grow beyond what is live before it is collected. Requests make next to no garbage,
// so half of the runtime's default costs nothing and saves a quarter of the memory.
const garbagePercent = 50

// limitMemory makes the garbage collector thrifty, and sets the runtime's memory limit to nine tenths of the container's,
// so that it works harder before the kernel ends the process. GOGC and GOMEMLIMIT take precedence.
func limitMemory(log *slog.Logger) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbagePercent)
	}
	limit, err := memlimit.Set(memlimit.WithRatio(0.9), memlimit.WithProvider(memlimit.FromCgroup))
	if err != nil {
		log.Debug("no memory limit is set", "reason", err)
		return
	}
	log.Debug("memory limit", "bytes", limit)
}

// toxicMemory is how much toxics hold back in all if nothing is said: a quarter of the runtime's memory limit, in bytes.
func toxicMemory() int64 {
	if limit := debug.SetMemoryLimit(-1); limit < math.MaxInt64 {
		return limit / 4
	}
	return 512 << 20
}

const (
	// reclaimEvery is the time between two looks at what could be given back.
	reclaimEvery = 5 * time.Second
	// worthReclaiming is from how many bytes on that is done. It costs a garbage collection.
	worthReclaiming = 16 << 20
	// stackOf is what a goroutine's stack takes at the most in the long run, in bytes.
	stackOf = 8 << 10
)

// reclaimMemory gives memory that is not used any more back to the system, until ctx is done. Reading a large configuration, and
// large changes of it, leave much garbage behind, and so do the stacks of goroutines that many connections have had; the requests
// that follow make too little for the collector to run.
func reclaimMemory(ctx context.Context) {
	ticker := time.NewTicker(reclaimEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if reclaimable() >= worthReclaiming {
				debug.FreeOSMemory()
			}
		}
	}
}

// reclaimable returns how many bytes of the heap are free or have been allocated beyond what was live at the last collection,
// and how many are kept for stacks that nobody has.
func reclaimable() uint64 {
	samples := []metrics.Sample{
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/heap/stacks:bytes"},
	}
	metrics.Read(samples)
	value := func(i int) uint64 { return samples[i].Value.Uint64() }
	above := func(n, least uint64) uint64 { return max(n, least) - least }
	garbage := above(value(2), value(3))
	stacks := above(value(4), stackOf*uint64(runtime.NumGoroutine()))
	return value(0) + value(1) + garbage + stacks
}
