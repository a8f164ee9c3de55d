package gateway

import (
	"fmt"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// parent is the outcome for one parentRef that names a Gateway of ours.
type parent struct {
	ref     *gatewayv1.ParentReference
	reason  gatewayv1.RouteConditionReason // "" if a listener has accepted the route
	message string
}

// attach returns the listeners of the Gateway that accept the route through this parentRef.
func (t *translation) attach(p *parent, g *gateway, hostnames []string) []*listener {
	named := named(g.listeners, p.ref)
	if len(named) == 0 {
		p.reason, p.message = gatewayv1.RouteReasonNoMatchingParent, noParent(p.ref)
		return nil
	}
	var allowed []*listener
	for _, l := range named {
		if l.kinds && l.allows(t.source.Namespace, t.namespaceLabels) {
			allowed = append(allowed, l)
		}
	}
	if len(allowed) == 0 {
		p.reason = gatewayv1.RouteReasonNotAllowedByListeners
		p.message = fmt.Sprintf("no listener allows an HTTPRoute from namespace %q", t.source.Namespace)
		return nil
	}
	var matching []*listener
	for _, l := range allowed {
		if len(intersect(l.hostname, hostnames)) > 0 {
			matching = append(matching, l)
		}
	}
	if len(matching) == 0 {
		p.reason = gatewayv1.RouteReasonNoMatchingListenerHostname
		p.message = "spec.hostnames: none overlaps with the hostname of a listener"
	}
	return matching
}

// named returns the listeners that a parentRef names: all, or those of a section or port.
func named(listeners []*listener, ref *gatewayv1.ParentReference) []*listener {
	var result []*listener
	for _, l := range listeners {
		if ref.SectionName != nil && *ref.SectionName != "" && *ref.SectionName != l.spec.Name || ref.Port != nil && *ref.Port != l.spec.Port {
			continue
		}
		result = append(result, l)
	}
	return result
}

func noParent(ref *gatewayv1.ParentReference) string {
	message := "the Gateway has no listener"
	if ref.SectionName != nil {
		message += fmt.Sprintf(" named %q", *ref.SectionName)
	}
	if ref.Port != nil {
		message += fmt.Sprintf(" at port %d", *ref.Port)
	}
	return message
}
