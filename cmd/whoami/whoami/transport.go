package whoami

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
)

// maxDatagram is the largest payload of a UDP datagram over IPv4 or IPv6 without jumbograms.
const maxDatagram = 65535

// EchoTCP sends back what arrives on each connection until ctx ends; it then closes listener and all connections and
// returns nil. A half-closed connection is echoed to its end first.
func EchoTCP(ctx context.Context, listener net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	var conns sync.WaitGroup
	defer conns.Wait()
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = listener.Close() })
	defer stop()
	for {
		conn, err := listener.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			_ = listener.Close()
			return fmt.Errorf("accept on %v: %w", listener.Addr(), err)
		}
		conns.Go(func() { echoConn(ctx, conn) })
	}
}

func echoConn(ctx context.Context, conn net.Conn) {
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	_, _ = io.Copy(conn, conn) // an error means that the peer has gone
	_ = conn.Close()
}

// EchoUDP sends each datagram back to where it came from until ctx ends; it then closes conn and returns nil.
func EchoUDP(ctx context.Context, conn net.PacketConn) error {
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	buffer := make([]byte, maxDatagram)
	for {
		n, peer, err := conn.ReadFrom(buffer)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			if errors.Is(err, net.ErrClosed) {
				return fmt.Errorf("read on %v: %w", conn.LocalAddr(), err)
			}
			continue // such as an ICMP error for an earlier answer
		}
		_, _ = conn.WriteTo(buffer[:n], peer) // datagrams may be lost
	}
}
