package http1

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// pipeCleanup closes the descriptors once nothing refers to p any more.
func pipeCleanup(p *pipe) {
	runtime.AddCleanup(p, func(fds pipe) {
		_ = unix.Close(fds.r)
		_ = unix.Close(fds.w)
	}, *p)
}
