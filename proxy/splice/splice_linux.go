package splice

import (
	"runtime"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/breakwater-gateway/breakwater/proxy/nonblock"
)

const (
	// wanted is what a pipe is asked to hold, in bytes. The kernel grants a user without privileges 64 MiB for all pipes
	// (pipe(7), pipe-user-pages-soft), then a page or two each.
	wanted = 1 << 20
	// least is what a pipe must hold to be worth it.
	least = 64 << 10
)

// Pipe is what bytes are spliced through. It belongs to one goroutine.
type Pipe struct {
	fds
	size int
}

// fds are the descriptors of a pipe.
type fds struct{ r, w int }

// close closes the descriptors of a Pipe that nothing refers to any more.
func (f fds) close() {
	_ = unix.Close(f.r)
	_ = unix.Close(f.w)
}

// idle holds empty pipes. Their descriptors are closed when the garbage collector drops them.
var idle = sync.Pool{}

// Get returns an empty Pipe, to be given back with Put; nil if there is none to be had that is worth it.
func Get() *Pipe {
	if p, ok := idle.Get().(*Pipe); ok {
		return p
	}
	var ends [2]int
	if unix.Pipe2(ends[:], unix.O_CLOEXEC|unix.O_NONBLOCK) != nil {
		return nil
	}
	f := fds{ends[0], ends[1]}
	_, _ = unix.FcntlInt(uintptr(f.r), unix.F_SETPIPE_SZ, wanted)
	size, err := unix.FcntlInt(uintptr(f.r), unix.F_GETPIPE_SZ, 0)
	if err != nil || size < least {
		f.close()
		return nil
	}
	p := &Pipe{f, size}
	runtime.AddCleanup(p, fds.close, f)
	return p
}

// Put keeps p for somebody else. It must be empty; one that is not is forgotten instead, and closed in time.
func Put(p *Pipe) { idle.Put(p) }

// Size returns how many bytes p holds.
func (p *Pipe) Size() int { return p.size }

// Fill moves at most n bytes from a socket that does not block into p, and returns how many; 0 is the end of what comes. The error is
// a syscall.Errno, EAGAIN if there is nothing yet or p is full.
func (p *Pipe) Fill(socket, n int) (int, error) { return move(socket, p.w, n) }

// Drain moves at most n bytes from p into a socket that does not block, and returns how many. The error is a syscall.Errno, EAGAIN if
// the socket takes none at the moment.
func (p *Pipe) Drain(socket, n int) (int, error) { return move(p.r, socket, n) }

// Read takes bytes out of p, which must not be empty.
func (p *Pipe) Read(b []byte) (int, error) { return nonblock.Read(p.r, b) }

func move(from, to, n int) (int, error) {
	for {
		moved, err := unix.Splice(from, nil, to, nil, n, unix.SPLICE_F_MOVE|unix.SPLICE_F_NONBLOCK)
		if err != syscall.EINTR {
			return int(max(moved, 0)), err
		}
	}
}
