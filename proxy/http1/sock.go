package http1

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy/nonblock"
)

// sock is one connection of either side. On a TCP connection it reads with a buffer that is taken from the pool only
// when there is something to read, so that a connection that waits holds none. Any other net.Conn (TLS, net.Pipe,
// a connection with toxics) is read in the usual way.
//
// One goroutine reads and one writes at a time.
type sock struct {
	nc  net.Conn
	tcp *net.TCPConn    // nil unless nc is a bare TCP connection
	raw syscall.RawConn // of tcp
	// inside is the connection that nc is put around, nil if it is none. Only its state is looked at.
	inside *sock

	// The fields below carry the arguments and results of tryRead, so that calling it allocates nothing.
	tryRead func(fd uintptr) bool
	buf     *buffer
	n       int
	err     error

	// The same for quiet and await.
	peek    func(fd uintptr)
	look    func(fd uintptr) bool // nil before the first await
	isQuiet bool

	// The same for exchange.
	ask  func(fd uintptr) bool
	out  []byte // what is to be sent; nil once that has been tried
	sent int

	// The same for writeSome; they belong to who writes.
	tryWrite        func(fd uintptr) bool
	pending, behind []byte
	put             int
	putErr          error
}

func newSock(nc net.Conn) *sock {
	s := &sock{nc: nc}
	if tcp, ok := nc.(*net.TCPConn); ok {
		if raw, err := tcp.SyscallConn(); err == nil {
			s.tcp, s.raw = tcp, raw
			s.tryRead, s.peek, s.ask, s.tryWrite = s.readLazily, s.peekOnce, s.writeThenRead, s.writeOnce
		}
	} else if w, ok := nc.(wrapper); ok {
		s.inside = newSock(w.NetConn())
	}
	return s
}

// readLazily is called by the runtime's poller: at once, and again each time the descriptor may have become readable.
func (s *sock) readLazily(fd uintptr) bool {
	b := s.buf
	if b == nil {
		b = getBuffer()
	}
	n, err := nonblock.Read(int(fd), b.data[b.w:])
	if err == syscall.EAGAIN {
		if b.r == b.w { // holds nothing: give it back while we wait
			b.free()
			s.buf = nil
		}
		return false
	}
	s.buf, s.n, s.err = b, n, nil
	if err != nil {
		s.n, s.err = 0, os.NewSyscallError("read", err)
	} else if n == 0 {
		s.err = io.EOF
	}
	return true
}

// fill reads at least one byte into b behind what it holds and returns the buffer that holds them: b, or another one
// if b was nil or held nothing. b must have room. On error the returned buffer is to be kept (or freed) all the same; it
// may be nil.
func (s *sock) fill(b *buffer) (*buffer, error) {
	if b != nil && b.r == b.w {
		b.r, b.w = 0, 0
	}
	if s.raw == nil {
		if b == nil {
			b = getBuffer()
		}
		n, err := s.nc.Read(b.data[b.w:])
		b.w += n
		if n > 0 {
			return b, nil
		}
		if err == nil {
			err = io.ErrNoProgress
		}
		return b, err
	}
	s.buf, s.n = b, 0
	err := s.raw.Read(s.tryRead)
	b, s.buf = s.buf, nil
	if err == nil {
		err = s.err
	}
	if b != nil {
		b.w += s.n
	}
	return b, err
}

// exchange sends p and waits for the answer, like write and then fill(nil), on a TCP connection. The poller's notice of
// readiness is reset before p goes out, so no answer can be missed, and the read that would find nothing yet is saved. If
// sent < len(p) nothing has been read: with a nil error the caller sends the rest.
func (s *sock) exchange(p []byte) (b *buffer, sent int, err error) {
	s.buf, s.n, s.err, s.out, s.sent = nil, 0, nil, p, 0
	err = s.raw.Read(s.ask)
	b, s.buf, s.out = s.buf, nil, nil
	if err == nil {
		err = s.err
	}
	if b != nil {
		b.w += s.n
	}
	return b, s.sent, err
}

// writeThenRead is called by the runtime's poller like readLazily.
func (s *sock) writeThenRead(fd uintptr) bool {
	if s.out == nil {
		return s.readLazily(fd)
	}
	p := s.out
	s.out = nil
	n, err := nonblock.Write(int(fd), p)
	s.sent = n
	if err != nil && err != syscall.EAGAIN {
		s.err = os.NewSyscallError("write", err)
	}
	return n < len(p)
}

