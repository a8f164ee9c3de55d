// Package report holds the figures of a run and writes them: aligned tables for a terminal, the same in Markdown, and
// everything that was measured in JSON. It judges nothing. A Report is for one goroutine at a time.
package report

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Report is everything that one run found.
type Report struct {
	Started   time.Time  `json:"started"`
	Machine   Machine    `json:"machine"`
	Peers     []Peer     `json:"peers"`
	Missing   []string   `json:"missing,omitempty"`
	Workloads []Workload `json:"workloads,omitempty"`
	Idle      *Idle      `json:"idle,omitempty"`
	Scale     []Scale    `json:"scale,omitempty"`
	Routes    []Routes   `json:"routes,omitempty"`
	Reactions []Reaction `json:"reactions,omitempty"`
	Stream    *Stream    `json:"stream,omitempty"`
	API       []API      `json:"api,omitempty"`
	Warnings  []string   `json:"warnings,omitempty"`
}

// Peer is a proxy that took part.
type Peer struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
	Note    string `json:"note,omitempty"`
	GC      bool   `json:"gc"` // memory figures include the state of a garbage collector
	// Forwarded names the fields of the common job that reached the backend.
	Forwarded []string `json:"forwarded,omitempty"`
}

// Figures are what one round of one proxy came to. Times are microseconds, per request for CPU and User.
type Figures struct {
	CPU      float64 `json:"cpu"`
	User     float64 `json:"user"`
	Rate     float64 `json:"rate"` // requests per second
	P50      float64 `json:"p50"`
	P99      float64 `json:"p99"`
	Requests float64 `json:"requests"`
	Errors   int64   `json:"errors"`
}

// Row is one proxy's rounds, in the order in which they were run.
type Row struct {
	Peer   string    `json:"peer"`
	Rounds []Figures `json:"rounds"`
}

// Add appends a round.
func (r *Row) Add(f Figures) { r.Rounds = append(r.Rounds, f) }

// Series is one figure of every round.
func (r *Row) Series(of func(Figures) float64) []float64 {
	series := make([]float64, len(r.Rounds))
	for i, f := range r.Rounds {
		series[i] = of(f)
	}
	return series
}

// Workload is one workload's rows; the first one is the reference of the ratios.
type Workload struct {
	Name        string `json:"name"`
	Connections int    `json:"connections"`
	Seconds     int    `json:"seconds"`
	Goal        string `json:"goal,omitempty"` // what a reader is to compare the figures with
	Rows        []Row  `json:"rows"`
}

// Idle is the memory of idle keep-alive connections.
type Idle struct {
	Connections int       `json:"connections"`
	Rows        []IdleRow `json:"rows"`
}

// IdleRow is one proxy's rounds of proportional set size, in KiB.
type IdleRow struct {
	Peer   string    `json:"peer"`
	Before []float64 `json:"before"` // of the whole process, no connection open
	After  []float64 `json:"after"`
}

// PerConnection is the growth in KiB per connection, round by round.
func (r IdleRow) PerConnection(connections int) []float64 {
	series := make([]float64, min(len(r.Before), len(r.After)))
	for i := range series {
		series[i] = (r.After[i] - r.Before[i]) / float64(connections)
	}
	return series
}

// Warn adds a remark that a reader of the figures must know, once.
func (r *Report) Warn(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(r.Warnings, text) {
		r.Warnings = append(r.Warnings, text)
	}
}

// Write prints the tables and writes base.md and base.json.
func (r *Report) Write(out io.Writer, base string) error {
	tables := r.tables()
	var text, markdown strings.Builder
	r.head(&text, "")
	r.head(&markdown, "# ")
	for _, t := range tables {
		t.text(&text)
		t.markdown(&markdown)
	}
	r.foot(&text)
	r.foot(&markdown)
	if _, err := io.WriteString(out, text.String()); err != nil {
		return err
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(base), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(base+".md", []byte(markdown.String()), 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(base+".json", append(data, '\n'), 0o644); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "\nwritten: %s.md, %s.json\n", base, base)
	return err
}

func (r *Report) head(b *strings.Builder, mark string) {
	fmt.Fprintf(b, "%sBreakwater beside its peers, %s\n\n", mark, r.Started.Format(time.DateTime))
	for _, line := range r.Machine.lines() {
		fmt.Fprintf(b, "- %s\n", line)
	}
	for _, p := range r.Peers {
		fmt.Fprintf(b, "- %s %s: %s", p.Name, p.Version, p.Note)
		if len(p.Forwarded) > 0 {
			fmt.Fprintf(b, "; adds %s", strings.Join(p.Forwarded, ", "))
		}
		b.WriteByte('\n')
	}
	for _, text := range r.Missing {
		fmt.Fprintf(b, "- left out: %s\n", text)
	}
}

func (r *Report) foot(b *strings.Builder) {
	if len(r.Warnings) == 0 {
		return
	}
	b.WriteString("\nRemarks\n\n")
	for _, text := range r.Warnings {
		fmt.Fprintf(b, "- %s\n", text)
	}
}
