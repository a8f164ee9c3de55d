package toxic

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/shape"
)

// part is a run of bytes of a stream, or its end.
type part struct {
	bytes int
	at    time.Duration
	end   End
}

// composed is what the toxics make of a stream one after the other, each of the whole of it: what a chain is to do, without one.
func composed(as []Active, in []part) []part {
	for _, a := range as {
		var out []part
		var last time.Duration // bytes do not overtake others
		emit := func(c Chunk) {
			last = max(last, c.Due)
			if len(c.Data) > 0 || c.End != None {
				out = append(out, part{len(c.Data), last, c.End})
			}
		}
		s := a.Toxic.(Stream).New(Site{Direction: a.Direction, Rand: a.Key.Rand(a.Ordinal)})
		s.Shape(Chunk{Open: true}, emit)
		for _, p := range in {
			if p.bytes > 0 {
				s.Shape(Chunk{Data: make([]byte, p.bytes), Due: p.at}, emit)
			}
			if p.end != None {
				s.Shape(Chunk{Due: p.at, End: p.end}, emit)
			}
		}
		in = out
	}
	return in
}

// anyDelay returns a toxic that delays what passes and loses none of it.
func anyDelay(r *rand.Rand) proxy.Toxic {
	switch r.IntN(8) {
	case 0, 1:
		return Latency{Latency: anyValue(r, 2000), Jitter: anyValue(r, 300), Distribution: Distribution{Spread: Spread(r.IntN(3))}}
	case 2:
		return Bandwidth{Rate: fixed(float64(20000 + r.IntN(500000)))}
	case 3:
		return SlowClose{Delay: anyValue(r, 3000)}
	case 4:
		upTo := func(n int) shape.Value { return fixed(float64(r.IntN(n))) }
		return Slicer{AverageSize: fixed(float64(50 + r.IntN(300))), SizeVariation: upTo(40), Delay: upTo(5000)}
	case 5:
		return Stall{Duration: anyValue(r, 2000), At: anyValue(r, 2000), Every: anyValue(r, 3000)}
	case 6:
		return Stall{Duration: anyValue(r, 2000), Bytes: anyValue(r, 2000), EveryBytes: anyValue(r, 3000)}
	}
	return PacketLoss{Loss: lossy(0.05), RTT: fixed(1 + 100*r.Float64()), Steady: r.IntN(2) == 0}
}

// anyDelays returns a chain of toxics that delay what passes, and what is sent through it: so little that all of it finds room.
func anyDelays(r *rand.Rand) (as []Active, in []part) {
	for i := range 1 + r.IntN(4) {
		as = append(as, down(fmt.Sprint(i), anyDelay(r)))
	}
	at := time.Duration(0)
	for range 1 + r.IntN(8) {
		at += time.Duration(1+r.IntN(400)) * milli
		in = append(in, part{bytes: 1 + r.IntN(1500), at: at})
	}
	return as, append(in, part{at: at + 7*milli, end: FIN})
}

// times returns when each byte is there, and then the end.
func times(parts []part) (at []time.Duration) {
	for _, p := range parts {
		for range p.bytes {
			at = append(at, p.at)
		}
		if p.end != None {
			at = append(at, p.at)
		}
	}
	return at
}

// compare fails unless every byte has come when it should, or up to some time later, and so has the end.
func compare(t *testing.T, what string, got, want []part, later time.Duration) {
	t.Helper()
	came, due := times(got), times(want)
	if len(came) != len(due) {
		t.Errorf("%s: %d bytes and ends, want %d", what, len(came), len(due))
		return
	}
	for i, at := range came {
		if at < due[i] || at > due[i]+later {
			t.Errorf("%s: byte %d of %d at %v, want %v", what, i, len(came)-1, at, due[i])
			return
		}
	}
}

