package chaos

import (
	"math/bits"
	"sync"
	"sync/atomic"
	"time"
)

// outcome is what has become of a request or a connection.
type outcome struct {
	stream               bool
	status               int
	failed               bool
	latency              time.Duration
	upstream, downstream int64
	retries              int
}

// clientStats is what clients have seen.
type clientStats struct {
	classes              [6]atomic.Uint64 // by status/100; 0: none was sent
	streams, failed      atomic.Uint64
	latency              histogram
	upstream, downstream atomic.Int64
	retries              atomic.Uint64
}

func (s *clientStats) done(o *outcome) {
	switch class := o.status / 100; {
	case o.stream:
		s.streams.Add(1)
	case class >= 0 && class < len(s.classes):
		s.classes[class].Add(1)
	default:
		s.classes[0].Add(1)
	}
	if o.failed {
		s.failed.Add(1)
	}
	if o.latency > 0 {
		s.latency.observe(o.latency)
	}
	if o.upstream > 0 {
		s.upstream.Add(o.upstream)
	}
	if o.downstream > 0 {
		s.downstream.Add(o.downstream)
	}
	if o.retries > 0 {
		s.retries.Add(uint64(o.retries))
	}
}

// add takes over what another has counted.
func (s *clientStats) add(b *clientStats) {
	for i := range s.classes {
		s.classes[i].Add(b.classes[i].Load())
	}
	s.streams.Add(b.streams.Load())
	s.failed.Add(b.failed.Load())
	s.latency.add(&b.latency)
	s.upstream.Add(b.upstream.Load())
	s.downstream.Add(b.downstream.Load())
	s.retries.Add(b.retries.Load())
}

// toxicStats is what one toxic has done.
type toxicStats struct {
	name, typ               string
	decided, applied, ended atomic.Uint64
	bytes                   atomic.Int64
	delay                   histogram
}

// add takes over what another has counted.
func (s *toxicStats) add(b *toxicStats) {
	s.decided.Add(b.decided.Load())
	s.applied.Add(b.applied.Load())
	s.ended.Add(b.ended.Load())
	s.bytes.Add(b.bytes.Load())
	s.delay.add(&b.delay)
}

// reset begins all counts anew. What is counted meanwhile may be lost.
func (s *toxicStats) reset() {
	s.decided.Store(0)
	s.applied.Store(0)
	s.ended.Store(0)
	s.bytes.Store(0)
	for i := range s.delay.counts {
		s.delay.counts[i].Store(0)
	}
	s.delay.longest.Store(0)
}

// toxicTable holds the stats of all toxics that an experiment has had, by name and type. The zero value is ready.
type toxicTable struct {
	mu   sync.Mutex
	rows []*toxicStats // guarded by mu
}

func (t *toxicTable) get(name, typ string) *toxicStats {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, row := range t.rows {
		if row.name == name && row.typ == typ {
			return row
		}
	}
	row := &toxicStats{name: name, typ: typ}
	t.rows = append(t.rows, row)
	return row
}

func (t *toxicTable) all() []*toxicStats {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]*toxicStats(nil), t.rows...)
}

// histogram counts durations in buckets that are a power of two of microseconds, each in eight parts: quantiles are exact to
// within an eighth, and never too small. The zero value is ready.
type histogram struct {
	counts  [octaves * parts]atomic.Uint64
	longest atomic.Int64
}

const (
	parts   = 8
	octaves = 34 // up to two hours and more
)

func (h *histogram) observe(d time.Duration) {
	us := uint64(max(d, 0) / time.Microsecond)
	h.counts[bucketOf(us)].Add(1)
	h.atLeast(int64(d))
}

// add takes over what another has counted.
func (h *histogram) add(b *histogram) {
	for i := range h.counts {
		h.counts[i].Add(b.counts[i].Load())
	}
	h.atLeast(b.longest.Load())
}

// atLeast makes d the longest, unless that is longer.
func (h *histogram) atLeast(d int64) {
	for {
		was := h.longest.Load()
		if d <= was || h.longest.CompareAndSwap(was, d) {
			return
		}
	}
}

// bucketOf returns the bucket of a number: the first of them hold one number each, later ones an eighth of an octave.
func bucketOf(n uint64) int {
	if n < parts {
		return int(n)
	}
	octave := bits.Len64(n) - 4 // 8 to 15 is octave 0
	at := (octave+1)*parts + int(n>>octave)&(parts-1)
	return min(at, octaves*parts-1)
}

// upperEnd returns the greatest number of a bucket.
func upperEnd(bucket int) uint64 {
	if bucket < parts {
		return uint64(bucket)
	}
	octave := bucket/parts - 1
	return (uint64(parts+bucket%parts+1) << octave) - 1
}

// quantiles returns the durations below which the given shares lie, 0 if nothing has been observed.
func (h *histogram) quantiles(shares ...float64) []time.Duration {
	var counts [octaves * parts]uint64
	total := uint64(0)
	for i := range counts {
		counts[i] = h.counts[i].Load()
		total += counts[i]
	}
	found := make([]time.Duration, len(shares))
	if total == 0 {
		return found
	}
	longest := time.Duration(h.longest.Load())
	for i, share := range shares {
		want, sum := share*float64(total), uint64(0)
		for bucket, n := range counts {
			if sum += n; n > 0 && float64(sum) >= want {
				found[i] = min(time.Duration(upperEnd(bucket)+1)*time.Microsecond, longest)
				break
			}
		}
	}
	return found
}

func (h *histogram) count() uint64 {
	total := uint64(0)
	for i := range h.counts {
		total += h.counts[i].Load()
	}
	return total
}
