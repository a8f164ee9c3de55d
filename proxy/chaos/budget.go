package chaos

import "sync/atomic"

// budget holds the share of one target's requests that faults may touch, exactly: every request gives some credit, every one that
// is touched costs a whole, and there is never less than none. So of the first n requests at most n times the share is touched,
// in any order and with any number of callers.
type budget struct{ credit atomic.Int64 }

const (
	whole = 1_000_000
	// saved bounds what is saved up, in wholes: a long time without faults must not be followed by nothing but faults.
	saved = 10
)

// rate is the credit per request for a share in per cent, rounded down.
func rate(percent float64) int64 { return int64(min(max(percent, 0), 100) / 100 * whole) }

// request counts one request.
func (b *budget) request(rate int64) {
	if now := b.credit.Add(rate); now > saved*whole {
		b.credit.CompareAndSwap(now, saved*whole)
	}
}

// take reports whether a request may be touched, and counts it as touched if so.
func (b *budget) take() bool {
	for {
		now := b.credit.Load()
		if now < whole {
			return false
		}
		if b.credit.CompareAndSwap(now, now-whole) {
			return true
		}
	}
}

// giveBack takes back a take.
func (b *budget) giveBack() { b.credit.Add(whole) }

// share is a budget with what each request gives to it.
type share struct {
	*budget
	rate int64
}

// takeAll takes from every one, or from none.
func takeAll(shares []share) bool {
	for i, s := range shares {
		if !s.take() {
			for _, t := range shares[:i] {
				t.giveBack()
			}
			return false
		}
	}
	return true
}
