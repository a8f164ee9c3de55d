package controllers

import (
	"log/slog"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/breakwater-gateway/breakwater/controllers/status"
)

// finding is one thing that is wrong with an object.
type finding struct {
	kind   string
	object types.NamespacedName
	// part of the object that a condition is about: a listener or a parent; empty for the whole.
	part            string
	reason, message string
}

// logReport logs what is wrong with objects and was not before (last may be nil): without an API server there is no other
// place to say it.
func logReport(log *slog.Logger, last, report *status.Report) {
	known := map[finding]bool{}
	for _, f := range findings(last) {
		known[f] = true
	}
	for _, f := range findings(report) {
		if known[f] {
			continue
		}
		attributes := []any{f.kind, f.object.String(), "reason", f.reason, "message", f.message}
		if f.part != "" {
			attributes = slices.Insert(attributes, 2, any("part"), any(f.part))
		}
		log.Warn("something is wrong with an object", attributes...)
	}
}

// findings returns what a Report, which may be nil, says is wrong: its Events and the conditions that are not as they should
// be.
func findings(r *status.Report) []finding {
	if r == nil {
		return nil
	}
	var result []finding
	events := func(kind string, key types.NamespacedName, list []status.Event) {
		for _, e := range list {
			result = append(result, finding{kind: kind, object: key, reason: e.Reason, message: e.Message})
		}
	}
	conditions := func(kind string, key types.NamespacedName, part string, list []metav1.Condition) {
		for _, c := range list {
			// Conflicted and PartiallyInvalid are bad news when true, all others when false.
			negative := c.Type == string(gatewayv1.ListenerConditionConflicted) || c.Type == string(gatewayv1.RouteConditionPartiallyInvalid)
			if (c.Status == metav1.ConditionTrue) == negative {
				result = append(result, finding{kind, key, part, c.Type + ": " + c.Reason, c.Message})
			}
		}
	}
	for name, d := range r.GatewayClasses {
		conditions("GatewayClass", types.NamespacedName{Name: name}, "", d.Conditions)
		events("GatewayClass", types.NamespacedName{Name: name}, d.Events)
	}
	for key, d := range r.Gateways {
		conditions("Gateway", key, "", d.Conditions)
		for _, l := range d.Listeners {
			conditions("Gateway", key, "listener "+string(l.Name), l.Conditions)
		}
		events("Gateway", key, d.Events)
	}
	r.Routes(func(key types.NamespacedName, d *status.Route) {
		for _, p := range d.Parents {
			conditions(d.Kind, key, "parent "+string(p.ParentRef.Name), p.Conditions)
		}
		events(d.Kind, key, d.Events)
	})
	for key, d := range r.NetworkChaos {
		conditions("NetworkChaos", key, "", d.Conditions)
	}
	for key, d := range r.Ingresses {
		events("Ingress", key, d.Events)
	}
	for key, d := range r.Services {
		events("Service", key, d.Events)
	}
	return result
}
