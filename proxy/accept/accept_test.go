package accept

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

var errTooMany = errors.New("too many open files")

// scripted is a listener that returns one after the other, nil being a connection, and then blocks until it is closed.
type scripted struct {
	net.Listener
	errs   []error
	closed chan struct{}
	called func() // of Accept; may be nil
}

func (s *scripted) Accept() (net.Conn, error) {
	if s.called != nil {
		s.called()
	}
	if len(s.errs) == 0 {
		<-s.closed
		return nil, fmt.Errorf("accept: %w", net.ErrClosed)
	}
	err := s.errs[0]
	s.errs = s.errs[1:]
	if err != nil {
		return nil, err
	}
	return &net.TCPConn{}, nil
}

func TestLoopPausesLongerAndLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := &scripted{errs: append(slices.Repeat([]error{errTooMany}, 10), nil, errTooMany, nil), closed: make(chan struct{})}
		began, taken := time.Now(), 0
		var at []time.Duration // of calls of Accept
		ln.called = func() { at = append(at, time.Since(began)) }
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			Loop(ln, nil, func(net.Conn) bool { taken++; return true }, func(err error, _ time.Duration) {
				if err != errTooMany {
					t.Error(err)
				}
			})
		}()
		time.Sleep(time.Hour)
		close(ln.closed)
		<-ended
		var want []time.Duration
		now := time.Duration(0)
		for _, ms := range []int{0, 5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000, 0, 5, 0} {
			now += time.Duration(ms) * time.Millisecond
			want = append(want, now)
		}
		if !slices.Equal(at, want) {
			t.Errorf("attempts at %v, want %v", at, want)
		}
		if taken != 2 {
			t.Errorf("%d connections, want 2", taken)
		}
	})
}

// TestLoopTellsSeldom: where descriptors come free one by one every other attempt fails, for as long as clients like.
func TestLoopTellsSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := &scripted{errs: slices.Repeat([]error{errTooMany, nil}, 10_000), closed: make(chan struct{})}
		close(ln.closed)
		began := time.Now()
		var told []time.Duration
		Loop(ln, nil, func(net.Conn) bool { return true }, func(error, time.Duration) { told = append(told, time.Since(began)) })
		var want []time.Duration
		for at := time.Duration(0); at < 10_000*firstPause; at += tellEvery {
			want = append(want, at)
		}
		if !slices.Equal(told, want) {
			t.Errorf("told at %v, want %v", told, want)
		}
	})
}

func TestLoopEnds(t *testing.T) {
	none := func(error, time.Duration) {}
	take := func(net.Conn) bool { return true }
	closed := make(chan struct{})
	close(closed)
	t.Run("in a pause", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			done := make(chan struct{})
			began := time.Now()
			time.AfterFunc(3*time.Millisecond, func() { close(done) })
			Loop(&scripted{errs: []error{errTooMany}}, done, take, none)
			if d := time.Since(began); d != 3*time.Millisecond {
				t.Errorf("after %v", d)
			}
		})
	})
	t.Run("when it is closed", func(*testing.T) {
		Loop(&scripted{closed: closed}, nil, take, none)
	})
	t.Run("with an error of its own", func(t *testing.T) {
		Loop(&scripted{errs: []error{errTooMany}}, closed, take, func(err error, _ time.Duration) { t.Error(err) })
	})
	t.Run("when nothing more is taken", func(*testing.T) {
		Loop(&scripted{errs: []error{nil, errTooMany}}, nil, func(net.Conn) bool { return false }, none)
	})
}
