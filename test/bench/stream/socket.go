package stream

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// patience is how long a socket waits for what must come.
const patience = 20 * time.Second

// socket is a connection whose calls wait in the kernel: what they take depends on no scheduler but the kernel's.
type socket struct {
	file *os.File
	fd   int
}

// dial connects to an address, from an address of this machine if source is given.
func dial(ctx context.Context, address string, source net.IP) (*socket, error) {
	dialer := net.Dialer{Timeout: patience, KeepAlive: -1}
	if source != nil {
		dialer.LocalAddr = &net.TCPAddr{IP: source}
	}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return newSocket(conn.(*net.TCPConn))
}

// open connects to an address and asks for something.
func open(ctx context.Context, address string, ask ...byte) (*socket, error) {
	s, err := dial(ctx, address, nil)
	if err != nil {
		return nil, err
	}
	if err := s.write(ask); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// newSocket takes a socket of its own from conn, which it closes: else the runtime's poller would wake up for all that comes, too.
func newSocket(conn *net.TCPConn) (*socket, error) {
	file, err := conn.File()
	_ = conn.Close()
	if err != nil {
		return nil, fmt.Errorf("take the socket: %w", err)
	}
	s := &socket{file, int(file.Fd())} // Fd makes its calls wait
	limit := syscall.NsecToTimeval(int64(patience))
	for _, option := range []int{syscall.SO_RCVTIMEO, syscall.SO_SNDTIMEO} {
		if err := syscall.SetsockoptTimeval(s.fd, syscall.SOL_SOCKET, option, &limit); err != nil {
			s.close()
			return nil, fmt.Errorf("limit the patience of a socket: %w", err)
		}
	}
	return s, nil
}

func (s *socket) close() { _ = s.file.Close() }

// read reads at least one byte, or returns an error.
func (s *socket) read(p []byte) (int, error) {
	return received("read", func() (int, error) { return syscall.Read(s.fd, p) })
}

// received makes a system call that reads until it has at least one byte, or an error.
func received(name string, call func() (int, error)) (int, error) {
	for {
		n, err := call()
		switch {
		case err == syscall.EINTR:
		case err == syscall.EAGAIN:
			return 0, fmt.Errorf("nothing came for %v", patience)
		case err != nil:
			return 0, os.NewSyscallError(name, err)
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

func (s *socket) readFull(p []byte) error {
	for len(p) > 0 {
		n, err := s.read(p)
		if err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

func (s *socket) write(p []byte) error {
	for len(p) > 0 {
		n, err := syscall.Write(s.fd, p)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return os.NewSyscallError("write", err)
		}
		p = p[n:]
	}
	return nil
}

// pass writes to another socket, or to the same one, what comes until it ends.
func (s *socket) pass(to *socket, buffer []byte) {
	for {
		n, err := s.read(buffer)
		if err != nil || to.write(buffer[:n]) != nil {
			return
		}
	}
}
