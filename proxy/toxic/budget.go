package toxic

import "sync/atomic"

// Budget bounds what Links, Conns and DatagramLinks hold back together, beside what each may by itself: clients that do not read must
// not be able to fill the memory of the process. A nil Budget bounds nothing. All methods may be called concurrently.
//
// Each direction of a connection may hold as much as is left, so one alone gets half of the Budget, two get a third each, and so forth:
// some is always left for who comes next (Choudhury and Hahne, "Dynamic queue length thresholds for shared-memory packet switches",
// 1998). However little is left, each may hold Least.
type Budget struct {
	limit int64
	used  atomic.Int64
}

// Least is what each direction may hold whatever others hold, in bytes.
const Least = 64 << 10

// NewBudget returns a Budget of so many bytes.
func NewBudget(limit int64) *Budget { return &Budget{limit: limit} }

// Used returns how many bytes of memory are taken by what is held back now.
func (b *Budget) Used() int64 {
	if b == nil {
		return 0
	}
	return b.used.Load()
}

// Limit returns the bytes of the Budget.
func (b *Budget) Limit() int64 {
	if b == nil {
		return 0
	}
	return b.limit
}

// charge notes that n bytes more are held, or fewer.
func (b *Budget) charge(n int) {
	if b != nil && n != 0 {
		b.used.Add(int64(n))
	}
}

// share returns how much one direction that may hold buffer bytes by itself may hold now.
func (b *Budget) share(buffer int) int {
	if b == nil {
		return buffer
	}
	return int(min(int64(buffer), max(b.limit-b.used.Load(), Least)))
}
