package report

import (
	"fmt"
	"strings"

	"github.com/breakwater-gateway/breakwater/test/bench/measure"
	"github.com/breakwater-gateway/breakwater/test/bench/peer"
)

// Paths that are not of a proxy to choose.
const (
	Direct = "direct"        // streams go to the endpoint without a proxy
	Floor  = "relay (floor)" // through the least that a proxy can do
)

// KeptAwake ends the name of a workload that is another one measured again with processors that do not sleep.
const KeptAwake = ", processors awake"

// Stream holds what TCP streams cost on the ways to an endpoint: through a route, or a proxy made through Toxiproxy's API.
type Stream struct {
	Workloads []StreamWorkload `json:"workloads,omitempty"`
	Accuracy  []Accuracy       `json:"accuracy,omitempty"`
	Idle      *Idle            `json:"idle,omitempty"`
}

// StreamWorkload is one kind of stream, and the toxics that it goes through. Its rows' figures are per round trip of one small
// message, or per MB (a million bytes); the first one is Direct, without toxics.
type StreamWorkload struct {
	Name    string  `json:"name"`
	Bulk    bool    `json:"bulk"`
	Awake   bool    `json:"awake"` // processors were kept from sleeping
	Asked   float64 `json:"asked"` // µs that the toxics are asked to add to a round trip
	Seconds int     `json:"seconds"`
	Turns   int     `json:"turns"` // that each path had in a round
	Rows    []Row   `json:"rows"`
}

// Accuracy is something that a toxic is asked for, and what was measured.
type Accuracy struct {
	Name  string        `json:"name"`
	Asked float64       `json:"asked"`
	Paths []AccuracyRow `json:"paths"`
}

// AccuracyRow is what was measured on one path, one figure for each round.
type AccuracyRow struct {
	Path   string    `json:"path"`
	Rounds []float64 `json:"rounds"`
}

// row finds a path, or returns a row without rounds.
func (w *StreamWorkload) row(path string) *Row {
	for i := range w.Rows {
		if w.Rows[i].Peer == path {
			return &w.Rows[i]
		}
	}
	return &Row{}
}

// added is what a figure of a path is above the direct one and what was asked for, round by round.
func (w *StreamWorkload) added(path string, of func(Figures) float64) []float64 {
	series, direct := w.row(path).Series(of), w.row(Direct).Series(of)
	series = series[:min(len(series), len(direct))]
	for i := range series {
		series[i] -= direct[i] + w.Asked
	}
	return series
}

// ratio divides a figure of a path by the same of another one.
func (w *StreamWorkload) ratio(path, by string, of func(Figures) float64) measure.Summary {
	if path == by || path == Direct {
		return measure.Summary{}
	}
	return measure.Ratios(w.row(path).Series(of), w.row(by).Series(of))
}

func (w *StreamWorkload) addedRatio(path, by string, of func(Figures) float64) measure.Summary {
	if path == by || path == Direct {
		return measure.Summary{}
	}
	return measure.Ratios(w.added(path, of), w.added(by, of))
}

