package gateway

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/breakwater-gateway/breakwater/controllers/translate/backend"
	"github.com/breakwater-gateway/breakwater/proxy"
)

// maxWeight is the largest weight of a backendRef that the API allows.
const maxWeight = 1_000_000

// ruleOutcome is what the rules of a route have to say in its conditions.
type ruleOutcome struct {
	invalid    []string // what is wrong, in the order of the rules
	reason     gatewayv1.RouteConditionReason
	allInvalid bool

	refReason  gatewayv1.RouteConditionReason // why ResolvedRefs is false; "" if it is true
	refMessage string
}

func (o *ruleOutcome) fail(reason gatewayv1.RouteConditionReason, message string) {
	if len(o.invalid) == 0 {
		o.reason = reason
	}
	o.invalid = append(o.invalid, message)
}

func (o *ruleOutcome) unresolved(reason gatewayv1.RouteConditionReason, message string) {
	if o.refReason == "" {
		o.refReason, o.refMessage = reason, message
	}
}

// id names the route in the Snapshot.
func (s source) id() proxy.ObjectID {
	return proxy.ObjectID{Kind: s.kind, Namespace: s.GetNamespace(), Name: s.GetName()}
}

// stream is BackendID.Stream of the Backends that a route refers to.
func (s source) stream() proxy.Protocol {
	switch s.kind {
	case KindTCPRoute:
		return proxy.TCP
	case KindUDPRoute:
		return proxy.UDP
	}
	return ""
}

// share returns the share of a backendRef, but for its filters. fail is told of a weight that makes the whole rule invalid.
func (t *translation) share(
	outcome *ruleOutcome, field string, ref *gatewayv1.BackendRef, fail func(gatewayv1.RouteConditionReason, string),
) proxy.WeightedBackend {
	share := t.resolve(outcome, field, ref)
	share.Weight = 1
	if ref.Weight == nil {
		return share
	}
	if *ref.Weight < 0 || *ref.Weight > maxWeight {
		fail(gatewayv1.RouteReasonUnsupportedValue, fmt.Sprintf("%s.weight: %d is not from 0 to 1000000", field, *ref.Weight))
		return share
	}
	share.Weight = *ref.Weight
	return share
}

// resolve returns the share of a backendRef, but for its weight and filters.
func (t *translation) resolve(outcome *ruleOutcome, field string, ref *gatewayv1.BackendRef) proxy.WeightedBackend {
	refuse := func(reason gatewayv1.RouteConditionReason, message string) proxy.WeightedBackend {
		outcome.unresolved(reason, message)
		return proxy.WeightedBackend{Invalid: message}
	}
	group, kind := value(ref.Group), "Service"
	if ref.Kind != nil {
		kind = string(*ref.Kind)
	}
	if group != "" && group != "core" || kind != backend.Kind {
		return refuse(gatewayv1.RouteReasonInvalidKind, fmt.Sprintf("%s.kind: %q of group %q is not supported", field, kind, group))
	}
	key := types.NamespacedName{Namespace: t.source.GetNamespace(), Name: string(ref.Name)}
	if ref.Namespace != nil && string(*ref.Namespace) != t.source.GetNamespace() {
		key.Namespace = string(*ref.Namespace)
		grants := t.view.ReferenceGrants[key.Namespace]
		t.inputs.grants = append(t.inputs.grants, grantsOf{key.Namespace, grants})
		if !granted(grants, t.source.kind, t.source.GetNamespace(), key) {
			return refuse(gatewayv1.RouteReasonRefNotPermitted, fmt.Sprintf(
				"%s.namespace: no ReferenceGrant in namespace %q lets %ss of namespace %q refer to Service %q",
				field, key.Namespace, t.source.kind, t.source.GetNamespace(), key.Name))
		}
	}
	if ref.Port == nil {
		return refuse(gatewayv1.RouteReasonBackendNotFound, field+".port: is missing")
	}
	service := t.view.Services[key]
	t.inputs.services = append(t.inputs.services, found[*corev1.Service]{key, service})
	r := backend.Resolve(service, backend.Ref{Service: key, Port: *ref.Port, Stream: t.source.stream()}, t.options.AllowExternalName)
	if r.Failure != backend.None {
		return refuse(refReason(r.Failure), field+": "+r.Message)
	}
	t.uses = append(t.uses, r.ID)
	return proxy.WeightedBackend{Backend: r.ID}
}

func refReason(f backend.Failure) gatewayv1.RouteConditionReason {
	switch f {
	case backend.UnsupportedProtocol:
		return gatewayv1.RouteReasonUnsupportedProtocol
	case backend.ExternalNameRefused:
		return gatewayv1.RouteReasonInvalidKind
	default:
		return gatewayv1.RouteReasonBackendNotFound
	}
}

// value returns what p points at, the zero value if p is nil.
func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
