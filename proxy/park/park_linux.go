package park

import (
	"errors"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Possible says whether anything is ever parked: this system has epoll.
const Possible = true

// Lot is where Entries wait. The zero Lot is ready for use and starts with the first Entry. All methods may be called concurrently.
type Lot struct {
	mu     sync.Mutex
	parked map[int32]*Entry // guarded by mu; by descriptor
	count  int              // guarded by mu; of Entries
	epoll  *os.File         // guarded by mu; nil until the first Entry comes, and at the end
	fd     int              // guarded by mu; of epoll
	done   chan struct{}    // guarded by mu; closed when nobody waits for epoll any more
	closed bool             // guarded by mu
}

// start opens the epoll descriptor. l.mu is held.
func (l *Lot) start() error {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	_ = unix.SetNonblock(fd, true)
	l.epoll, l.fd = os.NewFile(uintptr(fd), "epoll"), fd
	l.done, l.parked = make(chan struct{}), map[int32]*Entry{}
	go l.run(l.epoll, l.done)
	return nil
}

// Park takes e over from its goroutine, which must not touch it afterwards, until something becomes of one of its sockets, of which
// there are one or two. What has become of them before is not overlooked. It reports false if it cannot be done, as with a socket that
// has been closed. What is closed while it is parked wakes nobody: who closes it calls Take.
func (l *Lot) Park(e *Entry, sockets ...syscall.RawConn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.epoll == nil && l.start() != nil {
		return false
	}
	for i, raw := range sockets {
		var failed error
		err := raw.Control(func(fd uintptr) {
			failed = l.register(int(fd))
			e.fds[i] = int32(fd)
		})
		if err != nil || failed != nil {
			return false // at most an event of the first one comes, for nobody
		}
	}
	if len(sockets) == 1 {
		e.fds[1] = e.fds[0]
	}
	for _, fd := range e.fds {
		l.parked[fd] = e
	}
	e.isParked = true
	l.count++
	return true
}

// register asks for one event of a descriptor: at once, if it has something to tell. l.mu is held.
func (l *Lot) register(fd int) error {
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLONESHOT, Fd: int32(fd)}
	err := unix.EpollCtl(l.fd, unix.EPOLL_CTL_MOD, fd, &event) // it stays there from one time to the next
	if errors.Is(err, syscall.ENOENT) {
		err = unix.EpollCtl(l.fd, unix.EPOLL_CTL_ADD, fd, &event)
	}
	return err
}

// Take gives e back, which is not woken then. It reports false if e is not there, or somebody else has it already.
func (l *Lot) Take(e *Entry) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.remove(e)
}

// remove takes e out. It reports false if e is not there. l.mu is held.
func (l *Lot) remove(e *Entry) bool {
	if !e.isParked {
		return false
	}
	e.isParked = false
	l.count--
	for _, fd := range e.fds {
		if l.parked[fd] == e { // another's by now, if it has been closed
			delete(l.parked, fd)
		}
	}
	return true
}

// woken takes out the Entry of a descriptor that has something to tell; nil if there is none any more.
func (l *Lot) woken(fd int32) *Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.parked[fd]
	if e == nil || !l.remove(e) {
		return nil
	}
	return e
}

// Count returns how many Entries wait.
func (l *Lot) Count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count
}

// run wakes Entries until epoll is closed. If it cannot wait for epoll nothing is parked any more, and what is wakes.
func (l *Lot) run(epoll *os.File, done chan<- struct{}) {
	defer close(done)
	defer l.clear()
	raw, err := epoll.SyscallConn()
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
		for _, event := range events[:n] {
			if e := l.woken(event.Fd); e != nil {
				go e.Wake()
			}
		}
	}
}

// clear ends the Lot if nobody has ended it, and wakes what is there.
func (l *Lot) clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	l.closed = true
	for _, e := range l.parked {
		if l.remove(e) {
			go e.Wake()
		}
	}
}

// Close ends the Lot: nothing is parked from then on. Nothing may be parked any more.
func (l *Lot) Close() {
	l.mu.Lock()
	epoll, done := l.epoll, l.done
	l.epoll, l.closed = nil, true
	l.mu.Unlock()
	if epoll != nil {
		_ = epoll.Close()
		<-done
	}
}
