package view

import (
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/breakwater-gateway/breakwater/controllers/view/syntax"
)

// Limits of the schemas of Gateway API.
const (
	maxListeners = 64
	maxRules     = 16
	maxMatches   = 128 // of all rules together
	maxRefs      = 32
	maxBackends  = 16 // of a TCPRoute or UDPRoute
	maxPathValue = 1024
)

func checkGateway(g *gatewayv1.Gateway, f fault) {
	if g.Spec.GatewayClassName == "" {
		f("spec.gatewayClassName", "is missing")
	}
	if n := len(g.Spec.Listeners); n == 0 || n > maxListeners {
		f("spec.listeners", fmt.Sprintf("has %d entries; 1 to %d are allowed", n, maxListeners))
	}
	names := map[gatewayv1.SectionName]bool{}
	places := map[string]bool{}
	for i := range g.Spec.Listeners {
		l, field := &g.Spec.Listeners[i], at("spec.listeners", i)
		list(f, field+".name", string(l.Name), validation.IsDNS1123Subdomain(string(l.Name)))
		if names[l.Name] {
			f(field+".name", fmt.Sprintf("%q is used twice", l.Name))
		}
		names[l.Name] = true
		checkPort(f, field+".port", l.Port)
		if l.Protocol == "" {
			f(field+".protocol", "is missing")
		}
		place := fmt.Sprintf("port %d, protocol %s", l.Port, l.Protocol)
		if l.Hostname != nil && *l.Hostname != "" {
			say(f, field+".hostname", string(*l.Hostname), syntax.HostProblem(string(*l.Hostname)))
			place += ", hostname " + string(*l.Hostname)
			if l.Protocol == gatewayv1.TCPProtocolType || l.Protocol == gatewayv1.UDPProtocolType {
				f(field+".hostname", fmt.Sprintf("must not be set for protocol %s", l.Protocol))
			}
		}
		if places[place] {
			f(field, place+" is used twice")
		}
		places[place] = true
		if l.TLS != nil && (l.Protocol == gatewayv1.HTTPProtocolType || l.Protocol == gatewayv1.TCPProtocolType || l.Protocol == gatewayv1.UDPProtocolType) {
			f(field+".tls", fmt.Sprintf("must not be set for protocol %s", l.Protocol))
		}
		checkAllowed(l.AllowedRoutes, field+".allowedRoutes.namespaces", f)
	}
}

func checkAllowed(allowed *gatewayv1.AllowedRoutes, field string, f fault) {
	if allowed == nil || allowed.Namespaces == nil || allowed.Namespaces.From == nil {
		return
	}
	switch *allowed.Namespaces.From {
	case gatewayv1.NamespacesFromAll, gatewayv1.NamespacesFromSame, gatewayv1.NamespacesFromSelector, gatewayv1.NamespacesFromNone:
	default:
		f(field+".from", fmt.Sprintf("%q is not one of All, Same, Selector, None", *allowed.Namespaces.From))
	}
}

func checkGrant(g *gatewayv1.ReferenceGrant, f fault) {
	if len(g.Spec.From) == 0 {
		f("spec.from", "is empty")
	}
	if len(g.Spec.To) == 0 {
		f("spec.to", "is empty")
	}
	for i, from := range g.Spec.From {
		if from.Kind == "" {
			f(at("spec.from", i)+".kind", "is missing")
		}
		ns := string(from.Namespace)
		list(f, at("spec.from", i)+".namespace", ns, validation.IsDNS1123Label(ns))
	}
	for i, to := range g.Spec.To {
		if to.Kind == "" {
			f(at("spec.to", i)+".kind", "is missing")
		}
	}
}

func checkHTTPRoute(r *gatewayv1.HTTPRoute, f fault) {
	checkParents(r.Spec.ParentRefs, f)
	for i, h := range r.Spec.Hostnames {
		say(f, at("spec.hostnames", i), string(h), syntax.HostProblem(string(h)))
	}
	if n := len(r.Spec.Rules); n > maxRules {
		f("spec.rules", fmt.Sprintf("has %d entries; %d are allowed", n, maxRules))
	}
	matches := 0
	for i := range r.Spec.Rules {
		matches += len(r.Spec.Rules[i].Matches)
		checkRule(&r.Spec.Rules[i], at("spec.rules", i), f)
	}
	if matches > maxMatches {
		f("spec.rules", fmt.Sprintf("have %d matches together; %d are allowed", matches, maxMatches))
	}
}

func checkRule(rule *gatewayv1.HTTPRouteRule, field string, f fault) {
	for i := range rule.Matches {
		checkMatch(&rule.Matches[i], at(field+".matches", i), f)
	}
	for i := range rule.BackendRefs {
		b, at := &rule.BackendRefs[i], at(field+".backendRefs", i)
		checkBackendRef(&b.BackendRef, at, f)
		for j := range b.Filters {
			checkFilter(&b.Filters[j], fmt.Sprintf("%s.filters[%d]", at, j), f)
		}
	}
	for i := range rule.Filters {
		checkFilter(&rule.Filters[i], at(field+".filters", i), f)
		if rule.Filters[i].RequestRedirect != nil && len(rule.BackendRefs) > 0 {
			f(at(field+".filters", i), "RequestRedirect must not be used together with backendRefs")
		}
	}
	if rule.Timeouts != nil {
		checkDuration(rule.Timeouts.Request, field+".timeouts.request", f)
		checkDuration(rule.Timeouts.BackendRequest, field+".timeouts.backendRequest", f)
	}
}

