package http1

import "sync"

// Buffers come in two sizes: small ones hold a usual head and are what every request uses, large ones hold big heads and
// move bodies.
const (
	smallBuffer = 8 << 10
	largeBuffer = 64 << 10
)

// buffer is a pooled byte slice: data[r:w] has been read from a connection and not been used yet.
type buffer struct {
	data []byte
	r, w int
}

var smallBuffers = sync.Pool{New: func() any { return &buffer{data: make([]byte, smallBuffer)} }}
var largeBuffers = sync.Pool{New: func() any { return &buffer{data: make([]byte, largeBuffer)} }}

func getBuffer() *buffer {
	b := smallBuffers.Get().(*buffer)
	b.r, b.w = 0, 0
	return b
}

func getLargeBuffer() *buffer {
	b := largeBuffers.Get().(*buffer)
	b.r, b.w = 0, 0
	return b
}

// free gives the buffer back; nothing that points into it may be used any more.
func (b *buffer) free() {
	switch cap(b.data) {
	case smallBuffer:
		smallBuffers.Put(b)
	case largeBuffer:
		largeBuffers.Put(b)
	}
}

// unread is what has been read and not been used yet.
func (b *buffer) unread() []byte { return b.data[b.r:b.w] }

// grow returns a buffer of at least n bytes with the same unread bytes at its beginning, and frees b if it is not b.
func (b *buffer) grow(n int) *buffer {
	if b.r > 0 && n <= len(b.data) {
		b.w = copy(b.data, b.unread())
		b.r = 0
		return b
	}
	if n <= len(b.data) {
		return b
	}
	var g *buffer
	if n <= largeBuffer {
		g = getLargeBuffer()
	} else {
		g = &buffer{data: make([]byte, n)}
	}
	g.w = copy(g.data, b.unread())
	b.free()
	return g
}

// shrink returns a buffer, no larger than need be, with the same unread bytes, nil if there are none, and frees b if it is not b: it
// is for what may wait long. b may be nil.
func (b *buffer) shrink() *buffer {
	switch {
	case b == nil:
		return nil
	case b.r == b.w:
		b.free()
		return nil
	case len(b.data) <= smallBuffer || len(b.unread()) >= smallBuffer:
		return b
	}
	s := getBuffer()
	s.w = copy(s.data, b.unread())
	b.free()
	return s
}

// adopt takes over p, which was appended to data[:0] and may have outgrown it.
func (b *buffer) adopt(p []byte) {
	if cap(p) > cap(b.data) {
		b.data = p[:cap(p)]
	}
}
