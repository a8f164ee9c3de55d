package toxic

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// memory is one end of a connection within this process, with a little room in each direction, deadlines, half-close and reset:
// what stands between a Conn and its Link.
type memory struct {
	in, out       *half
	local, remote net.Addr
}

var _ net.Conn = (*memory)(nil)

// newMemory returns the two ends of a connection that claims to have these addresses, seen from the first.
func newMemory(local, remote net.Addr) (a, b *memory) {
	x, y := newHalf(), newHalf()
	return &memory{x, y, local, remote}, &memory{y, x, remote, local}
}

// Read implements net.Conn.
func (m *memory) Read(p []byte) (int, error) { return m.in.read(p) }

// Write implements net.Conn.
func (m *memory) Write(p []byte) (int, error) { return m.out.write(p) }

// CloseWrite ends what is written and leaves the other direction open.
func (m *memory) CloseWrite() error {
	m.out.end(io.EOF, io.ErrClosedPipe)
	return nil
}

// Close implements net.Conn. What has been written can still be read at the other end.
func (m *memory) Close() error {
	m.out.end(io.EOF, net.ErrClosed)
	m.in.drop(net.ErrClosed, syscall.EPIPE)
	return nil
}

// Reset closes the connection; the other end sees ECONNRESET.
func (m *memory) Reset() {
	m.out.drop(syscall.ECONNRESET, net.ErrClosed)
	m.in.drop(net.ErrClosed, syscall.ECONNRESET)
}

// isAlone reports whether the other end has been closed altogether.
func (m *memory) isAlone() bool {
	m.out.mu.Lock()
	defer m.out.mu.Unlock()
	return m.out.writeErr != nil
}

// LocalAddr implements net.Conn.
func (m *memory) LocalAddr() net.Addr { return m.local }

// RemoteAddr implements net.Conn.
func (m *memory) RemoteAddr() net.Addr { return m.remote }

// SetDeadline implements net.Conn.
func (m *memory) SetDeadline(t time.Time) error {
	m.in.reader.set(m.in, t)
	m.out.writer.set(m.out, t)
	return nil
}

// SetReadDeadline implements net.Conn.
func (m *memory) SetReadDeadline(t time.Time) error {
	m.in.reader.set(m.in, t)
	return nil
}

// SetWriteDeadline implements net.Conn.
func (m *memory) SetWriteDeadline(t time.Time) error {
	m.out.writer.set(m.out, t)
	return nil
}

// half is one direction of a memory.
type half struct {
	mu             sync.Mutex // guards all below
	data           []byte     // nil until something is written
	r, n           int        // the bytes that wait: n from data[r] on, around the end
	readErr        error      // after what waits
	writeErr       error
	reader, writer waiter
}

// waiter is who reads from, or writes to, a half.
type waiter struct {
	wake     chan struct{}
	deadline time.Time
	timer    *time.Timer
}

// halfRoom is how many bytes wait in a half at most.
const halfRoom = 16 << 10

func newHalf() *half {
	return &half{reader: waiter{wake: make(chan struct{}, 1)}, writer: waiter{wake: make(chan struct{}, 1)}}
}

func (w *waiter) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *waiter) isLate() bool { return !w.deadline.IsZero() && !time.Now().Before(w.deadline) }

// set sets the deadline.
func (w *waiter) set(p *half, t time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w.deadline = t
	d := time.Until(t)
	switch {
	case t.IsZero() || d <= 0:
		if w.timer != nil {
			w.timer.Stop()
		}
	case w.timer == nil:
		w.timer = time.AfterFunc(d, w.signal)
	default:
		w.timer.Reset(d)
	}
	w.signal()
}

func (p *half) read(to []byte) (int, error) {
	for {
		p.mu.Lock()
		late := p.reader.isLate()
		switch {
		case late:
			p.mu.Unlock()
			p.reader.signal() // for whoever else reads
			return 0, os.ErrDeadlineExceeded
		case p.n > 0:
			n := 0
			for n < len(to) && p.n > 0 {
				some := copy(to[n:], p.data[p.r:min(p.r+p.n, len(p.data))])
				n, p.n, p.r = n+some, p.n-some, (p.r+some)%len(p.data)
			}
			if p.n > 0 || p.readErr != nil {
				p.reader.signal()
			}
			p.writer.signal()
			p.mu.Unlock()
			return n, nil
		case p.readErr != nil:
			err := p.readErr
			p.reader.signal()
			p.mu.Unlock()
			return 0, err
		case len(to) == 0:
			p.mu.Unlock()
			return 0, nil
		}
		p.mu.Unlock()
		<-p.reader.wake
	}
}

func (p *half) write(from []byte) (int, error) {
	done := 0
	for {
		p.mu.Lock()
		switch {
		case p.writeErr != nil:
			err := p.writeErr
			p.writer.signal()
			p.mu.Unlock()
			return done, err
		case p.writer.isLate():
			p.writer.signal()
			p.mu.Unlock()
			return done, os.ErrDeadlineExceeded
		}
		if p.data == nil {
			p.data = make([]byte, halfRoom)
		}
		for done < len(from) && p.n < len(p.data) {
			w := (p.r + p.n) % len(p.data)
			end := len(p.data)
			if w < p.r {
				end = p.r
			}
			some := copy(p.data[w:end], from[done:])
			done, p.n = done+some, p.n+some
		}
		if p.n > 0 {
			p.reader.signal()
		}
		if done == len(from) {
			if p.n < len(p.data) {
				p.writer.signal()
			}
			p.mu.Unlock()
			return done, nil
		}
		p.mu.Unlock()
		<-p.writer.wake
	}
}

// end lets the reader read what there is, then readErr. The first end counts.
func (p *half) end(readErr, writeErr error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.readErr == nil {
		p.readErr = readErr
	}
	if p.writeErr == nil {
		p.writeErr = writeErr
	}
	p.reader.signal()
	p.writer.signal()
}

// drop is end without what there is.
func (p *half) drop(readErr, writeErr error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.n, p.readErr = 0, readErr
	if p.writeErr == nil || p.writeErr == io.ErrClosedPipe {
		p.writeErr = writeErr
	}
	p.reader.signal()
	p.writer.signal()
}
