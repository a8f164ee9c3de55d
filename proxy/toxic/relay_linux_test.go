package toxic

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/park"
	"github.com/breakwater-gateway/breakwater/proxy/shape"
)

// relayed is a Relay between two sockets that is parked soon.
type relayed struct {
	*Relay
	client, endpoint *net.TCPConn
	near, far        *net.TCPConn // the Relay's own
	slot             *Slot
	lot              *park.Lot
	woken            atomic.Int64
	results
}

// newRelayed returns a Relay that runs.
func newRelayed(t testing.TB, o Options) *relayed {
	t.Helper()
	r := prepareRelayed(t, o)
	go r.Run()
	t.Cleanup(func() {
		r.client.Close()
		r.endpoint.Close()
		r.wait(t)
	})
	return r
}

func prepareRelayed(t testing.TB, o Options) *relayed {
	t.Helper()
	r := &relayed{slot: NewSlot(), lot: &park.Lot{}, results: make(results, 1)}
	t.Cleanup(r.lot.Close)
	r.client, r.near = sockets(t)
	r.endpoint, r.far = sockets(t)
	if o.Lot = r.lot; o.Calm == 0 {
		o.Calm = time.Millisecond
	}
	r.Relay = NewRelay(r.near, r.far, r.slot, o, func(result Result) { r.results <- result })
	wake := r.parking.entry.Wake
	r.parking.entry.Wake = func() {
		r.woken.Add(1)
		wake()
	}
	return r
}

func (r *relayed) waitUntilParked(t testing.TB) {
	t.Helper()
	eventually(t, "it is parked", func() bool { return r.lot.Count() == 1 })
}

func TestRelayIsParkedTimeAndAgain(t *testing.T) {
	r := newRelayed(t, Options{Idle: time.Hour})
	for range 5 {
		r.waitUntilParked(t)
		say(t, r.client, "hello")
		hear(t, r.endpoint, "hello")
		r.waitUntilParked(t)
		say(t, r.endpoint, "hi")
		hear(t, r.client, "hi")
	}
	r.waitUntilParked(t)
	r.link.detaching.mu.Lock()
	if r.link.directions != [2]*direction{} {
		t.Error("it keeps what it does not need")
	}
	r.link.detaching.mu.Unlock()
	_ = r.client.CloseWrite()
	if got, err := io.ReadAll(r.endpoint); err != nil || len(got) > 0 {
		t.Errorf("%q %v", got, err)
	}
	_ = r.endpoint.CloseWrite()
	if got := r.wait(t); got.Upstream != 25 || got.Downstream != 10 || got.Received != [2]int64{proxy.Downstreamward: 10, proxy.Upstreamward: 25} ||
		got.Cause != ByPeers || got.Side != ClientSide {
		t.Errorf("%+v", got)
	}
}

// What ends a Link ends a Relay that is parked.
func TestParkedRelayEnds(t *testing.T) {
	for name, c := range map[string]struct {
		act  func(*relayed)
		want func(Result) bool
	}{
		"client resets": {act: func(r *relayed) { reset(r.client) }, want: func(r Result) bool { return r.Cause == ByReset && r.Side == ClientSide && isReset(r.Err) }},
		"endpoint resets": {act: func(r *relayed) { reset(r.endpoint) }, want: func(r Result) bool {
			return r.Cause == ByReset && r.Side == EndpointSide && isReset(r.Err)
		}},
		"both end": {act: func(r *relayed) {
			_ = r.endpoint.CloseWrite()
			_ = r.client.CloseWrite()
		}, want: func(r Result) bool { return r.Cause == ByPeers }},
		"closed, client": {act: func(r *relayed) {
			_ = r.near.Close()
			r.Wake()
		}, want: func(r Result) bool { return r.Cause == ByReset && r.Side == ClientSide }},
		"closed, both": {act: func(r *relayed) {
			_ = r.far.Close()
			_ = r.near.Close()
			r.Wake()
		}, want: func(r Result) bool { return r.Cause == ByReset }},
		"toxic upstream": {act: func(r *relayed) { r.slot.Set(act("t", proxy.Upstreamward, Timeout{Timeout: shape.Const(1)})) }, want: func(r Result) bool {
			return r.Cause == ByToxic && r.Toxic.Name == "t"
		}},
		"toxic downstream": {act: func(r *relayed) { r.slot.Set(act("t", proxy.Downstreamward, ResetPeer{})) }, want: func(r Result) bool {
			return r.Cause == ByToxic && r.Toxic.Name == "t"
		}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRelayed(t, Options{})
			say(t, r.client, "x")
			hear(t, r.endpoint, "x")
			r.waitUntilParked(t)
			c.act(r)
			if got := r.wait(t); !c.want(got) || got.Upstream != 1 {
				t.Errorf("%+v", got)
			}
		})
	}
}

