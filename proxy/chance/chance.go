// Package chance makes random decisions that can be repeated: each is a function of a seed, of the thing that decides and of
// an ordinal, so that the same order of connections or requests meets the same faults, and adding one toxic does not change
// what another decides.
//
// Keys are values; their functions are pure and may be called concurrently.
package chance

import (
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"sync/atomic"
)

// Key is the identity of one source of decisions.
type Key struct{ a, b uint64 }

// NewKey returns the Key of a source: of a seed and of the names that tell it from all others, for instance the
// experiment's namespace and name and the toxic's name.
func NewKey(seed uint64, names ...string) Key {
	h := sha256.New()
	var n [8]byte
	binary.LittleEndian.PutUint64(n[:], seed)
	h.Write(n[:])
	for _, name := range names {
		binary.LittleEndian.PutUint64(n[:], uint64(len(name)))
		h.Write(n[:])
		h.Write([]byte(name))
	}
	sum := h.Sum(nil)
	return Key{binary.LittleEndian.Uint64(sum), binary.LittleEndian.Uint64(sum[8:])}
}

// Bits returns 64 random bits for an ordinal (SplitMix64's output function over a keyed counter; Steele, Lea, Flood, "Fast
// splittable pseudorandom number generators", OOPSLA 2014).
func (k Key) Bits(ordinal uint64) uint64 { return mix(mix(k.a+ordinal*0x9e3779b97f4a7c15) ^ k.b) }

func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// Float returns a number in [0, 1) for an ordinal.
func (k Key) Float(ordinal uint64) float64 { return float64(k.Bits(ordinal)>>11) / (1 << 53) }

// Draws are where numbers come from that are drawn one after the other, with no ordinal of their own, as by what spreads load. Those of a
// nil *Draws are different in each process. They may be used concurrently.
type Draws struct {
	seed    uint64
	mu      sync.Mutex
	sources map[Key]func() uint64 // guarded by mu
}

// Seeded returns Draws that repeat: each Source gives the same numbers in the same order in every process.
func Seeded(seed uint64) *Draws { return &Draws{seed: seed, sources: map[Key]func() uint64{}} }

// Source returns what gives the next number. names tell it from all other sources: asked for by the same ones it goes on where it was.
func (d *Draws) Source(names ...string) func() uint64 {
	if d == nil {
		return rand.Uint64
	}
	key := NewKey(d.seed, names...)
	d.mu.Lock()
	defer d.mu.Unlock()
	next := d.sources[key]
	if next == nil {
		last := new(atomic.Uint64)
		next = func() uint64 { return key.Bits(last.Add(1)) }
		d.sources[key] = next
	}
	return next
}

// Rand returns a generator for an ordinal, for what needs many numbers. It is not safe for concurrent use.
func (k Key) Rand(ordinal uint64) *rand.Rand {
	return rand.New(rand.NewPCG(k.Bits(ordinal), k.Bits(^ordinal)))
}
