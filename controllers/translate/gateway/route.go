package gateway

import (
	"fmt"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/breakwater-gateway/breakwater/controllers/translate/change"
	"github.com/breakwater-gateway/breakwater/controllers/translate/host"
	"github.com/breakwater-gateway/breakwater/controllers/view/syntax"
	"github.com/breakwater-gateway/breakwater/proxy"
)

// route is an HTTPRoute that names a Gateway of ours, or whose status names us. It is immutable once translated.
type route struct {
	attachment
	parts []listenerPart
}

// listenerPart is what a route contributes to one Host of one listener.
type listenerPart struct {
	listener proxy.ListenerID
	part     *host.Part
}

func httpSource(r *gatewayv1.HTTPRoute) source {
	return source{r, KindHTTPRoute, r.Spec.ParentRefs, r.Status.Parents}
}

// routeChanges translates the routes that are not what they were. Where to look is what changed says, unless it can be
// everywhere.
func (s *State) routeChanges(b *building, prev *State) change.Map[route] {
	kind := change.Kind[gatewayv1.HTTPRoute, route]{
		Sources:   b.view.HTTPRoutes,
		Known:     prev.routes,
		Ours:      func(r *gatewayv1.HTTPRoute) bool { return s.concerns(httpSource(r)) },
		Fresh:     func(known *route, r *gatewayv1.HTTPRoute) bool { return known.fresh(s, b, httpSource(r)) },
		Translate: func(r *gatewayv1.HTTPRoute) *route { return s.translateRoute(b, r) },
		DependsOn: (*route).dependsOn,
	}
	if b.everywhere {
		return kind.Everywhere()
	}
	return kind.Among(b.changed.HTTPRoutes, b.changed.Services)
}

// httpTranslation is an HTTPRoute in the making.
type httpTranslation struct {
	translation
	route  *route
	spec   *gatewayv1.HTTPRouteSpec
	byPort map[uint16][]*proxy.Route // Routes depend on the listener only by its port, and only for redirects
}

func (s *State) translateRoute(b *building, r *gatewayv1.HTTPRoute) *route {
	result := &route{}
	t := httpTranslation{
		translation: s.newTranslation(b, &result.attachment, httpSource(r)),
		route:       result, spec: &r.Spec, byPort: map[uint16][]*proxy.Route{},
	}
	rules := t.compileRules()
	t.rules, t.matches = rules.outcome, rules.size()
	hostnames, problem := t.hostnames()
	if problem != "" {
		t.rules.fail(gatewayv1.RouteReasonUnsupportedValue, problem)
	}
	t.attachTo(hostnames, func(l *listener) { t.contribute(l, hostnames, rules) })
	return result
}

// hostnames returns the valid ones of spec.hostnames, and what is wrong with the others. nil stands for every name.
func (t *httpTranslation) hostnames() (valid []string, problem string) {
	if len(t.spec.Hostnames) == 0 {
		return nil, ""
	}
	valid = []string{}
	for i, h := range t.spec.Hostnames {
		name := string(h)
		if p := syntax.HostProblem(name); p != "" {
			problem = fmt.Sprintf("spec.hostnames[%d]: %q %s", i, name, p)
			continue
		}
		valid = append(valid, name)
	}
	return valid, problem
}

// contribute adds the route to a listener that has accepted it.
func (t *httpTranslation) contribute(l *listener, hostnames []string, rules *ruleSet) {
	port := l.public
	if !rules.portMatters {
		port = 0
	}
	routes, ok := t.byPort[port]
	if !ok {
		routes = rules.routes(port)
		t.byPort[port] = routes
	}
	for _, name := range intersect(l.hostname, hostnames) {
		t.route.parts = append(t.route.parts, listenerPart{l.id, &host.Part{Host: name, Rank: t.rank, Routes: routes}})
	}
}
