package measure

import (
	"math"
	"slices"
)

// Summary is the median of a series with its extremes; all zero for an empty series.
type Summary struct {
	N      int     `json:"n"` // figures in the series
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// Summarize describes a series. The median of an even number of figures is the mean of the two in the middle.
func Summarize(series []float64) Summary {
	if len(series) == 0 {
		return Summary{}
	}
	sorted := slices.Sorted(slices.Values(series))
	middle := len(sorted) / 2
	median := sorted[middle]
	if len(sorted)%2 == 0 {
		median = (sorted[middle-1] + sorted[middle]) / 2
	}
	return Summary{N: len(sorted), Median: median, Min: sorted[0], Max: sorted[len(sorted)-1]}
}

// Ratios describes a[i]/b[i], round by round: the two figures of one round were taken next to each other in time, so
// that a disturbance of the machine meets both. Rounds that only one series has, or whose divisor is 0, are left out.
func Ratios(a, b []float64) Summary {
	var ratios []float64
	for i := range min(len(a), len(b)) {
		if b[i] != 0 {
			ratios = append(ratios, a[i]/b[i])
		}
	}
	return Summarize(ratios)
}

// Percentile is the smallest figure of the series that at least q (0 to 1) of it does not exceed (nearest rank); 0 for an
// empty series.
func Percentile(series []float64, q float64) float64 {
	if len(series) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(series))
	rank := int(math.Ceil(q * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}
