package gateway

import (
	"fmt"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/breakwater-gateway/breakwater/controllers/view/syntax"
	"github.com/breakwater-gateway/breakwater/proxy"
)

// ruleSet is the rules of a route, compiled but for the listener's port.
type ruleSet struct {
	object      proxy.ObjectID
	rules       []*rule
	portMatters bool
	outcome     ruleOutcome
	expressions syntax.Expressions
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

// size returns the number of Routes.
func (s *ruleSet) size() int {
	n := 0
	for _, r := range s.rules {
		n += len(r.matches)
	}
	return n
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

func (t *httpTranslation) compileRules() *ruleSet {
	set := &ruleSet{object: t.source.id()}
	rules := t.spec.Rules
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

func (t *httpTranslation) compileRule(set *ruleSet, i int, source *gatewayv1.HTTPRouteRule) *rule {
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
		match, problem := compileMatch(&matches[j], &set.expressions)
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

func (t *httpTranslation) noteIgnored(field string, source *gatewayv1.HTTPRouteRule) {
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
	// GEP-1742: 0s disables a timeout, also one that would hold if nothing were said.
	result.Unlimited = source.Request != nil && result.Request == 0 || source.BackendRequest != nil && result.Backend == 0
	return result, ""
}

func (t *httpTranslation) compileBackends(
	set *ruleSet, field string, refs []gatewayv1.HTTPBackendRef, r *rule, fail func(gatewayv1.RouteConditionReason, string),
) func(uint16) []proxy.WeightedBackend {
	shares := make([]proxy.WeightedBackend, len(refs))
	filters := make([]filterSet, len(refs))
	for i := range refs {
		ref := &refs[i]
		at := fmt.Sprintf("%s.backendRefs[%d]", field, i)
		share := t.share(&set.outcome, at, &ref.BackendRef, fail)
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
