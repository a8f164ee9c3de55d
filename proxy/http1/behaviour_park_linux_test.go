package http1

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// Requests that come just when their connections are parked or woken are served like any other.
func TestRequestsThatMeetTheParkingAttendant(t *testing.T) {
	_, addr := parkingServer(t, Config{})
	var wg sync.WaitGroup
	for range 40 {
		c, r := dial(t, addr)
		wg.Go(func() {
			for range 6 {
				request(t, c, r)
				time.Sleep(2*tick - 20*time.Millisecond + time.Duration(rand.IntN(40))*time.Millisecond)
			}
		})
	}
	wg.Wait()
}

// A connection whose idle phase is ended just before it enters the lot must not stay there for ever.
func TestPhaseEndedWhileParking(t *testing.T) {
	s, addr := parkingServer(t, Config{})
	for range 200 {
		c, r := dial(t, addr)
		request(t, c, r)
	}
	time.Sleep(2*tick - 5*time.Millisecond) // about when the attendant comes
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	s.closeIdle()
	eventually(t, "all are gone", func() bool { open, _ := s.Count(); return open == 0 })
	if ctx.Err() != nil {
		t.Fatal("it took too long")
	}
}

// aboutToPark returns a connection between two requests, and its Server. Both end with the test.
func aboutToPark(t *testing.T) (*Server, *serverConn) {
	t.Helper()
	near, _ := tcpPair(t)
	s := NewServer(Config{}, hello{})
	closed := make(chan struct{})
	c := &serverConn{srv: s, down: near, base: near, closed: func() { close(closed) }}
	c.body.c = c
	if !s.watch.add(c) {
		t.Fatal("not added")
	}
	t.Cleanup(func() {
		c.end()
		<-closed
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s, c
}

// The same, step by step: the cause comes between the phase and the lot.
func TestLotGivesBackAConnectionThatHasEnded(t *testing.T) {
	s, c := aboutToPark(t)
	s.watch.mu.Lock() // the Watch does not look meanwhile
	c.main.enter(nil, 0, idleBit|parkedBit)
	c.main.interrupt(idleBit, causeShutdown)
	if s.lot.Take(&c.parking) {
		t.Fatal("it is not there yet")
	}
	s.watch.mu.Unlock()
	if got := c.enterLot(); got != gotNothing {
		t.Fatalf("got %v: nobody will ever end the connection", got)
	}
}

// A Server that closes between the phase and the lot has not seen the connection in either.
func TestLotGivesBackAConnectionOfAServerThatCloses(t *testing.T) {
	s, c := aboutToPark(t)
	s.closeIdle()
	c.main.enter(nil, 0, idleBit|parkedBit)
	if got := c.enterLot(); got != gotNothing {
		t.Fatalf("got %v: the connection would stay until somebody looks again", got)
	}
}
