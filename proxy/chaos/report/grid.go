package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/breakwater-gateway/breakwater/proxy/chaos"
)

// grid is a table before it is laid out: its first row is the head. The first columns are for words, the others for numbers.
type grid struct {
	words int
	rows  [][]string
	spare []string // heads of columns that may be left out where there is little room, the first one first
}

func (g *grid) add(cells ...string) { g.rows = append(g.rows, cells) }

// summary has a row for each experiment, and each proxy with toxics.
func summary(r *chaos.Report) grid {
	g := grid{words: 4, spare: []string{"at", "share", "capped", "dry run"}}
	g.add("experiment", "result", "phase", "at", "matched", "injected", "share", "capped", "dry run")
	for i := range r.Experiments {
		x := &r.Experiments[i]
		g.add(Name(x), string(Judge(x, r.Time).Outcome), x.Phase, cmp.Or(x.At, "-"),
			count(x.Matched), count(x.Injected), share(x.Injected, x.Matched), count(x.SkippedByCap), count(x.DryRun))
	}
	return g
}

// cuts has a row for each reason for which the API for Toxiproxy's clients has closed connections of a proxy.
func cuts(r *chaos.Report) grid {
	g := grid{words: 2}
	g.add("connections of", "cut because", "number")
	for _, c := range r.Cut {
		g.add(proxyName(c.Proxy), because(c.Why), count(c.Connections))
	}
	return g
}

// because says for people why connections were closed.
func because(why string) string {
	switch why {
	case chaos.CutDisabled.String():
		return "the proxy was disabled"
	case chaos.CutDeleted.String():
		return "the proxy was deleted"
	case chaos.CutMoved.String():
		return "its listen or upstream was changed"
	case chaos.CutReleased.String():
		return "a timeout toxic was removed"
	case chaos.CutTooMany.String():
		return "there were too many (--max-connections)"
	}
	return why // of another version
}

// toxics has a row for each toxic.
func toxics(x *chaos.ExperimentReport) grid {
	g, met := grid{words: 2, spare: []string{"p90", "bytes", "ended"}}, "decided"
	if isManual(x) {
		met = "matched"
	}
	g.add("toxic", "type", met, "applied", "ended", "bytes", "delay p50", "p90", "p99", "max")
	for i := range x.Toxics {
		t := &x.Toxics[i]
		bytes, n := "-", t.Decided // it has met none
		if t.Bytes > 0 {
			bytes = size(t.Bytes)
		}
		if t.Manual != nil {
			n = t.Manual.Matched
		}
		g.add(append([]string{toxicName(t), t.Type, count(n), count(t.Applied), count(t.Ended), bytes}, quantiles(&t.Delay)...)...)
	}
	return g
}

// toxicName is how a toxic is called, with its stream if the name does not say it.
func toxicName(t *chaos.ToxicReport) string {
	switch m := t.Manual; {
	case m == nil:
		return t.Name
	case t.Name == "":
		return others
	case strings.HasSuffix(t.Name, "_"+m.Stream):
		return t.Name
	default:
		return t.Name + " (" + m.Stream + ")"
	}
}

// clients has a row for each kind of traffic. Columns without a number are left out.
func clients(x *chaos.ExperimentReport) grid {
	with, without := &x.InjectedTraffic, &x.UninjectedTraffic
	head, rows := []string{"clients saw"}, [2][]string{{"with faults"}, {"without"}}
	column := func(name string, a, b uint64, always bool) {
		if always || a > 0 || b > 0 {
			head, rows[0], rows[1] = append(head, name), append(rows[0], count(a)), append(rows[1], count(b))
		}
	}
	column("requests", with.Requests, without.Requests, with.Connections+without.Connections == 0)
	column("streams", with.Connections, without.Connections, false)
	for _, c := range classes {
		column(c, with.Status[c], without.Status[c], false)
	}
	column("failed", with.Failed, without.Failed, true)
	column("retries", with.Retries, without.Retries, true)
	return grid{words: 1, rows: [][]string{head, rows[0], rows[1]}, spare: []string{"1xx", "3xx", "retries"}}
}

// latencies has a row for each kind of traffic. That of streams is the time to the first of an answer.
func latencies(x *chaos.ExperimentReport) grid {
	g, name := grid{words: 1}, "latency"
	if x.InjectedTraffic.Requests+x.UninjectedTraffic.Requests == 0 {
		name = "first answer"
	}
	g.add(name, "p50", "p90", "p99", "max", "sent", "received")
	row := func(name string, t *chaos.TrafficReport) {
		g.add(append(append([]string{name}, quantiles(&t.Latency)...), size(t.UpstreamBytes), size(t.DownstreamBytes))...)
	}
	row("with faults", &x.InjectedTraffic)
	row("without", &x.UninjectedTraffic)
	return g
}

