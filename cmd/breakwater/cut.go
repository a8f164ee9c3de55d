package main

import (
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/server"
)

// cutOff says what had to be cut off when the grace period was over. Connections that live as long as their client wants are logged,
// since without them most stops would end like this; requests are an error.
func cutOff(e *server.CutError, grace time.Duration, log *slog.Logger) error {
	if streams := cutStreams(e); streams != "" {
		log.Warn("connections were cut off when the grace period was over", "gracePeriod", grace, "connections", streams)
	}
	if e.Requests == 0 {
		return nil
	}
	return fmt.Errorf("stop: %s cut off after the grace period of %v", counted(e.Requests, "request was", "requests were"), grace)
}

// maxCutRoutes bounds the routes that a line names.
const maxCutRoutes = 5

// cutStreams names the connections and sessions, at most maxCutRoutes routes of them.
func cutStreams(e *server.CutError) string {
	var parts []string
	if e.Tunnels > 0 {
		parts = append(parts, counted(e.Tunnels, "upgraded connection", "upgraded connections"))
	}
	more := 0
	for i, l := range e.Streams {
		if i >= maxCutRoutes {
			more += l.Count
			continue
		}
		what := counted(l.Count, "TCP connection", "TCP connections")
		if l.Protocol == proxy.UDP {
			what = counted(l.Count, "UDP session", "UDP sessions")
		}
		route := l.Route.Object
		parts = append(parts, fmt.Sprintf("%s of %s %s/%s", what, route.Kind, route.Namespace, route.Name))
	}
	if more > 0 {
		parts = append(parts, fmt.Sprintf("%d of %s", more, counted(len(e.Streams)-maxCutRoutes, "other route", "other routes")))
	}
	return strings.Join(parts, ", ")
}

// counted returns n with what it counts.
func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