// quiet reports whether an idle connection is still open and has nothing to read. Bytes that nobody asked for would be
// taken for the answer to the next request.
func (s *sock) quiet() bool {
	if s.raw == nil {
		if s.inside == nil {
			return true
		}
		w, ok := s.nc.(wrapper)
		return (!ok || w.Quiet()) && s.inside.quiet()
	}
	return s.raw.Control(s.peek) == nil && s.isQuiet
}

// await waits until there is something to read, be it an end or an error, where the connection can tell. It needs no buffer.
func (s *sock) await() error {
	if s.raw == nil {
		return nil
	}
	if s.look == nil {
		s.look = s.lookOnce
	}
	return s.raw.Read(s.look)
}

// readOrAwait is nc.Read, and await if p is empty.
func (s *sock) readOrAwait(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, s.await()
	}
	return s.nc.Read(p)
}

// lookOnce is called by the runtime's poller like readLazily.
func (s *sock) lookOnce(fd uintptr) bool {
	s.peekOnce(fd)
	return !s.isQuiet
}

// write sends all of p.
func (s *sock) write(p []byte) error {
	_, err := s.write2(p, nil)
	return err
}

// write2 sends all of p, then all of q. It returns how many bytes it has sent.
func (s *sock) write2(p, q []byte) (sent int64, err error) {
	for err == nil && len(p)+len(q) > 0 {
		var n int
		n, err = s.writeSome(p, q)
		p, q = advance(p, q, n)
		sent += int64(n)
	}
	return sent, err
}

// advance takes n bytes away from p and what follows it, q.
func advance(p, q []byte, n int) ([]byte, []byte) {
	if n < len(p) {
		return p[n:], q
	}
	return nil, q[n-len(p):]
}

// somePiece is how much writeSome sends at once on a connection that does not tell how much of it has gone out.
const somePiece = 16 << 10

// writeSome sends p, then q, in one system call where that saves copying, but returns as soon as some of it has gone out: usually that
// is all. Like nonblock.Write it does not tell the scheduler of a system call that cannot block. At least one of p and q must not be
// empty; the error is not nil if n is 0.
func (s *sock) writeSome(p, q []byte) (n int, err error) {
	if len(p) == 0 {
		p, q = q, nil
	}
	if s.raw == nil {
		n, err = s.nc.Write(p[:min(len(p), somePiece)])
	} else {
		s.pending, s.behind, s.put, s.putErr = p, q, 0, nil
		err = s.raw.Write(s.tryWrite)
		n, s.pending, s.behind = s.put, nil, nil
		if err == nil {
			err = s.putErr
		}
	}
	if n == 0 && err == nil {
		err = io.ErrShortWrite
	}
	return n, err
}

// writeOnce is called by the runtime's poller: at once, and again each time the descriptor may have become writable.
func (s *sock) writeOnce(fd uintptr) bool {
	var err error
	if len(s.behind) > 0 {
		s.put, err = writev(int(fd), s.pending, s.behind)
	} else {
		s.put, err = nonblock.Write(int(fd), s.pending)
	}
	if err == syscall.EAGAIN {
		return false
	}
	if err != nil {
		s.putErr = os.NewSyscallError("write", err)
	}
	return true
}

// past is a deadline that has always passed.
var past = time.Unix(1, 0)

// interrupt makes what blocks on the connection, and all that follows, fail with os.ErrDeadlineExceeded.
func (s *sock) interrupt() { _ = s.nc.SetDeadline(past) }

// interruptHalf is interrupt for one direction.
func (s *sock) interruptHalf(write bool) {
	if write {
		_ = s.nc.SetWriteDeadline(past)
	} else {
		_ = s.nc.SetReadDeadline(past)
	}
}

// closeWrite ends the direction towards the peer and leaves the other open, where the connection can do that.
func (s *sock) closeWrite() error {
	if cw, ok := s.nc.(interface{ CloseWrite() error }); ok {
		return cw.CloseWrite()
	}
	return errors.ErrUnsupported
}

func (s *sock) close() { _ = s.nc.Close() }

// reset closes the connection so that the peer sees RST, not FIN: a truncated message must not look complete.
func (s *sock) reset() {
	if r, ok := s.nc.(resetter); ok {
		r.Reset()
		return
	}
	if s.inside != nil && s.inside.tcp != nil {
		_ = s.inside.tcp.SetLinger(0)
	}
	if s.tcp != nil {
		_ = s.tcp.SetLinger(0)
	}
	s.close()
}
