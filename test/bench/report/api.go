package report

import (
	"maps"
	"slices"
	"strconv"
)

// API is what one Breakwater that reads an API server made of a number of routes. Durations are milliseconds, memory is KiB
// of proportional set size.
type API struct {
	Peer     string `json:"peer"`
	Hosts    int    `json:"hosts"` // each with one Ingress and one route
	Services int    `json:"services"`
	// Live is the time from the start of the process until the last host answers; all objects were there before.
	Live float64 `json:"live"`
	// Statuses is the time from the start until every Ingress has its status.
	Statuses float64 `json:"statuses"`
	Memory   float64 `json:"memory"` // once all statuses are written
	Edited   float64 `json:"edited"` // after the edits
	// Start are the durations that the process exports about what it did until it was live.
	Start    map[string]float64 `json:"start"`
	Route    APIEdits           `json:"route"`
	Endpoint APIEdits           `json:"endpoint"`
}

// APIEdits are the edits of one kind, in order.
type APIEdits struct {
	Live       []float64 `json:"live"`       // from the beginning of the write to the first request routed by it, at the backend
	AfterWrite []float64 `json:"afterWrite"` // from the API server's answer on; negative if the proxy was faster
	Write      []float64 `json:"write"`      // until the API server had answered
	Unsure     []float64 `json:"unsure"`     // since the last question with an old answer: the resolution of Live and AfterWrite
	// Exported are the durations that the process itself exported about them, on average.
	Exported map[string]float64 `json:"exported"`
}

// series of one kind of edits, with what they are called in a table.
func (e *APIEdits) series() []namedSeries {
	return []namedSeries{
		{"API server's answer to live", e.AfterWrite},
		{"(that, at the earliest)", e.earliest()},
		{"beginning of the write to live", e.Live},
		{"(the write itself)", e.Write},
		{"(resolution)", e.Unsure},
	}
}

// earliest is AfterWrite if each edit went live right after the last question with an old answer.
func (e *APIEdits) earliest() []float64 {
	all := make([]float64, min(len(e.AfterWrite), len(e.Unsure)))
	for i := range all {
		all[i] = e.AfterWrite[i] - e.Unsure[i]
	}
	return all
}

type namedSeries struct {
	name   string
	figure []float64
}

func apiTables(all []API) []table {
	if len(all) == 0 {
		return nil
	}
	size := table{
		title: "api: the same routes from an API server",
		note: "Live is the time from the start of the process until the last host answers; statuses, until every Ingress has its " +
			"status. Memory is MiB of proportional set size, once all statuses are written and after the edits.",
		head: []string{"proxy", "Services", "live ms", "statuses ms", "memory MiB", "edited MiB"},
	}
	live := table{
		title: "api: from a changed object to the first new answer",
		note: "Milliseconds. Below zero: the proxy served the change before the API server had answered its writer. etcd, the API " +
			"server, the proxy, its backends and the bench share the machine.",
		head: []string{"proxy", "edit", "time", "edits", "p50 ms", "p99 ms", "max ms"},
	}
	own := table{
		title: "api: durations that the process itself exports",
		note:  "Milliseconds, on average over all edits of a kind, or over what was done until the process was live.",
		head:  []string{"proxy and series", "of", "mean ms"},
	}
	for i := range all {
		a := &all[i]
		name := a.Peer + "-" + strconv.Itoa(a.Hosts)
		size.rows = append(size.rows, []string{name, strconv.Itoa(a.Services), figure(a.Live), figure(a.Statuses), figure(a.Memory / 1024), figure(a.Edited / 1024)})
		for _, exported := range slices.Sorted(maps.Keys(a.Start)) {
			own.rows = append(own.rows, []string{name + " " + exported, "start", figure(a.Start[exported])})
		}
		for _, kind := range []struct {
			name  string
			edits *APIEdits
		}{{"route", &a.Route}, {"endpoint", &a.Endpoint}} {
			for _, one := range kind.edits.series() {
				live.rows = append(live.rows, series([]string{name, kind.name, one.name}, one.figure))
			}
			for _, exported := range slices.Sorted(maps.Keys(kind.edits.Exported)) {
				own.rows = append(own.rows, []string{name + " " + exported, kind.name + " edits", figure(kind.edits.Exported[exported])})
			}
		}
	}
	return []table{size, live, own}
}
