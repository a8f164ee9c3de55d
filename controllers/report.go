package controllers

import (
	"cmp"
	"log/slog"
	"slices"
	"strings"

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

// logFindings logs findings that were not among the last: without an API server there is no other place to say it. place
// returns where an object stands, "" if that is not known.
func logFindings(log *slog.Logger, last, findings []finding, place func(finding) string) {
	known := make(map[finding]bool, len(last))
	for _, f := range last {
		known[f] = true
	}
	for _, f := range findings {
		if known[f] {
			continue
		}
		var attributes []any
		for _, a := range []struct{ key, value string }{
			{f.kind, f.name()}, {"part", f.part}, {"reason", f.reason}, {"file", place(f)},
		} {
			if a.value != "" {
				attributes = append(attributes, a.key, a.value)
			}
		}
		log.Warn(cmp.Or(f.message, f.reason), attributes...)
	}
}

// name returns namespace and name of the object.
func (f *finding) name() string {
	if f.object.Namespace == "" {
		return f.object.Name
	}
	return f.object.String()
}

func compareFindings(a, b finding) int {
	return cmp.Or(strings.Compare(a.kind, b.kind), strings.Compare(a.object.Namespace, b.object.Namespace),
		strings.Compare(a.object.Name, b.object.Name), strings.Compare(a.part, b.part))
}

// findings returns what a Report, which may be nil, says is wrong, in the order of the objects: its Events and the conditions
// that are not as they should be. What several conditions of one object or listener say in the same words is one finding.
func findings(r *status.Report) []finding {
	if r == nil {
		return nil
	}
	var result []finding
	type words struct {
		kind    string
		object  types.NamespacedName
		part    string
		message string
	}
	said := map[words]bool{}
	add := func(f finding) {
		w := words{f.kind, f.object, f.part, f.message}
		whole := w
		whole.part = ""
		if f.message == "" || !said[w] && !said[whole] {
			said[w] = true
			result = append(result, f)
		}
	}
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
				add(finding{kind, key, part, c.Type + ": " + c.Reason, c.Message})
			}
		}
	}
	for name, d := range r.GatewayClasses {
		conditions("GatewayClass", types.NamespacedName{Name: name}, "", d.Conditions)
		events("GatewayClass", types.NamespacedName{Name: name}, d.Events)
	}
	for key, d := range r.Gateways {
		conditions("Gateway", key, "", slices.DeleteFunc(slices.Clone(d.Conditions), isAboutListeners))
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
	slices.SortStableFunc(result, compareFindings)
	return result
}

// isAboutListeners reports whether a condition of a Gateway says only that there is something wrong with its listeners, whose own
// conditions say what.
func isAboutListeners(c metav1.Condition) bool {
	return c.Reason == string(gatewayv1.GatewayReasonListenersNotValid) ||
		c.Type == string(gatewayv1.GatewayConditionProgrammed) && c.Reason == string(gatewayv1.GatewayReasonInvalid)
}
