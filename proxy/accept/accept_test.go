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
}

func (s *scripted) Accept() (net.Conn, error) {
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
		var pauses, at []time.Duration
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			Loop(ln, nil, func(net.Conn) bool { taken++; return true }, func(err error, retryIn time.Duration) {
				if err != errTooMany {
					t.Error(err)
				}
				pauses, at = append(pauses, retryIn), append(at, time.Since(began))
			})
		}()
		time.Sleep(time.Hour)
		close(ln.closed)
		<-ended
		var want, wantAt []time.Duration
		now := time.Duration(0)
		for _, ms := range []int{5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000, 5} {
			want, wantAt = append(want, time.Duration(ms)*time.Millisecond), append(wantAt, now)
			now += time.Duration(ms) * time.Millisecond
		}
		if !slices.Equal(pauses, want) || !slices.Equal(at, wantAt) {
			t.Errorf("pauses of %v at %v, want %v at %v", pauses, at, want, wantAt)
		}
		if taken != 2 {
			t.Errorf("%d connections, want 2", taken)
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
