package toxic

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/shape"
)

// bench is a Link between connections in memory, in a bubble of testing/synctest.
type bench struct {
	client, endpoint net.Conn
	slot             *Slot
	began            time.Time
	result           chan Result
	sending          sync.WaitGroup
}

func newBench(o Options, as ...Active) *bench {
	b := &bench{slot: NewSlot(as...), began: time.Now(), result: make(chan Result, 1)}
	client, near := newMemory(nil, nil)
	far, endpoint := newMemory(nil, nil)
	b.client, b.endpoint = client, endpoint
	go func() { b.result <- Link(near, far, b.slot, o) }()
	return b
}

func (b *bench) elapsed() time.Duration { return time.Since(b.began) }

// send sends data from the endpoint, in pieces of some bytes with pauses, and its end.
func (b *bench) send(data []byte, piece int, pause time.Duration) {
	b.sending.Go(func() {
		for len(data) > 0 {
			n := min(piece, len(data))
			if _, err := b.endpoint.Write(data[:n]); err != nil {
				return
			}
			data = data[n:]
			time.Sleep(pause)
		}
		b.endpoint.(*memory).CloseWrite()
	})
}

// close ends everything and returns the link's Result.
func (b *bench) close() Result {
	b.client.Close()
	b.endpoint.Close()
	b.sending.Wait()
	return <-b.result
}

func pattern(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i ^ i>>8*7)
	}
	return p
}

// anyValue returns a number up to most, which may change over time.
func anyValue(r *rand.Rand, most float64) shape.Value {
	v := shape.Value{Base: float64(int(r.Float64() * most))}
	if r.IntN(4) == 0 {
		v.Wave, v.To, v.Period = shape.Wave(1+r.IntN(4)), float64(int(r.Float64()*most)), time.Duration(1+r.IntN(int(5*time.Second)))
	}
	return v
}

// anyToxic returns a toxic; if gentle is true, one that never ends a connection.
func anyToxic(r *rand.Rand, gentle bool) proxy.Toxic {
	kinds := []func() proxy.Toxic{
		func() proxy.Toxic {
			return Latency{Latency: anyValue(r, 2000), Jitter: anyValue(r, 500), Distribution: Distribution{Spread: Spread(r.IntN(3))}}
		},
		func() proxy.Toxic { return Bandwidth{Rate: anyValue(r, 20000), Shared: r.IntN(3) == 0} },
		func() proxy.Toxic { return SlowClose{Delay: anyValue(r, 3000)} },
		func() proxy.Toxic { return Timeout{} },
		func() proxy.Toxic {
			return Slicer{AverageSize: anyValue(r, 100), SizeVariation: anyValue(r, 50), Delay: anyValue(r, 5000)}
		},
		func() proxy.Toxic { return Noop{} },
		func() proxy.Toxic {
			return Stall{Duration: anyValue(r, 2000), At: anyValue(r, 2000), Every: anyValue(r, 3000)}
		},
		func() proxy.Toxic {
			return Stall{Duration: anyValue(r, 2000), Bytes: anyValue(r, 2000), EveryBytes: anyValue(r, 3000)}
		},
		func() proxy.Toxic {
			return PacketLoss{Loss: Loss{Rate: shape.Const(0.05)}, RTT: shape.Const(1 + 100*r.Float64()), Steady: r.IntN(2) == 0}
		},
		// From here on they end connections.
		func() proxy.Toxic { return Timeout{Timeout: anyValue(r, 5000)} },
		func() proxy.Toxic { return ResetPeer{Timeout: anyValue(r, 8000)} },
		func() proxy.Toxic { return LimitData{Bytes: anyValue(r, 30000)} },
		func() proxy.Toxic { return Down{Reset: r.IntN(2) == 0} },
	}
	if gentle {
		return kinds[r.IntN(9)]()
	}
	return kinds[r.IntN(len(kinds))]()
}

// change returns another list of toxics: one more, one less, one changed, or two exchanged.
func change(r *rand.Rand, as []Active, gentle bool) []Active {
	as = append([]Active{}, as...)
	fresh := func(name string) Active {
		return act(name, proxy.Direction(r.IntN(4)/3), anyToxic(r, gentle))
	}
	switch at := r.IntN(max(len(as), 1)); {
	case len(as) == 0 || len(as) < 5 && r.IntN(3) == 0:
		a := fresh(fmt.Sprint("toxic", r.IntN(1000)))
		return append(as[:at:at], append([]Active{a}, as[at:]...)...)
	case r.IntN(3) == 0:
		return append(as[:at:at], as[at+1:]...)
	case r.IntN(3) == 0:
		other := r.IntN(len(as))
		as[at], as[other] = as[other], as[at]
	default:
		as[at] = fresh(as[at].Name)
	}
	return as
}

