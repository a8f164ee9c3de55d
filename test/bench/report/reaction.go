package report

import (
	"slices"
	"strconv"

	"github.com/breakwater-gateway/breakwater/test/bench/measure"
)

// Reaction is how soon something acts on traffic that is under way. Times are milliseconds.
type Reaction struct {
	Peer    string    `json:"peer"`
	Name    string    `json:"name"`
	Meaning string    `json:"meaning"`        // from what to what the time is
	Goal    string    `json:"goal,omitempty"` // what a reader is to compare the figures with
	Streams int       `json:"streams"`        // live at a time; 0 if that does not matter
	Times   int       `json:"times"`          // repetitions
	P50     float64   `json:"p50"`            // of all streams in all repetitions
	P99     float64   `json:"p99"`
	Max     float64   `json:"max"`
	Slowest []float64 `json:"slowest"` // the slowest stream of each repetition
}

// NewReaction fills in the figures of a Reaction from its repetitions, each of which holds a time for every stream.
func NewReaction(r Reaction, repetitions ...[]float64) Reaction {
	r.Times = len(repetitions)
	for _, times := range repetitions {
		if len(times) > 0 {
			r.Slowest = append(r.Slowest, slices.Max(times))
		}
	}
	all := slices.Concat(repetitions...)
	r.P50, r.P99, r.Max = measure.Percentile(all, 0.5), measure.Percentile(all, 0.99), measure.Summarize(all).Max
	return r
}

func reactionsTable(all []Reaction) (table, bool) {
	t := table{
		title: "chaos: how soon a change acts on traffic that is under way",
		note: "Milliseconds of wall time on real sockets, over all streams in all repetitions. Bytes and answers arrive when the kernel has them " +
			"for the client's socket (SO_TIMESTAMPNS), whenever they are read. The proxy, its endpoint and the clients share the machine. " +
			"A negative figure came before what it is counted from.",
		head: []string{"proxy", "what", "streams", "times", "p50 ms", "p99 ms", "max ms", "goal"},
	}
	meant := map[string]bool{}
	for _, r := range all {
		streams := "-"
		if r.Streams > 0 {
			streams = strconv.Itoa(r.Streams)
		}
		t.rows = append(t.rows, []string{r.Peer, r.Name, streams, strconv.Itoa(r.Times), fine(r.P50), fine(r.P99), fine(r.Max), r.Goal})
		if !meant[r.Name] {
			meant[r.Name] = true
			t.list = append(t.list, r.Name+": "+r.Meaning)
		}
	}
	return t, len(all) > 0
}
