package http1

import (
	"errors"
	"io"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/splice"
)

// spliceMin is the length from which on splice(2) is cheaper than copying.
const spliceMin = 64 << 10

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

var errNoPipe = errors.New("no pipe to be had")

// spliceN moves n bytes (all up to the end if n < 0) from src to dst through a pipe, without copying them. It returns how many
// bytes reached dst, and on error which half failed: proxy.Downstream stands for the source, proxy.Upstream for the
// destination, whatever they are; proxy.Internal if nothing could be tried.
func spliceN(dst, src *sock, n int64, w spliceSlots) (moved int64, side proxy.Side, err error) {
	p := splice.Get()
	if p == nil {
		return 0, proxy.Internal, errNoPipe
	}
	inPipe := 0
	defer func() {
		if inPipe == 0 {
			splice.Put(p)
		}
	}()
	m := &spliceMove{p: p}
	in, out := m.in, m.out // bound once
	for n != 0 {
		m.want = p.Size()
		if n > 0 && n < int64(m.want) {
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
	p    *splice.Pipe
	want int
	n    int
	err  error
}

func (m *spliceMove) in(fd uintptr) bool  { return m.moved(m.p.Fill(int(fd), m.want)) }
func (m *spliceMove) out(fd uintptr) bool { return m.moved(m.p.Drain(int(fd), m.want)) }

// moved keeps what a move has come to. It reports false if the move is to be tried again later.
func (m *spliceMove) moved(n int, err error) bool {
	if err == syscall.EAGAIN {
		return false
	}
	m.n, m.err = n, os.NewSyscallError("splice", err)
	return true
}