func (w *StreamWorkload) table() table {
	rounds := 0
	for _, row := range w.Rows {
		rounds = max(rounds, len(row.Rounds))
	}
	t := table{title: fmt.Sprintf("stream, %s: one connection, %d rounds of %d s, interleaved", w.Name, rounds, w.Seconds)}
	if w.Bulk {
		t.head = []string{"path", "MB/s", "CPU µs/MB", "MB/s / haproxy", "MB/s / toxiproxy", "CPU / haproxy", "CPU / toxiproxy"}
		for _, row := range w.Rows {
			t.rows = append(t.rows, []string{
				row.Peer, spread(measure.Summarize(row.Series(rate))), median(row.Series(cpu)),
				spread(w.ratio(row.Peer, peer.NameHAProxy, rate)), spread(w.ratio(row.Peer, peer.NameToxiproxy, rate)),
				spread(w.ratio(row.Peer, peer.NameHAProxy, cpu)), spread(w.ratio(row.Peer, peer.NameToxiproxy, cpu)),
			})
		}
		return t
	}
	t.title += fmt.Sprintf(" in %d turns each", w.Turns)
	t.note = "Added is what is above the direct path and what the toxic is asked to add. Ratios are taken round by round. "
	if w.Awake {
		t.note += "Processors were kept awake, by loops under SCHED_IDLE that everything preempts."
	} else {
		t.note += "Processors slept when they had nothing to do, so times have in them how long this machine's take to wake up."
	}
	t.head = []string{
		"path", "round trips/s", "p50 µs", "p99 µs", "added p50 µs", "added p99 µs", "CPU µs/round trip",
		"added p50 / toxiproxy", "added p99 / toxiproxy", "CPU / toxiproxy", "CPU / haproxy",
	}
	for _, row := range w.Rows {
		added50, added99 := "-", "-"
		if row.Peer != Direct {
			added50, added99 = median(w.added(row.Peer, p50)), median(w.added(row.Peer, p99))
		}
		t.rows = append(t.rows, []string{
			row.Peer, median(row.Series(rate)), median(row.Series(p50)), median(row.Series(p99)), added50, added99, median(row.Series(cpu)),
			spread(w.addedRatio(row.Peer, peer.NameToxiproxy, p50)), spread(w.addedRatio(row.Peer, peer.NameToxiproxy, p99)),
			spread(w.ratio(row.Peer, peer.NameToxiproxy, cpu)), spread(w.ratio(row.Peer, peer.NameHAProxy, cpu)),
		})
	}
	return t
}

func (s *Stream) tables(peers []Peer) []table {
	if s == nil {
		return nil
	}
	var all []table
	for i := range s.Workloads {
		all = append(all, s.Workloads[i].table())
	}
	if len(s.Accuracy) > 0 {
		all = append(all, accuracyTable(s.Accuracy))
	}
	if s.Idle != nil {
		t := s.Idle.table(peers)
		t.title = fmt.Sprintf("stream, idle: %d connections, one byte each way on each", s.Idle.Connections)
		all = append(all, t)
	}
	if goals := s.goals(); len(goals.rows) > 0 {
		all = append(all, goals)
	}
	return all
}

func accuracyTable(all []Accuracy) table {
	t := table{
		title: "stream: what toxics are asked for, and what was measured",
		note:  "Times are milliseconds and have the direct path's median in them taken off where it is a round trip.",
		head:  []string{"toxic", "asked"},
	}
	for _, row := range all[0].Paths {
		t.head = append(t.head, row.Path)
	}
	for _, a := range all {
		cells := []string{a.Name, fine(a.Asked)}
		for _, row := range a.Paths {
			s := measure.Summarize(row.Rounds)
			cells = append(cells, fmt.Sprintf("%s (%s-%s)", fine(s.Median), fine(s.Min), fine(s.Max)))
		}
		t.rows = append(t.rows, cells)
	}
	return t
}

// fine keeps what is below a thousandth.
func fine(f float64) string {
	return strings.TrimSuffix(fmt.Sprintf("%.3f", f), ".000")
}

// goals sets the figures of Breakwater's paths beside what is to be reached.
func (s *Stream) goals() table {
	t := table{
		title: "stream: goals",
		note:  "Where a workload was measured both ways, the one as the machine idles counts.",
		head:  []string{"path and figure", "goal", "found"},
	}
	add := func(path, what, goal string, found measure.Summary) {
		if found.N > 0 {
			t.rows = append(t.rows, []string{path + ": " + what, goal, spread(found)})
		}
	}
	for i := range s.Workloads {
		w := &s.Workloads[i]
		if w.Awake {
			continue
		}
		for _, row := range w.Rows {
			if row.Peer == Direct || row.Peer == Floor || row.Peer == peer.NameToxiproxy || row.Peer == peer.NameHAProxy {
				continue
			}
			if w.Bulk {
				add(row.Peer, w.Name+", MB/s / haproxy", "at least 1", w.ratio(row.Peer, peer.NameHAProxy, rate))
			} else {
				add(row.Peer, w.Name+", added p50 / toxiproxy", "at most 0.5", w.addedRatio(row.Peer, peer.NameToxiproxy, p50))
			}
			add(row.Peer, w.Name+", CPU / toxiproxy", "at most 0.5", w.ratio(row.Peer, peer.NameToxiproxy, cpu))
		}
	}
	return t
}
