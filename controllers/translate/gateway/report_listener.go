package gateway

import (
	"cmp"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/breakwater-gateway/breakwater/controllers/status"
)

// supportedKinds returns the kinds of routes that can attach; it is never nil, as the API asks for the field.
func (l *listener) supportedKinds() []gatewayv1.RouteGroupKind {
	if l.kind == "" {
		return []gatewayv1.RouteGroupKind{}
	}
	group := gatewayv1.Group(gatewayv1.GroupName)
	return []gatewayv1.RouteGroupKind{{Group: &group, Kind: gatewayv1.Kind(l.kind)}}
}

// conditions returns all conditions of the listener. problem is why the whole Gateway is not accepted.
func (l *listener) conditions(generation int64, problem string) []metav1.Condition {
	condition := func(kind gatewayv1.ListenerConditionType, state bool, reason gatewayv1.ListenerConditionReason, message string) metav1.Condition {
		return status.Condition(string(kind), state, string(reason), cut(message), generation)
	}
	accepted := condition(gatewayv1.ListenerConditionAccepted, true, gatewayv1.ListenerReasonAccepted, "")
	programmed := condition(gatewayv1.ListenerConditionProgrammed, true, gatewayv1.ListenerReasonProgrammed, "")
	conflicted := condition(gatewayv1.ListenerConditionConflicted, false, gatewayv1.ListenerReasonNoConflicts, "")
	resolved := condition(gatewayv1.ListenerConditionResolvedRefs, true, gatewayv1.ListenerReasonResolvedRefs, "")
	invalid := func(message string) metav1.Condition {
		return condition(gatewayv1.ListenerConditionProgrammed, false, gatewayv1.ListenerReasonInvalid, message)
	}
	if l.badKinds != "" {
		resolved = condition(gatewayv1.ListenerConditionResolvedRefs, false, gatewayv1.ListenerReasonInvalidRouteKinds, l.badKinds)
	}
	if l.conflict != "" {
		message := l.conflictMessage()
		conflicted = condition(gatewayv1.ListenerConditionConflicted, true, l.conflict, message)
		accepted = condition(gatewayv1.ListenerConditionAccepted, false, l.conflict, message)
		programmed = invalid(message)
	}
	switch {
	case l.refusal != nil:
		accepted = condition(gatewayv1.ListenerConditionAccepted, false, l.refusal.reason, l.refusal.message)
		programmed = invalid(l.refusal.message)
	case l.conflict != "":
	case problem != "":
		programmed = invalid(problem)
	case l.bind == 0:
		programmed = condition(gatewayv1.ListenerConditionProgrammed, false, gatewayv1.ListenerReasonPending, l.waiting())
	}
	return []metav1.Condition{accepted, programmed, conflicted, resolved}
}

// waiting says what a listener without a port waits for.
func (l *listener) waiting() string { return cmp.Or(l.shortage, "no port has been allocated yet") }

func (l *listener) conflictMessage() string {
	if l.conflict == gatewayv1.ListenerReasonProtocolConflict {
		return fmt.Sprintf("another listener has port %d with another protocol", l.spec.Port)
	}
	if l.spec.Protocol == gatewayv1.TCPProtocolType || l.spec.Protocol == gatewayv1.UDPProtocolType {
		return fmt.Sprintf("another listener has port %d with the same protocol", l.spec.Port)
	}
	return fmt.Sprintf("another listener has port %d with the same hostname", l.spec.Port)
}
