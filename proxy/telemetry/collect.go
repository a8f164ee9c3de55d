package telemetry

import (
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// NewRegistry returns a registry of m, of the Go runtime and process, and of breakwater_build_info with the given
// version.
func NewRegistry(m *Metrics, version string) *prometheus.Registry {
	r := prometheus.NewRegistry()
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "breakwater_build_info",
		Help:        "1, labelled with the version of the program and of Go.",
		ConstLabels: prometheus.Labels{"version": label(version), "goversion": runtime.Version()},
	})
	info.Set(1)
	r.MustRegister(m, info,
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// descs describe everything that Metrics collects.
type descs struct {
	route    routeDescs
	backend  backendDescs
	listener listenerDescs
	stream   streamDescs
	chaos    chaosDescs
	manual   *prometheus.Desc
	closed   *prometheus.Desc
	held     *prometheus.Desc

	refused, noRoute                        *prometheus.Desc
	idleDownstream, idleUpstream            *prometheus.Desc
	applies, applyTime, lastApplied, served *prometheus.Desc
	buildTime, propagation, problems        *prometheus.Desc
	logLines                                *prometheus.Desc
}

func newDescs() descs {
	return descs{
		route:    newRouteDescs(),
		backend:  newBackendDescs(),
		listener: newListenerDescs(),
		stream:   newStreamDescs(),
		chaos:    newChaosDescs(),
		manual:   desc("toxiproxy_toxics_applied_total", "Toxics of the API for Toxiproxy's clients put on connections, by type.", "type"),
		closed: desc("toxiproxy_connections_closed_total",
			"Connections of proxies that the API for Toxiproxy's clients has closed, rather than a toxic, by reason.", "reason"),
		held:    desc("toxic_held_bytes", "Memory taken by what toxics hold back."),
		refused: desc("requests_refused_total", "Requests and connections refused for what the client has sent, or has not sent in time.", "reason"),
		noRoute: desc("requests_unrouted_total", "Requests that no route selected."),

		idleDownstream: desc("connections_idle", "Connections of clients now waiting for a request."),
		idleUpstream:   desc("backend_connections_idle", "Connections to endpoints now kept for another request."),

		applies:     desc("snapshot_applies_total", "Configuration snapshots compiled, by result.", "result"),
		applyTime:   desc("snapshot_apply_duration_seconds", "Time to compile a snapshot and begin to serve it."),
		lastApplied: desc("snapshot_last_applied_timestamp_seconds", "When the snapshot served now was applied, in Unix time."),
		served:      desc("snapshot_objects", "What the snapshot served now holds.", "kind"),
		buildTime:   desc("config_build_duration_seconds", "Time to make a snapshot from the configuration objects, by what could have changed.", "lane"),
		propagation: desc("config_propagation_seconds", "Time from when a change of the configuration was noticed until it served."),
		problems:    desc("config_problems", "Problems found in the configuration objects as they are now."),
		logLines:    desc("access_log_lines_total", "Lines of the access log, by what became of them.", "result"),
	}
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	d := &m.descs
	d.route.describe(ch)
	d.backend.describe(ch)
	d.listener.describe(ch)
	d.stream.describe(ch)
	d.chaos.describe(ch)
	ch <- d.manual
	ch <- d.closed
	ch <- d.held
	for _, one := range []*prometheus.Desc{
		d.refused, d.noRoute, d.idleDownstream, d.idleUpstream, d.applies, d.applyTime, d.lastApplied, d.served, d.buildTime, d.propagation, d.problems, d.logLines,
	} {
		ch <- one
	}
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	d := &m.descs
	// Identities are made of object names, which have no slash, so labels do not collide; should one collide all the
	// same it must not make the whole scrape fail.
	routes, backends := map[string]bool{}, map[string]bool{}
	for _, r := range m.routes.all() {
		if !routes[r.label] {
			routes[r.label] = true
			r.collect(ch, &d.route)
		}
	}
	for _, b := range m.backends.all() {
		if !backends[b.label] {
			backends[b.label] = true
			b.collect(ch, &d.backend)
		}
	}
	for _, l := range m.listeners.all() {
		l.collect(ch, &d.listener)
	}
	for _, s := range m.streams.all() {
		s.collect(ch, &d.stream)
	}
	for r := range m.refused {
		ch <- counter(d.refused, float64(m.refused[r].Load()), refusals[r])
	}
	ch <- counter(d.noRoute, float64(m.noRoute.Load()))
	if chaos := m.chaos.Load(); chaos != nil {
		d.chaos.collect(ch, (*chaos)())
	}
	if manual := m.manual.Load(); manual != nil {
		for typ, n := range manual.Applied() {
			ch <- counter(d.manual, float64(n), typ)
		}
		for why, n := range manual.Closed() {
			ch <- counter(d.closed, float64(n), why)
		}
	}
	if held := m.held.Load(); held != nil {
		ch <- gauge(d.held, float64((*held)()))
	}
	if idle := m.idle.Load(); idle != nil {
		ch <- gauge(d.idleDownstream, float64(idle.Downstream()))
		ch <- gauge(d.idleUpstream, float64(idle.Upstream()))
	}
	m.config.collect(ch, d)
	m.log.collect(ch, d)
}

func (c *configMetrics) collect(ch chan<- prometheus.Metric, d *descs) {
	ch <- counter(d.applies, float64(c.applied.Load()), "applied")
	ch <- counter(d.applies, float64(c.rejected.Load()), "rejected")
	ch <- c.duration.collect(d.applyTime)
	if at := c.lastApplied.Load(); at != 0 {
		ch <- gauge(d.lastApplied, float64(at)/float64(time.Second))
	}
	if s := c.size.Load(); s != nil {
		ch <- gauge(d.served, float64(s.Listeners), "listener")
		ch <- gauge(d.served, float64(s.Hosts), "host")
		ch <- gauge(d.served, float64(s.Routes), "route")
		ch <- gauge(d.served, float64(s.Backends), "backend")
		ch <- gauge(d.served, float64(s.Endpoints), "endpoint")
	}
	for lane := range c.builds {
		ch <- c.builds[lane].collect(d.buildTime, lanes[lane])
	}
	ch <- c.propagation.collect(d.propagation)
	if n := c.problems.Load(); n > 0 {
		ch <- gauge(d.problems, float64(n-1))
	}
}

func (l *logMetrics) collect(ch chan<- prometheus.Metric, d *descs) {
	ch <- counter(d.logLines, float64(l.written.Load()), "written")
	ch <- counter(d.logLines, float64(l.dropped.Load()), "dropped")
	ch <- counter(d.logLines, float64(l.failed.Load()), "failed")
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("breakwater_"+name, help, labels, nil)
}

func counter(d *prometheus.Desc, v float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
}

func gauge(d *prometheus.Desc, v float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}
