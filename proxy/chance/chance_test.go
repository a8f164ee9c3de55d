package chance

import (
	"fmt"
	"math"
	"math/bits"
	"sync"
	"testing"
)

// golden is Bits(0) of the key of seed 1 and name "a".
const golden = 0xaeab9de2eaa0130a

const many = 100_000

// within fails if got is more than five standard deviations from want; the seeds are fixed, so it does so always or never.
func within(t *testing.T, what string, got, want, deviation float64) {
	t.Helper()
	if math.Abs(got-want) > 5*deviation {
		t.Errorf("%s: %v, not %v give or take %v", what, got, want, deviation)
	}
}

func TestSameInputSameDecision(t *testing.T) {
	for ordinal := range uint64(100) {
		a, b := NewKey(42, "ns", "name", "toxic"), NewKey(42, "ns", "name", "toxic")
		if a.Bits(ordinal) != b.Bits(ordinal) || a.Rand(ordinal).Uint64() != b.Rand(ordinal).Uint64() {
			t.Fatalf("ordinal %d differs", ordinal)
		}
	}
}

// TestValuesStay holds the function itself: logs of past runs are replayed by it.
func TestValuesStay(t *testing.T) {
	if got := NewKey(1, "a").Bits(0); got != golden {
		t.Errorf("Bits = %#x", got)
	}
}

func TestFloatIsUniform(t *testing.T) {
	for seed := range uint64(5) {
		k := NewKey(seed, "toxic")
		var sum, squares float64
		var bins [100]float64
		for ordinal := range uint64(many) {
			x := k.Float(ordinal)
			if x < 0 || x >= 1 {
				t.Fatalf("%v is out of range", x)
			}
			sum, squares = sum+x, squares+x*x
			bins[int(x*100)]++
		}
		within(t, "mean", sum/many, 0.5, math.Sqrt(1.0/12/many))
		within(t, "mean square", squares/many, 1.0/3, math.Sqrt(4.0/45/many))
		chi := 0.0
		for _, n := range bins {
			chi += (n - many/100) * (n - many/100) / (many / 100)
		}
		within(t, "chi square", chi, 99, math.Sqrt(2*99))
	}
}

// TestNeighboursAreIndependent: neither successive ordinals of one key, nor the same ordinal of keys that differ little, agree more
// often than by chance.
func TestNeighboursAreIndependent(t *testing.T) {
	base := NewKey(1, "ns", "name", "toxic-1")
	for name, other := range map[string]Key{
		"seed": NewKey(2, "ns", "name", "toxic-1"), "name": NewKey(1, "ns", "name", "toxic-2"),
		"joint": NewKey(1, "ns", "nametoxic-1"), "empty name": NewKey(1, "ns", "name", "toxic-1", ""),
	} {
		same, both := 0, 0.0
		for ordinal := range uint64(many) {
			same += 64 - bits.OnesCount64(base.Bits(ordinal)^other.Bits(ordinal))
			if base.Float(ordinal) < 0.3 && other.Float(ordinal) < 0.3 {
				both++
			}
		}
		within(t, name+": equal bits", float64(same)/(64*many), 0.5, 0.5/math.Sqrt(64*many))
		within(t, name+": both", both/many, 0.09, math.Sqrt(0.09*0.91/many))
	}
	for _, distance := range []uint64{1, 2, 3, 64, 1 << 32, 1 << 63} {
		same, product := 0, 0.0
		for ordinal := range uint64(many) {
			same += 64 - bits.OnesCount64(base.Bits(ordinal)^base.Bits(ordinal+distance))
			product += (base.Float(ordinal) - 0.5) * (base.Float(ordinal+distance) - 0.5)
		}
		within(t, fmt.Sprintf("distance %d: equal bits", distance), float64(same)/(64*many), 0.5, 0.5/math.Sqrt(64*many))
		within(t, fmt.Sprintf("distance %d: covariance", distance), product/many, 0, 1/math.Sqrt(144*many))
	}
}

func TestNoTwoOrdinalsAlike(t *testing.T) {
	k := NewKey(7, "x")
	seen := make(map[uint64]bool, many)
	for ordinal := range uint64(many) {
		if b := k.Bits(ordinal); seen[b] {
			t.Fatalf("ordinal %d repeats", ordinal)
		} else {
			seen[b] = true
		}
	}
}

// FuzzKey: how a source is cut into names matters.
func FuzzKey(f *testing.F) {
	f.Add(uint64(1), "a", "b")
	f.Add(uint64(0), "", "\x00")
	f.Fuzz(func(t *testing.T, seed uint64, a, b string) {
		k := NewKey(seed, a, b)
		if k != NewKey(seed, a, b) {
			t.Error("differs from itself")
		}
		if k == NewKey(seed, a+b) || k == NewKey(seed+1, a, b) || a != b && k == NewKey(seed, b, a) {
			t.Error("another source has the same key")
		}
		if x := k.Float(seed); x < 0 || x >= 1 {
			t.Errorf("%v is out of range", x)
		}
	})
}

func BenchmarkFloat(b *testing.B) {
	k := NewKey(1, "x")
	for i := range b.N {
		_ = k.Float(uint64(i))
	}
}

// Draws with a seed repeat, by source; those without do not. Nobody gets a number twice.
func TestDraws(t *testing.T) {
	next := func(s func() uint64) (all [1000]uint64) {
		for i := range all {
			all[i] = s()
		}
		return all
	}
	a := next(Seeded(7).Source("a"))
	for name, s := range map[string]func() uint64{
		"another seed": Seeded(8).Source("a"), "another source": Seeded(7).Source("b"), "none": (*Draws)(nil).Source("a"),
	} {
		if next(s) == a {
			t.Errorf("%s: the same numbers", name)
		}
	}
	if next(Seeded(7).Source("a")) != a {
		t.Error("what has a seed does not repeat")
	}
	var none *Draws
	if one, another := next(none.Source("a")), next(none.Source("a")); one == another {
		t.Error("what has none repeats")
	}
	var wg sync.WaitGroup
	var got sync.Map
	d := Seeded(7)
	for range 4 {
		wg.Go(func() {
			for range len(a) / 4 {
				got.Store(d.Source("a")(), nil) // the same one, which goes on
			}
		})
	}
	wg.Wait()
	for _, want := range a {
		if _, ok := got.Load(want); !ok {
			t.Fatalf("nobody got %x", want)
		}
	}
}
