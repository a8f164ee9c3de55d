package status

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/breakwater-gateway/breakwater/api/v1alpha1"
	"github.com/breakwater-gateway/breakwater/proxy"
)

var begun = time.Date(2026, 1, 1, 10, 0, 0, 0, time.UTC)

// built is what the build says of an experiment that is accepted.
func built(change ...func(*NetworkChaos)) *NetworkChaos {
	n := &NetworkChaos{
		UID: "u", Generation: 1, Target: "Ingress/app", Start: Moment(begun), End: Moment(begun.Add(time.Hour)),
		Conditions: []metav1.Condition{Condition(v1alpha1.ConditionAccepted, true, v1alpha1.ReasonAccepted, "", 1)},
	}
	for _, f := range change {
		f(n)
	}
	return n
}

func refused(n *NetworkChaos) {
	n.Start, n.End = nil, nil
	n.Conditions = []metav1.Condition{Condition(v1alpha1.ConditionAccepted, false, v1alpha1.ReasonTargetNotFound, "Ingress app not found", 1)}
}

// running is what the data plane says of it.
func running(phase proxy.ExperimentPhase, injected uint64) *proxy.ExperimentStatus {
	return &proxy.ExperimentStatus{
		UID: "u", Revision: 1, Phase: phase, Matched: 2 * injected, Injected: injected, Start: begun, End: begun.Add(time.Hour),
	}
}

// write makes n the status of the object and returns the Events.
func write(o *v1alpha1.NetworkChaos, n *NetworkChaos) (events []string) {
	before := o.DeepCopy()
	n.merge(o, merge{now: metav1.NewTime(begun)})
	for _, e := range n.transitions(before, o) {
		events = append(events, e.Reason+" "+e.Message)
	}
	return events
}

const (
	started = "Started Ingress/app: faults are being injected until 2026-01-01T11:00:00Z"
	counted = "Started Ingress/app: faults are counted, not injected until 2026-01-01T11:00:00Z"
)

// Why an experiment is not accepted is said by itself, whatever was remarked of it when it was.
func TestWhyAnExperimentIsNotAccepted(t *testing.T) {
	overlapping := func(n *NetworkChaos) { n.Conditions[0].Message = "shares targets" }
	for name, c := range map[string]struct {
		n    *NetworkChaos
		live *proxy.ExperimentStatus
		want string
	}{
		"by the build":      {built(refused), nil, "it is not accepted: Ingress app not found"},
		"by the data plane": {built(overlapping), &proxy.ExperimentStatus{Phase: proxy.ExperimentInvalid, Problem: "no such zone"}, "it is not accepted: no such zone"},
	} {
		if got := c.n.With(c.live, Replica{}).Conditions[1]; got.Reason != v1alpha1.ReasonNotAccepted || got.Message != c.want {
			t.Errorf("%s: %s: %q, want %q", name, got.Reason, got.Message, c.want)
		}
	}
}

// The data plane may have been switched off for all before the build says so.
func TestASwitchForAllIsToldAsSuch(t *testing.T) {
	at := Replica{Name: "pod-1", Switch: "the ConfigMap system/switch"}
	live := running(proxy.ExperimentOff, 0)
	live.SwitchedOff = []string{at.Switch}
	if got := built().With(live, at).Conditions[1].Message; got != "chaos is off in all replicas, switched off by "+at.Switch {
		t.Error(got)
	}
}

// What changes while an experiment acts is said as it is.
func TestEventsOfAnExperiment(t *testing.T) {
	here := Replica{Name: "pod-1", Switch: "the ConfigMap system/switch"}
	dry := func(n *NetworkChaos) { n.DryRun = true }
	scheduled := running(proxy.ExperimentPending, 3)
	scheduled.Next = begun.Add(24 * time.Hour)
	off := running(proxy.ExperimentOff, 3)
	off.SwitchedOff = []string{"the admin endpoint"}
	for name, c := range map[string]struct {
		from, to *NetworkChaos
		want     []string
	}{
		"a dry run becomes real": {built(dry).With(running(proxy.ExperimentActive, 0), here), built().With(running(proxy.ExperimentActive, 0), here), []string{started}},
		"it becomes a dry run":   {built().With(running(proxy.ExperimentActive, 0), here), built(dry).With(running(proxy.ExperimentActive, 0), here), []string{counted}},
		"nothing":                {built().With(running(proxy.ExperimentActive, 0), here), built().With(running(proxy.ExperimentActive, 5), here), nil},
		"a run ends": {built().With(running(proxy.ExperimentActive, 0), here), built().With(scheduled, here), []string{
			"Stopped Ingress/app: its run is over, the next begins at 2026-01-02T10:00:00Z (3 injected of 6 matched)",
		}},
		"it is refused": {built().With(running(proxy.ExperimentActive, 0), here), built(refused).With(running(proxy.ExperimentRefused, 3), here), []string{
			"TargetNotFound Ingress app not found",
			"Stopped Ingress/app: it is not accepted: Ingress app not found (3 injected of 6 matched)",
		}},
		"switched off here": {built().With(running(proxy.ExperimentActive, 0), here), built().With(off, here), []string{
			"Stopped Ingress/app: chaos is off in the replica pod-1, switched off by the admin endpoint; in all replicas the ConfigMap system/switch does that" +
				" (3 injected of 6 matched)",
		}},
		"switched off everywhere": {
			built().With(running(proxy.ExperimentActive, 0), here),
			built(func(n *NetworkChaos) { n.Off = "the ConfigMap system/switch" }).With(off, here), []string{
				"Stopped Ingress/app: chaos is off in all replicas, switched off by the ConfigMap system/switch (3 injected of 6 matched)",
			},
		},
		"nothing to touch": {
			built().With(running(proxy.ExperimentActive, 0), here),
			built(func(n *NetworkChaos) { n.Idle = "no route" }).With(running(proxy.ExperimentActive, 3), here), []string{
				"Stopped Ingress/app: no route (3 injected of 6 matched)",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var o v1alpha1.NetworkChaos
			write(&o, c.from)
			if got := write(&o, c.to); !slices.Equal(got, c.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

// What has been counted stays when nothing can be counted any more, whoever leads.
func TestResultsStay(t *testing.T) {
	for name, to := range map[string]*NetworkChaos{
		"refused":                built(refused).With(running(proxy.ExperimentRefused, 5), Replica{}),
		"refused, after restart": built(refused).With(&proxy.ExperimentStatus{UID: "u", Phase: proxy.ExperimentRefused}, Replica{}),
		"refused, not known yet": built(refused).With(nil, Replica{}),
		"expired":                built().With(running(proxy.ExperimentExpired, 5), Replica{}),
		"expired, after restart": built().With(running(proxy.ExperimentExpired, 0), Replica{}),
	} {
		t.Run(name, func(t *testing.T) {
			var o v1alpha1.NetworkChaos
			write(&o, built().With(running(proxy.ExperimentActive, 5), Replica{}))
			write(&o, to)
			s := o.Status
			if s.Counts == nil || s.Counts.Injected != 5 || s.StartTime == nil || s.EndTime == nil || !s.StartTime.Time.Equal(begun) {
				t.Errorf("counts %+v, from %v to %v", s.Counts, s.StartTime, s.EndTime)
			}
		})
	}
	var o v1alpha1.NetworkChaos
	write(&o, built().With(running(proxy.ExperimentActive, 5), Replica{}))
	write(&o, built().With(running(proxy.ExperimentActive, 0), Replica{}))
	if got := fmt.Sprint(*o.Status.Counts); got != "{0 0 0 0}" {
		t.Errorf("with another leader, while it acts: %s", got)
	}
}