// TestAnyChainUnderAnyChange: what comes out is a prefix of what goes in, in both directions; it is all of it unless a toxic or a
// reset has ended the connection; and nothing is left running.
func TestAnyChainUnderAnyChange(t *testing.T) {
	t.Parallel()
	runs := 400
	if testing.Short() {
		runs = 100
	}
	for seed := range runs {
		synctest.Test(t, func(t *testing.T) { anyChain(t, uint64(seed)) })
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func anyChain(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 1))
	gentle := seed%2 == 0
	var as []Active
	for range r.IntN(4) {
		as = change(r, as, gentle)
	}
	b := newBench(Options{Buffer: 1 << (10 + r.IntN(10))}, as...)
	down, up := pattern(r.IntN(40000)), pattern(r.IntN(3000))
	var w sync.WaitGroup
	var gotDown, gotUp []byte
	var errDown, errUp error
	pass := func(src, dst net.Conn, data []byte, got *[]byte, err *error, r *rand.Rand) {
		w.Go(func() {
			for rest := data; len(rest) > 0; {
				n := min(1+r.IntN(1+r.IntN(8000)), len(rest))
				if _, err := src.Write(rest[:n]); err != nil {
					return
				}
				rest = rest[n:]
				time.Sleep(time.Duration(r.IntN(int(200 * time.Millisecond))))
			}
			src.(*memory).CloseWrite()
		})
		w.Go(func() { *got, *err = io.ReadAll(slowly{dst, rand.New(rand.NewPCG(seed, 3))}) })
	}
	pass(b.endpoint, b.client, down, &gotDown, &errDown, rand.New(rand.NewPCG(seed, 4)))
	pass(b.client, b.endpoint, up, &gotUp, &errUp, rand.New(rand.NewPCG(seed, 5)))
	for range r.IntN(8) {
		time.Sleep(time.Duration(r.IntN(int(2 * time.Second))))
		as = change(r, as, gentle)
		before := time.Now()
		b.slot.Set(as...)
		if d := time.Since(before); d != 0 {
			t.Errorf("Set took %v", d)
		}
	}
	time.Sleep(time.Duration(r.IntN(int(10 * time.Second))))
	b.slot.Set()
	w.Wait()
	result := <-b.result
	b.client.Close()
	b.endpoint.Close()
	if !bytes.HasPrefix(down, gotDown) || !bytes.HasPrefix(up, gotUp) {
		t.Errorf("not a prefix: %d of %d, %d of %d; %+v", len(gotDown), len(down), len(gotUp), len(up), result)
	}
	if result.Downstream < int64(len(gotDown)) || result.Upstream < int64(len(gotUp)) {
		t.Errorf("%+v, but %d and %d bytes came", result, len(gotDown), len(gotUp))
	}
	if gentle && result.Cause != ByPeers {
		t.Errorf("ended by %+v", result)
	}
	if result.Cause == ByPeers && (len(gotDown) != len(down) || len(gotUp) != len(up) || errDown != nil || errUp != nil) {
		t.Errorf("lost: %d of %d, %d of %d; %v, %v", len(gotDown), len(down), len(gotUp), len(up), errDown, errUp)
	}
	if result.Cause == ByPanic {
		t.Error(result.Err)
	}
}

// slowly is a reader that pauses.
type slowly struct {
	net.Conn
	r *rand.Rand
}

func (s slowly) Read(p []byte) (int, error) {
	if s.r.IntN(3) == 0 {
		time.Sleep(time.Duration(s.r.IntN(int(300 * time.Millisecond))))
	}
	return s.Conn.Read(p[:min(len(p), 1+s.r.IntN(9000))])
}

