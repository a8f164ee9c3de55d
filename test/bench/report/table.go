package report

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/breakwater-gateway/breakwater/test/bench/measure"
)

// table is what a reader sees: the first column holds names, the others figures.
type table struct {
	title string
	note  string
	list  []string // what rows mean, one by one, after the note
	head  []string
	rows  [][]string
}

// tables turns the figures into tables, in the order of the measurements.
func (r *Report) tables() []table {
	var all []table
	for _, w := range r.Workloads {
		all = append(all, w.table())
	}
	if r.Idle != nil {
		all = append(all, r.Idle.table(r.Peers))
	}
	all = append(all, scaleTables(r.Scale)...)
	if t, ok := routesTable(r.Routes); ok {
		all = append(all, t)
	}
	all = append(all, apiTables(r.API)...)
	if t, ok := reactionsTable(r.Reactions); ok {
		all = append(all, t)
	}
	return append(all, r.Stream.tables(r.Peers)...)
}

func (w Workload) table() table {
	rounds := 0
	for _, row := range w.Rows {
		rounds = max(rounds, len(row.Rounds))
	}
	t := table{
		title: fmt.Sprintf("%s: %d connections, %d rounds of %d s, interleaved", w.Name, w.Connections, rounds, w.Seconds),
		note:  "CPU time of the proxy's processes per request, median (min-max) of the rounds; ratios are taken round by round.",
		head:  []string{"proxy", "CPU µs/request", "user", "requests/s", "p50 µs", "p99 µs", "errors", "CPU ratio"},
	}
	if w.Goal != "" {
		t.note += " Goal: " + w.Goal
	}
	for i := range w.Rows {
		row := &w.Rows[i]
		errors := int64(0)
		for _, f := range row.Rounds {
			errors += f.Errors
		}
		ratio := "-"
		if i > 0 {
			ratio = spread(measure.Ratios(w.Rows[0].Series(cpu), row.Series(cpu)))
		}
		t.rows = append(t.rows, []string{
			row.Peer, spread(measure.Summarize(row.Series(cpu))), median(row.Series(user)), median(row.Series(rate)),
			median(row.Series(p50)), median(row.Series(p99)), strconv.FormatInt(errors, 10), ratio,
		})
	}
	if len(w.Rows) > 0 {
		t.head[len(t.head)-1] = w.Rows[0].Peer + "/it"
	}
	return t
}

func cpu(f Figures) float64  { return f.CPU }
func user(f Figures) float64 { return f.User }
func rate(f Figures) float64 { return f.Rate }
func p50(f Figures) float64  { return f.P50 }
func p99(f Figures) float64  { return f.P99 }

func (i Idle) table(peers []Peer) table {
	t := table{
		title: fmt.Sprintf("idle: %d keep-alive connections, each after one request", i.Connections),
		note: "KiB of proportional set size; memory that the kernel holds for sockets is not in it. " +
			"For Go programs (*) the figures include what the garbage collector had not given back at that moment.",
		head: []string{"proxy", "KiB/connection", "before KiB", "after KiB"},
	}
	gc := map[string]bool{}
	for _, p := range peers {
		gc[p.Name] = p.GC
	}
	for _, row := range i.Rows {
		name := row.Peer
		if gc[name] {
			name += " *"
		}
		t.rows = append(t.rows, []string{name, spread(measure.Summarize(row.PerConnection(i.Connections))), median(row.Before), median(row.After)})
	}
	return t
}

// spread is "median (min-max)", or a dash for an empty series.
func spread(s measure.Summary) string {
	if s.N == 0 {
		return "-"
	}
	return fmt.Sprintf("%s (%s-%s)", figure(s.Median), figure(s.Min), figure(s.Max))
}

func median(series []float64) string {
	if len(series) == 0 {
		return "-"
	}
	return figure(measure.Summarize(series).Median)
}

// figure keeps three significant digits of small figures and whole large ones.
func figure(f float64) string {
	switch {
	case f >= 100 || f <= -100 || f == 0:
		return strconv.FormatFloat(f, 'f', 0, 64)
	case f >= 10 || f <= -10:
		return strconv.FormatFloat(f, 'f', 1, 64)
	default:
		return strconv.FormatFloat(f, 'f', 2, 64)
	}
}

// text writes the table for a terminal: names to the left, figures to the right.
func (t table) text(b *strings.Builder) {
	fmt.Fprintf(b, "\n%s\n", t.title)
	widths := make([]int, len(t.head))
	for _, row := range append([][]string{t.head}, t.rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range append([][]string{t.head}, t.rows...) {
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			switch {
			case i == 0:
				b.WriteString("  " + cell + pad)
			default:
				b.WriteString("  " + pad + cell)
			}
		}
		b.WriteByte('\n')
	}
	if t.note != "" {
		fmt.Fprintf(b, "  %s\n", t.note)
	}
	for _, item := range t.list {
		fmt.Fprintf(b, "  - %s\n", item)
	}
}

// markdown writes the table as a section of a Markdown document.
func (t table) markdown(b *strings.Builder) {
	fmt.Fprintf(b, "\n## %s\n\n|%s|\n|---%s|\n", t.title, strings.Join(t.head, "|"), strings.Repeat("|---:", len(t.head)-1))
	for _, row := range t.rows {
		fmt.Fprintf(b, "|%s|\n", strings.Join(row, "|"))
	}
	if t.note != "" {
		fmt.Fprintf(b, "\n%s\n", t.note)
	}
	if len(t.list) > 0 {
		fmt.Fprintf(b, "\n- %s\n", strings.Join(t.list, "\n- "))
	}
}
