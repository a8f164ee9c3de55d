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

// columns is how wide a terminal is taken to be.
const columns = 100

func writeTable(out io.Writer, r *chaos.Report, failing Failing) error {
	w := bufio.NewWriter(out)
	fmt.Fprintf(w, "Fault report of %s UTC: %s\n", r.Time.UTC().Format(time.DateTime), title(r, failing))
	for _, n := range notes(r) {
		fmt.Fprintln(w, n)
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
		block(w, &r.Experiments[i], r.Time)
	}
	return w.Flush()
}

// block writes all of one experiment.
func block(w *bufio.Writer, x *chaos.ExperimentReport, at time.Time) {
	fmt.Fprintf(w, "%s: %s\n", fit(Name(x), columns-20), Judge(x, at).Outcome)
	for _, f := range facts(x, at) {
		for _, line := range wrap(f, columns-2) {
			fmt.Fprintf(w, "  %s\n", line)
		}
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
func (g *grid) lay(w *bufio.Writer, indent string) {
	ws := g.widths(columns - len(indent))
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
