package report

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy/chaos"
)

// JUnit's XML has no one schema. This is valid by both that are in use, Apache Ant's and that of Jenkins (junit-10.xsd): each
// experiment, and each proxy with toxics, is a suite of one case, since properties and output belong to suites there; readers add the
// suites up.

type suites struct {
	XMLName xml.Name `xml:"testsuites"`
	Suites  []suite  `xml:"testsuite"`
}

type suite struct {
	ID         int        `xml:"id,attr"`
	Name       string     `xml:"name,attr"`
	Package    string     `xml:"package,attr"`
	Timestamp  string     `xml:"timestamp,attr"`
	Hostname   string     `xml:"hostname,attr"`
	Tests      int        `xml:"tests,attr"`
	Failures   int        `xml:"failures,attr"`
	Errors     int        `xml:"errors,attr"`
	Skipped    int        `xml:"skipped,attr"`
	Time       string     `xml:"time,attr"`
	Properties []property `xml:"properties>property"`
	Case       testCase   `xml:"testcase"`
	Out        output     `xml:"system-out"`
	Err        string     `xml:"system-err"`
}

type property struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type testCase struct {
	Name    string  `xml:"name,attr"`
	Class   string  `xml:"classname,attr"`
	Time    string  `xml:"time,attr"`
	Skipped *remark `xml:"skipped"`
	Failure *remark `xml:"failure"`
}

type remark struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr,omitempty"`
	Text    string `xml:",cdata"`
}

type output struct {
	Text string `xml:",cdata"`
}

func writeJUnit(w io.Writer, r *chaos.Report, failing Failing) error {
	document := suites{}
	for i := range r.Experiments {
		s := suiteOf(&r.Experiments[i], r.Time, failing)
		s.ID = i
		document.Suites = append(document.Suites, s)
	}
	for _, c := range r.Cut {
		ofProxy := func(x chaos.ExperimentReport) bool { return isManual(&x) && x.Name == c.Proxy }
		if i := slices.IndexFunc(r.Experiments, ofProxy); i >= 0 { // the first, as the others are several
			s := &document.Suites[i]
			s.Properties = append(s.Properties, property{"cut." + c.Why, fmt.Sprint(c.Connections)})
		}
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(document); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func suiteOf(x *chaos.ExperimentReport, at time.Time, failing Failing) suite {
	began, took := at, time.Duration(0)
	if x.Start != nil && x.Start.Before(at) {
		began = *x.Start
		switch {
		case x.End != nil:
			took = x.End.Sub(began)
		case x.Phase == "Active":
			took = at.Sub(began)
		}
	}
	elapsed := strconv.FormatFloat(took.Seconds(), 'f', 3, 64)
	var text bytes.Buffer
	b := page{bufio.NewWriter(&text), Columns}
	b.block(x, at)
	_ = b.Flush() // into memory
	s := suite{
		Name: Name(x), Package: "breakwater", Timestamp: began.UTC().Format("2006-01-02T15:04:05"), Hostname: "localhost", Tests: 1,
		Time: elapsed, Properties: properties(x), Out: output{text.String()},
		Case: testCase{Name: Name(x), Class: "breakwater." + x.Kind, Time: elapsed},
	}
	switch v := Judge(x, at); {
	case failing.has(v.Outcome):
		s.Failures = 1
		s.Case.Failure = &remark{Message: string(v.Outcome) + ": " + v.Reason, Type: string(v.Outcome), Text: text.String()}
	case v.Outcome == Skipped || v.Outcome == NoneInjected: // what has not happened is no success either
		s.Skipped = 1
		s.Case.Skipped = &remark{Message: v.Reason}
	}
	return s
}

// properties are all numbers of an experiment.
func properties(x *chaos.ExperimentReport) (all []property) {
	add := func(name string, v any) { all = append(all, property{name, fmt.Sprint(v)}) }
	spread := func(name string, q *chaos.Quantiles) {
		if q.Count == 0 {
			return
		}
		add(name+".p50", q.P50)
		add(name+".p90", q.P90)
		add(name+".p99", q.P99)
		add(name+".max", q.Max)
	}
	add("phase", x.Phase)
	if x.At != "" {
		add("at", x.At)
	}
	for _, t := range []struct {
		name string
		at   *time.Time
	}{{"start", x.Start}, {"end", x.End}, {"deadline", x.Deadline}} {
		if t.at != nil {
			add(t.name, t.at.UTC().Format(time.RFC3339))
		}
	}
	add("matched", x.Matched)
	add("injected", x.Injected)
	add("skippedByCap", x.SkippedByCap)
	add("dryRun", x.DryRun)
	add("halts", x.Halts)
	for i := range x.Toxics {
		t := &x.Toxics[i]
		name := "toxic." + cmp.Or(t.Name, others)
		add(name+".type", t.Type)
		if m := t.Manual; m != nil {
			add(name+".stream", m.Stream)
			add(name+".attributes", m.Attributes)
			add(name+".toxicity", m.Toxicity)
			add(name+".changes", m.Changes)
			add(name+".removed", m.Removed)
			add(name+".matched", m.Matched)
		}
		add(name+".decided", t.Decided)
		add(name+".applied", t.Applied)
		add(name+".ended", t.Ended)
		add(name+".bytes", t.Bytes)
		spread(name+".delay", &t.Delay)
	}
	traffic := func(name string, t *chaos.TrafficReport) {
		add(name+".requests", t.Requests)
		add(name+".connections", t.Connections)
		add(name+".failed", t.Failed)
		for _, c := range classes {
			if n := t.Status[c]; n > 0 {
				add(name+".status."+c, n)
			}
		}
		spread(name+".latency", &t.Latency)
		add(name+".upstreamBytes", t.UpstreamBytes)
		add(name+".downstreamBytes", t.DownstreamBytes)
		add(name+".retries", t.Retries)
	}
	traffic("injectedTraffic", &x.InjectedTraffic)
	traffic("uninjectedTraffic", &x.UninjectedTraffic)
	return all
}
