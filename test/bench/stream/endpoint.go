package stream

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"time"
)

// What a client asks an endpoint for with the first byte of a connection.
const (
	echoes  = 'E' // what is sent comes back, from a thread of its own
	returns = 'R' // what is sent comes back; thousands of such streams may be open
	holds   = 'H' // one byte comes back; then nothing happens until the client ends
	sends   = 'S' // a number of bytes, in the 8 bytes that follow (big endian), are sent; then the endpoint waits for the client's end
	ends    = 'C' // one byte comes back, then the end of the stream
)

// answer is the byte that comes back.
const answer = 'k'

// chunk is the unit in which bulk is written and read, small enough to stay in the processor's cache.
const chunk = 256 << 10

// endpointTimeout ends connections whose client has been silent for so long.
const endpointTimeout = 10 * time.Minute

// Serve serves connections until the listener is closed.
func Serve(listener net.Listener) error {
	filler := make([]byte, chunk)
	return accept(listener, func(conn *net.TCPConn) {
		_ = conn.SetDeadline(time.Now().Add(endpointTimeout))
		serve(conn, filler)
	})
}

// accept has each connection served on its own, and closes it then, until the listener is closed.
func accept(listener net.Listener, serve func(*net.TCPConn)) error {
	for {
		conn, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			serve(conn.(*net.TCPConn))
		}()
	}
}

func serve(conn *net.TCPConn, filler []byte) {
	var first [1]byte
	if _, err := io.ReadFull(conn, first[:]); err != nil {
		return
	}
	switch first[0] {
	case echoes:
		// A thread that waits in the kernel is woken sooner than a goroutine, and by the same path each time.
		s, err := newSocket(conn)
		if err != nil {
			return
		}
		defer s.close()
		s.pass(s, make([]byte, messageSize))
	case returns:
		buffer := make([]byte, messageSize)
		for {
			n, err := conn.Read(buffer)
			if err != nil {
				return
			}
			if _, err := conn.Write(buffer[:n]); err != nil {
				return
			}
		}
	case holds:
		_, _ = conn.Write([]byte{answer})
		_, _ = io.Copy(io.Discard, conn)
	case sends:
		var length [8]byte
		if _, err := io.ReadFull(conn, length[:]); err != nil {
			return
		}
		for left := binary.BigEndian.Uint64(length[:]); left > 0; {
			n, err := conn.Write(filler[:min(left, chunk)])
			if err != nil {
				return
			}
			left -= uint64(n)
		}
		_, _ = io.Copy(io.Discard, conn)
	case ends:
		_, _ = conn.Write([]byte{answer})
		_ = conn.CloseWrite()
		_, _ = io.Copy(io.Discard, conn)
	}
}