// The idle time counts from when something moved last, not from when it was parked.
func TestParkedRelayIsIdleFromItsLastByteOn(t *testing.T) {
	t.Parallel()
	const idle, calm = 3500 * time.Millisecond, time.Second
	eventually(t, "it ends before the time that it would have if it had begun anew", func() bool { // a slow machine may not get there
		began := time.Now()
		r := newRelayed(t, Options{Idle: idle, Calm: calm})
		_, _ = io.WriteString(r.client, "x")
		_, _ = io.ReadAll(r.client)
		took := time.Since(began)
		got := r.wait(t)
		if got.Cause != ByIdle || took < idle {
			t.Fatalf("%+v after %v", got, took)
		}
		return r.woken.Load() > 0 && got.Upstream == 1 && took < calm+idle
	})
}

// Toxics act on a parked Relay like on any other, and it is parked again once they are gone.
func TestToxicsComeAndGoOnParkedRelays(t *testing.T) {
	r := newRelayed(t, Options{})
	for range 3 {
		r.waitUntilParked(t)
		r.slot.Set(delays(30)...)
		if r.lot.Count() != 0 {
			t.Fatal("it is still parked")
		}
		began := time.Now()
		say(t, r.client, "hello")
		hear(t, r.endpoint, "hello")
		if d := time.Since(began); d < 29*time.Millisecond {
			t.Errorf("held back for %v", d)
		}
		r.slot.Set()
	}
	r.waitUntilParked(t)
	woken := r.woken.Load()
	r.slot.Set(Active{Entry: &Entry{Name: "never", Toxicity: 0, Toxic: Timeout{}}})
	if r.lot.Count() != 1 || r.woken.Load() != woken {
		t.Error("it is woken by a toxic that does not act on it")
	}
}

// stopped is a Relay whose directions have stopped, to be parked.
func stopped(t *testing.T, o Options) *relayed {
	t.Helper()
	r := prepareRelayed(t, o)
	r.link.begin(r.near, r.far)
	for _, d := range r.link.directions {
		d.advance()
	}
	r.link.state.Store(pausing)
	t.Cleanup(r.link.unwatch)
	return r
}

// What happens when both directions have stopped and the link is not in the Lot yet is not overlooked.
func TestParkingMeetsWhatHasJustHappened(t *testing.T) {
	for name, c := range map[string]struct {
		o      Options
		before func(*testing.T, *relayed)
	}{
		"toxic":  {before: func(_ *testing.T, r *relayed) { r.slot.Set(act("t", proxy.Downstreamward, Timeout{})) }},
		"closed": {before: func(_ *testing.T, r *relayed) { _ = r.far.Close(); r.Wake() }},
		"idle":   {o: Options{Idle: 1}, before: func(*testing.T, *relayed) {}},
		"bytes": {before: func(t *testing.T, r *relayed) { // the direction has not looked since
			r.link.directions[proxy.Upstreamward].written++
		}},
		"end": {before: func(_ *testing.T, r *relayed) {
			r.link.directions[proxy.Upstreamward].sourceEnded(io.EOF)
		}},
		"held": {before: func(_ *testing.T, r *relayed) {
			b := newBlock(0)
			b.data = b.data[:1]
			r.link.directions[proxy.Upstreamward].chain.arrive(b)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			r := stopped(t, c.o)
			c.before(t, r)
			isParked := r.link.park()
			if isParked && c.o.Idle > 0 { // and its time was over before park had looked
				if got := r.wait(t); got.Cause != ByIdle || r.woken.Load() != 1 {
					t.Errorf("%+v", got)
				}
				return
			}
			if isParked || r.lot.Count() != 0 {
				t.Error("it is parked")
			}
			if r.link.state.Load() != carrying {
				t.Error("it does not go on")
			}
		})
	}
}

// Between the last look at the toxics and the Lot, nobody finds the link there.
func TestParkingMeetsAToxicThatComesLast(t *testing.T) {
	r := stopped(t, Options{})
	r.link.unwatch() // nobody tells
	done := make(chan bool, 1)
	r.link.detaching.mu.Lock() // holds park up after it has looked
	go func() { done <- r.link.park() }()
	eventually(t, "it has looked", func() bool { return r.link.state.Load() == carrying })
	time.Sleep(5 * time.Millisecond) // no test fails if that is too short
	r.slot.Set(act("t", proxy.Downstreamward, Timeout{}))
	r.link.detaching.mu.Unlock()
	if <-done || r.lot.Count() != 0 {
		t.Error("it is parked although a toxic acts")
	}
}

