package stream

import (
	"errors"
	"net"
	"syscall"
	"testing"
	"time"
)

// stamps has the kernel stamp what arrives during a test.
func stamps(t *testing.T) {
	t.Helper()
	stop, err := StartStamps()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
}

func TestBytesBearTheTimeOfTheirArrival(t *testing.T) {
	stamps(t)
	live, err := OpenLive(t.Context(), sources+1, endpoint(t))
	if err != nil {
		t.Fatal(err)
	}
	defer live.Close()
	if n := live.Quiet(); n != sources+1 {
		t.Errorf("%d of %d streams are quiet before anything is sent", n, sources+1)
	}
	before := time.Now()
	if err := live.Send(); err != nil {
		t.Fatal(err)
	}
	for live.Quiet() > 0 { // every byte is back
		time.Sleep(time.Millisecond)
	}
	back := time.Now()
	arrived, err := live.Arrivals()
	if err != nil || len(arrived) != sources+1 {
		t.Fatalf("%d arrivals, %v", len(arrived), err)
	}
	for i, at := range arrived {
		if at.Before(before.Round(0)) || at.After(back.Round(0)) {
			t.Errorf("byte %d arrived at %v, not between %v and %v", i, at, before, back)
		}
	}
}

func TestOpeningStreamsToNobodyFails(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	if _, err := OpenLive(t.Context(), 3, address); err == nil {
		t.Error("no error")
	}
}

func TestFloorTimesEveryByte(t *testing.T) {
	stamps(t)
	times, err := Floor(20)
	if err != nil || len(times) != 20 {
		t.Fatalf("%d times, %v", len(times), err)
	}
	for i, d := range times {
		if d <= 0 || i > 0 && d < times[i-1] {
			t.Errorf("times %v do not grow", times)
		}
	}
}

func TestAReadWithoutAStampIsAnError(t *testing.T) {
	if at, err := stampIn(nil); !errors.Is(err, errNoStamp) {
		t.Errorf("time %v, %v", at, err)
	}
}

func TestClosedStreamsAreReset(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	live, err := OpenLive(t.Context(), 1, listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer live.Close()
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Read(make([]byte, 1)); err != nil { // what it asks for
		t.Fatal(err)
	}
	live.Close()
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("error %v, want a reset", err)
	}
}
