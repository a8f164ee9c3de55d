package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy/chaos"
)

func writeMarkdown(out io.Writer, r *chaos.Report, failing Failing) error {
	w := bufio.NewWriter(out)
	fmt.Fprintf(w, "# Fault report: %s\n\n%s UTC\n", title(r, failing), r.Time.UTC().Format(time.DateTime))
	for _, n := range notes(r) {
		fmt.Fprintf(w, "\n**%s**\n", n)
	}
	if len(r.Experiments) > 0 {
		g := summary(r)
		g.markdown(w)
	}
	if len(r.Cut) > 0 {
		g := cuts(r)
		g.markdown(w)
	}
	for i := range r.Experiments {
		x := &r.Experiments[i]
		fmt.Fprintf(w, "\n## %s: %s\n", escape(Name(x)), Judge(x, r.Time).Outcome)
		if all := facts(x, r.Time); len(all) > 0 {
			fmt.Fprintln(w)
			for _, f := range all {
				fmt.Fprintf(w, "- %s\n", escape(f))
			}
		}
		for _, g := range details(x) {
			g.markdown(w)
		}
	}
	return w.Flush()
}

// markdown writes the table, after an empty line.
func (g *grid) markdown(w *bufio.Writer) {
	fmt.Fprintln(w)
	for n, row := range g.rows {
		for _, cell := range row {
			fmt.Fprintf(w, "| %s ", escape(cell))
		}
		fmt.Fprintln(w, "|")
		if n > 0 {
			continue
		}
		for i := range row {
			if i < g.words {
				fmt.Fprint(w, "| --- ")
			} else {
				fmt.Fprint(w, "| ---: ")
			}
		}
		fmt.Fprintln(w, "|")
	}
}

// escape makes text of others inert: no markup, no HTML, no mentions, no new line.
func escape(s string) string {
	var b strings.Builder
	for _, r := range clean(s) {
		switch {
		case r == '<':
			b.WriteString("&lt;")
		case r == '&':
			b.WriteString("&amp;")
		case r == '@':
			b.WriteString("&#64;")
		case strings.ContainsRune("\\`*_[]|~#!", r):
			b.WriteRune('\\')
			b.WriteRune(r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
