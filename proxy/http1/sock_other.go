//go:build !linux

package http1

import (
	"syscall"

	"github.com/breakwater-gateway/breakwater/proxy/nonblock"
)

// peekOnce looks whether something has arrived, without taking it.
func (s *sock) peekOnce(fd uintptr) {
	var b [1]byte
	_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK)
	s.isQuiet = err == syscall.EAGAIN
}

// gone reports whether the peer of s has closed its side.
func (s *sock) gone() bool {
	if s.raw == nil {
		return false
	}
	gone := false
	err := s.raw.Control(func(fd uintptr) {
		var b [1]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK)
		gone = n == 0 && err == nil || err != nil && err != syscall.EAGAIN
	})
	return err != nil || gone
}

// unsent is not known here.
func (s *sock) unsent() int { return 0 }

// writev writes p, and leaves q for later, to a non-blocking descriptor.
func writev(fd int, p, _ []byte) (n int, err error) { return nonblock.Write(fd, p) }
