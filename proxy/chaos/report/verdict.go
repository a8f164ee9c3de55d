package report

import (
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
	NoneInjected Outcome = "none-injected" // it was active, and no request or connection got a fault: it proves nothing
	Skipped      Outcome = "skipped"       // it was not to inject: a dry run, suspended, switched off, or its time has not come
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
	case x.DryRunOnly:
		return Verdict{Skipped, fmt.Sprintf("dry run: %s of %s would have got a fault", count(x.DryRun), matched(x.Matched))}
	case x.Injected > 0:
		return Verdict{Outcome: Injected}
	case x.Start == nil, x.Start.After(at):
		return Verdict{Skipped, "its time has not come"}
	case x.Phase == "Suspended":
		return Verdict{Skipped, "suspended"}
	case x.Phase == "Off":
		return Verdict{Skipped, "the kill switch is on"}
	case x.Matched == 0:
		return Verdict{NoneInjected, "no request or connection matched"}
	case x.SkippedByCap > 0:
		return Verdict{NoneInjected, fmt.Sprintf("the cap left out %s of %s", count(x.SkippedByCap), matched(x.Matched))}
	}
	return Verdict{NoneInjected, fmt.Sprintf("none of %s was chosen", matched(x.Matched))}
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
	failed := 0
	for i := range r.Experiments {
		if failing.has(Judge(&r.Experiments[i], r.Time).Outcome) {
			failed++
		}
	}
	s := "no experiments"
	switch n := len(r.Experiments); {
	case n == 1:
		s = "1 experiment"
	case n > 1:
		s = fmt.Sprintf("%d experiments", n)
	}
	if failed > 0 {
		s += fmt.Sprintf(", %d failed", failed)
	}
	return s
}

// notes are what concerns the whole report.
func notes(r *chaos.Report) (all []string) {
	if !r.Enabled {
		all = append(all, "The kill switch is on: nothing is injected.")
	}
	if r.Dropped > 0 {
		all = append(all, fmt.Sprintf("The fault log has lost %s lines: its file could not keep up.", count(r.Dropped)))
	}
	return all
}

// when says when the experiment acts or has acted; "" if nothing is known.
func when(x *chaos.ExperimentReport, at time.Time) string {
	if x.Start == nil || x.End == nil {
		return ""
	}
	from, to := x.Start.UTC(), x.End.UTC()
	layout := time.DateTime
	if from.Format(time.DateOnly) == to.Format(time.DateOnly) {
		layout = time.TimeOnly
	}
	s := fmt.Sprintf("%s to %s UTC (%s)", from.Format(time.DateTime), to.Format(layout), span(to.Sub(from).Round(time.Second)))
	switch {
	case x.Deleted || x.Problem != "": // whatever was to come does not
	case from.After(at):
		s += ", to come"
	case to.After(at):
		s += ", " + span(to.Sub(at).Round(time.Second)) + " left"
	}
	return s
}

// facts are what is to be said of one experiment beside its numbers.
func facts(x *chaos.ExperimentReport, at time.Time) (all []string) {
	if v := Judge(x, at); v.Reason != "" {
		all = append(all, strings.TrimSpace(v.Reason))
	}
	if w := when(x, at); w != "" {
		all = append(all, w)
	}
	if x.Deleted {
		all = append(all, "it has been deleted")
	}
	if x.Halts > 1 {
		all = append(all, fmt.Sprintf("halted %s times", count(x.Halts)))
	}
	return all
}
