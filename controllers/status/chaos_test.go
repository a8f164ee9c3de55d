package status

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
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

// Each Event is of the type that its kind has: a warning is what somebody should look into.
func TestTypesOfEvents(t *testing.T) {
	acts := built().With(running(proxy.ExperimentActive, 0), Replica{})
	for name, c := range map[string]struct {
		from, to *NetworkChaos
		halt     bool
		want     map[string]string
	}{
		"it starts": {built(), acts, false, map[string]string{v1alpha1.EventStarted: corev1.EventTypeNormal}},
		"it is over": {
			acts, built().With(running(proxy.ExperimentExpired, 3), Replica{}), false, map[string]string{v1alpha1.EventStopped: corev1.EventTypeNormal},
		},
		"it is halted": {
			acts, built().With(running(proxy.ExperimentHalted, 3), Replica{}), true,
			map[string]string{v1alpha1.ReasonHalted: corev1.EventTypeWarning, v1alpha1.EventStopped: corev1.EventTypeNormal},
		},
		"it is refused": {
			acts, built(refused).With(nil, Replica{}), false,
			map[string]string{v1alpha1.ReasonTargetNotFound: corev1.EventTypeWarning, v1alpha1.EventStopped: corev1.EventTypeNormal},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var o v1alpha1.NetworkChaos
			write(&o, c.from)
			before := o.DeepCopy()
			if c.halt {
				o.Status.Halt = &v1alpha1.Halt{Message: "5 of 5 requests failed"}
			}
			c.to.merge(&o, merge{now: metav1.NewTime(begun)})
			got := map[string]string{}
			for _, e := range c.to.transitions(before, &o) {
				got[e.Reason] = e.Type
			}
			if !maps.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

// Who waits for a change to be seen reads so in the status and in each condition, also where nothing else changes.
func TestTheGenerationIsObserved(t *testing.T) {
	third := func(n *NetworkChaos) {
		n.Generation = 3
		n.Accept(nil, "")
	}
	for name, n := range map[string]*NetworkChaos{
		"it acts":           built(third).With(running(proxy.ExperimentActive, 0), Replica{}),
		"it is over":        built(third).With(running(proxy.ExperimentExpired, 0), Replica{}),
		"not taken over":    built(third).With(nil, Replica{}),
		"it cannot be used": built(third).With(running(proxy.ExperimentInvalid, 0), Replica{}),
		"it is refused": built(refused, func(n *NetworkChaos) {
			n.Generation, n.Conditions[0].ObservedGeneration = 3, 3
		}).With(running(proxy.ExperimentRefused, 0), Replica{}),
	} {
		t.Run(name, func(t *testing.T) {
			var o v1alpha1.NetworkChaos
			write(&o, built().With(running(proxy.ExperimentActive, 0), Replica{}))
			for _, halt := range []*v1alpha1.Halt{nil, {Message: "bad"}} {
				o.Status.Halt = halt
				write(&o, n)
				if o.Status.ObservedGeneration != 3 || len(o.Status.Conditions) != 4 {
					t.Errorf("status: %+v", o.Status)
				}
				for _, c := range o.Status.Conditions {
					if c.ObservedGeneration != 3 {
						t.Errorf("%s is of generation %d", c.Type, c.ObservedGeneration)
					}
				}
			}
		})
	}
}

// The times are those of the run there is or was last; before the first, the next one's beginning, whose end is not said yet.
func TestTimesOfAnExperiment(t *testing.T) {
	next := begun.Add(24 * time.Hour)
	for name, c := range map[string]struct {
		live       *proxy.ExperimentStatus
		start, end *metav1.Time
	}{
		"not known":           {nil, Moment(begun.Add(-time.Hour)), Moment(begun)},
		"it acts":             {running(proxy.ExperimentActive, 0), Moment(begun), Moment(begun.Add(time.Hour))},
		"a run is to come":    {&proxy.ExperimentStatus{Phase: proxy.ExperimentPending, Next: next}, Moment(next), nil},
		"one was, one will":   {&proxy.ExperimentStatus{Start: begun, End: begun.Add(time.Hour), Next: next}, Moment(begun), Moment(begun.Add(time.Hour))},
		"there is no run yet": {&proxy.ExperimentStatus{Phase: proxy.ExperimentPending}, Moment(begun.Add(-time.Hour)), Moment(begun)},
	} {
		t.Run(name, func(t *testing.T) {
			var o v1alpha1.NetworkChaos
			write(&o, built(func(n *NetworkChaos) { n.Start, n.End = Moment(begun.Add(-time.Hour)), Moment(begun) }).With(c.live, Replica{}))
			if s := o.Status; !s.StartTime.Equal(c.start) || !s.EndTime.Equal(c.end) {
				t.Errorf("from %v to %v, want from %v to %v", s.StartTime, s.EndTime, c.start, c.end)
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
