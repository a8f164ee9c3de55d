package gateway

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/breakwater-gateway/breakwater/controllers/status"
	"github.com/breakwater-gateway/breakwater/controllers/translate/change"
	"github.com/breakwater-gateway/breakwater/controllers/translate/host"
)

// maxMessage bounds the message of a condition; the API allows 32768 characters.
const maxMessage = 2048

// reportRoutes makes the entries of all HTTPRoutes that have changed themselves or whose Hosts were touched.
func (s *State) reportRoutes(prev *State, changes change.Map[route], touched []*host.Part) {
	s.Reports.HTTPRoutes = cloneOrMake(prev.Reports.HTTPRoutes, len(changes))
	for key, c := range changes {
		if c.New == nil {
			delete(s.Reports.HTTPRoutes, key)
		} else {
			s.Reports.HTTPRoutes[key] = s.reportRoute(c.New)
		}
	}
	for _, part := range touched {
		key := types.NamespacedName{Namespace: part.Rank.Namespace, Name: part.Rank.Name}
		if _, done := changes[key]; !done {
			replace(s.Reports.HTTPRoutes, key, s.reportRoute(s.routes[key]))
		}
	}
}

// reportStreams returns the entries of one kind of routes after those that have changed themselves, or whose listeners
// were touched, have been made anew.
func (s *State) reportStreams(
	kind *streams, before map[types.NamespacedName]*status.Route, changes change.Map[streamRoute], touched []*streamRoute,
) map[types.NamespacedName]*status.Route {
	reports := cloneOrMake(before, len(changes))
	for key, c := range changes {
		if c.New == nil {
			delete(reports, key)
		} else {
			reports[key] = s.reportStream(kind, c.New)
		}
	}
	for _, r := range touched {
		if _, done := changes[keyOf(r.source)]; !done {
			replace(reports, keyOf(r.source), s.reportStream(kind, r))
		}
	}
	return reports
}

// replace puts an entry in the place of one that may differ from it by its Events only.
func replace(reports map[types.NamespacedName]*status.Route, key types.NamespacedName, entry *status.Route) {
	if !slices.Equal(entry.Events, reports[key].Events) {
		reports[key] = entry
	}
}

func (s *State) reportRoute(r *route) *status.Route {
	entry := r.report(s.controller)
	for _, p := range r.parts {
		for _, loss := range s.hosts[p.listener].Losses(p.part) {
			event := shadowEvent(loss)
			if !slices.Contains(entry.Events, event) {
				entry.Events = append(entry.Events, event)
			}
		}
	}
	return entry
}

func shadowEvent(loss host.Loss) status.Event {
	winner := loss.Winner.ID
	return status.Warning(status.ReasonShadowed, fmt.Sprintf("spec.rules[%d].matches[%d]: HTTPRoute %s/%s, rules[%d].matches[%d], has the same conditions and comes first",
		loss.Route.ID.Rule, loss.Route.ID.Match, winner.Object.Namespace, winner.Object.Name, winner.Rule, winner.Match))
}

func (s *State) reportStream(kind *streams, r *streamRoute) *status.Route {
	entry := r.report(s.controller)
	for _, id := range r.claims {
		if first := kind.claims[id][0]; first != r {
			entry.Events = append(entry.Events, status.Warning(status.ReasonShadowed, fmt.Sprintf(
				"listener %q of Gateway %s/%s: %s %s/%s comes first and has it",
				id.Section, id.Object.Namespace, id.Object.Name, first.source.kind, first.source.GetNamespace(), first.source.GetName())))
		}
	}
	return entry
}

// report makes the entry of a route, but for what others do to it.
func (a *attachment) report(controller gatewayv1.GatewayController) *status.Route {
	entry := &status.Route{Kind: a.source.kind, UID: a.source.GetUID(), Generation: a.source.GetGeneration()}
	for i := range a.parents {
		entry.Parents = append(entry.Parents, a.reportParent(&a.parents[i], controller))
	}
	for _, message := range a.ignored {
		entry.Events = append(entry.Events, status.Warning(status.ReasonUnsupportedField, message))
	}
	return entry
}

func (a *attachment) reportParent(p *parent, controller gatewayv1.GatewayController) gatewayv1.RouteParentStatus {
	g := a.source.GetGeneration()
	condition := func(kind gatewayv1.RouteConditionType, state bool, reason gatewayv1.RouteConditionReason, message string) metav1.Condition {
		return status.Condition(string(kind), state, string(reason), cut(message), g)
	}
	result := gatewayv1.RouteParentStatus{ParentRef: *p.ref, ControllerName: controller}
	add := func(c metav1.Condition) { result.Conditions = append(result.Conditions, c) }
	problems := strings.Join(a.rules.invalid, "; ")
	switch {
	case p.reason != "":
		add(condition(gatewayv1.RouteConditionAccepted, false, p.reason, p.message))
	case a.rules.allInvalid:
		add(condition(gatewayv1.RouteConditionAccepted, false, a.rules.reason, problems))
	default:
		add(condition(gatewayv1.RouteConditionAccepted, true, gatewayv1.RouteReasonAccepted, ""))
		if problems != "" {
			add(condition(gatewayv1.RouteConditionPartiallyInvalid, true, gatewayv1.RouteReasonUnsupportedValue, "Dropped Rule: "+problems))
		}
	}
	if a.rules.refReason != "" {
		add(condition(gatewayv1.RouteConditionResolvedRefs, false, a.rules.refReason, a.rules.refMessage))
	} else {
		add(condition(gatewayv1.RouteConditionResolvedRefs, true, gatewayv1.RouteReasonResolvedRefs, ""))
	}
	return result
}

