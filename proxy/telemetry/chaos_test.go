package telemetry

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/breakwater-gateway/breakwater/proxy"
)

func TestChaosMetrics(t *testing.T) {
	m := New()
	names := []string{
		"breakwater_chaos_active_experiments", "breakwater_chaos_injected_total", "breakwater_chaos_experiment_phase", "breakwater_chaos_halts_total",
	}
	if err := testutil.CollectAndCompare(m, strings.NewReader(""), names...); err != nil {
		t.Error("series before anybody gives them:", err)
	}
	id := func(name string) proxy.ObjectID {
		return proxy.ObjectID{Kind: "NetworkChaos", Namespace: "shop", Name: name}
	}
	m.SampleChaos(func() []proxy.ExperimentStatus {
		return []proxy.ExperimentStatus{
			{ID: id("a"), Phase: proxy.ExperimentActive, Injected: 3},
			{ID: id("b"), Phase: proxy.ExperimentHalted, Halts: 1},
			{ID: id("b"), Phase: proxy.ExperimentActive}, // two of one name must not spoil the scrape
		}
	})
	want := `
# HELP breakwater_chaos_active_experiments Experiments that act now; those in a dry run only count.
# TYPE breakwater_chaos_active_experiments gauge
breakwater_chaos_active_experiments 2
# HELP breakwater_chaos_experiment_phase 1, labelled with what the experiment does now.
# TYPE breakwater_chaos_experiment_phase gauge
breakwater_chaos_experiment_phase{experiment="shop/a",phase="active"} 1
breakwater_chaos_experiment_phase{experiment="shop/b",phase="halted"} 1
# HELP breakwater_chaos_halts_total Halts of an experiment by its guard in this process.
# TYPE breakwater_chaos_halts_total counter
breakwater_chaos_halts_total{experiment="shop/a"} 0
breakwater_chaos_halts_total{experiment="shop/b"} 1
# HELP breakwater_chaos_injected_total Requests and connections that got a fault of an experiment.
# TYPE breakwater_chaos_injected_total counter
breakwater_chaos_injected_total{experiment="shop/a"} 3
breakwater_chaos_injected_total{experiment="shop/b"} 0
`
	if err := testutil.CollectAndCompare(m, strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
}

func TestMetricsOfManualToxics(t *testing.T) {
	m := New()
	m.SampleManual(ManualCounts{
		Applied: func() map[string]uint64 { return map[string]uint64{"latency": 3, "reset_peer": 0} },
		Closed:  func() map[string]uint64 { return map[string]uint64{"deleted": 0, "too_many": 7} },
	})
	want := `
# HELP breakwater_toxiproxy_connections_closed_total Connections of proxies that the API for Toxiproxy's clients has closed, rather than a toxic, by reason.
# TYPE breakwater_toxiproxy_connections_closed_total counter
breakwater_toxiproxy_connections_closed_total{reason="deleted"} 0
breakwater_toxiproxy_connections_closed_total{reason="too_many"} 7
# HELP breakwater_toxiproxy_toxics_applied_total Toxics of the API for Toxiproxy's clients put on connections, by type.
# TYPE breakwater_toxiproxy_toxics_applied_total counter
breakwater_toxiproxy_toxics_applied_total{type="latency"} 3
breakwater_toxiproxy_toxics_applied_total{type="reset_peer"} 0
`
	if err := testutil.CollectAndCompare(m, strings.NewReader(want), "breakwater_toxiproxy_toxics_applied_total", "breakwater_toxiproxy_connections_closed_total"); err != nil {
		t.Error(err)
	}
}