// overLink sends a stream through a Link.
func overLink(t *testing.T, as []Active, in []part) (out []part) {
	t.Helper()
	b := newBench(Options{}, as...)
	b.sending.Go(func() {
		for _, p := range in {
			time.Sleep(p.at - b.elapsed())
			if p.end != None {
				_ = b.endpoint.(*memory).CloseWrite()
			} else {
				_, _ = b.endpoint.Write(make([]byte, p.bytes))
			}
		}
	})
	buffer := make([]byte, 1<<16)
	for {
		n, err := b.client.Read(buffer)
		if n > 0 {
			out = append(out, part{bytes: n, at: b.elapsed()})
		}
		if err != nil {
			out = append(out, part{at: b.elapsed(), end: FIN})
			b.close()
			return out
		}
	}
}

// newChain returns a chain whose clock the test turns.
func newChain(as ...Active) *chain {
	c := &chain{direction: proxy.Downstreamward}
	list := make([]decided, len(as))
	for i, a := range as {
		list[i] = decided{Active: a, applied: true}
	}
	c.set(list, 0)
	return c
}

// arriving gives a chain n bytes.
func arriving(c *chain, n int) {
	b := newBlock(classFor(n))
	b.data = b.data[:n]
	c.arrive(b)
}

// looking sends a stream through a chain which is looked at up to some time late whenever something is due in it.
func looking(r *rand.Rand, late time.Duration, as []Active, in []part) (out []part) {
	c := newChain(as...)
	defer c.close()
	for now := time.Duration(0); c.outEnd == None; {
		next := c.next()
		if next != Never {
			next = max(now, next) + time.Duration(r.Int64N(int64(late)))
		}
		if len(in) == 0 && next == Never {
			return out
		}
		if len(in) > 0 && in[0].at <= next {
			now = in[0].at
			c.advance(now)
			if in[0].end != None {
				c.finish(in[0].end)
			} else {
				arriving(c, in[0].bytes)
			}
			in = in[1:]
		} else {
			now = next
		}
		c.advance(now)
		for p := c.ready(); p != nil; p = c.ready() {
			out = append(out, part{bytes: len(p), at: now})
			c.take(len(p))
		}
		if c.outEnd != None {
			out = append(out, part{at: now, end: c.outEnd})
		}
	}
	return out
}

// TestDelaysAddUp: what a chain delays is what its toxics delay one after the other, and nothing else. It is looked at a little
// late on a machine that has other things to do; that counts once, not once for each toxic.
func TestDelaysAddUp(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 77))
			as, in := anyDelays(r)
			want := composed(as, in)
			compare(t, "over a link", overLink(t, as, in), want, 0)
			compare(t, "looked at late", looking(r, late-milli, as, in), want, late-milli)
			if t.Failed() {
				for _, a := range as {
					t.Logf("%T%+v", a.Toxic, a.Toxic)
				}
			}
		})
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// TestLateLooks: what comes out of a toxic that is looked at a little late has come to the next one when it was due. If that is
// longer ago, the peer has kept it waiting, and it has come so long before the look as it may have been late.
func TestLateLooks(t *testing.T) {
	const due = 100 * milli
	for name, toxics := range map[string][]Active{
		"bytes": {down("first", Latency{Latency: fixed(100)}), down("second", Latency{Latency: fixed(100)})},
		"end":   {down("first", Timeout{Timeout: fixed(100)}), down("second", SlowClose{Delay: fixed(100)})},
	} {
		for by, want := range map[time.Duration]time.Duration{
			0: 2 * due, 3 * milli: 2 * due, late: 2 * due, late + milli: 2*due + milli, 50 * milli: 2*due + 45*milli,
		} {
			c := newChain(toxics...)
			if name == "bytes" {
				arriving(c, 10)
			}
			c.advance(due + by)
			if got := c.next(); got != want {
				t.Errorf("%s, looked at %v late: due at %v, want %v", name, by, got, want)
			}
			c.close()
		}
	}
}
