package toxic

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// ender ends the connection with the first bytes, once it may.
type ender struct{ called, may chan struct{} }

var _ Stream = ender{}

func (ender) Type() string    { return "ender" }
func (ender) Validate() error { return nil }

func (e ender) New(Site) Shaper {
	return ShaperFunc(func(c Chunk, emit func(Chunk)) {
		if len(c.Data) > 0 {
			e.called <- struct{}{}
			<-e.may
			emit(Chunk{Due: c.Due, End: Close, Injected: true, Urgent: true})
		}
		emit(c)
	})
}

// TestCutReturnsWhereAToxicEndsWhatIsAboutToPause: the direction to the peer has stopped already, to pause, when the other one comes upon
// the end.
func TestCutReturnsWhereAToxicEndsWhatIsAboutToPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		far, near := newMemory(nil, nil)
		e := ender{make(chan struct{}), make(chan struct{})}                 // made here: a bubble waits for its own channels only
		slow := act("slow", proxy.Upstreamward, Latency{Latency: fixed(20)}) // so that the end comes up between two looks at the toxics
		slot := NewSlot(slow, act("end", proxy.Upstreamward, e))
		c := NewConn(near, slot, ClientSide, Options{})
		write(t, far, []byte("x"))
		<-e.called
		slot.Set()
		unwrapped := make(chan bool, 1)
		go func() { unwrapped <- c.Unwrap() }()
		synctest.Wait() // for one direction to stop
		close(e.may)
		if <-unwrapped {
			t.Error("it has been taken off: the toxic has not ended it")
		}
		cut := make(chan bool, 1)
		go func() {
			_, isCut := c.Cut()
			cut <- isCut
		}()
		select {
		case isCut := <-cut:
			if !isCut {
				t.Error("no toxic has ended it")
			}
		case <-time.After(time.Hour):
			t.Error("Cut does not return")
		}
		_ = far.Close()
		_ = c.Close()
		synctest.Wait()
	})
}