// Bytes that have come since the last read wake at once.
func TestParkingMeetsBytes(t *testing.T) {
	for side := range 2 {
		r := stopped(t, Options{})
		from := [...]*net.TCPConn{r.client, r.endpoint}[side]
		to := [...]*net.TCPConn{r.endpoint, r.client}[side]
		say(t, from, "just now")
		if !r.link.park() {
			t.Fatal("it cannot be parked")
		}
		hear(t, to, "just now")
		r.client.Close()
		r.endpoint.Close()
		r.wait(t)
	}
}

// Not a byte is lost or comes out of order, however bytes, ends, toxics and parking meet.
func TestRelayLosesNothingWhenItIsParked(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		size       int
		withToxics bool
	}{{1 << 20, false}, {1 << 20, true}, {4 << 20, false}, {4 << 20, true}} {
		var relays sync.WaitGroup
		var woken atomic.Int64
		for range 4 {
			r := newRelayed(t, Options{Idle: time.Minute, Calm: 100 * time.Microsecond})
			relays.Go(func() {
				r.carriesAll(t, marked(c.size), c.withToxics)
				woken.Add(r.woken.Load())
			})
		}
		relays.Wait()
		t.Logf("%+v: parked %d times", c, woken.Load())
	}
}

// pausingReader reads slowly, so that there is no room for what is on its way.
type pausingReader struct{ io.Reader }

func (r pausingReader) Read(p []byte) (int, error) {
	if rand.IntN(200) == 0 {
		time.Sleep(time.Duration(rand.IntN(2000)) * time.Microsecond)
	}
	return r.Reader.Read(p)
}

// carriesAll sends messages both ways, with pauses in which the Relay may just be about to be parked.
func (r *relayed) carriesAll(t *testing.T, sent []byte, withToxics bool) {
	const messages = 300
	var all sync.WaitGroup
	stop := make(chan struct{})
	for _, ends := range [][2]*net.TCPConn{{r.client, r.endpoint}, {r.endpoint, r.client}} {
		all.Go(func() {
			rest := sent
			for i := range messages {
				n := 1 + rand.IntN(2*len(rest)/(messages-i))
				if i == messages-1 {
					n = len(rest)
				}
				n = min(n, len(rest))
				if _, err := ends[0].Write(rest[:n]); err != nil {
					t.Error(err)
					return
				}
				rest = rest[n:]
				time.Sleep(time.Duration(rand.IntN(1000)) * time.Microsecond)
			}
			_ = ends[0].CloseWrite()
		})
		all.Go(func() {
			if got, err := io.ReadAll(pausingReader{ends[1]}); err != nil || !bytes.Equal(got, sent) {
				t.Errorf("%d bytes of %d, %v", len(got), len(sent), err)
			}
		})
	}
	changes := make(chan struct{})
	go func() {
		defer close(changes)
		for on := true; withToxics; on = !on {
			select {
			case <-stop:
				return
			case <-time.After(time.Duration(rand.IntN(3000)) * time.Microsecond):
			}
			if on {
				r.slot.Set(delays(0.2)...)
			} else {
				r.slot.Set()
			}
		}
	}()
	all.Wait()
	close(stop)
	<-changes
	if got := r.wait(t); got.Upstream != int64(len(sent)) || got.Downstream != int64(len(sent)) || got.Received != [2]int64{got.Downstream, got.Upstream} ||
		got.Cause != ByPeers {
		t.Errorf("%+v", got)
	}
}

// Messages that keep coming keep a Relay out of the Lot, in whatever direction they go.
func TestBusyRelayIsNotParked(t *testing.T) {
	t.Parallel()
	const calm = time.Second
	eventually(t, "messages come soon enough one after another", func() bool {
		last := time.Now()
		r := newRelayed(t, Options{Calm: calm})
		for end := last.Add(3 * calm); time.Now().Before(end); time.Sleep(calm / 20) {
			began := time.Now()
			say(t, r.endpoint, "x")
			hear(t, r.client, "x")
			if r.lot.Count() != 0 || r.woken.Load() > 0 {
				if time.Since(last) < calm { // the machine has not held us up
					t.Fatal("it is parked")
				}
				return false
			}
			last = began
		}
		return true
	})
}
