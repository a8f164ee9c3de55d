package alarm

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestRings waits for the ring as the runtime's poller does, but by itself.
func TestRings(t *testing.T) {
	c := newClock()
	if c == nil {
		t.Skip("there is no timerfd")
	}
	defer c.file.Close()
	at := time.Now().Add(5 * time.Millisecond)
	c.queue.set(at.Sub(began), time.Since(began))
	fds := []unix.PollFd{{Fd: int32(c.fd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, 60_000)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n != 1 {
			t.Fatalf("poll returned %d, %v", n, err)
		}
		break
	}
	if early := time.Until(at); early > 0 {
		t.Errorf("it has rung %v early", early)
	}
}

func TestSetAllocatesNothing(t *testing.T) {
	Set(time.Now().Add(time.Hour))
	if n := testing.AllocsPerRun(100, func() { Set(time.Now().Add(time.Minute)) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestNextIsRungFor: the kernel knows of one ring at a time.
func TestNextIsRungFor(t *testing.T) {
	if theClock() == nil {
		t.Skip("there is no timerfd")
	}
	_, end := After(2 * time.Hour)
	defer end()
	rung, done := After(time.Millisecond)
	<-rung
	done()
	c := theClock()
	c.mu.Lock()
	defer c.mu.Unlock()
	if left := c.queue.asked - time.Since(began); left <= 0 {
		t.Errorf("the ring asked for is %v ago", -left)
	}
}
