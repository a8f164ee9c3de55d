package balancer

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

func TestWeightedIsProportional(t *testing.T) {
	const picks = 100_000
	for _, weights := range [][]int32{
		{1}, {1, 1}, {90, 10}, {0, 3, 0, 1, 0}, {1_000_000, 1}, {1_000_000, 1_000_000, 1_000_000}, {5, 0}, {0, 0, 7}, {-3, 2},
	} {
		w := NewWeighted(weights)
		source := rand.New(rand.NewPCG(1, 2))
		count := make([]int, len(weights))
		for range picks {
			count[w.Pick(source.Uint64())]++
		}
		total := 0.0
		for _, weight := range weights {
			total += float64(max(weight, 0))
		}
		for i, weight := range weights {
			p := float64(max(weight, 0)) / total
			bound := 5 * math.Sqrt(picks*p*(1-p)) // five standard deviations
			if weight <= 0 && count[i] > 0 || math.Abs(float64(count[i])-picks*p) > bound+1 {
				t.Errorf("weights %v: %v", weights, count)
				break
			}
		}
	}
}

func TestWeightedEdges(t *testing.T) {
	for _, c := range []struct {
		weights []int32
		bits    uint64
		want    int
	}{
		{nil, 0, -1},
		{[]int32{0, 0}, math.MaxUint64, -1},
		{[]int32{1, 1}, 0, 0},
		{[]int32{1, 1}, 1<<63 - 1, 0},
		{[]int32{1, 1}, 1 << 63, 1},
		{[]int32{1, 1}, math.MaxUint64, 1},
		{[]int32{0, 1, 0}, math.MaxUint64, 1},
	} {
		w := NewWeighted(c.weights)
		if got := w.Pick(c.bits); got != c.want {
			t.Errorf("%v with %#x: %d, want %d", c.weights, c.bits, got, c.want)
		}
	}
	if new(Weighted).Pick(1) != -1 {
		t.Error("the zero value chose something")
	}
}

func TestWeightedDoesNotAllocate(t *testing.T) {
	w := NewWeighted([]int32{3, 2, 1})
	if n := testing.AllocsPerRun(1000, func() { w.Pick(rand.Uint64()) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkWeighted(b *testing.B) {
	for _, n := range []int{1, 2, 16} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			weights := make([]int32, n)
			for i := range weights {
				weights[i] = 1
			}
			w := NewWeighted(weights)
			b.ReportAllocs()
			for b.Loop() {
				w.Pick(rand.Uint64())
			}
		})
	}
}
