package toxic

import (
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/shape"
)

// Times are those of a bubble of testing/synctest, so Active values made outside began in its future: shapes begin with the stream.

// arrivals reads everything from the client's side and returns how many bytes had come by each whole second.
func (b *bench) arrivals() (bySecond []int, total int) {
	p := make([]byte, 64<<10)
	for {
		n, err := b.client.Read(p)
		for int(b.elapsed()/time.Second) >= len(bySecond) {
			bySecond = append(bySecond, total)
		}
		if total += n; err != nil {
			return append(bySecond, total), total
		}
	}
}

// during runs a Link in a bubble: the endpoint sends data at once, the client reads, and at some times the toxics are changed.
func during(t *testing.T, size int, first []Active, changes map[time.Duration][]Active) (bySecond []int) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(Options{}, first...)
		b.send(pattern(size), 1<<20, 0)
		for at, as := range changes {
			b.sending.Go(func() {
				time.Sleep(at)
				b.slot.Set(as...)
			})
		}
		bySecond, _ = b.arrivals()
		b.close()
	})
	return bySecond
}

// near fails unless got is within 1 %, or what is let through at a time, of want.
func near(t *testing.T, what string, got, want int) {
	t.Helper()
	if d := max(got-want, want-got); d > want/100 && d > 1500 {
		t.Errorf("%s: %d bytes, not %d", what, got, want)
	}
}

func down(name string, toxic proxy.Toxic) Active { return act(name, proxy.Downstreamward, toxic) }

func TestRemovedLatencyLeavesBandwidthAlone(t *testing.T) {
	latency, bandwidth := down("l", Latency{Latency: fixed(2000)}), down("b", Bandwidth{Rate: fixed(10000)})
	got := during(t, 100000, []Active{latency, bandwidth}, map[time.Duration][]Active{500 * time.Millisecond: {bandwidth}})
	for second := 1; second <= 10; second++ {
		near(t, "after a second", got[second], second*10000-5000)
	}
}

func TestAddedToxicSpeedsNothingUp(t *testing.T) {
	for name, added := range map[string]proxy.Toxic{"noop": Noop{}, "latency": Latency{Latency: fixed(1)}, "slicer": Slicer{AverageSize: fixed(10)}} {
		latency := down("l", Latency{Latency: fixed(5000)})
		for _, as := range [][]Active{{latency, down("x", added)}, {down("x", added), latency}} {
			got := during(t, 10000, []Active{latency}, map[time.Duration][]Active{time.Second: as})
			if got[4] != 0 || got[len(got)-1] != 10000 {
				t.Errorf("%s: %v", name, got)
			}
		}
	}
}

func TestChangedLatencyCountsFromArrival(t *testing.T) {
	for _, c := range []struct{ from, to, want int }{{10, 3, 3}, {3, 10, 10}, {10, 1, 2}} {
		got := during(t, 1000, []Active{down("l", Latency{Latency: fixed(float64(c.from) * 1000)})},
			map[time.Duration][]Active{2 * time.Second: {down("l", Latency{Latency: fixed(float64(c.to) * 1000)})}})
		if got[c.want] != 0 || got[c.want+1] != 1000 {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func TestBandwidthKeepsItsClock(t *testing.T) {
	bandwidth := down("b", Bandwidth{Rate: fixed(10000)})
	changes := map[time.Duration][]Active{}
	for i := range 50 {
		as := []Active{bandwidth, down("n", Noop{})}
		if i%2 == 0 {
			as = as[:1]
		}
		changes[time.Duration(i)*73*time.Millisecond] = as
	}
	got := during(t, 100000, []Active{bandwidth}, changes)
	for second := 1; second < 10; second++ {
		near(t, "after some seconds", got[second], second*10000)
	}
}

func TestChangedBandwidth(t *testing.T) {
	got := during(t, 200000, []Active{down("b", Bandwidth{Rate: fixed(10000)})}, map[time.Duration][]Active{
		2 * time.Second: {down("b", Bandwidth{Rate: fixed(0)})}, 4 * time.Second: {down("b", Bandwidth{Rate: fixed(20000)})}})
	for second, want := range []int{0, 10000, 20000, 20000, 20000, 40000, 60000} {
		near(t, "after some seconds", got[second], want)
	}
}

func TestBandwidthOverTime(t *testing.T) {
	for name, c := range map[string]struct {
		rate shape.Value
		want []int
	}{
		"ramp":       {shape.Value{Base: 0, To: 10000, Wave: shape.Ramp, Period: 5 * time.Second}, []int{0, 1000, 4000, 9000, 16000, 25000, 35000}},
		"step":       {shape.Value{Base: 10000, To: 20000, Wave: shape.Step, Period: 2 * time.Second}, []int{0, 10000, 20000, 40000, 60000}},
		"brown-outs": {shape.Value{Base: 10000, To: 0, Wave: shape.Square, Period: 2 * time.Second}, []int{0, 10000, 10000, 20000, 20000, 30000}},
	} {
		got := during(t, 100000, []Active{down("b", Bandwidth{Rate: c.rate})}, nil)
		for second, want := range c.want {
			if d := got[second] - want; max(d, -d) > 1000 {
				t.Errorf("%s: after %d s %d bytes, not %d", name, second, got[second], want)
			}
		}
	}
}

func TestSharedBandwidth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := down("b", Bandwidth{Rate: fixed(30000), Shared: true})
		total := make(chan int, 3)
		for range 3 {
			b := newBench(Options{}, a)
			b.send(pattern(1<<20), 1<<20, 0)
			go func() {
				_ = b.client.SetReadDeadline(time.Now().Add(10 * time.Second))
				got, _ := io.Copy(io.Discard, b.client)
				total <- int(got)
				b.close()
			}()
		}
		sum := 0
		for range 3 {
			n := <-total
			sum += n
			if n < 90000 || n > 110000 {
				t.Errorf("one gets %d bytes", n)
			}
		}
		near(t, "together", sum, 300000)
		time.Sleep(time.Minute)
	})
}

