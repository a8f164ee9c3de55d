package scale

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Durations are the durations that a process exports about its work on configuration, by series name with labels. What
// is exported as a histogram or summary has a sum and a count; a gauge has a value alone.
type Durations map[string]Duration

// Duration is one exported series, in seconds.
type Duration struct {
	Sum   float64
	Count float64
	Gauge bool // Sum is the latest value and Count means nothing
}

// work selects the metrics about building and applying configuration.
var work = regexp.MustCompile(`^breakwater_\w*(config|snapshot|build|apply|translate|compile|reload|parse)\w*_seconds(_sum|_count)?$`)

// ParseDurations reads the durations out of Prometheus's text format; other metrics and malformed lines are passed over.
func ParseDurations(text string) Durations {
	all := Durations{}
	for line := range strings.Lines(text) {
		name, labels, value, ok := splitSample(strings.TrimSpace(line))
		if !ok || !work.MatchString(name) || strings.Contains(name, "timestamp") {
			continue
		}
		base, isSum := strings.CutSuffix(name, "_sum")
		base, isCount := strings.CutSuffix(base, "_count")
		if !isSum && !isCount && strings.Contains(labels, "quantile=") {
			continue // of a summary; its sum and count say enough
		}
		d := all[base+labels]
		switch {
		case isCount:
			d.Count = value
		default:
			d.Sum, d.Gauge = value, !isSum
		}
		all[base+labels] = d
	}
	return all
}

// splitSample splits `name{labels} value [timestamp]`.
func splitSample(line string) (name, labels string, value float64, ok bool) {
	if line == "" || line[0] == '#' {
		return "", "", 0, false
	}
	end := strings.IndexAny(line, "{ ")
	if end < 0 {
		return "", "", 0, false
	}
	name, rest := line[:end], line[end:]
	if rest[0] == '{' {
		end = strings.LastIndexByte(rest, '}')
		if end < 0 {
			return "", "", 0, false
		}
		labels, rest = rest[:end+1], rest[end+1:]
	}
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return "", "", 0, false
	}
	value, err := strconv.ParseFloat(fields[0], 64)
	if err != nil || math.IsNaN(value) {
		return "", "", 0, false
	}
	return name, labels, value, true
}

// Since gives, for each series that was active between the earlier reading and this one, the mean of its new
// observations; for a gauge, its value if that changed. Seconds.
func (d Durations) Since(earlier Durations) map[string]float64 {
	means := map[string]float64{}
	for name, now := range d {
		before := earlier[name]
		switch {
		case now.Gauge && now.Sum != before.Sum:
			means[name] = now.Sum
		case !now.Gauge && now.Count > before.Count:
			means[name] = (now.Sum - before.Sum) / (now.Count - before.Count)
		}
	}
	return means
}

// Names lists the series in order.
func (d Durations) Names() []string {
	names := make([]string, 0, len(d))
	for name := range d {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// String helps a reader of a failed test.
func (d Duration) String() string {
	if d.Gauge {
		return fmt.Sprintf("gauge %g s", d.Sum)
	}
	return fmt.Sprintf("%g s in %g observations", d.Sum, d.Count)
}
