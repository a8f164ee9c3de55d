package toxic

import (
	"net"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// rawConn returns the socket below nc if nc is nothing but that.
func rawConn(nc net.Conn) syscall.RawConn {
	switch c := nc.(type) {
	case *net.TCPConn:
		if raw, err := c.SyscallConn(); err == nil {
			return raw
		}
	case *net.UnixConn:
		if raw, err := c.SyscallConn(); err == nil && c.LocalAddr().Network() == "unix" {
			return raw
		}
	}
	return nil
}

// readNonblock reads from a non-blocking socket. It does not tell the scheduler: the call cannot block, and telling it costs as
// much as the read of a short message. n is never negative.
func readNonblock(fd int, p []byte) (n int, err error) { return rawCall(syscall.SYS_READ, fd, p) }

// writeNonblock is the counterpart of readNonblock.
func writeNonblock(fd int, p []byte) (n int, err error) { return rawCall(syscall.SYS_WRITE, fd, p) }

func rawCall(call uintptr, fd int, p []byte) (int, error) {
	for {
		n, _, errno := syscall.RawSyscall(call, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
		if errno == 0 {
			return int(n), nil
		}
		if errno != syscall.EINTR {
			return 0, errno
		}
	}
}

// wasReset reports whether the end that was read from raw is that of a connection that is closed altogether, rather than of what its
// peer sends: of a reset that a write has been told of. It holds as long as we have not ended what we send.
func wasReset(raw syscall.RawConn) bool {
	if raw == nil {
		return false
	}
	const closed = 7 // TCP_CLOSE
	reset := false
	err := raw.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		reset = err == nil && info.State == closed
	})
	return err == nil && reset
}
