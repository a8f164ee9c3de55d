package toxiproxy

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics counts what proxies carry, under Toxiproxy's names: toxiproxy_proxy_received_bytes_total and
// toxiproxy_proxy_sent_bytes_total, with the labels direction, proxy, listener and upstream. A connection is counted when it ends.
// Routes are not counted: the process does that under names of its own, in package telemetry.
type Metrics struct {
	registry       *prometheus.Registry
	received, sent *prometheus.CounterVec
}

// NewMetrics returns Metrics of which nothing has been counted.
func NewMetrics() *Metrics {
	labels := []string{"direction", "proxy", "listener", "upstream"}
	counter := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "toxiproxy", Subsystem: "proxy", Name: name, Help: help}, labels)
	}
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		received: counter("received_bytes_total", "Bytes that have come, of connections that have ended."),
		sent:     counter("sent_bytes_total", "Bytes that have been passed on, of connections that have ended."),
	}
	m.registry.MustRegister(m.received, m.sent)
	return m
}

// AddRuntime adds the metrics of the Go runtime, the process and the build, under their usual names. It is called once.
func (m *Metrics) AddRuntime() {
	m.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collectors.NewBuildInfoCollector(),
	)
}

// Count is a Config.Traffic.
func (m *Metrics) Count(t Traffic) {
	m.received.WithLabelValues(t.Direction, t.Proxy, t.Listener, t.Upstream).Add(float64(t.Received))
	m.sent.WithLabelValues(t.Direction, t.Proxy, t.Listener, t.Upstream).Add(float64(t.Sent))
}

// Handler is a Config.Metrics: the counters in Prometheus's format.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