// TestDelays: how long 10000 bytes take, in pieces of 1000 every 10 ms, and what comes.
func TestDelays(t *testing.T) {
	const size = 10000
	down := func(toxics ...proxy.Toxic) (as []Active) {
		for i, toxic := range toxics {
			as = append(as, act(fmt.Sprint(i), proxy.Downstreamward, toxic))
		}
		return as
	}
	for name, c := range map[string]struct {
		toxics []proxy.Toxic
		first  time.Duration // byte
		last   time.Duration // byte
		end    time.Duration // EOF or error
		bytes  int
		reset  bool
	}{
		"nothing":            {nil, 0, 90, 100, size, false},
		"noop":               {[]proxy.Toxic{Noop{}}, 0, 90, 100, size, false},
		"latency":            {[]proxy.Toxic{Latency{Latency: fixed(2000)}}, 2000, 2090, 2090, size, false},
		"two latencies":      {[]proxy.Toxic{Latency{Latency: fixed(2000)}, Latency{Latency: fixed(3000)}}, 5000, 5090, 5090, size, false},
		"bandwidth":          {[]proxy.Toxic{Bandwidth{Rate: fixed(1000)}}, 100, 10000, 10000, size, false},
		"latency, bandwidth": {[]proxy.Toxic{Latency{Latency: fixed(2000)}, Bandwidth{Rate: fixed(1000)}}, 2090, 11990, 11990, size, false},
		"slow close":         {[]proxy.Toxic{SlowClose{Delay: fixed(700)}}, 0, 90, 800, size, false},
		"slicer":             {[]proxy.Toxic{Slicer{AverageSize: fixed(100), Delay: fixed(5000)}}, 0, 495, 500, size, false},
		"limit":              {[]proxy.Toxic{LimitData{Bytes: fixed(3333)}}, 0, 30, 30, 3333, false},
		"limit at a piece":   {[]proxy.Toxic{LimitData{Bytes: fixed(3000)}}, 0, 20, 20, 3000, false},
		"limit 0":            {[]proxy.Toxic{LimitData{}}, 0, 0, 0, 0, false},
		"limit, latency":     {[]proxy.Toxic{LimitData{Bytes: fixed(3333)}, Latency{Latency: fixed(500)}}, 500, 530, 530, 3333, false},
		"latency, limit":     {[]proxy.Toxic{Latency{Latency: fixed(500)}, LimitData{Bytes: fixed(3333)}}, 500, 530, 530, 3333, false},
		"limit, slow close":  {[]proxy.Toxic{LimitData{Bytes: fixed(3333)}, SlowClose{Delay: fixed(500)}}, 0, 30, 530, 3333, false},
		"timeout":            {[]proxy.Toxic{Timeout{Timeout: fixed(500)}}, 0, 0, 590, 0, false},
		"latency, timeout":   {[]proxy.Toxic{Latency{Latency: fixed(300)}, Timeout{Timeout: fixed(500)}}, 0, 0, 890, 0, false},
		"reset":              {[]proxy.Toxic{ResetPeer{Timeout: fixed(500)}}, 0, 0, 500, 0, true},
		"down":               {[]proxy.Toxic{Down{}}, 0, 0, 0, 0, false},
		"down by reset":      {[]proxy.Toxic{Down{Reset: true}}, 0, 0, 0, 0, true},
		"stall by time":      {[]proxy.Toxic{Stall{At: fixed(45), Duration: fixed(1000)}}, 0, 1045, 1045, size, false},
		"stall again":        {[]proxy.Toxic{Stall{At: fixed(25), Every: fixed(50), Duration: fixed(10)}}, 0, 90, 100, size, false},
		"stall by bytes":     {[]proxy.Toxic{Stall{Bytes: fixed(4500), Duration: fixed(1000)}}, 0, 1040, 1040, size, false},
		"stalls by bytes":    {[]proxy.Toxic{Stall{EveryBytes: fixed(2500), Duration: fixed(1000)}}, 0, 3020, 4020, size, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(Options{}, down(c.toxics...)...)
				b.send(pattern(size), 1000, 10*time.Millisecond)
				var got []byte
				var first, last time.Duration
				var err error
				for err == nil {
					p := make([]byte, 4096)
					var n int
					if n, err = b.client.Read(p); n > 0 {
						if got = append(got, p[:n]...); len(got) == n {
							first = b.elapsed()
						}
						last = b.elapsed()
					}
				}
				end := b.elapsed()
				b.close()
				for what, d := range map[string][2]time.Duration{"first": {first, c.first}, "last": {last, c.last}, "end": {end, c.end}} {
					if want := d[1] * time.Millisecond; d[0] < want-time.Microsecond || d[0] > want+20*time.Microsecond {
						t.Errorf("%s after %v, not %v", what, d[0], want)
					}
				}
				if !bytes.Equal(got, pattern(size)[:c.bytes]) {
					t.Errorf("got %d bytes, not %d", len(got), c.bytes)
				}
				if c.reset != isReset(err) || !c.reset && !errors.Is(err, io.EOF) {
					t.Errorf("ended by %v", err)
				}
			})
		})
	}
}
