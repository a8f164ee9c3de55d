package gateway

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/breakwater-gateway/breakwater/controllers/translate/backend"
	"github.com/breakwater-gateway/breakwater/controllers/view/syntax"
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

// ruleSet is the rules of a route, compiled but for the listener's port.
type ruleSet struct {
	object      proxy.ObjectID
	rules       []*rule
	portMatters bool
	outcome     ruleOutcome
}

// rule is one rule.
type rule struct {
	index    int
	matches  []indexedMatch
	filters  func(port uint16) []proxy.Filter
	backends func(port uint16) []proxy.WeightedBackend
	timeouts proxy.Timeouts
	invalid  string // why all of it answers 500
}

type indexedMatch struct {
	index int
	match proxy.Match
}

// routes returns the Routes for a listener at this port.
func (s *ruleSet) routes(port uint16) []*proxy.Route {
	var result []*proxy.Route
	for _, r := range s.rules {
		filters, backends := r.filters(port), r.backends(port)
		if r.invalid != "" {
			filters, backends = nil, nil
		}
		for _, m := range r.matches {
			result = append(result, &proxy.Route{
				ID:       proxy.RouteID{Object: s.object, Rule: r.index, Match: m.index},
				Match:    m.match,
				Filters:  filters,
				Backends: backends,
				Timeouts: r.timeouts,
				Invalid:  r.invalid,
			})
		}
	}
	return result
}

func (t *translation) compileRules() *ruleSet {
	set := &ruleSet{object: proxy.ObjectID{Kind: KindHTTPRoute, Namespace: t.source.Namespace, Name: t.source.Name}}
	rules := t.source.Spec.Rules
	if len(rules) == 0 {
		rules = []gatewayv1.HTTPRouteRule{{}} // the default of the API
	}
	bad := 0
	for i := range rules {
		r := t.compileRule(set, i, &rules[i])
		if r.invalid != "" {
			bad++
		}
		set.rules = append(set.rules, r)
	}
	set.outcome.allInvalid = bad == len(rules)
	return set
}

func (t *translation) compileRule(set *ruleSet, i int, source *gatewayv1.HTTPRouteRule) *rule {
	field := fmt.Sprintf("spec.rules[%d]", i)
	r := &rule{index: i}
	fail := func(reason gatewayv1.RouteConditionReason, message string) {
		if r.invalid == "" {
			r.invalid = message
		}
		set.outcome.fail(reason, message)
	}
	matches := source.Matches
	if len(matches) == 0 {
		matches = []gatewayv1.HTTPRouteMatch{{}}
	}
	for j := range matches {
		match, problem := compileMatch(&matches[j])
		if problem != "" {
			fail(gatewayv1.RouteReasonUnsupportedValue, fmt.Sprintf("%s.matches[%d].%s", field, j, problem))
			continue
		}
		r.matches = append(r.matches, indexedMatch{j, match})
	}
	var problem string
	if r.timeouts, problem = compileTimeouts(source.Timeouts); problem != "" {
		fail(gatewayv1.RouteReasonUnsupportedValue, field+".timeouts."+problem)
	}
	filters := compileFilters(field+".filters", source.Filters, r.prefixOnly())
	if filters.problem != "" {
		fail(filters.reason, filters.problem)
	}
	r.filters = filters.at
	set.portMatters = set.portMatters || filters.portMatters
	r.backends = t.compileBackends(set, field, source.BackendRefs, r, fail)
	t.noteIgnored(field, source)
	return r
}

// prefixOnly reports whether the rule has exactly one match and it is a path prefix, as ReplacePrefixMatch wants it.
func (r *rule) prefixOnly() bool {
	return len(r.matches) == 1 && r.matches[0].match.Path.Type == proxy.PathPrefix
}

func (t *translation) noteIgnored(field string, source *gatewayv1.HTTPRouteRule) {
	if source.Retry != nil {
		t.ignored = append(t.ignored, field+".retry: is not supported and has no effect")
	}
	if source.SessionPersistence != nil {
		t.ignored = append(t.ignored, field+".sessionPersistence: is not supported and has no effect")
	}
}

func compileTimeouts(source *gatewayv1.HTTPRouteTimeouts) (proxy.Timeouts, string) {
	var result proxy.Timeouts
	if source == nil {
		return result, ""
	}
	var err error
	if source.Request != nil {
		if result.Request, err = syntax.Duration(string(*source.Request)); err != nil {
			return proxy.Timeouts{}, "request: " + err.Error()
		}
	}
	if source.BackendRequest != nil {
		if result.Backend, err = syntax.Duration(string(*source.BackendRequest)); err != nil {
			return proxy.Timeouts{}, "backendRequest: " + err.Error()
		}
	}
	if result.Request != 0 && result.Backend > result.Request {
		return proxy.Timeouts{}, "backendRequest: is longer than request"
	}
	return result, ""
}

func (t *translation) compileBackends(
	set *ruleSet, field string, refs []gatewayv1.HTTPBackendRef, r *rule, fail func(gatewayv1.RouteConditionReason, string),
) func(uint16) []proxy.WeightedBackend {
	shares := make([]proxy.WeightedBackend, len(refs))
	filters := make([]filterSet, len(refs))
	for i := range refs {
		ref := &refs[i]
		at := fmt.Sprintf("%s.backendRefs[%d]", field, i)
		share := t.resolve(&set.outcome, at, &ref.BackendRef)
		share.Weight = 1
		if ref.Weight != nil {
			share.Weight = *ref.Weight
			if share.Weight < 0 || share.Weight > maxWeight {
				share.Weight = 1
				fail(gatewayv1.RouteReasonUnsupportedValue, fmt.Sprintf("%s.weight: %d is not from 0 to 1000000", at, *ref.Weight))
			}
		}
		filters[i] = compileFilters(at+".filters", ref.Filters, r.prefixOnly())
		if filters[i].problem != "" {
			fail(filters[i].reason, filters[i].problem)
		}
		set.portMatters = set.portMatters || filters[i].portMatters
		shares[i] = share
	}
	return func(port uint16) []proxy.WeightedBackend {
		result := make([]proxy.WeightedBackend, len(shares))
		for i := range shares {
			result[i] = shares[i]
			result[i].Filters = filters[i].at(port)
		}
		return result
	}
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
	key := types.NamespacedName{Namespace: t.source.Namespace, Name: string(ref.Name)}
	if ref.Namespace != nil && string(*ref.Namespace) != t.source.Namespace {
		key.Namespace = string(*ref.Namespace)
		grants := t.view.ReferenceGrants[key.Namespace]
		t.inputs.grants = append(t.inputs.grants, grantsOf{key.Namespace, grants})
		if !granted(grants, t.source.Namespace, key) {
			return refuse(gatewayv1.RouteReasonRefNotPermitted, fmt.Sprintf(
				"%s.namespace: no ReferenceGrant in namespace %q lets HTTPRoutes of namespace %q refer to Service %q",
				field, key.Namespace, t.source.Namespace, key.Name))
		}
	}
	if ref.Port == nil {
		return refuse(gatewayv1.RouteReasonBackendNotFound, field+".port: is missing")
	}
	service := t.view.Services[key]
	t.inputs.services = append(t.inputs.services, found[*corev1.Service]{key, service})
	r := backend.Resolve(service, backend.Ref{Service: key, Port: *ref.Port}, t.options.AllowExternalName)
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
