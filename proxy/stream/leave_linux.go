package stream

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// gone reports whether the peer has reset the connection, or closed it and sent nothing.
func gone(raw syscall.RawConn) bool {
	gone := false
	err := raw.Control(func(fd uintptr) {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		if n, err := unix.Poll(p, 0); err != nil || n == 0 {
			return
		}
		if p[0].Revents&(unix.POLLERR|unix.POLLHUP) != 0 {
			gone = true
			return
		}
		var b [1]byte
		n, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		gone = n == 0 && err == nil
	})
	return err != nil || gone
}
