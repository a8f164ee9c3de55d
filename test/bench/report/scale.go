package report

import (
	"maps"
	"slices"
	"strconv"

	"github.com/breakwater-gateway/breakwater/test/bench/measure"
)

// Scale is what a number of routes costs one proxy. Durations are milliseconds, memory is KiB of proportional set
// size.
type Scale struct {
	Peer     string `json:"peer"`
	Meaning  string `json:"meaning"` // what a reader should know to read the row
	Hosts    int    `json:"hosts"`   // each with one Ingress and one route
	Services int    `json:"services"`
	Files    int    `json:"files"`
	Sockets  int    `json:"sockets"`  // upstream connections after the last round
	Requests Row    `json:"requests"` // GET for random ones of all hosts
	Few      Row    `json:"few"`      // GET for random ones of ten hosts
	// Live is the time from the start of the process until the last host answers.
	Live   float64 `json:"live"`
	Memory float64 `json:"memory"` // once live
	Loaded float64 `json:"loaded"` // after the edits and the load
	// Start are the durations that the process exports about its first build.
	Start    map[string]float64 `json:"start"`
	Route    Edits              `json:"route"`
	Endpoint Edits              `json:"endpoint"`
}

// Edits are the edits of one kind, in order: from the replacement of a file to the first answer that shows it, and what
// the process itself exported about its work on each.
type Edits struct {
	Live     []float64            `json:"live"`
	Exported map[string][]float64 `json:"exported"`
}

func scaleTables(all []Scale) []table {
	if len(all) == 0 {
		return nil
	}
	size := table{
		title: "scale: routes, Services and their upstream connections grow together",
		note: "The number behind the name is that of hosts, each with one Ingress and one route. CPU is µs per request. Requests go to random " +
			"hosts, of all and of ten, in interleaved rounds: the second figure is what the size of the table costs, the first one also what " +
			"many upstream connections and counters cost that are in no cache. What only the number of routes costs is in the table " +
			"\"only the number of routes differs\". Live is the time from the start of the process until the last host answers, reading all files " +
			"included. Memory is MiB of proportional set size once live, and after the edits and the load.",
		head: []string{"proxy", "Services", "upstream sockets", "files", "CPU, all hosts", "it/first", "CPU, ten hosts", "it/first", "p50 µs", "p99 µs", "live ms", "memory MiB", "loaded MiB"},
	}
	live := table{
		title: "scale: from a replaced file to the first new answer",
		note:  "Milliseconds, with the file watch, the reading of files and the wait for the answer.",
		head:  []string{"proxy", "edit", "edits", "p50 ms", "p99 ms", "max ms"},
	}
	own := table{
		title: "scale: durations that the process itself exports",
		note:  "Milliseconds of each series over one start, or per edit.",
		head:  []string{"proxy and series", "of", "n", "p50 ms", "p99 ms", "max ms"},
	}
	first := map[string]*Scale{}
	for i := range all {
		s := &all[i]
		size.rows = append(size.rows, s.sizeRow(first))
		size.list = append(size.list, s.Requests.Peer+": "+s.Meaning)
		for _, kind := range []struct {
			name  string
			edits Edits
		}{{"route", s.Route}, {"endpoint", s.Endpoint}} {
			if len(kind.edits.Live) == 0 {
				continue
			}
			live.rows = append(live.rows, series([]string{s.Requests.Peer, kind.name}, kind.edits.Live))
			for _, name := range slices.Sorted(maps.Keys(kind.edits.Exported)) {
				own.rows = append(own.rows, series([]string{s.Requests.Peer + " " + name, kind.name + " edit"}, kind.edits.Exported[name]))
			}
		}
		for _, name := range slices.Sorted(maps.Keys(s.Start)) {
			own.rows = append(own.rows, series([]string{s.Requests.Peer + " " + name, "start"}, []float64{s.Start[name]}))
		}
	}
	tables := []table{size, live}
	if len(own.rows) > 0 {
		tables = append(tables, own)
	}
	return tables
}

// sizeRow is the row of the first table; first remembers each proxy's first row, the reference of its ratios.
func (s *Scale) sizeRow(first map[string]*Scale) []string {
	all, few := "-", "-"
	if reference := first[s.Peer]; reference != nil {
		all = spread(measure.Ratios(s.Requests.Series(cpu), reference.Requests.Series(cpu)))
		few = spread(measure.Ratios(s.Few.Series(cpu), reference.Few.Series(cpu)))
	} else {
		first[s.Peer] = s
	}
	return []string{
		s.Requests.Peer, strconv.Itoa(s.Services), strconv.Itoa(s.Sockets), strconv.Itoa(s.Files), spread(measure.Summarize(s.Requests.Series(cpu))), all,
		spread(measure.Summarize(s.Few.Series(cpu))), few, median(s.Requests.Series(p50)), median(s.Requests.Series(p99)), figure(s.Live), figure(s.Memory / 1024), figure(s.Loaded / 1024),
	}
}

// series is a row with the number, median, 99th percentile and maximum of a series after the given cells.
func series(cells []string, of []float64) []string {
	return append(cells, strconv.Itoa(len(of)), figure(measure.Percentile(of, 0.5)), figure(measure.Percentile(of, 0.99)), figure(measure.Summarize(of).Max))
}
