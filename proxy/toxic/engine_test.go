package toxic

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"math/bits"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/shape"
)

// delaysOf sends n messages downstream through a toxic, one each interval, and returns by how much each is delayed, in milliseconds.
func delaysOf(t *testing.T, n int, interval time.Duration, toxic proxy.Toxic) (delays []float64) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(Options{}, down("x", toxic))
		for range n {
			began := time.Now()
			write(t, b.endpoint, []byte("message"))
			if _, err := io.ReadFull(b.client, make([]byte, 7)); err != nil {
				t.Fatal(err)
			}
			d := time.Since(began)
			delays = append(delays, d.Seconds()*1000)
			time.Sleep(interval - d%interval)
		}
		b.close()
	})
	return delays
}

// moments returns the mean, the standard deviation and the correlation of neighbours.
func moments(xs []float64) (mean, deviation, correlation float64) {
	n := float64(len(xs))
	for _, x := range xs {
		mean += x / n
	}
	for i, x := range xs {
		deviation += (x - mean) * (x - mean) / n
		if i > 0 {
			correlation += (x - mean) * (xs[i-1] - mean) / n
		}
	}
	return mean, math.Sqrt(deviation), correlation / deviation
}

func TestLatencyHasItsDistribution(t *testing.T) {
	const n, mean, jitter = 2000, 500, 60
	for name, c := range map[string]struct {
		d                            Distribution
		mean, deviation, correlation float64
		least, most                  float64
	}{
		"uniform":    {Distribution{}, mean, jitter / math.Sqrt(3), 0, mean - jitter, mean + jitter},
		"normal":     {Distribution{Spread: Normal}, mean, jitter, 0, 0, 1000},
		"pareto":     {Distribution{Spread: Pareto}, mean, jitter, 0, mean - 0.6*jitter, 1e6},
		"correlated": {Distribution{Spread: Normal, Correlation: shape.Const(0.8)}, mean, jitter, 0.8, 0, 1000},
		"measured":   {Distribution{Spread: Empirical, Table: "0:-100,1:200"}, mean + 50, 300 / math.Sqrt(12), 0, mean - 100, mean + 200},
	} {
		t.Run(name, func(t *testing.T) {
			xs := delaysOf(t, n, 10*time.Second, Latency{Latency: fixed(mean), Jitter: fixed(jitter), Distribution: c.d})
			m, d, r := moments(xs)
			if math.Abs(m-c.mean) > 7 || math.Abs(d/c.deviation-1) > 0.15 || math.Abs(r-c.correlation) > 0.06 {
				t.Errorf("mean %.1f, deviation %.1f, correlation %.2f; want %.1f, %.1f, %.2f", m, d, r, c.mean, c.deviation, c.correlation)
			}
			for _, x := range xs {
				if x < c.least || x > c.most {
					t.Fatalf("a delay of %.1f ms", x)
				}
			}
		})
	}
}

func TestLatencyOverTime(t *testing.T) {
	at := func(wave shape.Wave) shape.Value {
		return shape.Value{Base: 100, To: 300, Wave: wave, Period: 10 * time.Second}
	}
	for wave, want := range map[shape.Wave][]float64{ // one message each second
		shape.Constant: {100, 100, 100},
		shape.Ramp:     {100, 120, 140, 160, 180, 200, 220, 240, 260, 280, 300, 300, 300},
		shape.Step:     {100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 300, 300, 300},
		shape.Square:   {100, 100, 100, 100, 100, 300, 300, 300, 300, 300, 100, 100, 100, 100, 100, 300},
		shape.Sine:     {100, 119, 169, 231, 281, 300, 281, 231, 169, 119, 100},
	} {
		synctest.Test(t, func(t *testing.T) {
			v := at(wave)
			b := newBench(Options{}, down("x", Latency{Latency: v}))
			for i, ms := range want {
				time.Sleep(time.Duration(i)*time.Second - b.elapsed())
				write(t, b.endpoint, []byte("x"))
				if _, err := io.ReadFull(b.client, make([]byte, 1)); err != nil {
					t.Fatal(err)
				}
				if got := (b.elapsed() - time.Duration(i)*time.Second).Seconds() * 1000; math.Abs(got-ms) > 1 {
					t.Errorf("%v: after %d s it is %.1f ms, want %.0f", wave, i, got, ms)
				}
			}
			b.close()
		})
	}
}

// TestBufferIsNoCeiling: with room for a second's worth, a second of latency delays a stream, and nothing else.
func TestBufferIsNoCeiling(t *testing.T) {
	const rate = 40 << 20 // bytes a second
	for _, c := range []struct {
		buffer int
		size   int64
		want   time.Duration
	}{{64 << 20, 60 << 20, 2500 * time.Millisecond}, {2 << 20, 10 << 20, 6 * time.Second}} { // the latter, for comparison, has too little room
		synctest.Test(t, func(t *testing.T) {
			b := newBench(Options{Buffer: c.buffer}, down("l", Latency{Latency: fixed(1000)}))
			b.send(make([]byte, c.size), rate/1000, time.Millisecond)
			n, err := io.Copy(io.Discard, b.client)
			if d := b.elapsed() - c.want; n != c.size || err != nil || max(d, -d) > c.want/8 {
				t.Errorf("buffer of %d MiB: %d bytes after %v, %v; want %v", c.buffer>>20, n, b.elapsed(), err, c.want)
			}
			b.close()
		})
	}
}

