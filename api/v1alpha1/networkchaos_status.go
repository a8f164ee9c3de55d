package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// NetworkChaosStatus says what has come of a NetworkChaos.
type NetworkChaosStatus struct {
	// observedGeneration is the generation of the spec that the rest of the status speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// target is the first target for readers, with the number of others.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Target string `json:"target,omitempty"`
	// startTime is when the experiment started, or when the latest run of its schedule did or the first will.
	// +optional
	StartTime *metav1.Time `json:"startTime,omitempty"`
	// endTime is when that run ends or ended.
	// +optional
	EndTime *metav1.Time `json:"endTime,omitempty"`
	// counts of requests or connections, as the replica that leads sees them; they begin anew when it does, unless the experiment is over
	// or not accepted any more.
	// +optional
	Counts *Counts `json:"counts,omitempty"`
	// halt is there while the experiment is halted: by any replica, and for all of them. Whoever removes it lifts the halt for all.
	// +optional
	Halt *Halt `json:"halt,omitempty"`
	// halts is how often guards have halted the experiment; halt, if it is there, is the latest.
	// +optional
	Halts int64 `json:"halts,omitempty"`
	// conditions are Accepted, Active, Halted and Expired.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// Counts of requests or connections.
type Counts struct {
	// matched were selected: by target, match and token.
	Matched int64 `json:"matched"`
	// injected got at least one fault.
	Injected int64 `json:"injected"`
	// skippedByCap would have got one but for a maxPercent.
	SkippedByCap int64 `json:"skippedByCap"`
	// dryRun would have got one but for dryRun.
	DryRun int64 `json:"dryRun"`
}

// Halt is why an experiment is halted.
type Halt struct {
	// time of the halt.
	Time metav1.Time `json:"time"`
	// rearm is spec.rearm at that time. The halt lasts for as long as both are the same.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Rearm string `json:"rearm,omitempty"`
	// message says what was measured.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
}

// Types of conditions of a NetworkChaos.
const (
	// ConditionAccepted: the experiment is valid, its targets exist and may be broken.
	ConditionAccepted = "Accepted"
	// ConditionActive: faults are being injected, or counted in a dry run. The reason says why they are not.
	ConditionActive = "Active"
	// ConditionHalted: the guard has halted it; changing spec.rearm, or "breakwater chaos rearm" at any replica, lifts that.
	ConditionHalted = "Halted"
	// ConditionExpired: its time is over, and no run of a schedule is to come.
	ConditionExpired = "Expired"
)

// Reasons of the condition Accepted.
const (
	// ReasonAccepted: it is accepted.
	ReasonAccepted = "Accepted"
	// ReasonOverlapping: it is accepted, and other experiments have targets in common with it. They compose in the order of
	// creation, then namespace and name; the message names them in that order, but for those that are over or suspended.
	ReasonOverlapping = "Overlapping"
	// ReasonInvalid: a value cannot be used.
	ReasonInvalid = "Invalid"
	// ReasonTargetNotFound: a target does not exist.
	ReasonTargetNotFound = "TargetNotFound"
	// ReasonUnsupportedTarget: a target is of a kind that is not served, or does not carry what the toxics break.
	ReasonUnsupportedTarget = "UnsupportedTarget"
	// ReasonRefNotPermitted: no ReferenceGrant lets it refer to a target in another namespace.
	ReasonRefNotPermitted = "RefNotPermitted"
	// ReasonNamespaceNotEnabled: the namespace of a target has not opted in.
	ReasonNamespaceNotEnabled = "NamespaceNotEnabled"
	// ReasonDurationRequired: it has no duration, and the controller has no default.
	ReasonDurationRequired = "DurationRequired"
	// ReasonDurationTooLong: its duration is above the controller's maximum.
	ReasonDurationTooLong = "DurationTooLong"
	// ReasonSecretNotFound: the Secret of its token, or the key in it, does not exist or may not be read.
	ReasonSecretNotFound = "SecretNotFound"
	// ReasonPodsUnknown: the pods that it selects are not known yet, or may not be listed.
	ReasonPodsUnknown = "PodsUnknown"
	// ReasonBeingDeleted: it has been deleted, and a finalizer keeps the object for now.
	ReasonBeingDeleted = "BeingDeleted"
	// ReasonWithheld: it comes from a file, and that file or another one cannot be read for now.
	ReasonWithheld = "Withheld"
)

// Reasons of the condition Active; those of Halted and Expired are among them.
const (
	// ReasonInjecting: faults are being injected.
	ReasonInjecting = "Injecting"
	// ReasonDryRun: faults are being counted, not injected.
	ReasonDryRun = "DryRun"
	// ReasonWaiting: its time has not come.
	ReasonWaiting = "Waiting"
	// ReasonNotAccepted: it is not accepted.
	ReasonNotAccepted = "NotAccepted"
	// ReasonNoTraffic: its time has come, and nothing that is served here is among what it could touch. The message says why.
	ReasonNoTraffic = "NoTraffic"
	// ReasonSuspended: spec.suspend is true.
	ReasonSuspended = "Suspended"
	// ReasonSwitchedOff: a kill switch is used, in all replicas or in the one that leads; the message says which.
	ReasonSwitchedOff = "SwitchedOff"
	// ReasonHalted: the guard has halted it.
	ReasonHalted = "Halted"
	// ReasonExpired: its time is over.
	ReasonExpired = "Expired"
	// ReasonNotHalted: the guard, if there is one, has seen nothing too bad.
	ReasonNotHalted = "NotHalted"
	// ReasonNotExpired: its time is not over.
	ReasonNotExpired = "NotExpired"
)

// Reasons of Events about a NetworkChaos; ReasonHalted is another.
const (
	// EventStarted: the injection of faults, or a dry run, has started.
	EventStarted = "Started"
	// EventStopped: it has stopped; the message says why.
	EventStopped = "Stopped"
)
