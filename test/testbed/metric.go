package testbed

import (
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// Metric returns the value of a counter or gauge, or the count of a histogram, with these labels (names and values in
// turn) at least; 0 if there is no such series, the sum if there are several.
func (b *Bed) Metric(name string, labels ...string) float64 {
	b.t.Helper()
	sum := 0.0
	for _, family := range b.gather() {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			if has(m, labels) {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return sum
}

// Series returns the number of series, a histogram being one.
func (b *Bed) Series() int {
	b.t.Helper()
	n := 0
	for _, family := range b.gather() {
		n += len(family.GetMetric())
	}
	return n
}

func (b *Bed) gather() []*dto.MetricFamily {
	b.t.Helper()
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(b.Metrics); err != nil {
		b.t.Fatalf("register metrics: %v", err)
	}
	families, err := registry.Gather()
	if err != nil {
		b.t.Fatalf("gather metrics: %v", err)
	}
	return families
}

func has(m *dto.Metric, labels []string) bool {
	for i := 0; i+1 < len(labels); i += 2 {
		found := false
		for _, l := range m.GetLabel() {
			found = found || l.GetName() == labels[i] && l.GetValue() == labels[i+1]
		}
		if !found {
			return false
		}
	}
	return true
}
