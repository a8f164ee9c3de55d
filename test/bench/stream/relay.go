package stream

import (
	"context"
	"net"
	"runtime"
	"sync"
	"syscall"
)

// Relay passes connections on to an address until the listener is closed. It is the least work that a proxy can do: each direction of
// a connection has a thread of its own that waits in the kernel, reads, and writes what it has read.
func Relay(listener net.Listener, address string) error {
	return accept(listener, func(conn *net.TCPConn) {
		client, err := newSocket(conn)
		if err != nil {
			return
		}
		defer client.close()
		server, err := dial(context.Background(), address, nil)
		if err != nil {
			return
		}
		defer server.close()
		var group sync.WaitGroup
		group.Go(func() { relay(client, server) })
		group.Go(func() { relay(server, client) })
		group.Wait()
	})
}

// relay passes one direction on, with its end.
func relay(from, to *socket) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	from.pass(to, make([]byte, 32<<10))
	_ = syscall.Shutdown(to.fd, syscall.SHUT_WR)
}
