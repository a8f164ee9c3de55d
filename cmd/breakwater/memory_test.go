package main

import (
	"runtime"
	"runtime/debug"
	"sync"
	"testing"
)

func TestReclaimable(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // collections come when the test wants them
	var sink []byte
	allocate := func() {
		for range 64 {
			sink = make([]byte, 1<<20)
		}
		runtime.KeepAlive(sink)
		sink = nil
	}
	debug.FreeOSMemory()
	before := reclaimable()
	allocate()
	if got := reclaimable(); got < before+worthReclaiming {
		t.Errorf("%d bytes after 64 MiB of garbage, %d before", got, before)
	}
	runtime.GC()
	if got := reclaimable(); got < before+worthReclaiming {
		t.Errorf("%d bytes after 64 MiB have been collected, %d before", got, before)
	}
	debug.FreeOSMemory()
	if got := reclaimable(); got >= before+worthReclaiming {
		t.Errorf("still %d bytes after they have been given back, %d before", got, before)
	}
}

func TestReclaimableCountsStacksThatNobodyHas(t *testing.T) {
	debug.FreeOSMemory()
	before := reclaimable()
	var running sync.WaitGroup
	release := make(chan struct{})
	for range 20_000 { // each leaves the stack that it began with
		running.Go(func() { <-release })
	}
	close(release)
	running.Wait()
	if got := reclaimable(); got < before+worthReclaiming {
		t.Errorf("%d bytes after 20,000 goroutines, %d before", got, before)
	}
}
