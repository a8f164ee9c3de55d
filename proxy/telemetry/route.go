package telemetry

import (
	"sync/atomic"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/prometheus/client_golang/prometheus"
)

// codeClasses are the values of the label "code", indexed by status/100; "none" is an Exchange that ended without any
// status, for instance because the client left.
var codeClasses = [...]string{"none", "1xx", "2xx", "3xx", "4xx", "5xx"}

// Route counts the requests of one rule of one object. Its series appear with the first request. With thousands of them
// each request finds its own in no processor's cache: what a request touches is on two cache lines.
type Route struct {
	requestBytes  atomic.Int64
	responseBytes atomic.Int64
	codes         [len(codeClasses)]atomic.Uint64
	duration      histogram
	label         string
}

// Done records one finished Exchange: its final status (0 when none was sent), the time from the end of the request
// head to the end of the response, and the body bytes that passed in both directions.
func (r *Route) Done(status int, d time.Duration, requestBytes, responseBytes int64) {
	class := status / 100
	if class < 0 || class >= len(codeClasses) {
		class = 0
	}
	r.codes[class].Add(1)
	r.duration.observe(d)
	if requestBytes > 0 {
		r.requestBytes.Add(requestBytes)
	}
	if responseBytes > 0 {
		r.responseBytes.Add(responseBytes)
	}
}

// routeDescs describe the series of all Routes.
type routeDescs struct {
	requests, duration, requestBytes, responseBytes *prometheus.Desc
}

func newRouteDescs() routeDescs {
	return routeDescs{
		requests:      desc("route_requests_total", "Requests answered, by route and class of the status code.", "route", "code"),
		duration:      desc("route_request_duration_seconds", "Time from the end of the request head to the end of the response.", "route"),
		requestBytes:  desc("route_request_bytes_total", "Bytes of request bodies received from clients.", "route"),
		responseBytes: desc("route_response_bytes_total", "Bytes of response bodies sent to clients.", "route"),
	}
}

func (d *routeDescs) describe(ch chan<- *prometheus.Desc) {
	ch <- d.requests
	ch <- d.duration
	ch <- d.requestBytes
	ch <- d.responseBytes
}

func (r *Route) collect(ch chan<- prometheus.Metric, d *routeDescs) {
	if !r.duration.used() {
		return
	}
	for class := range r.codes {
		if n := r.codes[class].Load(); n != 0 {
			ch <- counter(d.requests, float64(n), r.label, codeClasses[class])
		}
	}
	ch <- r.duration.collect(d.duration, r.label)
	ch <- counter(d.requestBytes, float64(r.requestBytes.Load()), r.label)
	ch <- counter(d.responseBytes, float64(r.responseBytes.Load()), r.label)
}

// ruleOf returns what the series of a Route are kept under: the id without its Match.
func ruleOf(id proxy.RouteID) proxy.RouteID {
	id.Match = 0
	return id
}
