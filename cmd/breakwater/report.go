package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/breakwater-gateway/breakwater/proxy/admin"
	"github.com/breakwater-gateway/breakwater/proxy/chaos"
	"github.com/breakwater-gateway/breakwater/proxy/chaos/report"
)

const reportLong = `Report says what a running instance has injected and what clients saw, for each experiment: how many requests and
connections it matched and broke, what every toxic did, and status, latency, bytes and retries of the traffic with and without
faults. It is what to keep of a CI run.

With --fail-on the exit code is 1 if an experiment has had one of these outcomes:

  halted           its guard has halted it
  refused          it cannot act as it is written
  none-injected    it was active and nothing got a fault: the run proves nothing
  skipped          it was not to inject: a dry run, suspended or switched off all the time, or its time has not come
  no-experiments   there was none at all

What failed in the headline, and JUnit's failures, are those. Without --fail-on they are what is halted or refused.

A proxy or TCP route that has got toxics through the API for Toxiproxy's clients counts as an experiment, "toxiproxy NAME",
with a row for each toxic that it has had. Connections that the API has closed itself, for instance because their proxy was
disabled or deleted, are in a table of their own.

Experiments that have been deleted, toxics that have been removed and connections that were cut are reported, too. --forget
ends that for them, and a proxy that loses rows of toxics by it counts from 0 for the others: before a run of a CI it makes
sure that the report after it has none of an earlier run.`

const reportExample = `  breakwater report
  breakwater report --format junit --output chaos.xml --fail-on halted,refused,none-injected,no-experiments
  breakwater report --forget > /dev/null                 # before a run: nothing of an earlier one is reported after it
  breakwater report --format json --output chaos.json
  breakwater report --from chaos.json --format markdown >> "$GITHUB_STEP_SUMMARY"`

// reportOptions are the flags of report.
type reportOptions struct {
	instance instance
	from     string
	format   string
	output   string
	forget   bool
	failOn   []string
}

// noExperiments is an outcome of a run, not of an experiment.
const noExperiments = "no-experiments"

func newReport() *cobra.Command {
	o := reportOptions{instance: instance{hint: "--admin-address and --from say what to ask"}}
	c := &cobra.Command{
		Use:     "report",
		Short:   "Say what has been injected and what clients saw",
		Long:    reportLong,
		Example: reportExample,
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return o.run(c.Context(), c.InOrStdin(), c.OutOrStdout())
		},
	}
	addGroups(c,
		newGroup("Report", func(f *pflag.FlagSet) {
			f.StringVar(&o.format, "format", string(report.Table), "table, markdown, junit or json")
			f.StringVarP(&o.output, "output", "o", "-", "file to write; - is standard output")
			f.StringSliceVar(&o.failOn, "fail-on", nil, "outcomes that make the command fail (default none)")
			f.BoolVar(&o.forget, "forget", false, "leave experiments that have been deleted, rows of toxics that have been removed and connections that were cut by now out of all "+
				"later reports of the instance")
			f.StringVar(&o.from, "from", "", "file with a report as JSON, instead of asking an instance; - is standard input")
		}),
		newGroup(instanceTitle, o.instance.add),
	)
	return c
}

func (o *reportOptions) run(ctx context.Context, stdin io.Reader, stdout io.Writer) error {
	format, err := report.ParseFormat(o.format)
	if err != nil {
		return wrong("--format: %w", err)
	}
	outcomes := []string{
		string(report.Halted), string(report.Refused), string(report.NoneInjected), string(report.Skipped), noExperiments,
	}
	for _, outcome := range o.failOn {
		if !slices.Contains(outcomes, outcome) {
			return wrong("--fail-on %q: want some of %s", outcome, strings.Join(outcomes, ", "))
		}
	}
	if o.forget && o.from != "" {
		return wrong("--forget is for an instance, --from for a file")
	}
	r, err := o.read(ctx, stdin)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if o.output == "-" && format == report.Table {
		err = report.WriteTable(&b, r, o.failing(), tableWidth(stdout))
	} else {
		err = report.Write(&b, r, format, o.failing())
	}
	if err != nil {
		return err
	}
	if o.output == "-" {
		_, err = stdout.Write(b.Bytes())
	} else {
		err = os.WriteFile(o.output, b.Bytes(), 0o644)
	}
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	if o.forget {
		if err := o.instance.call(ctx, http.MethodPost, admin.ForgetPath, nil, io.Discard); err != nil {
			return err
		}
	}
	return o.verdict(r)
}

// tableWidth returns the width of a report's table that is written to w, in columns: all that it wants, unless w is a terminal that has fewer.
func tableWidth(w io.Writer) int { return cmp.Or(terminalWidth(w), report.Columns) }

// read returns the report of an instance, or of a file.
func (o *reportOptions) read(ctx context.Context, stdin io.Reader) (*chaos.Report, error) {
	var b bytes.Buffer
	var err error
	switch o.from {
	case "":
		err = o.instance.call(ctx, http.MethodGet, "/report", url.Values{"format": {string(report.JSON)}}, &b)
	case "-":
		_, err = io.Copy(&b, io.LimitReader(stdin, maxAnswer))
	default:
		var text []byte
		text, err = os.ReadFile(o.from)
		b.Write(text)
	}
	if err != nil {
		return nil, err
	}
	r := &chaos.Report{}
	if err := json.Unmarshal(b.Bytes(), r); err != nil {
		return nil, fmt.Errorf("read the report: %w", err)
	}
	if r.Time.IsZero() {
		return nil, errors.New("read the report: this is none: it has no time")
	}
	return r, nil
}

// failing is what --fail-on says of experiments; nil if it is not given.
func (o *reportOptions) failing() (all report.Failing) {
	for _, outcome := range o.failOn {
		all = append(all, report.Outcome(outcome)) // a run without experiments has none to count
	}
	return all
}

// verdict is the error that --fail-on wants, with a line for each reason.
func (o *reportOptions) verdict(r *chaos.Report) error {
	var failed []string
	if len(r.Experiments) == 0 && slices.Contains(o.failOn, noExperiments) {
		failed = append(failed, "there were no experiments, and no toxics of the API for Toxiproxy's clients")
	}
	for i := range r.Experiments {
		x := &r.Experiments[i]
		if v := report.Judge(x, r.Time); slices.Contains(o.failOn, string(v.Outcome)) {
			failed = append(failed, fmt.Sprintf("%s: %s: %s", report.Name(x), v.Outcome, v.Reason))
		}
	}
	if len(failed) == 0 {
		return nil
	}
	return errors.New("--fail-on: " + strings.Join(failed, "\n  "))
}
