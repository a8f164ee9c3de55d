package status

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
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
	// Idle is why there is nothing that it could touch; empty if there is, or it is not accepted.
	Idle string
	// Off is what has switched chaos off in all replicas; empty if nothing has. With Unread it only might have: it has not been read.
	Off    string
	Unread bool
	// Overlapping are the experiments that share targets with it, itself included, in the order in which they act; empty if there are no
	// others, or it is not accepted. The build does not know which of them are over: see Without.
	Overlapping []types.NamespacedName
	Remark      string           // what else there is to say of what is accepted; may be empty
	Counts      *v1alpha1.Counts // nil: not known
	Conditions  []metav1.Condition
}

// Replica is whose data plane a status speaks of.
type Replica struct {
	Name   string // the pod's
	Switch string // what switches chaos off in all replicas; empty: nothing does
}

// Accept makes n that of an experiment that is accepted.
func (n *NetworkChaos) Accept(overlapping []types.NamespacedName, remark string) {
	reason, remarks := v1alpha1.ReasonAccepted, []string{}
	if n.Overlapping, n.Remark = nil, remark; len(overlapping) > 1 {
		n.Overlapping, reason = overlapping, v1alpha1.ReasonOverlapping
		remarks = append(remarks, "shares targets with other experiments; they act in this order: "+namesOf(overlapping))
	}
	if remark != "" {
		remarks = append(remarks, remark)
	}
	n.Conditions = []metav1.Condition{Condition(v1alpha1.ConditionAccepted, true, reason, strings.Join(remarks, "; "), n.Generation)}
}

// namesOf returns the names of experiments, for a message.
func namesOf(all []types.NamespacedName) string {
	const most = 10
	var names []string
	for _, name := range all[:min(len(all), most)] {
		names = append(names, name.String())
	}
	text := strings.Join(names, ", ")
	if rest := len(all) - most; rest > 0 {
		text += fmt.Sprintf(" and %d more", rest)
	}
	return text
}

// Without returns n with no experiment among those that overlap that has ended.
func (n *NetworkChaos) Without(ended func(types.NamespacedName) bool) *NetworkChaos {
	if !slices.ContainsFunc(n.Overlapping, ended) {
		return n
	}
	without := *n
	without.Accept(slices.DeleteFunc(slices.Clone(n.Overlapping), ended), n.Remark)
	return &without
}

// Agrees reports whether the data plane, whose live is nil if it does not know the experiment, is where the build is. Either may be
// ahead for a moment, in which nothing true can be said.
func (n *NetworkChaos) Agrees(live *proxy.ExperimentStatus) bool {
	if !meta.IsStatusConditionTrue(n.Conditions, v1alpha1.ConditionAccepted) {
		return true
	}
	return !n.Unread && live != nil && live.Phase != proxy.ExperimentRefused && live.Revision == n.Generation
}

// With returns n with what the data plane of a replica knows of the experiment; live is nil if it does not know it. The condition Halted
// is left to the Writer, since any replica may have halted it.
func (n *NetworkChaos) With(live *proxy.ExperimentStatus, at Replica) *NetworkChaos {
	with := *n
	accepted := *meta.FindStatusCondition(n.Conditions, v1alpha1.ConditionAccepted)
	active := notAccepted(&accepted)
	expired := Condition(v1alpha1.ConditionExpired, false, v1alpha1.ReasonNotExpired, "", n.Generation)
	if live != nil {
		with = *n.WithCounts(live)
		switch {
		case !live.Start.IsZero():
			with.Start, with.End = Moment(live.Start), Moment(live.End)
		case !live.Next.IsZero():
			with.Start, with.End = Moment(live.Next), nil
		}
	}
	switch {
	case accepted.Status != metav1.ConditionTrue:
	case live == nil || live.Phase == proxy.ExperimentRefused:
		active = Condition(active.Type, false, v1alpha1.ReasonWaiting, "the proxy has not taken it over yet", n.Generation)
	case live.Phase == proxy.ExperimentInvalid:
		accepted = Condition(accepted.Type, false, v1alpha1.ReasonInvalid, live.Problem, n.Generation)
		active = notAccepted(&accepted)
	default:
		is, reason, message := n.phase(live, at)
		active = Condition(active.Type, is, reason, message, n.Generation)
		if live.Phase == proxy.ExperimentExpired {
			expired = Condition(expired.Type, true, v1alpha1.ReasonExpired, "its time is over", n.Generation)
		}
	}
	with.Conditions = []metav1.Condition{accepted, active, expired}
	return &with
}

// notAccepted returns the condition Active of an experiment that is not accepted.
func notAccepted(accepted *metav1.Condition) metav1.Condition {
	return Condition(v1alpha1.ConditionActive, false, v1alpha1.ReasonNotAccepted, "it is not accepted: "+accepted.Message, accepted.ObservedGeneration)
}

// WithCounts returns n with the counts of the data plane.
func (n *NetworkChaos) WithCounts(live *proxy.ExperimentStatus) *NetworkChaos {
	with := *n
	with.Counts = &v1alpha1.Counts{
		Matched: int64(live.Matched), Injected: int64(live.Injected), SkippedByCap: int64(live.SkippedByCap), DryRun: int64(live.DryRun),
	}
	return &with
}

