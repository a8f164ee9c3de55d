package toxic

import (
	"net"
	"syscall"

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
