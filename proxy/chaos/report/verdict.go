package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy/chaos"
)

// Outcome is what is to be said of an experiment in one word.
type Outcome string

// The Outcomes.
const (
	Injected     Outcome = "ok"            // it has injected faults, within its bounds
	Halted       Outcome = "halted"        // by its guard, at least once
	Refused      Outcome = "refused"       // it cannot act as it is written
	NoneInjected Outcome = "none-injected" // its time came, and no request or connection got a fault: it proves nothing
	Skipped      Outcome = "skipped"       // it was not to inject: a dry run, suspended or off all the time, or its time has not come
)

// Failing are the Outcomes that count as failures: what a CI run should not be content with. nil, if nobody says, is Halted and
// Refused.
type Failing []Outcome

func (f Failing) has(o Outcome) bool {
	if f == nil {
		f = Failing{Halted, Refused}
	}
	return slices.Contains(f, o)
}

// Verdict is an Outcome with what there is to say about it.
type Verdict struct {
	Outcome Outcome `json:"outcome"`
	Reason  string  `json:"reason,omitempty"`
}

// Judge says what has become of an experiment by the time of its report.
func Judge(x *chaos.ExperimentReport, at time.Time) Verdict {
	switch {
	case x.Problem != "":
		return Verdict{Refused, x.Problem}
	case x.HaltedReason != "":
		return Verdict{Halted, x.HaltedReason}
	case x.Halts > 0:
		return Verdict{Halted, "by its guard; it has been re-armed since"}
	case x.Injected > 0:
		return Verdict{Outcome: Injected}
	case !x.NeverActed:
		return Verdict{NoneInjected, inVain(x)}
	case x.DryRunOnly:
		return Verdict{Skipped, fmt.Sprintf("dry run: %s of %s would have got a fault", count(x.DryRun), matched(x.Matched))}
	case x.Missed:
		return Verdict{NoneInjected, "its time was over when it was loaded"}
	case x.Start == nil, x.Start.After(at):
		return Verdict{Skipped, "its time has not come"}
	case x.Phase == "Off":
		return Verdict{Skipped, "chaos is off"}
	case x.Phase == "Suspended":
		return Verdict{Skipped, "suspended"}
	}
	return Verdict{Skipped, "it was suspended, switched off or a dry run all the time"}
}

// inVain says why an experiment that has acted has injected nothing.
func inVain(x *chaos.ExperimentReport) string {
	switch {
	case x.DryRunOnly:
		return "nothing got a fault before it became a dry run"
	case x.Matched == 0 && isManual(x):
		return "no connection has met them"
	case x.Matched == 0:
		return "no request or connection matched"
	case x.SkippedByCap > 0:
		return fmt.Sprintf("the cap left out %s of %s", count(x.SkippedByCap), matched(x.Matched))
	}
	if slices.ContainsFunc(x.Toxics, func(t chaos.ToxicReport) bool { return t.Decided > 0 }) {
		return fmt.Sprintf("none of %s got a fault: those chosen were answered before or over, or had nothing to change",
			matched(x.Matched))
	}
	return fmt.Sprintf("none of %s got a fault", matched(x.Matched))
}

// matched is a count of requests and connections.
func matched(n uint64) string {
	if n == 1 {
		return "1 that matched"
	}
	return count(n) + " that matched"
}

// title is the headline of a report.
func title(r *chaos.Report, failing Failing) string {
	experiments, proxies, failed := 0, 0, 0
	for i := range r.Experiments {
		x := &r.Experiments[i]
		if isManual(x) {
			proxies++
		} else {
			experiments++
		}
		if failing.has(Judge(x, r.Time).Outcome) {
			failed++
		}
	}
	s := fmt.Sprintf("%d experiments", experiments)
	if experiments == 1 {
		s = "1 experiment"
	}
	switch {
	case experiments+proxies == 0:
		s = "no experiments"
	case experiments == 0:
		s = withToxics(proxies)
	case proxies > 0:
		s += ", " + withToxics(proxies)
	}
	if failed > 0 {
		s += fmt.Sprintf(", %d failed", failed)
	}
	return s
}

// withToxics is a number of proxies.
func withToxics(n int) string {
	if n == 1 {
		return "1 proxy with toxics"
	}
	return fmt.Sprintf("%d proxies with toxics", n)
}

// notes are what concerns the whole report.
func notes(r *chaos.Report) (all []string) {
	if !r.Enabled {
		all = append(all, "Chaos is off: nothing is injected.")
	}
	if r.Dropped > 0 {
		all = append(all, fmt.Sprintf("The fault log has lost %s lines: its file could not keep up.", count(r.Dropped)))
	}
	return all
}

// when says when the experiment acts or has acted, or when it may; "" if nothing is known.
func when(x *chaos.ExperimentReport, at time.Time) string {
	end := cmp.Or(x.End, x.Deadline)
	switch {
	case x.Start == nil, end == nil && x.Phase == "Removed":
		return ""
	case end == nil:
		return fmt.Sprintf("since %s UTC", x.Start.UTC().Format(time.DateTime))
	}
	from, to := x.Start.UTC(), end.UTC()
	s := fmt.Sprintf("%s to %s UTC (%s)", from.Format(time.DateTime), clock(to, from), span(to.Sub(from).Round(time.Second)))
	if x.End == nil && x.Phase != "Active" {
		s = "its window: " + s
	}
	switch {
	case x.Deleted || x.Problem != "" || x.Deadline == nil || !x.Deadline.After(at): // nothing is to come
	case x.End != nil:
		s += ", may go on until " + clock(x.Deadline.UTC(), to)
	case from.After(at):
		s += ", to come"
	default:
		s += ", " + span(to.Sub(at).Round(time.Second)) + " left"
	}
	return s
}

// clock is a time for people, after another one: its day is left out if it is the same.
func clock(t, after time.Time) string {
	if t.Format(time.DateOnly) == after.Format(time.DateOnly) {
		return t.Format(time.TimeOnly)
	}
	return t.Format(time.DateTime)
}

// facts are what is to be said of one experiment beside its numbers.
func facts(x *chaos.ExperimentReport, at time.Time) (all []string) {
	switch {
	case !isManual(x):
	case x.Name == "":
		all = append(all, "toxics made through the API for Toxiproxy's clients, of proxies that the report has no room for")
	default:
		all = append(all, "toxics made through the API for Toxiproxy's clients")
	}
	if v := Judge(x, at); v.Reason != "" {
		all = append(all, strings.TrimSpace(v.Reason))
	}
	if w := when(x, at); w != "" {
		all = append(all, w)
	}
	for i := range x.Toxics {
		if f := settings(&x.Toxics[i]); f != "" {
			all = append(all, f)
		}
	}
	if x.Deleted {
		all = append(all, "it has been deleted")
	}
	if x.Halts > 1 {
		all = append(all, fmt.Sprintf("halted %s times", count(x.Halts)))
	}
	return all
}

// settings says what a Manual is, or was at last; "" if that is not known.
func settings(t *chaos.ToxicReport) string {
	m := t.Manual
	if m == nil || t.Name == "" {
		return ""
	}
	s := fmt.Sprintf("%s: %s, toxicity %v", toxicName(t), cmp.Or(m.Attributes, "no attributes"), m.Toxicity)
	switch {
	case m.Changes == 1:
		s += ", changed once"
	case m.Changes > 1:
		s += fmt.Sprintf(", changed %s times", count(m.Changes))
	}
	if m.Removed {
		s += ", removed by now"
	}
	return s
}
