package balancer

import "math/bits"

// Weighted chooses an index in proportion to weights, for instance one of a Route's Backends. It is immutable; the zero
// Weighted chooses nothing.
type Weighted struct {
	shares []share
	total  uint64
}

// share is one weight that is not 0.
type share struct {
	end   uint64 // sum of the weights up to and with this one
	index int
}

// NewWeighted makes the choice among len(weights) indexes. Weights of 0 or less are never chosen.
func NewWeighted(weights []int32) Weighted {
	var w Weighted
	for i, weight := range weights {
		if weight > 0 {
			w.total += uint64(weight)
			w.shares = append(w.shares, share{w.total, i})
		}
	}
	return w
}

// Pick turns 64 random bits into an index; -1 if the sum of the weights is 0.
func (w *Weighted) Pick(r uint64) int {
	if len(w.shares) == 0 {
		return -1
	}
	last := len(w.shares) - 1
	if last > 0 {
		at := scale(r, w.total)
		for i := range w.shares[:last] {
			if at < w.shares[i].end {
				return w.shares[i].index
			}
		}
	}
	return w.shares[last].index
}

// scale maps 64 random bits evenly to the numbers below n, without a division.
func scale(r, n uint64) uint64 {
	high, _ := bits.Mul64(r, n)
	return high
}
