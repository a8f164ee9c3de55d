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

// stateOf returns what has become of the connection of raw.
func stateOf(raw syscall.RawConn) (s tcpState) {
	if raw != nil {
		_ = raw.Control(func(fd uintptr) { s = stateOfFD(int(fd)) })
	}
	return s
}

func stateOfFD(fd int) tcpState {
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return stillOpen // not TCP
	}
	switch info.State {
	case unix.BPF_TCP_CLOSE:
		return allClosed
	case unix.BPF_TCP_CLOSE_WAIT, unix.BPF_TCP_LAST_ACK, unix.BPF_TCP_CLOSING, unix.BPF_TCP_TIME_WAIT:
		return peerEnded
	}
	return stillOpen
}
