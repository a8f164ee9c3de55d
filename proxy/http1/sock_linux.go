package http1

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// peekOnce looks whether something has arrived, without taking it.
func (s *sock) peekOnce(fd uintptr) {
	var b [1]byte
	_, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&b)), 1,
		syscall.MSG_PEEK|syscall.MSG_DONTWAIT, 0, 0)
	s.isQuiet = errno == syscall.EAGAIN
}

// gone reports whether the peer of s has closed its side or the connection has failed. Bytes that wait to be read do not
// matter.
func (s *sock) gone() bool {
	if s.raw == nil {
		return false
	}
	gone := false
	err := s.raw.Control(func(fd uintptr) {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		if n, err := unix.Poll(p, 0); err == nil && n > 0 {
			gone = p[0].Revents&(unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR) != 0
		}
	})
	return err != nil || gone
}

// unsent returns how many bytes the peer's host has not acknowledged yet (tcp(7), SIOCOUTQ).
func (s *sock) unsent() int {
	if s.raw == nil {
		return 0
	}
	n := 0
	err := s.raw.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) })
	if err != nil {
		return 0
	}
	return n
}

// writev writes p and q to a non-blocking descriptor. n is never negative; the error is EAGAIN if nothing can be written yet.
func writev(fd int, p, q []byte) (n int, err error) {
	for {
		n, err := unix.Writev(fd, [][]byte{p, q})
		if err != syscall.EINTR {
			return max(n, 0), err
		}
	}
}
