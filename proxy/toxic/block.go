package toxic

import "sync"

// block holds the bytes of one read. Entries refer to it by offsets into that read; what it stores them in can be exchanged for
// something smaller once it is known that they have to wait, so that a short message does not pin a large buffer.
type block struct {
	store *[]byte // of classes; nil: lent by somebody else
	data  []byte  // the bytes read, from offset base on
	base  int
	left  int // bytes not passed on yet; 0 frees the block
}

// classes are the sizes of storage.
var classes = [...]int{256, 1 << 10, 4 << 10, 16 << 10, 64 << 10}

const largestClass = len(classes) - 1

// stores are pools of storage by class. blocks is a pool of the heads.
var (
	stores = [...]*sync.Pool{newStores(0), newStores(1), newStores(2), newStores(3), newStores(4)}
	blocks = sync.Pool{New: func() any { return new(block) }}
)

func newStores(class int) *sync.Pool {
	return &sync.Pool{New: func() any {
		p := make([]byte, classes[class])
		return &p
	}}
}

// classFor returns the smallest class that holds n bytes, or the largest.
func classFor(n int) int {
	for class, size := range classes {
		if n <= size {
			return class
		}
	}
	return largestClass
}

// newBlock returns a block with storage of a class and no bytes.
func newBlock(class int) *block {
	b := blocks.Get().(*block)
	b.store = stores[class].Get().(*[]byte)
	b.data, b.base, b.left = *b.store, 0, 0
	return b
}

func (b *block) free() {
	b.freeStore()
	b.data = nil
	blocks.Put(b)
}

func (b *block) freeStore() {
	if b.store != nil {
		stores[classFor(len(*b.store))].Put(b.store)
		b.store = nil
	}
}

// cost is the memory that the block takes.
func (b *block) cost() int {
	if b.store == nil {
		return 0
	}
	return len(*b.store)
}

// shrink moves what has not been passed on into the smallest storage that holds it.
func (b *block) shrink() {
	class := classFor(b.left)
	if b.store == nil || classes[class] >= len(*b.store) {
		return
	}
	small := stores[class].Get().(*[]byte)
	copy(*small, b.data[len(b.data)-b.left:])
	b.base += len(b.data) - b.left
	b.freeStore()
	b.store, b.data = small, (*small)[:b.left]
}

// bytes returns n bytes from an offset into the read.
func (b *block) bytes(offset, n int) []byte {
	at := offset - b.base
	return b.data[at : at+n : at+n]
}
