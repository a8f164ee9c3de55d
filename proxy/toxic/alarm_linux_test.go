package toxic

import (
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/alarm"
)

// TestARingBeforeTheWaitIsNotLost: what is due soon may ring before the direction has begun to wait, and arm undo it.
func TestARingBeforeTheWaitIsNotLost(t *testing.T) {
	_, near := tcpPair(t)
	far, _ := tcpPair(t)
	l := newLink(NewSlot(act("slow", proxy.Downstreamward, Latency{Latency: fixed(0.001)})), Options{})
	d := l.newDirection(proxy.Downstreamward, far, near)
	d.advance()
	b := newBlock(0)
	b.data = b.data[:1]
	d.chain.arrive(b)
	d.alarm, d.rings = &alarm.Timer{}, d.chain.next() // it has rung
	eventually(t, "it is due", func() bool { return l.now() >= d.rings })
	filled := make(chan bool)
	go func() {
		d.fill()
		close(filled)
	}()
	select {
	case <-filled:
	case <-time.After(patience):
		t.Error("it waits")
	}
	d.chain.close()
}

// TestAnAlarmThatComesLateTouchesNothing: it may be on its way when the link is taken off its connection.
func TestAnAlarmThatComesLateTouchesNothing(t *testing.T) {
	c, slot, far := slowConn(t, 1)
	say(t, c, "held")
	hear(t, far, "held")
	c.mu.Lock()
	l := c.running
	c.mu.Unlock()
	l.detaching.mu.Lock()
	directions := l.directions
	l.detaching.mu.Unlock()
	slot.Set()
	eventually(t, "the link is off", c.Unwrap)
	for _, d := range directions {
		d.rung()
	}
	say(t, far, "after")
	if _, err := c.below.Read(make([]byte, 5)); err != nil {
		t.Fatalf("the connection below: %v", err)
	}
}