func checkParents(refs []gatewayv1.ParentReference, f fault) {
	if n := len(refs); n > maxRefs {
		f("spec.parentRefs", fmt.Sprintf("has %d entries; %d are allowed", n, maxRefs))
	}
	for i, p := range refs {
		if p.Name == "" {
			f(at("spec.parentRefs", i)+".name", "is missing")
		}
		if p.Port != nil {
			checkPort(f, at("spec.parentRefs", i)+".port", *p.Port)
		}
	}
}

func checkBackendRef(b *gatewayv1.BackendRef, field string, f fault) {
	if b.Name == "" {
		f(field+".name", "is missing")
	}
	if b.Port != nil {
		checkPort(f, field+".port", *b.Port)
	} else if *b.Kind == "Service" && *b.Group == "" {
		f(field+".port", "is missing")
	}
	if *b.Weight < 0 || *b.Weight > 1_000_000 {
		f(field+".weight", fmt.Sprintf("%d is not from 0 to 1000000", *b.Weight))
	}
}

// checkStreamRules checks the rules of a TCPRoute or UDPRoute, of which there is exactly one: there is nothing to tell two
// apart by.
func checkStreamRules(rules int, backends func(rule int) []gatewayv1.BackendRef, f fault) {
	if rules != 1 {
		f("spec.rules", fmt.Sprintf("has %d entries; exactly 1 is allowed", rules))
	}
	for i := range rules {
		refs, field := backends(i), at("spec.rules", i)+".backendRefs"
		if n := len(refs); n == 0 || n > maxBackends {
			f(field, fmt.Sprintf("has %d entries; 1 to %d are allowed", n, maxBackends))
		}
		for j := range refs {
			checkBackendRef(&refs[j], at(field, j), f)
		}
	}
}

func checkDuration(d *gatewayv1.Duration, field string, f fault) {
	if d == nil {
		return
	}
	if _, err := syntax.Duration(string(*d)); err != nil {
		f(field, err.Error())
	}
}

func checkMatch(m *gatewayv1.HTTPRouteMatch, field string, f fault) {
	switch value := *m.Path.Value; *m.Path.Type {
	case gatewayv1.PathMatchExact, gatewayv1.PathMatchPathPrefix:
		say(f, field+".path.value", value, syntax.PathProblem(value))
	case gatewayv1.PathMatchRegularExpression:
		say(f, field+".path.value", value, syntax.ExpressionProblem(value))
	default:
		f(field+".path.type", fmt.Sprintf("%q is not one of Exact, PathPrefix, RegularExpression", *m.Path.Type))
	}
	if len(*m.Path.Value) > maxPathValue {
		f(field+".path.value", "is longer than 1024 characters")
	}
	for i, h := range m.Headers {
		say(f, at(field+".headers", i)+".name", string(h.Name), syntax.TokenProblem(string(h.Name)))
		checkValue(string(*h.Type), h.Value, at(field+".headers", i), f)
	}
	for i, q := range m.QueryParams {
		say(f, at(field+".queryParams", i)+".name", string(q.Name), syntax.TokenProblem(string(q.Name)))
		checkValue(string(*q.Type), q.Value, at(field+".queryParams", i), f)
	}
}

// checkValue checks a condition on a header or query parameter; both name the types alike.
func checkValue(kind, value, field string, f fault) {
	switch kind {
	case string(gatewayv1.HeaderMatchExact):
		if value == "" {
			f(field+".value", "is empty")
		}
	case string(gatewayv1.HeaderMatchRegularExpression):
		say(f, field+".value", value, syntax.ExpressionProblem(value))
	default:
		f(field+".type", fmt.Sprintf("%q is not one of Exact, RegularExpression", kind))
	}
}

// checkFilter checks that a filter has the field of its type, and no other.
func checkFilter(source *gatewayv1.HTTPRouteFilter, field string, f fault) {
	fields := []struct {
		kind gatewayv1.HTTPRouteFilterType
		name string
		set  bool
	}{
		{gatewayv1.HTTPRouteFilterRequestHeaderModifier, "requestHeaderModifier", source.RequestHeaderModifier != nil},
		{gatewayv1.HTTPRouteFilterResponseHeaderModifier, "responseHeaderModifier", source.ResponseHeaderModifier != nil},
		{gatewayv1.HTTPRouteFilterRequestMirror, "requestMirror", source.RequestMirror != nil},
		{gatewayv1.HTTPRouteFilterRequestRedirect, "requestRedirect", source.RequestRedirect != nil},
		{gatewayv1.HTTPRouteFilterURLRewrite, "urlRewrite", source.URLRewrite != nil},
		{gatewayv1.HTTPRouteFilterCORS, "cors", source.CORS != nil},
		{gatewayv1.HTTPRouteFilterExternalAuth, "externalAuth", source.ExternalAuth != nil},
		{gatewayv1.HTTPRouteFilterExtensionRef, "extensionRef", source.ExtensionRef != nil},
	}
	known := false
	for _, v := range fields {
		switch {
		case v.kind == source.Type && !v.set:
			f(field+"."+v.name, "is missing")
		case v.kind != source.Type && v.set:
			f(field+"."+v.name, fmt.Sprintf("must not be set for type %q", source.Type))
		}
		known = known || v.kind == source.Type
	}
	if !known {
		f(field+".type", fmt.Sprintf("%q is not known", source.Type))
	}
}
