package accept

import "sync/atomic"

// Bound counts the open connections of listeners that share it, and says when there are enough. It may be used by any number of
// goroutines.
type Bound struct {
	all  *Bound // that this is a share of; nil: of none
	most int64
	open atomic.Int64
}

// NewBound returns a Bound of so many connections.
func NewBound(most int) *Bound { return &Bound{most: int64(most)} }

// Share returns a Bound of at most so many of b's connections: b counts them, too.
func (b *Bound) Share(most int) *Bound { return &Bound{all: b, most: int64(most)} }

// Take counts one more connection, unless there are enough: then it reports false.
func (b *Bound) Take() bool {
	if b.open.Add(1) > b.most || b.all != nil && !b.all.Take() {
		b.open.Add(-1)
		return false
	}
	return true
}

// Give says that a connection that was taken has ended.
func (b *Bound) Give() {
	b.open.Add(-1)
	if b.all != nil {
		b.all.Give()
	}
}
