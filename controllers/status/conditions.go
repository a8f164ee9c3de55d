package status

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Reasons of the Events in a Report. Conditions use the reasons that Gateway API defines (package gatewayv1).
const (
	// ReasonTLSNotServed: the object asks for TLS, which is not served yet; an Ingress is served over HTTP only.
	ReasonTLSNotServed = "TLSNotServed"
	// ReasonServiceNotFound: a referenced Service does not exist; requests are answered with 503.
	ReasonServiceNotFound = "ServiceNotFound"
	// ReasonPortNotFound: a referenced Service has no such TCP port; requests are answered with 503.
	ReasonPortNotFound = "PortNotFound"
	// ReasonExternalNameRefused: a Service of type ExternalName is not allowed; requests are answered with 500.
	ReasonExternalNameRefused = "ExternalNameRefused"
	// ReasonUnsupportedProtocol: the Service port's appProtocol is not supported; requests are answered with 500.
	ReasonUnsupportedProtocol = "UnsupportedProtocol"
	// ReasonInvalidBackend: a backend cannot be used as written, for instance a resource backend of an Ingress;
	// requests are answered with 500.
	ReasonInvalidBackend = "InvalidBackend"
	// ReasonInvalidHost: the host is not a valid host name; the rule is left out.
	ReasonInvalidHost = "InvalidHost"
	// ReasonInvalidPath: the path or its type is not valid; the path is left out.
	ReasonInvalidPath = "InvalidPath"
	// ReasonHostConflict: the host belongs to another namespace, or an older object there serves this path of a host that
	// namespaces share.
	ReasonHostConflict = "HostConflict"
	// ReasonPathConflict: an older object in this namespace, or an earlier rule, already serves this path of this
	// host.
	ReasonPathConflict = "PathConflict"
	// ReasonDefaultBackendConflict: an older Ingress already provides the default backend of all hosts.
	ReasonDefaultBackendConflict = "DefaultBackendConflict"
	// ReasonShadowed: an older route, or an earlier rule, has the very same conditions and takes all requests; of a TCPRoute
	// or UDPRoute: an older one has the listener.
	ReasonShadowed = "Shadowed"
	// ReasonUnsupportedField: a field that is set has no effect yet.
	ReasonUnsupportedField = "UnsupportedField"
	// ReasonInvalidAnnotation: an annotation of ours has a value that is not understood, and no effect.
	ReasonInvalidAnnotation = "InvalidAnnotation"
)

// Warning returns an Event of type Warning.
func Warning(reason, message string) Event {
	return Event{Type: corev1.EventTypeWarning, Reason: reason, Message: message}
}

// Condition returns a condition without lastTransitionTime, which is the Writer's to keep. State true is "True", false
// "False".
func Condition(kind string, state bool, reason, message string, generation int64) metav1.Condition {
	value := metav1.ConditionFalse
	if state {
		value = metav1.ConditionTrue
	}
	return metav1.Condition{Type: kind, Status: value, Reason: reason, Message: message, ObservedGeneration: generation}
}
