package telemetry

import (
	"strings"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/prometheus/client_golang/prometheus"
)

// SampleChaos says where what has become of the Experiments comes from. The function is called once per scrape. Before
// SampleChaos is called there are no such series.
func (m *Metrics) SampleChaos(status func() []proxy.ExperimentStatus) { m.chaos.Store(&status) }

// ManualCounts says where the numbers of the API for Toxiproxy's clients come from. Each function is called once per scrape.
type ManualCounts struct {
	Applied func() map[string]uint64 // toxics that were put on connections, by type
	Closed  func() map[string]uint64 // connections of proxies, by why it was no toxic that closed them
}

// SampleManual says where the numbers of the API for Toxiproxy's clients come from. Before it is called there are no such series. Proxies
// and toxics have names that clients choose, in any number: they are no labels.
func (m *Metrics) SampleManual(c ManualCounts) { m.manual.Store(&c) }

// SampleHeld says where the number of bytes that toxics hold back comes from. The function is called once per scrape. Before SampleHeld
// is called there is no such series.
func (m *Metrics) SampleHeld(bytes func() int64) { m.held.Store(&bytes) }

// chaosDescs describe the series of Experiments. The label "experiment" is namespace/name.
type chaosDescs struct {
	active, phase, matched, injected, skipped, dryRun, halts *prometheus.Desc
}

func newChaosDescs() chaosDescs {
	return chaosDescs{
		active:   desc("chaos_active_experiments", "Experiments that act now; those in a dry run only count."),
		phase:    desc("chaos_experiment_phase", "1, labelled with what the experiment does now.", "experiment", "phase"),
		matched:  desc("chaos_matched_total", "Requests and connections that an experiment selects.", "experiment"),
		injected: desc("chaos_injected_total", "Requests and connections that got a fault of an experiment.", "experiment"),
		skipped:  desc("chaos_skipped_total", "Requests and connections that would have got a fault but for a cap.", "experiment"),
		dryRun:   desc("chaos_dry_run_total", "Requests and connections that would have got a fault but for a dry run.", "experiment"),
		halts:    desc("chaos_halts_total", "Halts of an experiment by its guard in this process.", "experiment"),
	}
}

func (d *chaosDescs) describe(ch chan<- *prometheus.Desc) {
	for _, one := range []*prometheus.Desc{d.active, d.phase, d.matched, d.injected, d.skipped, d.dryRun, d.halts} {
		ch <- one
	}
}

func (d *chaosDescs) collect(ch chan<- prometheus.Metric, all []proxy.ExperimentStatus) {
	active, seen := 0, map[string]bool{}
	for _, s := range all {
		if s.Phase == proxy.ExperimentActive {
			active++
		}
		name := label(s.ID.Namespace + "/" + s.ID.Name)
		if seen[name] {
			continue
		}
		seen[name] = true
		ch <- gauge(d.phase, 1, name, strings.ToLower(s.Phase.String()))
		ch <- counter(d.matched, float64(s.Matched), name)
		ch <- counter(d.injected, float64(s.Injected), name)
		ch <- counter(d.skipped, float64(s.SkippedByCap), name)
		ch <- counter(d.dryRun, float64(s.DryRun), name)
		ch <- counter(d.halts, float64(s.Halts), name)
	}
	ch <- gauge(d.active, float64(active))
}
