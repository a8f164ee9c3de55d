package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/breakwater-gateway/breakwater/proxy/chaos"
)

// Columns is how wide a table is, in characters, unless WriteTable is told of less.
const Columns = 100

// leastColumns is how wide a table is at least, however narrow the terminal.
const leastColumns = 40

// page is what a table is written to, and how wide it is.
type page struct {
	*bufio.Writer
	width int
}

// WriteTable is Write for Table, and for a terminal that has fewer columns than Columns: what says least is left out there. A few rows
// may still be wider if there are fewer than 80.
func WriteTable(out io.Writer, r *chaos.Report, failing Failing, width int) error {
	w := page{bufio.NewWriter(out), min(max(width, leastColumns), Columns)}
	w.paragraph(fmt.Sprintf("Fault report of %s UTC: %s", r.Time.UTC().Format(time.DateTime), title(r, failing)), "")
	for _, n := range notes(r) {
		w.paragraph(n, "")
	}
	if len(r.Experiments) > 0 {
		fmt.Fprintln(w)
		g := summary(r)
		g.lay(w, "")
	}
	if len(r.Cut) > 0 {
		fmt.Fprintln(w)
		g := cuts(r)
		g.lay(w, "")
	}
	for i := range r.Experiments {
		fmt.Fprintln(w)
		w.block(&r.Experiments[i], r.Time)
	}
	return w.Flush()
}

// paragraph writes text in lines that fit, each after indent.
func (w page) paragraph(text, indent string) {
	for _, line := range wrap(text, w.width-len(indent)) {
		fmt.Fprintf(w, "%s%s\n", indent, line)
	}
}

// block writes all of one experiment.
func (w page) block(x *chaos.ExperimentReport, at time.Time) {
	fmt.Fprintf(w, "%s: %s\n", fit(Name(x), w.width-20), Judge(x, at).Outcome)
	for _, f := range facts(x, at) {
		w.paragraph(f, "  ")
	}
	for _, g := range details(x) {
		fmt.Fprintln(w)
		g.lay(w, "  ")
	}
}

// details are the tables of one experiment. What has no numbers is left out.
func details(x *chaos.ExperimentReport) (all []grid) {
	if len(x.Toxics) > 0 {
		all = append(all, toxics(x))
	}
	with, without := &x.InjectedTraffic, &x.UninjectedTraffic
	if with.Requests+with.Connections+without.Requests+without.Connections > 0 {
		all = append(all, clients(x), latencies(x))
	}
	return all
}

// lay writes the table for a terminal.
func (g *grid) lay(w page, indent string) {
	if w.width < Columns {
		g.thin(w.width - len(indent))
	}
	ws := g.widths(w.width - len(indent))
	for n, row := range g.rows {
		var line strings.Builder
		for i, cell := range row {
			cell = fit(cell, ws[i])
			if n == 0 {
				cell = strings.ToUpper(cell)
			}
			pad := strings.Repeat(" ", ws[i]-utf8.RuneCountInString(cell))
			if i < g.words {
				cell += pad
			} else {
				cell = pad + cell
			}
			if i > 0 {
				line.WriteString("  ")
			}
			line.WriteString(cell)
		}
		fmt.Fprintf(w, "%s%s\n", indent, strings.TrimRight(line.String(), " "))
	}
}

// fit shortens s to a number of characters.
func fit(s string, width int) string {
	s = clean(s)
	if utf8.RuneCountInString(s) <= width {
		return s
	}
	return string([]rune(s)[:width-1]) + "…"
}

// wrap breaks s into lines at spaces; a word that is too long is broken anywhere.
func wrap(s string, width int) (lines []string) {
	line := []rune{}
	for _, word := range strings.Fields(clean(s)) {
		rest := []rune(word)
		if len(line) > 0 && len(line)+1+len(rest) > width {
			lines, line = append(lines, string(line)), nil
		}
		if len(line) > 0 {
			line = append(line, ' ')
		}
		for len(rest) > width {
			lines, rest = append(lines, string(rest[:width])), rest[width:]
		}
		line = append(line, rest...)
	}
	return append(lines, string(line))
}
