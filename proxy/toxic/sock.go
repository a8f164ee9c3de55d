package toxic

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy/nonblock"
)

// reader reads one connection, for one goroutine. From a bare socket it reads with a buffer that is taken from the pool only when
// there is something to read, so that a connection that waits holds none.
type reader struct {
	nc    net.Conn
	raw   syscall.RawConn // nil if nc is not a bare socket
	armed deadline

	// The fields below carry the arguments and results of lazily, so that calling it allocates nothing.
	lazily func(fd uintptr) bool
	wait   bool
	limit  int
	block  *block
	err    error
}

// writer writes to one connection, for one goroutine.
type writer struct {
	nc    net.Conn
	raw   syscall.RawConn
	armed deadline

	put  func(fd uintptr) bool
	wait bool
	rest []byte
	err  error
}

// deadline is what has been set on a connection, as far as known.
type deadline struct {
	at    time.Time
	known bool
}

// past is a deadline that has always passed.
var past = time.Unix(1, 0)

func newReader(nc net.Conn) *reader {
	r := &reader{nc: nc, raw: rawConn(nc)}
	r.lazily = r.readLazily
	return r
}

func newWriter(nc net.Conn) *writer {
	w := &writer{nc: nc, raw: rawConn(nc)}
	w.put = w.writeRest
	return w
}

// serves reports whether d gives up at t, or before: giving up too early costs less than setting deadlines all the time.
func (d deadline) serves(t time.Time) bool {
	if d.at.IsZero() || !d.known {
		return d.known && t.IsZero()
	}
	return t.IsZero() || !d.at.After(t)
}

// arm sets the time at which reading gives up; zero is never. It may give up earlier, once.
func (r *reader) arm(t time.Time) {
	if !r.armed.serves(t) {
		r.armed = deadline{t, r.nc.SetReadDeadline(t) == nil}
	}
}

// arm sets the time at which writing gives up; zero is never. It may give up earlier, once.
func (w *writer) arm(t time.Time) {
	if !w.armed.serves(t) {
		w.armed = deadline{t, w.nc.SetWriteDeadline(t) == nil}
	}
}

// plainRead is how much is read at a time from what is not a bare socket.
const plainRead = 3 // a class

// read returns at most limit bytes. It waits for them up to what arm has set, then returns os.ErrDeadlineExceeded.
func (r *reader) read(limit int) (*block, error) {
	if r.raw != nil {
		return r.readRaw(limit, true)
	}
	b := newBlock(plainRead)
	n, err := r.nc.Read(b.data[:min(limit, len(b.data))])
	if n > 0 {
		b.data = b.data[:n]
		return b, nil // the error comes again
	}
	b.free()
	if err == nil {
		err = io.ErrNoProgress
	}
	return nil, r.known(err)
}

// tryRead is read without waiting. It returns nil and no error if there is nothing, or if it cannot tell.
func (r *reader) tryRead(limit int) (*block, error) {
	if r.raw == nil {
		return nil, nil
	}
	b, err := r.readRaw(limit, false)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = nil
	}
	return b, err
}

func (r *reader) readRaw(limit int, wait bool) (*block, error) {
	r.limit, r.wait, r.block, r.err = limit, wait, nil, nil
	err := r.raw.Read(r.lazily)
	b := r.block
	r.block = nil
	if err == nil {
		err = r.err
	}
	return b, r.known(err)
}

// readLazily is called by the runtime's poller: at once, and again each time the descriptor may have become readable.
func (r *reader) readLazily(fd uintptr) bool {
	b := newBlock(largestClass)
	n, err := nonblock.Read(int(fd), b.data[:min(r.limit, len(b.data))])
	if n > 0 {
		b.data, r.block = b.data[:n], b
		return true
	}
	b.free()
	switch {
	case err == nil:
		r.err = io.EOF
	case err == syscall.EAGAIN:
		return !r.wait
	default:
		r.err = os.NewSyscallError("read", err)
	}
	return true
}

// known forgets what arm has set when it turns out that somebody else has interrupted.
func (r *reader) known(err error) error {
	if err != nil && errors.Is(err, os.ErrDeadlineExceeded) {
		r.armed.known = false
	}
	return err
}

// write writes p and waits, up to what arm has set, until all is written. It returns how much has been.
func (w *writer) write(p []byte, wait bool) (int, error) {
	var n int
	var err error
	if w.raw != nil {
		w.rest, w.wait, w.err = p, wait, nil
		err = w.raw.Write(w.put)
		n = len(p) - len(w.rest)
		w.rest = nil
		if err == nil {
			err = w.err
		}
	} else if wait {
		n, err = w.nc.Write(p)
	}
	if err != nil && errors.Is(err, os.ErrDeadlineExceeded) {
		w.armed.known = false
	}
	return n, err
}

// writeRest is called by the runtime's poller: at once, and again each time the descriptor may have become writable.
func (w *writer) writeRest(fd uintptr) bool {
	for len(w.rest) > 0 {
		n, err := nonblock.Write(int(fd), w.rest)
		w.rest = w.rest[n:]
		if err == syscall.EAGAIN {
			return !w.wait
		}
		if err != nil {
			w.err = os.NewSyscallError("write", err)
			return true
		}
	}
	return true
}

// closeWrite ends what is sent to the peer. A connection that cannot do that by halves is closed.
func (w *writer) closeWrite() error {
	if half, ok := w.nc.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return w.nc.Close()
}

// reset closes nc with RST, where it can: a truncated stream must not look complete.
func reset(nc net.Conn) {
	switch c := nc.(type) {
	case interface{ Reset() }:
		c.Reset()
		return
	case interface{ SetLinger(int) error }:
		_ = c.SetLinger(0)
	case interface{ NetConn() net.Conn }: // TLS: without its closing alert
		reset(c.NetConn())
	}
	_ = nc.Close()
}
