package report

import (
	"strconv"

	"github.com/breakwater-gateway/breakwater/test/bench/measure"
)

// Routes is what the number of routes alone costs one proxy: all of them lead to the same endpoint through the same Service.
type Routes struct {
	Peer     string `json:"peer"`
	Meaning  string `json:"meaning"`  // what a reader should know to read the row
	Hosts    int    `json:"hosts"`    // each with one Ingress and one route; requests ask for them in turn
	Services int    `json:"services"` // behind all routes
	Sockets  int    `json:"sockets"`  // upstream connections after the last round
	Requests Row    `json:"requests"`
	// Memory is KiB of proportional set size after the last round.
	Memory float64 `json:"memory"`
}

func routesTable(all []Routes) (table, bool) {
	t := table{
		title: "scale: only the number of routes differs",
		note: "Every route leads to the same endpoint through the same Service, so there are no more upstream connections for more routes. Requests ask for " +
			"all hosts in turn, and the load generator sends the same number of different, equally long requests in every row. Rounds " +
			"are interleaved, ratios are taken round by round to the same proxy's first row. Memory is MiB of proportional set size after the load. " +
			"Goal: 10,000 routes cost less than 15 % more per request than 10: a ratio below 1.15.",
		head: []string{"proxy and routes", "Services", "upstream sockets", "CPU µs/request", "it/first", "user", "requests/s", "p50 µs", "p99 µs", "memory MiB"},
	}
	first := map[string]*Routes{}
	for i := range all {
		r := &all[i]
		ratio := "-"
		if reference := first[r.Peer]; reference != nil {
			ratio = spread(measure.Ratios(r.Requests.Series(cpu), reference.Requests.Series(cpu)))
		} else {
			first[r.Peer] = r
		}
		t.rows = append(t.rows, []string{
			r.Requests.Peer, strconv.Itoa(r.Services), strconv.Itoa(r.Sockets), spread(measure.Summarize(r.Requests.Series(cpu))), ratio,
			median(r.Requests.Series(user)), median(r.Requests.Series(rate)), median(r.Requests.Series(p50)), median(r.Requests.Series(p99)), figure(r.Memory / 1024),
		})
		t.list = append(t.list, r.Requests.Peer+": "+r.Meaning)
	}
	return t, len(all) > 0
}
