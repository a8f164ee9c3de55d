package gateway

import (
	"fmt"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/filter"
)

// filterSet is a list of filters, compiled but for the listener's port.
type filterSet struct {
	filters     []filter.Filter
	portMatters bool
	reason      gatewayv1.RouteConditionReason
	problem     string // why the list cannot be used
}

// at returns the Filters for a listener at this port.
func (s *filterSet) at(port uint16) []proxy.Filter {
	if len(s.filters) == 0 {
		return nil
	}
	result := make([]proxy.Filter, len(s.filters))
	for i, f := range s.filters {
		if redirect, ok := f.(filter.Redirect); ok {
			redirect.ListenerPort = port
			f = redirect
		}
		result[i] = f
	}
	return result
}

// compileFilters compiles a list of filters. prefixOnly tells whether ReplacePrefixMatch may be used.
func compileFilters(field string, sources []gatewayv1.HTTPRouteFilter, prefixOnly bool) (set filterSet) {
	fail := func(reason gatewayv1.RouteConditionReason, message string) filterSet {
		return filterSet{reason: reason, problem: message}
	}
	if len(sources) == 0 {
		return set
	}
	seen := map[gatewayv1.HTTPRouteFilterType]bool{}
	for i := range sources {
		source := &sources[i]
		at := fmt.Sprintf("%s[%d]", field, i)
		f, problem := compileFilter(source)
		if problem != "" {
			return fail(gatewayv1.RouteReasonUnsupportedValue, at+"."+problem)
		}
		if err := f.Validate(); err != nil {
			return fail(gatewayv1.RouteReasonUnsupportedValue, fmt.Sprintf("%s.%s: %v", at, fieldOf(source.Type), err))
		}
		if seen[source.Type] {
			return fail(gatewayv1.RouteReasonIncompatibleFilters, fmt.Sprintf("%s.type: %s is used twice", at, source.Type))
		}
		if replacesPrefix(source) && !prefixOnly {
			return fail(gatewayv1.RouteReasonUnsupportedValue,
				fmt.Sprintf("%s.%s.path.type: ReplacePrefixMatch needs exactly one match, of type PathPrefix", at, fieldOf(source.Type)))
		}
		seen[source.Type] = true
		_, redirects := f.(filter.Redirect)
		set.portMatters = set.portMatters || redirects
		set.filters = append(set.filters, f)
	}
	if seen[gatewayv1.HTTPRouteFilterRequestRedirect] && seen[gatewayv1.HTTPRouteFilterURLRewrite] {
		return fail(gatewayv1.RouteReasonIncompatibleFilters, field+": RequestRedirect and URLRewrite cannot be used together")
	}
	return set
}

// compileFilter returns the value of one filter, or the field and what is wrong with it.
func compileFilter(source *gatewayv1.HTTPRouteFilter) (filter.Filter, string) {
	missing := fieldOf(source.Type) + ": is missing"
	switch source.Type {
	case gatewayv1.HTTPRouteFilterRequestHeaderModifier:
		if m := source.RequestHeaderModifier; m != nil {
			return filter.RequestHeaders{Set: fields(m.Set), Add: fields(m.Add), Remove: m.Remove}, ""
		}
	case gatewayv1.HTTPRouteFilterResponseHeaderModifier:
		if m := source.ResponseHeaderModifier; m != nil {
			return filter.ResponseHeaders{Set: fields(m.Set), Add: fields(m.Add), Remove: m.Remove}, ""
		}
	case gatewayv1.HTTPRouteFilterRequestRedirect:
		if r := source.RequestRedirect; r != nil {
			return compileRedirect(r)
		}
	case gatewayv1.HTTPRouteFilterURLRewrite:
		if r := source.URLRewrite; r != nil {
			path, problem := compileModifier(r.Path)
			return filter.Rewrite{Hostname: string(value(r.Hostname)), Path: path}, prefixed("urlRewrite.", problem)
		}
	default:
		return nil, fmt.Sprintf("type: %q is not supported", source.Type)
	}
	return nil, missing
}

func compileRedirect(r *gatewayv1.HTTPRequestRedirectFilter) (filter.Filter, string) {
	path, problem := compileModifier(r.Path)
	if port := value(r.Port); port < 0 || port > 65535 {
		problem = fmt.Sprintf("port: %d is not a port from 1 to 65535", port)
	}
	return filter.Redirect{
		Scheme:   value(r.Scheme),
		Hostname: string(value(r.Hostname)),
		Port:     uint16(value(r.Port)),
		Path:     path,
		Status:   value(r.StatusCode),
	}, prefixed("requestRedirect.", problem)
}

func compileModifier(m *gatewayv1.HTTPPathModifier) (filter.Path, string) {
	if m == nil {
		return filter.Path{}, ""
	}
	switch {
	case m.Type == gatewayv1.FullPathHTTPPathModifier && m.ReplaceFullPath != nil:
		return filter.Path{Mode: filter.ReplaceFullPath, Value: *m.ReplaceFullPath}, ""
	case m.Type == gatewayv1.PrefixMatchHTTPPathModifier && m.ReplacePrefixMatch != nil:
		return filter.Path{Mode: filter.ReplacePrefix, Value: *m.ReplacePrefixMatch}, ""
	case m.Type == gatewayv1.FullPathHTTPPathModifier, m.Type == gatewayv1.PrefixMatchHTTPPathModifier:
		return filter.Path{}, fmt.Sprintf("path: has no value for type %s", m.Type)
	default:
		return filter.Path{}, fmt.Sprintf("path.type: %q is not supported", m.Type)
	}
}

func replacesPrefix(source *gatewayv1.HTTPRouteFilter) bool {
	var path *gatewayv1.HTTPPathModifier
	switch {
	case source.Type == gatewayv1.HTTPRouteFilterRequestRedirect && source.RequestRedirect != nil:
		path = source.RequestRedirect.Path
	case source.Type == gatewayv1.HTTPRouteFilterURLRewrite && source.URLRewrite != nil:
		path = source.URLRewrite.Path
	}
	return path != nil && path.Type == gatewayv1.PrefixMatchHTTPPathModifier
}

// fieldOf returns the name of the field that belongs to a type of filter.
func fieldOf(t gatewayv1.HTTPRouteFilterType) string {
	switch t {
	case gatewayv1.HTTPRouteFilterRequestHeaderModifier:
		return "requestHeaderModifier"
	case gatewayv1.HTTPRouteFilterResponseHeaderModifier:
		return "responseHeaderModifier"
	case gatewayv1.HTTPRouteFilterRequestRedirect:
		return "requestRedirect"
	default:
		return "urlRewrite"
	}
}

func fields(headers []gatewayv1.HTTPHeader) []filter.Field {
	var result []filter.Field
	for _, h := range headers {
		result = append(result, filter.Field{Name: string(h.Name), Value: h.Value})
	}
	return result
}

func prefixed(prefix, problem string) string {
	if problem == "" {
		return ""
	}
	return prefix + problem
}
