package http1

import (
	"net"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// counted notes how often each direction has been interrupted.
type counted struct {
	net.Conn
	reads, writes atomic.Int32
}

func (c *counted) SetReadDeadline(time.Time) error {
	linger(c.reads.Load())
	c.reads.Add(1)
	return nil
}

func (c *counted) SetWriteDeadline(time.Time) error {
	linger(c.writes.Load())
	c.writes.Add(1)
	return nil
}

// linger takes its time now and then: whoever does not wait for an interruption is caught.
func linger(n int32) {
	if n%16 == 0 {
		time.Sleep(50 * time.Microsecond)
	}
}

// An interruption reaches the connection and the direction of the phase that it was meant for, and is over when the phase's
// goroutine learns of it: otherwise it would hit a connection that is used for something else by then, or again.
func TestInterruptionsHitTheirPhase(t *testing.T) {
	a, b := &counted{}, &counted{}
	socks := [2]*sock{newSock(a), newSock(b)}
	var s slot
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				s.interrupt(0, causePeer)
				runtime.Gosched()
			}
		}
	}()
	var want [2][2]int32 // by connection and direction
	last, lastWrites := 0, 0
	for i, known := 0, int32(0); known < 2000; i++ {
		conn, writes := i%2, i/2%2
		flags := uint64(writes) * writing
		if i%3 == 0 { // phases often follow each other without leave
			if s.leave() != causeNone {
				want[last][lastWrites]++
			}
		}
		if s.enter(socks[conn], 0, flags) != causeNone {
			want[last][lastWrites]++
			if s.enter(socks[conn], 0, flags) != causeNone {
				t.Fatal("a phase that has not begun was interrupted")
			}
		}
		last, lastWrites = conn, writes
		known = want[0][0] + want[0][1] + want[1][0] + want[1][1]
		runtime.Gosched()
		got := [2][2]int32{{a.reads.Load(), a.writes.Load()}, {b.reads.Load(), b.writes.Load()}}
		if got[conn][writes] == want[conn][writes]+1 { // this phase's own has come already
			got[conn][writes]--
		}
		if got != want {
			t.Fatalf("phase %d on connection %d, writing %d: interruptions %v, known of %v", i, conn, writes, got, want)
		}
	}
	close(stop)
	<-done
}
