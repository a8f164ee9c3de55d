package toxic

import (
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/shape"
)

// slowConn returns a Conn to a client that is delayed by so many milliseconds, its Slot, and the client's end.
func slowConn(t *testing.T, ms float64) (*Conn, *Slot, net.Conn) {
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
	near, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	_ = far.SetDeadline(time.Now().Add(patience))
	slot := NewSlot()
	c := NewConn(near, slot, ClientSide, Options{})
	t.Cleanup(func() { far.Close(); near.Close(); c.Close() })
	if ms > 0 {
		slot.Set(slowBy(ms))
	}
	return c, slot, far
}

func slowBy(ms float64) Active {
	return Active{Entry: &Entry{Name: "slow", Toxicity: 1, Direction: proxy.Downstreamward, Toxic: Latency{Latency: shape.Const(ms)}}}
}

func say(t *testing.T, c net.Conn, s string) {
	t.Helper()
	write(t, c, []byte(s))
}

func hear(t *testing.T, c net.Conn, want string) {
	t.Helper()
	if got := read(t, c, len(want)); string(got) != want {
		t.Fatalf("%q; want %q", got, want)
	}
}

// Drain returns once everything has gone out, and not before.
func TestDrainWaitsForWhatIsHeldBack(t *testing.T) {
	c, _, far := slowConn(t, 50)
	if !c.Drain(nil) {
		t.Error("nothing has been written")
	}
	for range 3 {
		began := time.Now()
		say(t, c, "hello")
		if !c.Drain(nil) || time.Since(began) < 49*time.Millisecond {
			t.Error("it does not wait")
		}
		hear(t, far, "hello")
	}
	say(t, c, "more")
	stop := make(chan struct{})
	close(stop)
	if c.Drain(stop) {
		t.Error("it has not been stopped")
	}
	c.Reset()
	if !c.Drain(nil) {
		t.Error("it waits for what will never go out")
	}
}

// A Conn comes off once nothing acts and nothing is held, in any order of events, and no byte is lost at any point.
func TestUnwrap(t *testing.T) {
	c, slot, far := slowConn(t, 20)
	say(t, c, "a")
	if c.Unwrap() {
		t.Fatal("a toxic acts")
	}
	hear(t, far, "a")
	slot.Set()
	say(t, far, "held by the link")
	eventually(t, "bytes have come", func() bool { return !c.near.Load().in.isQuiet() })
	if c.Unwrap() || c.Quiet() {
		t.Fatal("it holds bytes")
	}
	hear(t, c, "held by the link") // it still works
	say(t, c, "b")
	hear(t, far, "b")
	ended := c.done
	if !c.Unwrap() {
		t.Fatal("nothing acts and nothing is held")
	}
	select {
	case <-ended:
	case <-time.After(patience):
		t.Fatal("goroutines are left")
	}
	slot.Set(slowBy(1000))
	below := c.NetConn()
	_ = below.SetDeadline(time.Time{})
	say(t, below, "c")
	hear(t, far, "c")
	say(t, far, "d")
	hear(t, below, "d")
}

// A Conn whose peer has gone does not come off: the end would be lost.
func TestUnwrapKeepsTheEnd(t *testing.T) {
	c, slot, far := slowConn(t, 1)
	slot.Set()
	far.Close()
	eventually(t, "the end has come", func() bool { return !c.near.Load().in.isQuiet() })
	if c.Quiet() || c.Unwrap() {
		t.Error("the end is gone")
	}
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("no end")
	}
}

// Quiet takes the link off while nothing acts; toxics that come later find the connection all the same.
func TestQuietLeavesTheConnUsable(t *testing.T) {
	c, slot, far := slowConn(t, 0)
	for range 50 {
		slot.Set(slowBy(5))
		began := time.Now()
		say(t, c, "x")
		hear(t, far, "x")
		if time.Since(began) < 4*time.Millisecond {
			t.Fatal("the toxic does not act")
		}
		if c.Quiet() && !slot.Empty() && c.near.Load() == nil {
			t.Fatal("the link is off although a toxic acts")
		}
		slot.Set()
		if !c.Quiet() || c.near.Load() != nil {
			t.Fatal("it is not quiet")
		}
		say(t, far, "y")
		hear(t, c, "y")
	}
}

