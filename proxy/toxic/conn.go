package toxic

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Conn is a connection whose reads and writes pass through the toxics of a Slot. As long as none has acted it costs next to nothing;
// from then on a Link runs between it and the connection below, in two goroutines, until the connection ends or Quiet or Unwrap finds
// that nothing acts any more. Like any net.Conn it may be used by several goroutines at once.
type Conn struct {
	below   net.Conn
	slot    *Slot
	side    Side
	options Options
	unwatch func()

	near    atomic.Pointer[memory] // our end of the way to the link, while there is one
	written atomic.Int64           // bytes into it, since the link began

	mu       sync.Mutex // guards what follows, and the step from direct use to a link
	isClosed bool
	reads    time.Time     // deadline
	writes   time.Time     // deadline
	running  *link         // nil without one
	endSent  bool          // the direction towards the peer has been ended below
	done     chan struct{} // closed when the link has ended

	direct sync.RWMutex // read-held while below is used without a link
}

var _ net.Conn = (*Conn)(nil)

// closingTime bounds how long toxics may hold back what was written before Close.
const closingTime = time.Minute

// NewConn returns a Conn on nc, which it closes. side says which peer is at the far end: what is written to a client moves
// downstream, what is written to an endpoint upstream.
func NewConn(nc net.Conn, slot *Slot, side Side, o Options) *Conn {
	c := &Conn{below: nc, slot: slot, side: side, options: o}
	c.unwatch = slot.watch(c.changed)
	c.changed(bothDirections)
	return c
}

// NetConn returns the connection below.
func (c *Conn) NetConn() net.Conn { return c.below }

// changed starts a link when there is something for it to do.
func (c *Conn) changed(directions) {
	if c.near.Load() != nil || c.slot.Empty() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.near.Load() != nil || c.isClosed {
		return
	}
	near, far := newMemory(c.below.LocalAddr(), c.below.RemoteAddr())
	_ = near.SetReadDeadline(c.reads)
	_ = near.SetWriteDeadline(c.writes)
	c.done = make(chan struct{})
	c.running = newLink(c.slot, c.options)
	c.running.detaching.init(c.side)
	c.running.detaching.endSent = c.endSent
	c.near.Store(near)
	_ = c.below.SetReadDeadline(past) // who waits below comes here
	if resumes(c.below) {
		_ = c.below.SetWriteDeadline(past)
	}
	go c.link(c.running, far, c.done)
}

// link runs until the connection has ended, or the link has been taken off.
func (c *Conn) link(l *link, far *memory, done chan struct{}) {
	defer close(done)
	c.direct.Lock() // nobody uses the connection below any more
	_ = c.below.SetDeadline(time.Time{})
	c.direct.Unlock()
	client, endpoint := c.below, net.Conn(far)
	if c.side == EndpointSide {
		client, endpoint = far, c.below
	}
	if r := l.run(client, endpoint); r.Cause == ByPanic && c.options.Panicked != nil {
		c.options.Panicked(r.Err)
	}
}

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	if n, ok, err := c.directly(c.below.Read, p); ok {
		return n, err
	}
	return c.near.Load().Read(p)
}

// Write implements net.Conn. Bytes that are held back count as written. Once a toxic has ended the connection it fails.
func (c *Conn) Write(p []byte) (int, error) {
	n, ok, err := c.directly(c.below.Write, p)
	if ok {
		return n, err
	}
	if _, isCut := c.Cut(); isCut {
		return n, syscall.EPIPE
	}
	rest, err := c.near.Load().Write(p[n:])
	c.written.Add(int64(rest))
	return n + rest, err
}

// directly uses the connection below if there is no link. If one comes into being meanwhile ok is false, and n bytes are done.
func (c *Conn) directly(use func([]byte) (int, error), p []byte) (n int, ok bool, err error) {
	if c.near.Load() != nil {
		return 0, false, nil
	}
	c.direct.RLock()
	defer c.direct.RUnlock()
	if c.near.Load() != nil {
		return 0, false, nil
	}
	n, err = use(p)
	if err != nil && errors.Is(err, os.ErrDeadlineExceeded) && c.near.Load() != nil {
		return n, false, nil
	}
	return n, true, err
}

// Close implements net.Conn. What has been written before is still delivered, as late as toxics make it, within a minute.
func (c *Conn) Close() error {
	near, ok := c.closing()
	if !ok {
		return net.ErrClosed
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if near == nil {
		defer c.options.ended()
		return c.below.Close()
	}
	below, l, done := c.below, c.running, c.done
	late := time.AfterFunc(closingTime, func() {
		_ = below.Close()
		l.drop(c.side)
	})
	go func() {
		<-done
		late.Stop()
		c.options.ended()
	}()
	return near.Close()
}

// closing notes that the Conn is closed: no link begins any more. It returns our end of the way to the link, nil if there is none, and
// false if the Conn has been closed before.
func (c *Conn) closing() (near *memory, ok bool) {
	c.mu.Lock()
	unwatch := c.unwatch
	ok = !c.isClosed
	c.isClosed = true
	near = c.near.Load()
	c.mu.Unlock()
	unwatch() // not under mu, which who is being told of a change may wait for
	return near, ok
}

// Reset closes the connection so that the peer sees RST. What toxics hold back is lost.
func (c *Conn) Reset() {
	near, ok := c.closing()
	if !ok {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	reset(c.below)
	if near != nil {
		near.Reset()
		c.running.drop(c.side)
	}
	c.options.ended()
}

// CloseWrite ends the direction towards the peer and leaves the other open.
func (c *Conn) CloseWrite() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if near := c.near.Load(); near != nil {
		return near.CloseWrite()
	}
	c.endSent = true
	return (&writer{nc: c.below}).closeWrite()
}

// LocalAddr implements net.Conn.
func (c *Conn) LocalAddr() net.Addr { return c.below.LocalAddr() }

// RemoteAddr implements net.Conn.
func (c *Conn) RemoteAddr() net.Addr { return c.below.RemoteAddr() }

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error { return c.setDeadline(t, true, true) }

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.setDeadline(t, true, false) }

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.setDeadline(t, false, true) }

func (c *Conn) setDeadline(t time.Time, reads, writes bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	nc := net.Conn(c.below)
	if near := c.near.Load(); near != nil {
		nc = near
	}
	var err error
	if reads {
		c.reads, err = t, nc.SetReadDeadline(t)
	}
	if writes {
		c.writes = t
		err = errors.Join(err, nc.SetWriteDeadline(t))
	}
	return err
}
