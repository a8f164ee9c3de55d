package toxic

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy/shape"
)

// send gives n datagrams of a size to a toxic, so far apart, and returns those that leave, by their dues, as an engine would
// deliver them.
func send(d Datagram, n, size int, apart time.Duration) []Packet {
	var out []Packet
	take := func(p Packet) { out = append(out, Packet{bytes.Clone(p.Data), p.Due}) }
	s := d.NewDatagram(site(1))
	for i := range n {
		now := time.Duration(i) * apart
		if h, ok := s.(Holder); ok && h.Next() <= now {
			h.Release(h.Next(), take)
		}
		data := make([]byte, size)
		binary.BigEndian.PutUint32(data, uint32(i))
		s.ShapePacket(Packet{data, now}, take)
	}
	if h, ok := s.(Holder); ok {
		for h.Next() != Never {
			h.Release(h.Next(), take)
		}
	}
	slices.SortStableFunc(out, func(a, b Packet) int { return int(a.Due - b.Due) })
	return out
}

func number(p Packet) int { return int(binary.BigEndian.Uint32(p.Data)) }

func TestDatagramToxics(t *testing.T) {
	const n = 10000
	near := func(t *testing.T, what string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 0.05*want {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	t.Run("drop", func(t *testing.T) {
		near(t, "left", float64(len(send(Drop{lossy(0.3)}, n, 4, milli))), 0.7*n)
		near(t, "left", float64(len(send(Drop{Loss{Rate: shape.Const(0.3), Burst: shape.Const(5)}}, n, 4, milli))), 0.7*n)
	})
	t.Run("duplicate", func(t *testing.T) {
		out := send(Duplicate{Rate: shape.Const(0.2), Copies: shape.Const(2), Delay: shape.Const(1.5)}, n, 4, milli)
		near(t, "left", float64(len(out)), 1.4*n)
		seen := map[int]int{}
		for _, p := range out {
			if late := p.Due - time.Duration(number(p))*milli; late != time.Duration(seen[number(p)])*1500*time.Microsecond {
				t.Fatalf("copy %d late by %v", seen[number(p)], late)
			}
			seen[number(p)]++
		}
		if len(seen) != n {
			t.Error(len(seen))
		}
	})
	t.Run("delay", func(t *testing.T) {
		d := Delay{Latency: shape.Const(100), Jitter: shape.Const(20)}
		out := send(d, n, 4, milli)
		sum := 0.0
		for _, p := range out {
			late := (p.Due - time.Duration(number(p))*milli).Seconds() * 1000
			if late < 80 || late > 120 {
				t.Fatal(late)
			}
			sum += late
		}
		near(t, "mean", sum/n, 100)
		if slices.IsSortedFunc(out, func(a, b Packet) int { return number(a) - number(b) }) {
			t.Error("jitter has not reordered")
		}
		d.InOrder = true
		if !slices.IsSortedFunc(send(d, n, 4, milli), func(a, b Packet) int { return number(a) - number(b) }) {
			t.Error("out of order")
		}
	})
	t.Run("rate", func(t *testing.T) {
		// 1000 datagrams of 1000 B in a second at 250 kB/s: 250 leave in the second, 10 wait.
		out := send(Rate{Rate: shape.Const(250e3), Queue: shape.Const(10e3)}, 1000, 1000, milli)
		near(t, "left", float64(len(out)), 260)
		if wait := out[200].Due - time.Duration(number(out[200]))*milli; wait > 44*milli || wait < 30*milli {
			t.Errorf("waited %v in a queue of 40 ms", wait)
		}
		if out := send(Rate{Rate: shape.Const(1e3), Queue: shape.Const(1)}, 2, 1000, 2*time.Second); len(out) != 2 {
			t.Error("an empty queue has not let a datagram in")
		}
		if out := send(Rate{}, 10, 10, milli); len(out) != 0 {
			t.Error("rate 0 lets through")
		}
	})
	t.Run("reorder by packets", func(t *testing.T) {
		out := send(Reorder{Rate: shape.Const(0.1), Packets: shape.Const(3)}, n, 4, milli)
		if len(out) != n {
			t.Fatal(len(out))
		}
		moved := 0
		for i, p := range out[:n-100] {
			if i-number(p) >= 1 {
				moved++
			}
		}
		if moved < n/12 {
			t.Errorf("%d held back", moved)
		}
		one := send(Reorder{Rate: shape.Value{Base: 1, Wave: shape.Step, Period: 1}, Packets: shape.Const(3)}, 6, 4, milli)
		var order []int
		for _, p := range one {
			order = append(order, number(p))
		}
		if !slices.Equal(order, []int{1, 2, 3, 0, 4, 5}) {
			t.Error(order)
		}
		last := send(Reorder{Rate: shape.Const(1), Packets: shape.Const(3), Delay: shape.Const(50)}, 1, 4, milli)
		if len(last) != 1 || last[0].Due != 50*milli {
			t.Errorf("with nothing after it: %+v", last)
		}
	})
	t.Run("reorder by time", func(t *testing.T) {
		out := send(Reorder{Rate: shape.Const(0.1), Delay: shape.Const(5.5)}, n, 4, milli)
		late := 0
		for _, p := range out {
			switch p.Due - time.Duration(number(p))*milli {
			case 0:
			case 5500 * time.Microsecond:
				late++
			default:
				t.Fatal(p)
			}
		}
		near(t, "late", float64(late), 0.1*n)
	})
	t.Run("truncate", func(t *testing.T) {
		for size, want := range map[int]int{4: 4, 100: 50} {
			if out := send(Truncate{shape.Const(50)}, 1, size, milli); len(out[0].Data) != want {
				t.Error(len(out[0].Data))
			}
		}
	})
	t.Run("corrupt", func(t *testing.T) {
		out := send(Corrupt{shape.Const(0.01)}, 100, 1000, milli)
		flipped := 0
		for _, p := range out {
			for i, b := range p.Data {
				if i >= 4 {
					flipped += bits.OnesCount8(b)
				}
			}
		}
		if flipped < 900 || flipped > 1100 {
			t.Errorf("%d bits of 100000 bytes", flipped)
		}
		all := send(Corrupt{shape.Const(1)}, 1, 100, milli)[0].Data
		for i, b := range all {
			if bits.OnesCount8(b) != 1 {
				t.Errorf("byte %d: %08b", i, b)
			}
		}
	})
}

func TestCorruptStreamKeepsLengths(t *testing.T) {
	s := Corrupt{shape.Const(0.5)}.New(site(1))
	in := make([]byte, 1000)
	s.Shape(Chunk{Data: in, Due: 5, End: FIN}, func(c Chunk) {
		if len(c.Data) != 1000 || c.Due != 5 || c.End != FIN || bytes.Equal(c.Data, make([]byte, 1000)) {
			t.Errorf("%+v", c)
		}
	})
}

func TestDatagramToxicsRefuse(t *testing.T) {
	for want, d := range map[string]Datagram{
		"loss":        Drop{lossy(2)},
		"rate: 2":     Duplicate{Rate: shape.Const(2)},
		"copies":      Duplicate{Copies: shape.Const(11)},
		"delay":       Duplicate{Delay: shape.Const(-1)},
		"latency":     Delay{Latency: shape.Const(-1)},
		"jitter":      Delay{Jitter: shape.Const(-1)},
		"correlation": Delay{Distribution: Distribution{Correlation: shape.Const(2)}},
		"rate: -1":    Rate{Rate: shape.Const(-1)},
		"queue":       Rate{Queue: shape.Const(-1)},
		"packets: -1": Reorder{Packets: shape.Const(-1)},
		"packets: on": Reorder{Rate: shape.Const(1)},
		"rate: NaN":   Reorder{Rate: shape.Const(math.NaN()), Packets: shape.Const(1)},
		"delay: -":    Reorder{Delay: shape.Const(-1)},
		"bytes":       Truncate{shape.Const(-1)},
		"rate: 1.1":   Corrupt{shape.Const(1.1)},
	} {
		if err := d.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v: %v", want, d, err)
		}
	}
}

// FuzzDatagrams: toxics do not panic and make no datagram due before it came; those that lose none let all of every datagram
// through, but for what they cut off.
func FuzzDatagrams(f *testing.F) {
	f.Add(uint64(1), 0.5, 3.0, []byte{1, 2, 3, 250})
	f.Add(uint64(1), 0.0, 200.0, []byte{1, 2, 3, 250})
	f.Add(uint64(1), 1.0, 0.0, []byte{1, 2, 3, 250})
	f.Fuzz(func(t *testing.T, seed uint64, rate, amount float64, script []byte) {
		for _, c := range []struct {
			Datagram
			least, most int // that come of one
		}{
			{Drop{Loss{Rate: shape.Const(rate), Burst: shape.Const(amount)}}, 0, 1},
			{Drop{}, 1, 1},
			{Duplicate{Rate: shape.Const(rate), Delay: shape.Const(amount)}, 1, 2},
			{Duplicate{Rate: shape.Const(1), Delay: shape.Const(amount)}, 2, 2},
			{Delay{Latency: shape.Const(amount), Jitter: shape.Const(rate)}, 1, 1},
			{Rate{Rate: shape.Const(amount), Queue: shape.Const(rate)}, 0, 1},
			{Reorder{Rate: shape.Const(rate), Packets: shape.Const(min(max(amount, 0), 1000)), Delay: shape.Const(amount)}, 1, 1},
			{Truncate{shape.Const(amount)}, 1, 1},
			{Corrupt{shape.Const(rate)}, 1, 1},
		} {
			if c.Validate() != nil {
				continue
			}
			s := c.NewDatagram(site(seed))
			now := time.Duration(0)
			count, bytes, wanted := 0, 0, 0
			emit := func(p Packet) {
				if p.Due < now {
					t.Fatalf("%s: due at %v, before it came at %v", c.Type(), p.Due, now)
				}
				count, bytes = count+1, bytes+len(p.Data)
			}
			for _, b := range script {
				s.ShapePacket(Packet{make([]byte, b), now}, emit)
				now += time.Duration(b) * milli
				size := int(b)
				if _, cuts := c.Datagram.(Truncate); cuts {
					size = min(size, int(amount))
				}
				wanted += c.least * size
			}
			if h, ok := s.(Holder); ok {
				now = Never
				h.Release(now, emit)
			}
			if count < c.least*len(script) || count > c.most*len(script) || bytes < wanted || c.least == c.most && bytes > wanted {
				t.Errorf("%s: of %v come %d datagrams of %d bytes, want %d to %d of %d", c.Type(), script, count, bytes,
					c.least*len(script), c.most*len(script), wanted)
			}
		}
	})
}
