package main

import (
	"context"
	"log/slog"
	"os"
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

const (
	// reclaimEvery is the time between two looks at what could be given back.
	reclaimEvery = 15 * time.Second
	// worthReclaiming is from how many bytes on that is done. It costs a garbage collection.
	worthReclaiming = 16 << 20
)

// reclaimMemory gives memory that is not used any more back to the system, until ctx is done. Reading a large configuration, and
// large changes of it, leave much garbage behind, and the requests that follow make too little for the collector to run.
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

// reclaimable returns how many bytes of the heap are free, or have been allocated beyond what was live at the last collection.
func reclaimable() uint64 {
	samples := []metrics.Sample{
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/gc/heap/live:bytes"},
	}
	metrics.Read(samples)
	free, unused, objects, live := samples[0].Value.Uint64(), samples[1].Value.Uint64(), samples[2].Value.Uint64(), samples[3].Value.Uint64()
	return free + unused + max(objects, live) - live
}
