package http1

import (
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// canPark: this system has epoll.
const canPark = true

// lot keeps downstream connections that have been waiting for a request for a while, without a goroutine: a goroutine's stack is
// most of what a connection costs. An epoll descriptor of the lot's own watches them all; it hangs in the runtime's
// poller like any other descriptor. The zero lot is ready for use and starts with the first connection.
type lot struct {
	mu     sync.Mutex
	parked map[int32]*serverConn // guarded by mu; by descriptor
	epoll  *os.File              // nil until the first connection is parked
	fd     int                   // of epoll
	done   chan struct{}
}

// start opens the epoll descriptor. l.mu is held.
func (l *lot) start() error {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	_ = unix.SetNonblock(fd, true)
	l.epoll, l.fd = os.NewFile(uintptr(fd), "epoll"), fd
	l.done, l.parked = make(chan struct{}), map[int32]*serverConn{}
	go l.run()
	return nil
}

// park takes c over from its goroutine, which must not touch it afterwards. It reports false if that cannot be done.
func (l *lot) park(c *serverConn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.epoll == nil && l.start() != nil {
		return false
	}
	parked := false
	err := c.base.raw.Control(func(fd uintptr) {
		op := unix.EPOLL_CTL_ADD
		if c.registered {
			op = unix.EPOLL_CTL_MOD
		}
		event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLONESHOT, Fd: int32(fd)}
		if unix.EpollCtl(l.fd, op, int(fd), &event) == nil {
			c.registered, c.fd = true, int32(fd)
			l.parked[c.fd] = c
			parked = true
		}
	})
	return err == nil && parked
}

// take gives c back. It reports false if somebody else has it already.
func (l *lot) take(c *serverConn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.parked[c.fd] != c {
		return false
	}
	delete(l.parked, c.fd)
	return true
}

// woken takes out the connection whose descriptor has become readable.
func (l *lot) woken(fd int32) *serverConn {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.parked[fd]
	delete(l.parked, fd)
	return c
}

func (l *lot) run() {
	defer close(l.done)
	raw, err := l.epoll.SyscallConn()
	if err != nil {
		return
	}
	events := make([]unix.EpollEvent, 128)
	n := 0
	wait := func(fd uintptr) bool {
		var err error
		n, err = unix.EpollWait(int(fd), events, 0)
		return n > 0 || err != nil && err != syscall.EINTR
	}
	for {
		n = 0
		if err := raw.Read(wait); err != nil || n < 0 {
			return // closed
		}
		for _, e := range events[:n] {
			if c := l.woken(e.Fd); c != nil {
				go c.run()
			}
		}
	}
}

// close ends the lot. Nothing may be parked any more.
func (l *lot) close() {
	l.mu.Lock()
	epoll, done := l.epoll, l.done
	l.mu.Unlock()
	if epoll != nil {
		_ = epoll.Close()
		<-done
	}
}