func TestCorruptFlipsBitsOfStreams(t *testing.T) {
	const size, rate = 1 << 20, 0.01
	synctest.Test(t, func(t *testing.T) {
		b := newBench(Options{}, down("c", Corrupt{Rate: fixed(rate)}), down("l", Latency{Latency: fixed(10)}))
		sent := pattern(size)
		b.send(sent, 10000, 0)
		got, err := io.ReadAll(b.client)
		if len(got) != size || err != nil {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
		differ := 0
		for i := range got {
			if x := got[i] ^ sent[i]; x != 0 {
				differ++
				if bits.OnesCount8(x) != 1 {
					t.Fatalf("byte %d: %08b", i, x)
				}
			}
		}
		if math.Abs(float64(differ)/size-rate) > rate/20 {
			t.Errorf("%d bytes of %d", differ, size)
		}
		b.close()
	})
}

func TestToxicityIsAShareOfConnections(t *testing.T) {
	a, n := down("x", Noop{}), 0
	a.Toxicity = 0.3
	for a.Ordinal = range 10000 {
		if !NewSlot(a).Empty() {
			n++
		}
	}
	if n < 2850 || n > 3150 {
		t.Errorf("%d of 10000 connections, want 30 %%", n)
	}
}

// TestDatagramToxicsOnALiveSession: each acts from the moment it comes into force, until it is taken out.
func TestDatagramToxicsOnALiveSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var began time.Time
		var got []string
		slot := NewSlot()
		l := NewDatagramLink(slot, func(_ proxy.Direction, p []byte) {
			got = append(got, fmt.Sprintf("%s@%d", p, time.Since(began).Milliseconds()))
		}, Options{})
		for _, c := range []struct {
			toxic proxy.Toxic
			want  string
		}{
			{Noop{}, "aaa@0 bbb@10 ccc@20"},
			{Drop{Loss{Rate: fixed(1)}}, ""},
			{Duplicate{Rate: fixed(1), Copies: shape.Const(1)}, "aaa@0 aaa@0 bbb@10 bbb@10 ccc@20 ccc@20"},
			{Delay{Latency: fixed(15)}, "aaa@15 bbb@25 ccc@35"},
			{Reorder{Rate: shape.Value{Base: 1, Wave: shape.Step, Period: 5 * time.Millisecond}, Packets: shape.Const(1)}, "bbb@10 aaa@10 ccc@20"},
			{Rate{Rate: fixed(100)}, "aaa@30 bbb@60 ccc@90"},
			{Truncate{fixed(2)}, "aa@0 bb@10 cc@20"},
			{Corrupt{fixed(0)}, "aaa@0 bbb@10 ccc@20"},
			{Latency{Latency: fixed(5)}, "aaa@5 bbb@15 ccc@25"},
			{Timeout{}, ""},
			{Down{}, ""},
		} {
			for i, want := range []string{c.want, "aaa@0 bbb@10 ccc@20"} { // in force, and taken out
				got, began = nil, time.Now()
				slot.Set()
				if i == 0 {
					slot.Set(act("x", proxy.Upstreamward, c.toxic))
				}
				for _, p := range []string{"aaa", "bbb", "ccc"} {
					l.Pass(proxy.Upstreamward, []byte(p))
					time.Sleep(10 * time.Millisecond)
				}
				time.Sleep(time.Second)
				synctest.Wait()
				if s := strings.Join(got, " "); s != want {
					t.Errorf("%s: %q, want %q", c.toxic.Type(), s, want)
				}
			}
		}
		if r := l.Close(); r.Err != nil || r.Dropped != 9 {
			t.Errorf("%+v", r)
		}
	})
}

// TestStallsComeAndGo: bytes are late while it stalls, and none is lost.
func TestStallsComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stall := down("s", Stall{At: fixed(1000), Every: fixed(4000), Duration: fixed(2000)}) // seconds 1 to 3, 5 to 7, ...
		b := newBench(Options{}, stall)
		sent := pattern(1000)
		b.send(sent, 100, time.Second) // ten pieces, one each second
		var got bytes.Buffer
		for i, want := range []int{0, 3, 3, 3, 4, 7, 7, 7, 8, 11} {
			p := make([]byte, 100)
			if _, err := io.ReadFull(b.client, p); err != nil {
				t.Fatal(err)
			}
			got.Write(p)
			if d := b.elapsed() - time.Duration(want)*time.Second; d < 0 || d > time.Millisecond {
				t.Errorf("piece %d after %v, want %d s", i, b.elapsed(), want)
			}
		}
		if !bytes.Equal(got.Bytes(), sent) {
			t.Error("other bytes")
		}
		b.close()
	})
}
