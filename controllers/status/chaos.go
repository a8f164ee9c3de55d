package status

import (
	"fmt"
	"io"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/breakwater-gateway/breakwater/api/v1alpha1"
	"github.com/breakwater-gateway/breakwater/proxy"
)

// NetworkChaos is the desired status of one NetworkChaos. Conditions carry no lastTransitionTime. The build knows whether it is
// accepted; With adds what the data plane knows.
type NetworkChaos struct {
	UID        types.UID
	Generation int64
	Target     string       // the first target, for readers
	Start, End *metav1.Time // of the window, as far as it is known; to the second
	DryRun     bool
	Counts     *v1alpha1.Counts // nil: not known
	Conditions []metav1.Condition
}

// With returns n with what the data plane knows of the experiment; live is nil if it does not know it. The condition Halted is
// left to the Writer, since any replica may have halted it.
func (n *NetworkChaos) With(live *proxy.ExperimentStatus) *NetworkChaos {
	with := *n
	accepted := *meta.FindStatusCondition(n.Conditions, v1alpha1.ConditionAccepted)
	active := Condition(v1alpha1.ConditionActive, false, v1alpha1.ReasonNotAccepted, "it is not accepted", n.Generation)
	expired := Condition(v1alpha1.ConditionExpired, false, v1alpha1.ReasonNotExpired, "", n.Generation)
	if live != nil {
		with.Counts = &v1alpha1.Counts{
			Matched: int64(live.Matched), Injected: int64(live.Injected), SkippedByCap: int64(live.SkippedByCap), DryRun: int64(live.DryRun),
		}
		switch {
		case !live.Start.IsZero():
			with.Start, with.End = Moment(live.Start), Moment(live.End)
		case !live.Next.IsZero():
			with.Start, with.End = Moment(live.Next), nil
		}
	}
	switch {
	case accepted.Status != metav1.ConditionTrue:
	case live == nil:
		active = Condition(active.Type, false, v1alpha1.ReasonWaiting, "the proxy has not taken it over yet", n.Generation)
	case live.Phase == proxy.ExperimentInvalid:
		accepted = Condition(accepted.Type, false, v1alpha1.ReasonInvalid, live.Problem, n.Generation)
	default:
		is, reason, message := n.phase(live)
		active = Condition(active.Type, is, reason, message, n.Generation)
		if live.Phase == proxy.ExperimentExpired {
			expired = Condition(expired.Type, true, v1alpha1.ReasonExpired, "its time is over", n.Generation)
		}
	}
	with.Conditions = []metav1.Condition{accepted, active, expired}
	return &with
}

// phase returns the condition Active for a phase.
func (n *NetworkChaos) phase(live *proxy.ExperimentStatus) (is bool, reason, message string) {
	switch live.Phase {
	case proxy.ExperimentActive:
		if n.DryRun {
			return true, v1alpha1.ReasonDryRun, "faults are counted, not injected"
		}
		return true, v1alpha1.ReasonInjecting, "faults are being injected"
	case proxy.ExperimentSuspended:
		return false, v1alpha1.ReasonSuspended, "spec.suspend is true"
	case proxy.ExperimentOff:
		return false, v1alpha1.ReasonSwitchedOff, "chaos is off: the kill switch is used"
	case proxy.ExperimentHalted:
		return false, v1alpha1.ReasonHalted, "the guard has halted it; change spec.rearm to go on, or run \"breakwater chaos rearm\" in any replica"
	case proxy.ExperimentExpired:
		return false, v1alpha1.ReasonExpired, "its time is over"
	case proxy.ExperimentPending, proxy.ExperimentInvalid, proxy.ExperimentRefused:
	}
	return false, v1alpha1.ReasonWaiting, "its time has not come"
}

// SameButCounts reports whether two statuses differ in nothing but counts.
func (n *NetworkChaos) SameButCounts(other *NetworkChaos) bool {
	a, b := *n, *other
	a.Counts, b.Counts = nil, nil
	return sameDesired(&a, &b)
}

var (
	_ desired      = (*NetworkChaos)(nil)
	_ transitional = (*NetworkChaos)(nil)
)

func (n *NetworkChaos) object() client.Object  { return &v1alpha1.NetworkChaos{} }
func (n *NetworkChaos) of() (types.UID, int64) { return n.UID, n.Generation }
func (n *NetworkChaos) events() []Event        { return nil }

