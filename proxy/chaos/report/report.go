// Package report writes a chaos.Report for people, for CI systems and for programs. It is pure: a Report in, bytes out; it asks no
// clock and keeps nothing. All of it may be called concurrently.
package report

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/breakwater-gateway/breakwater/proxy/chaos"
)

// Format is a way to write a Report.
type Format string

// The Formats.
const (
	Table    Format = "table"    // for a terminal; WriteTable fits it to a narrow one
	Markdown Format = "markdown" // GitHub's, for job summaries and comments
	JUnit    Format = "junit"    // XML, one test case for each experiment, or proxy with toxics
	JSON     Format = "json"     // the Report, with each experiment's Verdict
)

// Formats are all of them.
func Formats() []Format { return []Format{Table, Markdown, JUnit, JSON} }

// ParseFormat returns the Format of a name.
func ParseFormat(s string) (Format, error) {
	names := []string{}
	for _, f := range Formats() {
		if string(f) == s {
			return f, nil
		}
		names = append(names, string(f))
	}
	return "", fmt.Errorf("unknown format %q: want %s", s, strings.Join(names, ", "))
}

// ContentType is the media type of the Format.
func (f Format) ContentType() string {
	switch f {
	case JUnit:
		return "application/xml"
	case JSON:
		return "application/json"
	case Markdown:
		return "text/markdown; charset=utf-8"
	}
	return "text/plain; charset=utf-8"
}

// Write writes r, with the Outcomes that are failing counted as failures. It fails only if w does, or for a Format that is none.
func Write(w io.Writer, r *chaos.Report, f Format, failing Failing) error {
	switch f {
	case Table:
		return WriteTable(w, r, failing, Columns)
	case Markdown:
		return writeMarkdown(w, r, failing)
	case JUnit:
		return writeJUnit(w, r, failing)
	case JSON:
		return writeJSON(w, r)
	}
	_, err := ParseFormat(string(f))
	return err
}

// judged is an experiment with its Verdict, as JSON has it.
type judged struct {
	chaos.ExperimentReport
	Verdict
}

func writeJSON(w io.Writer, r *chaos.Report) error {
	document := struct {
		chaos.Report
		Experiments []judged `json:"experiments"` // in the place of the Report's
	}{*r, []judged{}}
	for _, x := range r.Experiments {
		document.Experiments = append(document.Experiments, judged{x, Judge(&x, r.Time)})
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(document)
}

// Name is how an experiment is called: namespace/name, or toxiproxy and the name of the proxy, which cannot be a namespace.
func Name(x *chaos.ExperimentReport) string {
	switch {
	case !isManual(x):
		return x.Namespace + "/" + x.Name
	case x.Name != "" || x.Injected > 0:
		return proxyName(x.Name)
	case x.NeverActed:
		return proxyName("(others that never acted)")
	}
	return proxyName("(others that injected nothing)")
}

// proxyName is how a proxy, or TCP route, of the API for Toxiproxy's clients is called.
func proxyName(name string) string { return "toxiproxy " + cmp.Or(name, others) }

// isManual reports whether this is about toxics that were made through the API for Toxiproxy's clients.
func isManual(x *chaos.ExperimentReport) bool { return x.Kind == chaos.ManualKind }

// others stands for what a report has no room for, together.
const others = "(others)"
