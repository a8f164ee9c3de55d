package park

import (
	"net"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

// pair is a connection: our end, its socket, and the peer's end.
type pair struct {
	near, far net.Conn
	raw       syscall.RawConn
}

func newPair(t *testing.T) pair { return newPairAfter(t, func() {}) }

// newPairAfter is newPair with something to do just before our end comes into being.
func newPairAfter(t *testing.T, before func()) pair {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	far, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	before()
	near, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close(); far.Close() })
	raw, err := near.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	return pair{near, far, raw}
}

// waiting is an Entry and what it is woken by.
type waiting struct {
	Entry
	woken chan struct{}
}

func newWaiting() *waiting {
	w := &waiting{woken: make(chan struct{}, 1)}
	w.Wake = func() { w.woken <- struct{}{} }
	return w
}

func (w *waiting) wantWoken(t *testing.T) {
	t.Helper()
	select {
	case <-w.woken:
	case <-time.After(patience):
		t.Fatal("it is not woken")
	}
}

func newLot(t *testing.T) *Lot {
	l := &Lot{}
	t.Cleanup(l.Close)
	return l
}

func (l *Lot) mustPark(t *testing.T, w *waiting, ps ...pair) {
	t.Helper()
	raws := make([]syscall.RawConn, len(ps))
	for i, p := range ps {
		raws[i] = p.raw
	}
	if !l.Park(&w.Entry, raws...) {
		t.Fatal("it cannot be parked")
	}
}

// Whatever becomes of either socket wakes, time and again, also what has become of it before.
func TestWakes(t *testing.T) {
	for name, act := range map[string]func(*net.TCPConn){
		"bytes": func(c *net.TCPConn) { _, _ = c.Write([]byte("x")) },
		"end":   func(c *net.TCPConn) { _ = c.CloseWrite() },
		"reset": func(c *net.TCPConn) { _ = c.SetLinger(0); _ = c.Close() },
	} {
		for which := range 2 {
			t.Run(name, func(t *testing.T) {
				l := newLot(t)
				ps := []pair{newPair(t), newPair(t)}
				w := newWaiting()
				l.mustPark(t, w, ps...)
				act(ps[which].far.(*net.TCPConn))
				w.wantWoken(t)
				for range 3 { // it is still there to be read
					l.mustPark(t, w, ps...)
					w.wantWoken(t)
				}
				if l.Count() != 0 || l.Take(&w.Entry) {
					t.Error("it is still parked")
				}
			})
		}
	}
}

func TestTakeComesBeforeWhatHappensLater(t *testing.T) {
	l := newLot(t)
	p, other := newPair(t), newPair(t)
	w, next := newWaiting(), newWaiting()
	l.mustPark(t, w, p)
	if l.Count() != 1 || !l.Take(&w.Entry) || l.Take(&w.Entry) || l.Count() != 0 {
		t.Fatal("it cannot be taken, or twice")
	}
	_, _ = p.far.Write([]byte("x"))
	l.mustPark(t, next, other) // by the time that this is woken the first one would have been
	_, _ = other.far.Write([]byte("x"))
	next.wantWoken(t)
	select {
	case <-w.woken:
		t.Error("it is woken although it has been taken")
	default:
	}
}

// A socket that has been closed is not parked; one that is closed later can still be taken, whoever has its descriptor by then.
func TestClosedSockets(t *testing.T) {
	l := newLot(t)
	p, q := newPair(t), newPair(t)
	w := newWaiting()
	q.near.Close()
	if l.Park(&w.Entry, p.raw, q.raw) || l.Take(&w.Entry) || l.Count() != 0 {
		t.Error("one that has been closed is parked")
	}
	l.mustPark(t, w, p)
	next, successor := newWaiting(), newPairAfter(t, func() { p.near.Close() })
	l.mustPark(t, next, successor)
	if next.fds != w.fds {
		t.Skipf("another descriptor: %v, not %v", next.fds, w.fds)
	}
	if !l.Take(&w.Entry) {
		t.Error("one that has been closed cannot be taken")
	}
	_, _ = successor.far.Write([]byte("x"))
	next.wantWoken(t)
}

func TestClosedLotTakesNothing(t *testing.T) {
	l := newLot(t)
	p := newPair(t)
	w := newWaiting()
	l.mustPark(t, w, p)
	if !l.Take(&w.Entry) {
		t.Fatal("it cannot be taken")
	}
	l.Close()
	l.Close()
	if l.Park(&w.Entry, p.raw) {
		t.Error("it takes what nobody will wake")
	}
	unused := Lot{}
	unused.Close()
	if unused.Park(&w.Entry, p.raw) {
		t.Error("an unused one does, too")
	}
}

// Bytes that come while something is parked and taken, from all sides at once, wake it or are seen by who takes it.
func TestNothingIsOverlooked(t *testing.T) {
	l := newLot(t)
	p, q := newPair(t), newPair(t)
	w := newWaiting()
	const rounds = 2000
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		one := make([]byte, 1)
		for i := range rounds {
			from := []pair{p, q}[i%2].far
			if _, err := from.Write([]byte{byte(i)}); err != nil {
				t.Error(err)
				return
			}
			if _, err := from.Read(one); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	for i := range rounds {
		from := []pair{p, q}[i%2].near
		l.mustPark(t, w, p, q)
		if i%3 == 0 && l.Take(&w.Entry) {
			l.mustPark(t, w, p, q)
		} else if i%3 == 0 {
			w.wantWoken(t)
			l.mustPark(t, w, p, q)
		}
		w.wantWoken(t)
		one := make([]byte, 1)
		if _, err := from.Read(one); err != nil || one[0] != byte(i) {
			t.Fatalf("%v %v", one, err)
		}
		if _, err := from.Write(one); err != nil {
			t.Fatal(err)
		}
	}
	<-sent
}