func (n *NetworkChaos) merge(obj client.Object, m merge) {
	o := obj.(*v1alpha1.NetworkChaos)
	s := &o.Status
	s.ObservedGeneration, s.Target = n.Generation, n.Target
	s.StartTime, s.EndTime = n.Start, n.End
	s.Counts = n.Counts
	if s.Halt != nil && s.Halt.Rearm != o.Spec.Rearm {
		s.Halt = nil
	}
	halted := Condition(v1alpha1.ConditionHalted, false, v1alpha1.ReasonNotHalted, "", n.Generation)
	if s.Halt != nil {
		halted = Condition(v1alpha1.ConditionHalted, true, v1alpha1.ReasonHalted, s.Halt.Message, n.Generation)
	}
	s.Conditions = m.conditions(s.Conditions, append([]metav1.Condition{halted}, n.Conditions...), chaosConditions())
}

func chaosConditions() []string {
	return []string{v1alpha1.ConditionAccepted, v1alpha1.ConditionActive, v1alpha1.ConditionHalted, v1alpha1.ConditionExpired}
}

// Moment returns a time as it is in the API, to the second; nil for the zero time.
func Moment(t time.Time) *metav1.Time {
	if t.IsZero() {
		return nil
	}
	m := metav1.NewTime(t.Round(0)).Rfc3339Copy()
	return &m
}

// transitions returns the Events for what has changed from one status to another: the start and the end of injection, a halt, a
// refusal.
func (n *NetworkChaos) transitions(before, after client.Object) (events []Event) {
	was, is := before.(*v1alpha1.NetworkChaos).Status, after.(*v1alpha1.NetworkChaos).Status
	holds := func(s *v1alpha1.NetworkChaosStatus, kind string) bool {
		return meta.IsStatusConditionTrue(s.Conditions, kind)
	}
	text := func(kind string) (reason, message string) {
		if c := meta.FindStatusCondition(is.Conditions, kind); c != nil {
			return c.Reason, c.Message
		}
		return "", ""
	}
	reason, message := text(v1alpha1.ConditionAccepted)
	old := meta.FindStatusCondition(was.Conditions, v1alpha1.ConditionAccepted)
	if !holds(&is, v1alpha1.ConditionAccepted) && (old == nil || old.Reason != reason || old.Message != message) {
		events = append(events, Event{corev1.EventTypeWarning, reason, message})
	}
	if !holds(&was, v1alpha1.ConditionHalted) && holds(&is, v1alpha1.ConditionHalted) {
		_, message = text(v1alpha1.ConditionHalted)
		events = append(events, Event{corev1.EventTypeWarning, v1alpha1.ReasonHalted, message})
	}
	_, message = text(v1alpha1.ConditionActive)
	switch ran, runs := holds(&was, v1alpha1.ConditionActive), holds(&is, v1alpha1.ConditionActive); {
	case !ran && runs:
		if is.EndTime != nil {
			message += " until " + is.EndTime.UTC().Format(time.RFC3339)
		}
		events = append(events, Event{corev1.EventTypeNormal, v1alpha1.EventStarted, fmt.Sprintf("%s: %s", n.Target, message)})
	case ran && !runs:
		if is.Counts != nil {
			message += fmt.Sprintf(" (%d injected of %d matched)", is.Counts.Injected, is.Counts.Matched)
		}
		events = append(events, Event{corev1.EventTypeNormal, v1alpha1.EventStopped, fmt.Sprintf("%s: %s", n.Target, message)})
	}
	return events
}

func (n *NetworkChaos) write(w io.Writer, key types.NamespacedName) {
	_, _ = fmt.Fprintf(w, "NetworkChaos %s target=%s", key, n.Target)
	if n.Start != nil && n.End != nil {
		_, _ = fmt.Fprintf(w, " %s to %s", n.Start.UTC().Format(time.RFC3339), n.End.UTC().Format(time.RFC3339))
	}
	_, _ = fmt.Fprintln(w)
	writeConditions(w, "  ", n.Conditions)
}

// NetworkChaos makes these the desired statuses of all NetworkChaos. It does not wait for anything to be written.
func (w *Writer) NetworkChaos(all map[types.NamespacedName]*NetworkChaos) {
	for name, d := range all {
		w.queue.Set(Key{v1alpha1.KindNetworkChaos, name}, d)
	}
	for _, key := range w.queue.Keys() {
		if key.Kind != v1alpha1.KindNetworkChaos || all[key.NamespacedName] != nil {
			continue
		}
		if last, ok := w.queue.Desired(key); ok {
			w.forget(key, last)
		}
	}
}