func cut(message string) string {
	if len(message) <= maxMessage {
		return message
	}
	return strings.ToValidUTF8(message[:maxMessage], "") + " ..."
}

// reportGateways makes the entries of all Gateways; one that is the same as in prev keeps its pointer.
func (s *State) reportGateways(prev *State) {
	s.Reports.Gateways = make(map[types.NamespacedName]*status.Gateway, len(s.gateways))
	for key, g := range s.gateways {
		if prev.gateways[key] == g && s.sameCounts(prev, g) {
			s.Reports.Gateways[key] = prev.Reports.Gateways[key]
			continue
		}
		s.Reports.Gateways[key] = s.reportGateway(g)
	}
}

func (s *State) sameCounts(prev *State, g *gateway) bool {
	return !slices.ContainsFunc(g.listeners, func(l *listener) bool { return s.attached[l.id] != prev.attached[l.id] })
}

func (s *State) reportGateway(g *gateway) *status.Gateway {
	generation := g.source.Generation
	entry := &status.Gateway{UID: g.source.UID, Generation: generation, Events: g.events}
	for _, a := range g.addresses {
		kind := gatewayv1.HostnameAddressType
		if _, err := netip.ParseAddr(a); err == nil {
			kind = gatewayv1.IPAddressType
		}
		entry.Addresses = append(entry.Addresses, gatewayv1.GatewayStatusAddress{Type: &kind, Value: a})
	}
	entry.Conditions = []metav1.Condition{g.accepted(), g.programmed()}
	for _, l := range g.listeners {
		entry.Listeners = append(entry.Listeners, gatewayv1.ListenerStatus{
			Name:           l.spec.Name,
			SupportedKinds: l.supportedKinds(),
			AttachedRoutes: s.attached[l.id],
			Conditions:     l.conditions(generation, g.problem),
		})
	}
	return entry
}

func (g *gateway) accepted() metav1.Condition {
	condition := func(state bool, reason gatewayv1.GatewayConditionReason, message string) metav1.Condition {
		return status.Condition(string(gatewayv1.GatewayConditionAccepted), state, string(reason), cut(message), g.source.Generation)
	}
	valid := 0
	var problems []string
	for _, l := range g.listeners {
		switch {
		case l.refusal != nil:
			problems = append(problems, l.refusal.message)
		case l.conflict != "":
			problems = append(problems, fmt.Sprintf("listener %q: %s", l.spec.Name, l.conflict))
		default:
			valid++
		}
	}
	switch address := g.unsupportedAddress(); {
	case g.problem != "":
		return condition(false, gatewayv1.GatewayReasonInvalidParameters, g.problem)
	case address != "":
		return condition(false, gatewayv1.GatewayReasonUnsupportedAddress, address)
	case len(problems) > 0:
		return condition(valid > 0, gatewayv1.GatewayReasonListenersNotValid, strings.Join(problems, "; "))
	default:
		return condition(true, gatewayv1.GatewayReasonAccepted, "")
	}
}

func (g *gateway) programmed() metav1.Condition {
	condition := func(state bool, reason gatewayv1.GatewayConditionReason, message string) metav1.Condition {
		return status.Condition(string(gatewayv1.GatewayConditionProgrammed), state, string(reason), message, g.source.Generation)
	}
	served, pending, shortage := 0, 0, ""
	for _, l := range g.listeners {
		switch {
		case l.served():
			served++
		case l.refusal == nil && l.conflict == "":
			pending++
			shortage = cmp.Or(shortage, l.shortage)
		}
	}
	switch address := g.unusableAddress(); {
	case g.problem != "" || served+pending == 0:
		return condition(false, gatewayv1.GatewayReasonInvalid, "no listener can be served")
	case address != "":
		return condition(false, gatewayv1.GatewayReasonAddressNotUsable, address)
	case served == 0 && shortage != "":
		return condition(false, gatewayv1.GatewayReasonNoResources, shortage)
	case served == 0:
		return condition(false, gatewayv1.GatewayReasonPending, "no port has been allocated yet")
	case len(g.addresses) == 0:
		return condition(false, gatewayv1.GatewayReasonAddressNotAssigned, "no address has been assigned yet")
	default:
		return condition(true, gatewayv1.GatewayReasonProgrammed, "")
	}
}

// unsupportedAddress says which of spec.addresses is of a type that cannot be asked for.
func (g *gateway) unsupportedAddress() string {
	for i, a := range g.source.Spec.Addresses {
		if a.Type != nil && *a.Type != gatewayv1.IPAddressType && *a.Type != gatewayv1.HostnameAddressType {
			return fmt.Sprintf("spec.addresses[%d].type: %q is not supported", i, *a.Type)
		}
	}
	return ""
}

// unusableAddress says which of spec.addresses the Gateway does not have.
func (g *gateway) unusableAddress() string {
	for i, a := range g.source.Spec.Addresses {
		if a.Value != "" && !slices.Contains(g.addresses, a.Value) {
			return fmt.Sprintf("spec.addresses[%d].value: %q cannot be provided", i, a.Value)
		}
	}
	return ""
}
