package http1

import (
	"io"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/breakwater-gateway/breakwater/proxy"
)

const (
	// spliceMin is the length from which on splice(2) is cheaper than copying.
	spliceMin = 64 << 10
	// pipeSize is what a pipe is asked to hold; the kernel may grant less to an unprivileged process.
	pipeSize = 1 << 20
)

// spliceSlots says how the two halves of spliceN are watched.
type spliceSlots struct {
	slot        *slot
	other       *slot // if not nil, of a second half that this one keeps alive
	watch       *Watch
	stopped     *atomic.Bool // if not nil and true, spliceN ends
	limit       *limit       // if not nil and hit, spliceN ends
	drained     *atomic.Bool // if not nil, set once the last byte has been taken from the source
	read, write time.Duration
	flags       uint64
}

type pipe struct{ r, w int }

// pipes holds idle pipes. Their descriptors are closed when the garbage collector drops them.
var pipes = sync.Pool{}

func getPipe() (*pipe, error) {
	if p, ok := pipes.Get().(*pipe); ok {
		return p, nil
	}
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, os.NewSyscallError("pipe2", err)
	}
	_, _ = unix.FcntlInt(uintptr(fds[0]), unix.F_SETPIPE_SZ, pipeSize)
	p := &pipe{fds[0], fds[1]}
	pipeCleanup(p)
	return p, nil
}

// spliceN moves n bytes (all up to the end if n < 0) from src to dst through a pipe, without copying them. It returns how many
// bytes reached dst, and on error which half failed: proxy.Downstream stands for the source, proxy.Upstream for the
// destination, whatever they are; proxy.Internal if nothing could be tried.
func spliceN(dst, src *sock, n int64, w spliceSlots) (moved int64, side proxy.Side, err error) {
	p, err := getPipe()
	if err != nil {
		return 0, proxy.Internal, err
	}
	inPipe := 0
	defer func() {
		if inPipe == 0 {
			pipes.Put(p)
		}
	}()
	m := &spliceMove{p: p}
	in, out := m.in, m.out // bound once
	for n != 0 {
		m.want = pipeSize
		if n > 0 && n < pipeSize {
			m.want = int(n)
		}
		w.slot.enter(src, w.watch.after(w.read), w.flags)
		if w.stopped != nil && w.stopped.Load() {
			w.slot.leave()
			return moved, proxy.Downstream, errStopped
		}
		if w.limit != nil && w.limit.hit.Load() != 0 {
			w.slot.leave()
			return moved, proxy.Downstream, os.ErrDeadlineExceeded
		}
		if w.other != nil {
			w.other.extend(w.watch.after(w.read), inPhase)
		}
		err := src.raw.Read(in)
		if err == nil {
			inPipe, err = m.n, m.err
		}
		if why := w.slot.leave(); why != causeNone {
			if inPipe > 0 {
				side = proxy.Upstream // these bytes are lost
			} else {
				side = proxy.Downstream
			}
			return moved, side, causeError(why)
		}
		if err == nil && m.n == 0 {
			if n < 0 {
				return moved, 0, nil
			}
			err = errTruncated
		}
		if err != nil {
			return moved, proxy.Downstream, err
		}
		if n > 0 {
			if n -= int64(m.n); n == 0 && w.drained != nil {
				w.drained.Store(true)
			}
		}
		for inPipe > 0 {
			m.want = inPipe
			w.slot.enter(dst, w.watch.after(w.write), writing)
			if w.stopped != nil && w.stopped.Load() {
				w.slot.leave()
				return moved, proxy.Upstream, errStopped
			}
			err := dst.raw.Write(out)
			if why := w.slot.leave(); why != causeNone {
				return moved, proxy.Upstream, causeError(why)
			}
			if err == nil {
				err = m.err
			}
			if err == nil && m.n == 0 {
				err = io.ErrShortWrite
			}
			if err != nil {
				return moved, proxy.Upstream, err
			}
			inPipe -= m.n
			moved += int64(m.n)
		}
	}
	return moved, 0, nil
}

// spliceMove carries the arguments and results of the callbacks.
type spliceMove struct {
	p    *pipe
	want int
	n    int
	err  error
}

const spliceFlags = unix.SPLICE_F_MOVE | unix.SPLICE_F_NONBLOCK

func (m *spliceMove) in(fd uintptr) bool  { return m.splice(int(fd), m.p.w) }
func (m *spliceMove) out(fd uintptr) bool { return m.splice(m.p.r, int(fd)) }

func (m *spliceMove) splice(from, to int) bool {
	for {
		n, err := unix.Splice(from, nil, to, nil, m.want, spliceFlags)
		switch err {
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			return false
		}
		m.n, m.err = int(n), nil
		if err != nil {
			m.n, m.err = 0, os.NewSyscallError("splice", err)
		}
		return true
	}
}
