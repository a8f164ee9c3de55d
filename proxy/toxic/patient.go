package toxic

import (
	"net"
	"os"
	"sync"
	"time"
)

// patient makes the writes of a connection interruptible where an interrupted write would break it, as with TLS: a goroutine
// writes, and goes on writing when a deadline has made Write return. The next Write must then begin with the same bytes.
type patient struct {
	net.Conn
	todo    chan []byte
	done    chan error
	waiting []byte // what the goroutine writes; nil if nothing
	wake    chan struct{}

	mu       sync.Mutex // guards what follows
	deadline time.Time
	timer    *time.Timer
}

// interruptible returns nc, or a patient for it, and what stops that. nc must have been closed before stop is called.
func interruptible(nc net.Conn) (_ net.Conn, stop func()) {
	if resumes(nc) {
		return nc, func() {}
	}
	p := &patient{Conn: nc, todo: make(chan []byte, 1), done: make(chan error, 1), wake: make(chan struct{}, 1)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for b := range p.todo {
			_, err := nc.Write(b)
			p.done <- err
		}
	}()
	return p, func() {
		close(p.todo)
		<-ended
	}
}

// resumes reports whether a write to nc can go on after a deadline has passed.
func resumes(nc net.Conn) bool {
	switch nc.(type) {
	case *net.TCPConn, *net.UnixConn, *memory, *Conn:
		return true
	}
	return nc.LocalAddr() != nil && nc.LocalAddr().Network() == "pipe"
}

// Write implements net.Conn, for one goroutine.
func (p *patient) Write(b []byte) (int, error) {
	if p.waiting == nil {
		p.waiting = append([]byte{}, b...)
		p.todo <- p.waiting
	}
	for {
		p.mu.Lock()
		late := !p.deadline.IsZero() && !time.Now().Before(p.deadline)
		p.mu.Unlock()
		if late {
			return 0, os.ErrDeadlineExceeded
		}
		select {
		case err := <-p.done:
			n := len(p.waiting)
			if p.waiting = nil; err != nil {
				return 0, err
			}
			return n, nil
		case <-p.wake:
		}
	}
}

// SetWriteDeadline implements net.Conn.
func (p *patient) SetWriteDeadline(t time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deadline = t
	if p.timer != nil {
		p.timer.Stop()
	}
	if d := time.Until(t); d > 0 && !t.IsZero() {
		p.timer = time.AfterFunc(d, p.signal)
	}
	p.signal()
	return nil
}

func (p *patient) signal() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// CloseWrite ends the direction towards the peer. If a write is under way the connection is closed, since nothing can follow.
func (p *patient) CloseWrite() error {
	if half, ok := p.Conn.(interface{ CloseWrite() error }); ok && p.waiting == nil {
		return half.CloseWrite()
	}
	return p.Close()
}

// Reset closes the connection below with RST.
func (p *patient) Reset() { reset(p.Conn) }
