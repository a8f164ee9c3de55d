package gateway

import (
	"fmt"
	"slices"
	"strings"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/breakwater-gateway/breakwater/controllers/view/syntax"
	"github.com/breakwater-gateway/breakwater/proxy"
)

// compileMatch returns the Match, or the field and what is wrong with it. expressions are those of the object.
func compileMatch(source *gatewayv1.HTTPRouteMatch, expressions *syntax.Expressions) (m proxy.Match, problem string) {
	if m.Path, problem = compilePath(source.Path, expressions); problem != "" {
		return m, problem
	}
	if source.Method != nil {
		m.Method = string(*source.Method)
		if !knownMethod(*source.Method) {
			return m, fmt.Sprintf("method: %q is not supported", m.Method)
		}
		if *source.Method == gatewayv1.HTTPMethodConnect {
			return m, "method: CONNECT is refused before any route is chosen"
		}
	}
	for i, h := range source.Headers {
		v, problem := compileValue(string(h.Name), h.Value, string(value(h.Type)), expressions)
		if problem == "" && syntax.TokenProblem(v.Name) != "" {
			problem = fmt.Sprintf("name: %q %s", v.Name, syntax.TokenProblem(v.Name))
		}
		if problem == "" && syntax.MatchedFieldProblem(v.Name) != "" {
			problem = fmt.Sprintf("name: %q %s", v.Name, syntax.MatchedFieldProblem(v.Name))
		}
		if problem != "" {
			return m, fmt.Sprintf("headers[%d].%s", i, problem)
		}
		// Of several entries for one name only the first counts.
		if !slices.ContainsFunc(m.Headers, func(other proxy.ValueMatch) bool { return strings.EqualFold(other.Name, v.Name) }) {
			m.Headers = append(m.Headers, v)
		}
	}
	for i, q := range source.QueryParams {
		v, problem := compileValue(string(q.Name), q.Value, string(value(q.Type)), expressions)
		if problem != "" {
			return m, fmt.Sprintf("queryParams[%d].%s", i, problem)
		}
		if !slices.ContainsFunc(m.Query, func(other proxy.ValueMatch) bool { return other.Name == v.Name }) {
			m.Query = append(m.Query, v)
		}
	}
	return m, ""
}

func compilePath(source *gatewayv1.HTTPPathMatch, expressions *syntax.Expressions) (proxy.PathMatch, string) {
	m := proxy.PathMatch{Value: "/"}
	if source == nil {
		return m, ""
	}
	if source.Value != nil {
		m.Value = *source.Value
	}
	kind := gatewayv1.PathMatchPathPrefix
	if source.Type != nil {
		kind = *source.Type
	}
	var problem string
	switch kind {
	case gatewayv1.PathMatchExact:
		m.Type = proxy.PathExact
		m.Value, problem = syntax.Path(m.Value)
	case gatewayv1.PathMatchPathPrefix:
		m.Type = proxy.PathPrefix
		m.Value, problem = syntax.Path(m.Value)
	case gatewayv1.PathMatchRegularExpression:
		m.Type, problem = proxy.PathRegex, expressions.Problem(m.Value)
	default:
		return m, fmt.Sprintf("path.type: %q is not supported", kind)
	}
	if problem != "" {
		return m, fmt.Sprintf("path.value: %s %s", syntax.Quote(m.Value), problem)
	}
	return m, ""
}

// compileValue compiles a condition on a header or query parameter; both APIs name the types alike.
func compileValue(name, text, kind string, expressions *syntax.Expressions) (proxy.ValueMatch, string) {
	m := proxy.ValueMatch{Name: name, Value: text}
	switch {
	case name == "":
		return m, "name: is empty"
	case kind == "" || kind == string(gatewayv1.HeaderMatchExact):
	case kind == string(gatewayv1.HeaderMatchRegularExpression):
		m.Type = proxy.ValueRegex
		if problem := expressions.Problem(text); problem != "" {
			return m, fmt.Sprintf("value: %s %s", syntax.Quote(text), problem)
		}
	default:
		return m, fmt.Sprintf("type: %q is not supported", kind)
	}
	return m, ""
}

func knownMethod(m gatewayv1.HTTPMethod) bool {
	switch m {
	case gatewayv1.HTTPMethodGet, gatewayv1.HTTPMethodHead, gatewayv1.HTTPMethodPost, gatewayv1.HTTPMethodPut, gatewayv1.HTTPMethodDelete,
		gatewayv1.HTTPMethodConnect, gatewayv1.HTTPMethodOptions, gatewayv1.HTTPMethodTrace, gatewayv1.HTTPMethodPatch:
		return true
	}
	return false
}
