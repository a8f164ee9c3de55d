package toxic

import (
	"errors"
	"io"
	"os"
	"syscall"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy/nonblock"
	"github.com/breakwater-gateway/breakwater/proxy/splice"
)

// passer carries the bytes of one direction between two sockets while no toxic acts: messages by one read and one write each,
// bulk by splice(2), which leaves the bytes in the kernel. While it waits for bytes it holds neither a buffer nor a pipe.
//
// Messages are passed on in the function that the runtime's poller calls when the source may have become readable, so that each
// costs one turn of the goroutine. What has been taken and not delivered when a toxic comes into force is handed to the
// engine, as bytes that came before it.
type passer struct {
	d    *direction
	bulk bool  // by splice
	few  int   // splices in a row that brought little
	err  error // of the source

	message func(fd uintptr) bool // bound once, as fill and drain
	fill    func(fd uintptr) bool
	drain   func(fd uintptr) bool
	pipe    *splice.Pipe // nil while it holds nothing
	held    int          // bytes in pipe
	failed  error        // of the destination
}

const (
	// fewBytes is what a splice must bring to be worth it. After fewSplices in a row that do not, messages are copied again.
	fewBytes   = 16 << 10
	fewSplices = 4
)

// pass carries bytes while no toxic acts. It returns false if it can do no better than the engine does.
func (d *direction) pass() bool {
	if d.src.raw == nil || d.dst.raw == nil {
		return false
	}
	if d.passer == nil {
		p := &passer{d: d}
		p.message, p.fill, p.drain = p.passMessages, p.fillPipe, p.drainPipe
		d.passer = p
	}
	d.src.arm(d.untilLook(d.link.deadline(Never)))
	d.dst.arm(time.Time{})
	if !d.isStale() {
		d.passer.run()
	}
	return true
}

// isSpliceable reports whether there is a pipe to be had.
func isSpliceable() bool {
	p := splice.Get()
	if p == nil {
		return false
	}
	splice.Put(p)
	return true
}

// run carries bytes until the source ends, the destination fails or has no room, or nothing has come for long.
func (p *passer) run() {
	d := p.d
	p.err, p.failed = nil, nil
	step := p.message
	if p.bulk {
		step = p.fill
	}
	err := d.src.raw.Read(step)
	if err == nil {
		err = p.err
	}
	if p.held > 0 {
		p.empty()
	}
	switch {
	case p.failed != nil:
		d.giveUp(p.failed)
	case err == nil:
	case errors.Is(err, os.ErrDeadlineExceeded):
		d.src.armed.known = false
		d.link.checkIdle()
		d.checkCalm()
	default:
		d.sourceEnded(err)
	}
}

// passed notes that n bytes have been delivered.
func (p *passer) passed(n int) {
	if d := p.d; n > 0 {
		d.first()
		d.written += int64(n)
		d.passed += int64(n)
		d.link.touch()
		d.link.options.moved(d.which, n)
		d.link.detaching.wrote(d.which, n)
	}
}

// passMessages is called by the runtime's poller: at once, and again each time the source may have become readable.
func (p *passer) passMessages(fd uintptr) bool {
	d, b := p.d, newBlock(largestClass)
	for {
		n, err := nonblock.Read(int(fd), b.data)
		if n == 0 {
			b.free()
			if err == syscall.EAGAIN {
				return false
			}
			p.err = sourceError("read", err)
			return true
		}
		if d.isStale() { // the poller may tell of bytes that came after the toxics, before it tells of the toxics
			b.data = b.data[:n]
			d.arrive(b)
			return true
		}
		sent, err := d.dst.write(b.data[:n], false)
		p.passed(sent)
		switch {
		case err != nil && !errors.Is(err, os.ErrDeadlineExceeded):
			p.failed = err
		case sent < n: // the engine waits for room
			b.data = b.data[sent:n]
			d.chain.arrive(b)
			return true
		case n == len(b.data) && isSpliceable():
			p.bulk, p.few = true, 0
		default:
			continue
		}
		b.free()
		return true
	}
}

// fillPipe is called like passMessages.
func (p *passer) fillPipe(fd uintptr) bool {
	if p.d.isStale() {
		return true
	}
	pipe := splice.Get()
	if pipe == nil {
		p.bulk = false
		return true
	}
	n, err := pipe.Fill(int(fd), pipe.Size())
	if n > 0 {
		p.pipe, p.held = pipe, n
		if n >= fewBytes {
			p.few = 0
		} else if p.few++; p.few == fewSplices {
			p.bulk = false
		}
		return true
	}
	splice.Put(pipe)
	if err == syscall.EAGAIN {
		return false
	}
	p.err = sourceError("splice", err)
	return true
}

// empty delivers what is in the pipe.
func (p *passer) empty() {
	d := p.d
	d.isStuck.Store(true) // perhaps
	defer d.isStuck.Store(false)
	for p.held > 0 && p.failed == nil {
		d.dst.arm(d.link.deadline(Never))
		if d.isStale() {
			p.handOver()
			break
		}
		err := d.dst.raw.Write(p.drain)
		if err == nil {
			continue
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			p.failed = err
			break
		}
		d.dst.armed.known = false
		d.link.checkIdle()
	}
	if p.held == 0 {
		splice.Put(p.pipe)
	} // otherwise what is left in it must not reach anybody else
	p.pipe, p.held = nil, 0
}

// drainPipe is called by the runtime's poller: at once, and again each time the destination may have become writable.
func (p *passer) drainPipe(fd uintptr) bool {
	for p.held > 0 {
		n, err := p.pipe.Drain(int(fd), p.held)
		if err == syscall.EAGAIN {
			return false
		}
		if err == nil && n == 0 {
			err = io.ErrShortWrite
		}
		if err != nil {
			p.failed = os.NewSyscallError("splice", err)
			return true
		}
		p.held -= n
		p.passed(n)
	}
	return true
}

// handOver gives the engine what is in the pipe.
func (p *passer) handOver() {
	for p.held > 0 {
		b := newBlock(largestClass)
		n, err := p.pipe.Read(b.data[:min(p.held, len(b.data))])
		if err != nil || n == 0 {
			b.free()
			p.failed = os.NewSyscallError("read", err)
			return
		}
		p.held -= n
		b.data = b.data[:n]
		p.d.chain.arrive(b)
	}
}

// sourceError is the end of the source, or an error of it.
func sourceError(call string, err error) error {
	if err == nil {
		return io.EOF
	}
	return os.NewSyscallError(call, err)
}
