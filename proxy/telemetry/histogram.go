package telemetry

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// bounds are the upper bounds of every duration histogram, inclusive. It is never written. They are few because they
// are multiplied by the number of routes, and dense below 100 ms because that is where a proxy lives.
var bounds = [...]time.Duration{
	500 * time.Microsecond,
	1 * time.Millisecond,
	2500 * time.Microsecond,
	5 * time.Millisecond,
	10 * time.Millisecond,
	25 * time.Millisecond,
	50 * time.Millisecond,
	100 * time.Millisecond,
	250 * time.Millisecond,
	1 * time.Second,
	5 * time.Second,
	30 * time.Second,
}

// histogram counts durations in the buckets of bounds and one more for everything longer. The zero value is empty.
type histogram struct {
	sum     atomic.Int64 // nanoseconds; wraps after 292 years of summed durations
	buckets [len(bounds) + 1]atomic.Uint64
}

func (h *histogram) observe(d time.Duration) {
	i := 0
	for i < len(bounds) && d > bounds[i] {
		i++
	}
	h.buckets[i].Add(1)
	h.sum.Add(int64(d))
}

// used reports whether anything was observed.
func (h *histogram) used() bool {
	for i := range h.buckets {
		if h.buckets[i].Load() != 0 {
			return true
		}
	}
	return false
}

// collect returns the histogram as it stands. Observations made meanwhile may be in the sum and not yet in the buckets.
func (h *histogram) collect(desc *prometheus.Desc, labels ...string) prometheus.Metric {
	sum := time.Duration(h.sum.Load()).Seconds()
	cumulative := make(map[float64]uint64, len(bounds))
	var count uint64
	for i, bound := range bounds {
		count += h.buckets[i].Load()
		cumulative[bound.Seconds()] = count
	}
	count += h.buckets[len(bounds)].Load()
	return prometheus.MustNewConstHistogram(desc, count, sum, cumulative, labels...)
}
