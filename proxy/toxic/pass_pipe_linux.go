package toxic

import (
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// pipe is what bytes are spliced through.
type pipe struct{ r, w, size int }

const (
	// pipeSize is what a pipe is asked to hold. The kernel grants a user without privileges 64 MiB of them, then less and less.
	pipeSize = 512 << 10
	// leastPipe is what a pipe must hold to be of use.
	leastPipe = 64 << 10
)

// pipes holds idle, empty pipes. Their descriptors are closed when the garbage collector drops them.
var pipes = sync.Pool{}

// canSplice reports whether there is a pipe to be had.
func canSplice() bool {
	p := getPipe()
	if p == nil {
		return false
	}
	pipes.Put(p)
	return true
}

// getPipe returns an empty pipe, nil if there is none to be had that is of use.
func getPipe() *pipe {
	if p, ok := pipes.Get().(*pipe); ok {
		return p
	}
	var fds [2]int
	if unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK) != nil {
		return nil
	}
	_, _ = unix.FcntlInt(uintptr(fds[0]), unix.F_SETPIPE_SZ, pipeSize)
	size, err := unix.FcntlInt(uintptr(fds[0]), unix.F_GETPIPE_SZ, 0)
	if err != nil || size < leastPipe {
		_ = unix.Close(fds[0])
		_ = unix.Close(fds[1])
		return nil
	}
	p := &pipe{fds[0], fds[1], size}
	runtime.AddCleanup(p, closePipe, *p)
	return p
}

// closePipe closes the descriptors of a pipe that nothing refers to any more.
func closePipe(p pipe) {
	_ = unix.Close(p.r)
	_ = unix.Close(p.w)
}
