package controllers

import (
	"errors"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/breakwater-gateway/breakwater/controllers/status"
	"github.com/breakwater-gateway/breakwater/controllers/translate/gateway"
	"github.com/breakwater-gateway/breakwater/proxy"
)

// bindFailure is why the port of some Listeners cannot be bound. Its text names the port.
type bindFailure interface {
	error
	// Unbound returns the Listeners that do not serve.
	Unbound() []proxy.ListenerID
}

// bindFailures returns those that an error of Apply joins.
func bindFailures(err error) (failures []bindFailure) {
	if joined, ok := errors.AsType[interface {
		error
		Unwrap() []error
	}](err); ok {
		for _, err := range joined.Unwrap() {
			failures = append(failures, bindFailures(err)...)
		}
		return failures
	}
	if failure, ok := errors.AsType[bindFailure](err); ok {
		return []bindFailure{failure}
	}
	return nil
}

// withUnbound returns the Report with the Gateways' listeners that are not bound, and their Gateways, not Programmed: r itself if
// all are. It speaks for this replica; the one that leads writes what it finds itself.
func withUnbound(r *status.Report, failures []bindFailure) *status.Report {
	changed := map[types.NamespacedName]*status.Gateway{}
	for _, failure := range failures {
		for _, id := range failure.Unbound() {
			key := types.NamespacedName{Namespace: id.Object.Namespace, Name: id.Object.Name}
			entry := r.Gateways[key]
			if id.Object.Kind != gateway.KindGateway || entry == nil {
				continue // the Ingresses' listener: no object has a condition for it
			}
			if changed[key] == nil {
				c := *entry
				c.Listeners = slices.Clone(entry.Listeners)
				c.Conditions = notProgrammed(entry.Conditions, string(gatewayv1.GatewayReasonNoResources), failure)
				changed[key] = &c
			}
			for i := range changed[key].Listeners {
				if l := &changed[key].Listeners[i]; string(l.Name) == id.Section {
					l.Conditions = notProgrammed(l.Conditions, string(gatewayv1.ListenerReasonPortUnavailable), failure)
				}
			}
		}
	}
	if len(changed) == 0 {
		return r
	}
	result := *r
	result.Gateways = maps.Clone(r.Gateways)
	maps.Copy(result.Gateways, changed)
	return &result
}

// notProgrammed returns a copy of the conditions of a Gateway or listener; the condition is called the same for both.
func notProgrammed(conditions []metav1.Condition, reason string, failure bindFailure) []metav1.Condition {
	conditions = slices.Clone(conditions)
	if c := meta.FindStatusCondition(conditions, string(gatewayv1.GatewayConditionProgrammed)); c != nil && c.Status == metav1.ConditionTrue {
		*c = status.Condition(c.Type, false, reason, failure.Error(), c.ObservedGeneration)
	}
	return conditions
}