func TestLimitCountsOnThroughChanges(t *testing.T) {
	limit := down("x", LimitData{Bytes: fixed(30000)})
	slow := down("b", Bandwidth{Rate: fixed(10000)})
	for name, as := range map[string][]Active{
		"neighbour added": {slow, down("n", Noop{}), limit}, "neighbour behind": {slow, limit, down("n", Noop{})},
		"same value": {slow, down("x", LimitData{Bytes: fixed(30000)})},
	} {
		got := during(t, 100000, []Active{slow, limit}, map[time.Duration][]Active{1500 * time.Millisecond: as})
		if got[len(got)-1] != 30000 {
			t.Errorf("%s: %v", name, got)
		}
	}
	got := during(t, 100000, []Active{slow, limit}, map[time.Duration][]Active{1500 * time.Millisecond: {slow, down("x", LimitData{Bytes: fixed(50000)})}})
	if got[len(got)-1] != 50000 {
		t.Errorf("raised: %v", got)
	}
	got = during(t, 100000, []Active{slow, limit}, map[time.Duration][]Active{1500 * time.Millisecond: {slow}, 1600 * time.Millisecond: {slow, limit}})
	if last := got[len(got)-1]; last < 30000+15000 || last > 30000+17000 {
		t.Errorf("removed and made anew: %v", got)
	}
}

func TestEndIsTakenBack(t *testing.T) {
	latency := down("l", Latency{Latency: fixed(5000)})
	for name, a := range map[string]Active{
		"timeout": down("x", Timeout{Timeout: fixed(3000)}), "reset": down("x", ResetPeer{Timeout: fixed(3000)}),
	} {
		got := during(t, 1000, []Active{a}, map[time.Duration][]Active{2 * time.Second: nil})
		if got[len(got)-1] != 1000 {
			t.Errorf("%s: %v", name, got)
		}
	}
	// An end that has left its toxic and waits behind bytes in another one.
	limit := down("x", LimitData{Bytes: fixed(300)})
	got := during(t, 1000, []Active{limit, latency}, map[time.Duration][]Active{2 * time.Second: {latency}})
	if got[len(got)-1] != 1000 {
		t.Errorf("limit: %v", got)
	}
	got = during(t, 1000, []Active{limit, latency}, map[time.Duration][]Active{2 * time.Second: {limit}})
	if got[len(got)-1] != 300 || len(got) > 5 {
		t.Errorf("latency behind limit removed: %v", got)
	}
}

// TestAReaderThatPausesIsNotFlooded: what a bandwidth lets through while nobody reads is bounded.
func TestAReaderThatPausesIsNotFlooded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(Options{}, down("b", Bandwidth{Rate: fixed(100e3)}))
		b.send(pattern(1<<20), 1<<20, 0)
		time.Sleep(5 * time.Second)
		_ = b.client.SetReadDeadline(time.Now().Add(time.Second))
		n, _ := io.Copy(io.Discard, b.client)
		if most := int64(100e3 + halfRoom + 64<<10); n > most {
			t.Errorf("%d bytes in a second, more than %d", n, most)
		}
		b.close()
	})
}

func TestObserversAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := make(chan Observation, 10)
		limit, latency := down("x", LimitData{Bytes: fixed(500)}), down("l", Latency{Latency: fixed(70)})
		limit.Observe = func(o Observation) { told <- o }
		latency.Observe = limit.Observe
		limit.Ordinal, latency.Ordinal = 3, 4
		b := newBench(Options{}, limit, latency)
		b.send(pattern(1000), 1000, 0)
		b.arrivals()
		if r := b.close(); r.Cause != ByToxic || r.Toxic != limit {
			t.Errorf("%+v", r)
		}
		for _, want := range []Observation{
			{Ordinal: 3, Applied: true}, {Ordinal: 4, Applied: true},
			{Ordinal: 3, Applied: true, Final: true, Bytes: 1000, Ended: Close},
			{Ordinal: 4, Applied: true, Final: true, Bytes: 500, Delay: 70 * time.Millisecond},
		} {
			if got := <-told; got != want {
				t.Errorf("%+v, not %+v", got, want)
			}
		}
	})
}

func TestBufferIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(Options{Buffer: 100 << 10}, down("l", Latency{Latency: fixed(1000)}))
		sent := 0
		_ = b.endpoint.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
		for {
			n, err := b.endpoint.Write(make([]byte, 1000))
			if sent += n; err != nil {
				break
			}
		}
		if most := 100<<10 + 2*halfRoom; sent > most || sent < 50<<10 {
			t.Errorf("took %d bytes, at most %d", sent, most)
		}
		go io.Copy(io.Discard, b.client)
		b.close()
	})
}

// TestPeersThatAreGoneAreNotKept: a toxic that withholds for ever does not keep connections whose peers have both closed.
func TestPeersThatAreGoneAreNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(Options{}, down("t", Timeout{}))
		_ = b.client.(*memory).CloseWrite()
		_ = b.endpoint.(*memory).CloseWrite()
		r := <-b.result
		b.result <- r
		defer b.close()
		if d := b.elapsed(); d != closingTime {
			t.Errorf("kept for %v", d)
		}
	})
}