// classes are the keys of chaos.TrafficReport.Status.
var classes = []string{"1xx", "2xx", "3xx", "4xx", "5xx", "none"}

func quantiles(q *chaos.Quantiles) []string {
	if q.Count == 0 {
		return []string{"-", "-", "-", "-"}
	}
	return []string{duration(q.P50), duration(q.P90), duration(q.P99), duration(q.Max)}
}

// count writes a number of things, in at most seven characters.
func count(n uint64) string {
	if n >= 1_000_000 {
		return scaled(float64(n)/1e6, "M", "G", "T", "P", "E")
	}
	s := fmt.Sprint(n)
	if n >= 1000 {
		s = s[:len(s)-3] + "," + s[len(s)-3:]
	}
	return s
}

// size writes a number of bytes, in at most eight characters.
func size(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	return scaled(float64(n)/1000, " kB", " MB", " GB", " TB", " PB")
}

// duration writes seconds to three digits, in at most seven characters.
func duration(seconds float64) string {
	switch us := seconds * 1e6; {
	case seconds <= 0:
		return "0"
	case us < 999_500:
		return scaled(us, "µs", "ms")
	case seconds < 100:
		return scaled(seconds, "s")
	case seconds > 1e9:
		return "years"
	case seconds > 3600:
		return span(time.Duration(seconds * float64(time.Second)).Round(time.Minute))
	}
	return span(time.Duration(seconds * float64(time.Second)).Round(time.Second))
}

// span writes a duration without the zeros at its end.
func span(d time.Duration) string {
	s := d.String()
	if t, ok := strings.CutSuffix(s, "m0s"); ok {
		s = t + "m"
	}
	if t, ok := strings.CutSuffix(s, "h0m"); ok {
		s = t + "h"
	}
	return s
}

// scaled writes three digits of v and the unit that fits, each a thousand times the one before.
func scaled(v float64, units ...string) string {
	for v >= 999.5 && len(units) > 1 {
		v, units = v/1000, units[1:]
	}
	decimals := 0
	switch {
	case v < 9.995:
		decimals = 2
	case v < 99.95:
		decimals = 1
	}
	s := fmt.Sprintf("%.*f", decimals, v)
	if strings.Contains(s, ".") {
		s = strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
	}
	return s + units[0]
}

// share writes a part of all as percent.
func share(part, all uint64) string {
	if all == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f%%", 100*float64(part)/float64(all))
}

// clean keeps text that others have written in its line.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
}

// thin leaves spare columns out until all fit into a total with gaps of two, though words may have to be shortened: first those that
// say nothing.
func (g *grid) thin(total int) {
	var idle, others []string
	for _, head := range g.spare {
		i := slices.Index(g.rows[0], head)
		switch {
		case i < 0:
		case slices.ContainsFunc(g.rows[1:], func(row []string) bool { return row[i] != "0" && row[i] != "-" }):
			others = append(others, head)
		default:
			idle = append(idle, head)
		}
	}
	for _, head := range append(idle, others...) {
		if g.least() <= total {
			return
		}
		i := slices.Index(g.rows[0], head)
		if i < g.words {
			g.words--
		}
		for n := range g.rows {
			g.rows[n] = slices.Delete(g.rows[n], i, i+1)
		}
	}
}

// least is how wide the table is with long words shortened, but so that they can be read.
func (g *grid) least() int {
	sum := 2 * (len(g.rows[0]) - 1)
	for i, w := range g.natural() {
		if i < g.words {
			w = min(w, readable)
		}
		sum += w
	}
	return sum
}

// natural are the widths of the columns, in characters, if there is room for all.
func (g *grid) natural() []int {
	ws := make([]int, len(g.rows[0]))
	for _, row := range g.rows {
		for i, cell := range row {
			ws[i] = max(ws[i], utf8.RuneCountInString(cell))
		}
	}
	return ws
}

// widths are those of the columns, in characters. Columns of words are narrowed, the widest first, until all fit into a total
// with gaps of two.
func (g *grid) widths(total int) []int {
	ws := g.natural()
	sum := 2 * (len(ws) - 1)
	for _, w := range ws {
		sum += w
	}
	for ; sum > total; sum-- {
		words := ws[:g.words]
		widest := slices.Max(words)
		if widest <= narrowest {
			break
		}
		words[slices.Index(words, widest)]--
	}
	return ws
}

const (
	// narrowest is how narrow a column of words may become.
	narrowest = 8
	// readable is how wide one stays if columns can be left out instead.
	readable = 18
)
