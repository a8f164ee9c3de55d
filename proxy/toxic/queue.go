package toxic

import "time"

// entry is a run of bytes that waits, or the end of what the source sends.
type entry struct {
	block  *block // nil if there are no bytes
	offset int
	n      int
	in     time.Duration // when it came to the stage that holds it
	due    time.Duration // when it leaves
	end    End           // what follows the bytes: None or the source's own end
	apart  bool          // to be written by a write of its own
}

func (e *entry) data() []byte {
	if e.n == 0 {
		return nil
	}
	return e.block.bytes(e.offset, e.n)
}

// queue is a ring of entries. The zero queue is empty.
type queue struct {
	ring  []entry // its length is a power of two
	first int
	n     int
}

const (
	// keptRing is the largest ring, in entries, that an empty queue keeps.
	keptRing = 64
	// entrySize is the memory of an entry, in bytes.
	entrySize = 48
)

func (q *queue) push(e entry) {
	if q.n == len(q.ring) {
		q.resize(max(8, 2*len(q.ring)))
	}
	q.ring[(q.first+q.n)&(len(q.ring)-1)] = e
	q.n++
}

// at returns the entry that is the i-th in the order of leaving. It is good until the next push or pop.
func (q *queue) at(i int) *entry { return &q.ring[(q.first+i)&(len(q.ring)-1)] }

// pop takes out the entry that leaves first. There must be one.
func (q *queue) pop() entry {
	e := q.ring[q.first]
	q.ring[q.first] = entry{}
	q.first = (q.first + 1) & (len(q.ring) - 1)
	q.n--
	if len(q.ring) > keptRing && q.n <= len(q.ring)/4 {
		q.resize(len(q.ring) / 2)
	}
	return e
}

// resize makes room for so many entries, a power of two.
func (q *queue) resize(size int) {
	ring := make([]entry, size)
	for i := range q.n {
		ring[i] = *q.at(i)
	}
	q.ring, q.first = ring, 0
}

// memory is what the ring takes, in bytes, beyond the one that every queue may keep.
func (q *queue) memory() int { return max(0, len(q.ring)-keptRing) * entrySize }

// ring is a queue of blocks.
type ring struct {
	slots []*block
	first int
	n     int
}

func (r *ring) push(b *block) {
	if r.n == len(r.slots) {
		grown := make([]*block, max(8, 2*len(r.slots)))
		for i := range r.n {
			grown[i] = r.slots[(r.first+i)&(len(r.slots)-1)]
		}
		r.slots, r.first = grown, 0
	}
	r.slots[(r.first+r.n)&(len(r.slots)-1)] = b
	r.n++
}

func (r *ring) newest() *block { return r.slots[(r.first+r.n-1)&(len(r.slots)-1)] }

func (r *ring) pop() *block {
	b := r.slots[r.first]
	r.slots[r.first] = nil
	r.first = (r.first + 1) & (len(r.slots) - 1)
	r.n--
	if r.n == 0 && len(r.slots) > keptRing {
		r.slots, r.first = nil, 0
	}
	return b
}