// Changes of toxics while a Conn is taken off and used lose no byte and block nobody.
func TestUnwrapMeetsChanges(t *testing.T) {
	c, slot, far := slowConn(t, 0)
	stop := make(chan struct{})
	var changes sync.WaitGroup
	changes.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				slot.Set(slowBy(0.1))
				runtime.Gosched()
				slot.Set()
			}
		}
	})
	message := strings.Repeat("0123456789", 100)
	for range 300 {
		say(t, c, message)
		hear(t, far, message)
		_ = c.Quiet()
		say(t, far, message)
		hear(t, c, message)
	}
	close(stop)
	changes.Wait()
	eventually(t, "it comes off", c.Unwrap)
	say(t, c.NetConn(), message)
	hear(t, far, message)
}

// Who waits for bytes that a toxic has cut off does not wait for the connection to be closed: the peer may linger. What is written
// afterwards is refused.
func TestDrainEndsWhenAToxicCuts(t *testing.T) {
	for name, c := range map[string]struct {
		toxic Stream
		at    time.Duration
		lost  int64
	}{
		"limit_data": {LimitData{Bytes: fixed(4)}, 0, 3},
		"timeout":    {Timeout{Timeout: fixed(1000)}, time.Second, 7},
		"reset_peer": {ResetPeer{Timeout: fixed(1000)}, time.Second, 7},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := newMemory(nil, nil)
				defer b.Close()
				var told time.Duration
				slot, began := NewSlot(), time.Now()
				slot.Follow(Follower{Cut: func() { told = time.Since(began) }})
				conn := NewConn(a, slot, ClientSide, Options{})
				defer conn.Close()
				slot.Set(act("cut", proxy.Downstreamward, c.toxic))
				write(t, conn, []byte("hello, "))
				if !conn.Drain(nil) || time.Since(began) != c.at {
					t.Errorf("drained after %v, want %v", time.Since(began), c.at)
				}
				synctest.Wait()
				if told != c.at {
					t.Errorf("told after %v, want %v", told, c.at)
				}
				if lost, isCut := conn.Cut(); lost != c.lost || !isCut || conn.Written() != 7 {
					t.Errorf("%d bytes lost of %d, %v", lost, conn.Written(), isCut)
				}
				if _, err := conn.Write([]byte("world")); err == nil {
					t.Error("what is written after the cut is taken")
				}
			})
		})
	}
}

// The Follower of a Link is told once how long the client was quiet before it asked: that is not the answer's fault.
func TestFollowerIsToldOfTheFirstAnswer(t *testing.T) {
	for name, endpointSpeaksFirst := range map[string]bool{"the client asks": false, "the endpoint greets": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, near := newMemory(nil, nil)
				far, endpoint := newMemory(nil, nil)
				type told struct{ at, quiet time.Duration }
				var all []told
				slot, began := NewSlot(act("slow", proxy.Downstreamward, Latency{Latency: fixed(100)})), time.Now()
				slot.Follow(Follower{Answered: func(quiet time.Duration) { all = append(all, told{time.Since(began), quiet}) }})
				done := make(chan Result, 1)
				go func() { done <- Link(near, far, slot, Options{}) }()
				want := told{100 * time.Millisecond, 0}
				if !endpointSpeaksFirst {
					time.Sleep(time.Hour)
					write(t, client, []byte("ask"))
					read(t, endpoint, 3)
					want = told{time.Hour + 100*time.Millisecond, time.Hour}
				}
				for range 2 {
					write(t, endpoint, []byte("hello"))
					read(t, client, 5)
				}
				client.Close()
				endpoint.Close()
				<-done
				if len(all) != 1 || all[0] != want {
					t.Errorf("%v, want %v", all, want)
				}
			})
		})
	}
}