// phase returns the condition Active for a phase.
func (n *NetworkChaos) phase(live *proxy.ExperimentStatus, at Replica) (is bool, reason, message string) {
	switch live.Phase {
	case proxy.ExperimentActive:
		switch {
		case n.Idle != "":
			return false, v1alpha1.ReasonNoTraffic, n.Idle
		case n.DryRun:
			return true, v1alpha1.ReasonDryRun, "faults are counted, not injected"
		}
		return true, v1alpha1.ReasonInjecting, "faults are being injected"
	case proxy.ExperimentSuspended:
		return false, v1alpha1.ReasonSuspended, "spec.suspend is true"
	case proxy.ExperimentOff:
		return false, v1alpha1.ReasonSwitchedOff, n.off(live, at)
	case proxy.ExperimentHalted:
		return false, v1alpha1.ReasonHalted, "the guard has halted it; change spec.rearm to go on, or run \"breakwater chaos rearm\" in any replica"
	case proxy.ExperimentExpired:
		return false, v1alpha1.ReasonExpired, "its time is over"
	case proxy.ExperimentPending, proxy.ExperimentInvalid, proxy.ExperimentRefused:
	}
	if !live.Start.IsZero() && !live.Next.IsZero() {
		return false, v1alpha1.ReasonWaiting, "its run is over, the next begins at " + live.Next.UTC().Format(time.RFC3339)
	}
	return false, v1alpha1.ReasonWaiting, "its time has not come"
}

// off says by what chaos is off, and where: the kill switches of one replica say nothing of the others.
func (n *NetworkChaos) off(live *proxy.ExperimentStatus, at Replica) string {
	switch {
	case n.Unread:
		return fmt.Sprintf("chaos is off in the replica %s because of %s", at.Name, n.Off)
	case n.Off != "" || slices.Contains(live.SwitchedOff, at.Switch): // the data plane may know it before the build does
		return "chaos is off in all replicas, switched off by " + cmp.Or(n.Off, at.Switch)
	}
	text := fmt.Sprintf("chaos is off in the replica %s, switched off by %s", at.Name, strings.Join(live.SwitchedOff, " and by "))
	if at.Switch != "" {
		text += "; in all replicas " + at.Switch + " does that"
	}
	return text
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
	n.mergeResults(s)
	if s.Halt != nil && s.Halt.Rearm != o.Spec.Rearm {
		s.Halt = nil
	}
	halted := Condition(v1alpha1.ConditionHalted, false, v1alpha1.ReasonNotHalted, "", n.Generation)
	if s.Halt != nil {
		halted = Condition(v1alpha1.ConditionHalted, true, v1alpha1.ReasonHalted, s.Halt.Message, n.Generation)
	}
	s.Conditions = m.conditions(s.Conditions, append([]metav1.Condition{halted}, n.Conditions...), chaosConditions())
}

// mergeResults changes times and counts to what is desired. When nothing can be counted any more, what has been stays: a replica that
// was not there then would have it forgotten.
func (n *NetworkChaos) mergeResults(s *v1alpha1.NetworkChaosStatus) {
	isRefused := !meta.IsStatusConditionTrue(n.Conditions, v1alpha1.ConditionAccepted)
	isOver := isRefused || meta.IsStatusConditionTrue(n.Conditions, v1alpha1.ConditionExpired)
	if !isRefused || n.Start != nil {
		s.StartTime, s.EndTime = n.Start, n.End
	}
	if !isOver || s.Counts == nil || n.Counts != nil && n.Counts.Matched >= s.Counts.Matched {
		s.Counts = n.Counts
	}
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
	_, message = text(v1alpha1.ConditionHalted)
	old = meta.FindStatusCondition(was.Conditions, v1alpha1.ConditionHalted)
	if holds(&is, v1alpha1.ConditionHalted) && (!holds(&was, v1alpha1.ConditionHalted) || old.Message != message) {
		events = append(events, Event{corev1.EventTypeWarning, v1alpha1.ReasonHalted, message})
	}
	reason, message = text(v1alpha1.ConditionActive)
	old = meta.FindStatusCondition(was.Conditions, v1alpha1.ConditionActive)
	switch ran, runs := holds(&was, v1alpha1.ConditionActive), holds(&is, v1alpha1.ConditionActive); {
	case runs && (!ran || old.Reason != reason): // also if a dry run becomes a real one
		if is.EndTime != nil {
			message += " until " + is.EndTime.UTC().Format(time.RFC3339)
		}
		events = append(events, Event{corev1.EventTypeNormal, v1alpha1.EventStarted, fmt.Sprintf("%s: %s", n.Target, message)})
	case ran && !runs:
		events = append(events, n.stopped(message, is.Counts))
	}
	return events
}

func (n *NetworkChaos) stopped(message string, counts *v1alpha1.Counts) Event {
	if counts != nil {
		message += fmt.Sprintf(" (%d injected of %d matched)", counts.Injected, counts.Matched)
	}
	return Event{corev1.EventTypeNormal, v1alpha1.EventStopped, fmt.Sprintf("%s: %s", n.Target, message)}
}

func (n *NetworkChaos) write(w io.Writer, key types.NamespacedName) {
	_, _ = fmt.Fprintf(w, "NetworkChaos %s target=%s", key, n.Target)
	if n.Start != nil && n.End != nil {
		_, _ = fmt.Fprintf(w, " %s to %s", n.Start.UTC().Format(time.RFC3339), n.End.UTC().Format(time.RFC3339))
	}
	_, _ = fmt.Fprintln(w)
	if n.Idle != "" {
		_, _ = fmt.Fprintf(w, "  idle: %s\n", n.Idle)
	}
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

// DeletedChaos emits, if this replica leads, the Event for a NetworkChaos that has been deleted while it was active. last is what was
// known of it then.
func (w *Writer) DeletedChaos(name types.NamespacedName, last *NetworkChaos) {
	if !w.leading.Load() || !meta.IsStatusConditionTrue(last.Conditions, v1alpha1.ConditionActive) {
		return
	}
	o := &v1alpha1.NetworkChaos{ObjectMeta: metav1.ObjectMeta{Namespace: name.Namespace, Name: name.Name, UID: last.UID}}
	w.eventf(o, last.stopped("it has been deleted", last.Counts))
}
