//go:build !linux

package toxic

import (
	"net"
	"syscall"
)

// rawConn returns nil: connections are read and written in the usual way.
func rawConn(net.Conn) syscall.RawConn { return nil }

func stateOf(syscall.RawConn) tcpState { return stillOpen }

func stateOfFD(int) tcpState { return stillOpen }
