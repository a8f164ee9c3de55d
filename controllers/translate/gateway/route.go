package gateway

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/breakwater-gateway/breakwater/controllers/translate/change"
	"github.com/breakwater-gateway/breakwater/controllers/translate/host"
	"github.com/breakwater-gateway/breakwater/controllers/view"
	"github.com/breakwater-gateway/breakwater/controllers/view/syntax"
	"github.com/breakwater-gateway/breakwater/proxy"
)

// route is an HTTPRoute that names a Gateway of ours, or whose status names us. It is immutable once translated.
type route struct {
	source *gatewayv1.HTTPRoute
	inputs inputs

	rank     host.Rank
	parts    []listenerPart
	attached []proxy.ListenerID // accepted by, each once
	uses     []proxy.BackendID
	parents  []parent
	rules    ruleOutcome
	ignored  []string // fields that have no effect
}

// listenerPart is what a route contributes to one Host of one listener.
type listenerPart struct {
	listener proxy.ListenerID
	part     *host.Part
}

// inputs is everything besides the object itself that its translation looked at, and what it found.
type inputs struct {
	gateways   []found[*gateway]
	services   []found[*corev1.Service]
	grants     []grantsOf
	namespace  *corev1.Namespace
	namespaced bool // the namespace was looked at
}

// found is what was looked up under a name: nil if there was nothing.
type found[T any] struct {
	key   types.NamespacedName
	value T
}

// grantsOf is the ReferenceGrants of a namespace.
type grantsOf struct {
	namespace string
	grants    []*gatewayv1.ReferenceGrant
}

// fresh reports whether translating source would give the same again.
func (r *route) fresh(s *State, v *view.View, o Options, source *gatewayv1.HTTPRoute) bool {
	if r.source != source && (!same(r.source, source) || names(r.source, o.Controller) != names(source, o.Controller)) {
		return false
	}
	for _, g := range r.inputs.gateways {
		if s.gateways[g.key] != g.value {
			return false
		}
	}
	for _, service := range r.inputs.services {
		if v.Services[service.key] != service.value {
			return false
		}
	}
	for _, g := range r.inputs.grants {
		if !slices.Equal(v.ReferenceGrants[g.namespace], g.grants) {
			return false
		}
	}
	return !r.inputs.namespaced || v.Namespaces[source.Namespace] == r.inputs.namespace
}

// routeChanges translates the routes that are not what they were. Where to look is what changed says, unless it can be
// everywhere.
func (s *State) routeChanges(v *view.View, changed *view.Delta, o Options, prev *State, everywhere bool) change.Map[route] {
	kind := change.Kind[gatewayv1.HTTPRoute, route]{
		Sources:   v.HTTPRoutes,
		Known:     prev.routes,
		Ours:      func(source *gatewayv1.HTTPRoute) bool { return s.concerns(source, o) },
		Fresh:     func(r *route, source *gatewayv1.HTTPRoute) bool { return r.fresh(s, v, o, source) },
		Translate: func(source *gatewayv1.HTTPRoute) *route { return s.translateRoute(v, o, source) },
		DependsOn: (*route).dependsOn,
	}
	if everywhere {
		return kind.Everywhere()
	}
	return kind.Among(changed.HTTPRoutes, changed.Services)
}

// dependsOn reports whether one of these Services was looked up.
func (r *route) dependsOn(services map[types.NamespacedName]bool) bool {
	return slices.ContainsFunc(r.inputs.services, func(f found[*corev1.Service]) bool { return services[f.key] })
}

// concerns reports whether an HTTPRoute names a Gateway of ours as a parent, or us in its status.
func (s *State) concerns(source *gatewayv1.HTTPRoute, o Options) bool {
	for i := range source.Spec.ParentRefs {
		if key, ok := gatewayKey(source, &source.Spec.ParentRefs[i]); ok && s.gateways[key] != nil {
			return true
		}
	}
	return names(source, o.Controller)
}

// names reports whether the status of an HTTPRoute has an entry of this controller.
func names(source *gatewayv1.HTTPRoute, controller string) bool {
	return slices.ContainsFunc(source.Status.Parents, func(p gatewayv1.RouteParentStatus) bool {
		return string(p.ControllerName) == controller
	})
}

// gatewayKey returns the Gateway that a parentRef names, and false if it names something else.
func gatewayKey(source *gatewayv1.HTTPRoute, ref *gatewayv1.ParentReference) (types.NamespacedName, bool) {
	if ref.Group != nil && *ref.Group != gatewayv1.GroupName || ref.Kind != nil && *ref.Kind != KindGateway {
		return types.NamespacedName{}, false
	}
	key := types.NamespacedName{Namespace: source.Namespace, Name: string(ref.Name)}
	if ref.Namespace != nil {
		key.Namespace = string(*ref.Namespace)
	}
	return key, true
}

// translation is a route in the making.
type translation struct {
	*route
	state   *State
	view    *view.View
	options Options
	byPort  map[uint16][]*proxy.Route // Routes depend on the listener only by its port, and only for redirects
}

func (s *State) translateRoute(v *view.View, o Options, source *gatewayv1.HTTPRoute) *route {
	t := translation{
		route: &route{source: source, rank: rankOf(source)},
		state: s, view: v, options: o, byPort: map[uint16][]*proxy.Route{},
	}
	rules := t.compileRules()
	t.rules = rules.outcome
	hostnames, problem := t.hostnames()
	if problem != "" {
		t.rules.fail(gatewayv1.RouteReasonUnsupportedValue, problem)
	}
	for i := range source.Spec.ParentRefs {
		ref := &source.Spec.ParentRefs[i]
		key, ok := gatewayKey(source, ref)
		if !ok {
			continue
		}
		g := s.gateways[key]
		t.inputs.gateways = append(t.inputs.gateways, found[*gateway]{key, g})
		if g == nil {
			continue
		}
		p := parent{ref: ref}
		for _, l := range t.attach(&p, g, hostnames) {
			if !slices.ContainsFunc(t.parts, func(p listenerPart) bool { return p.listener == l.id }) {
				t.contribute(l, hostnames, rules)
			}
		}
		t.parents = append(t.parents, p)
	}
	return t.route
}

// hostnames returns the valid ones of spec.hostnames, and what is wrong with the others. nil stands for every name.
func (t *translation) hostnames() (valid []string, problem string) {
	if len(t.source.Spec.Hostnames) == 0 {
		return nil, ""
	}
	valid = []string{}
	for i, h := range t.source.Spec.Hostnames {
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
func (t *translation) contribute(l *listener, hostnames []string, rules *ruleSet) {
	if !t.rules.allInvalid {
		t.attached = append(t.attached, l.id)
	}
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
		t.parts = append(t.parts, listenerPart{l.id, &host.Part{Host: name, Rank: t.rank, Routes: routes}})
	}
}

// namespaceLabels returns the labels of the route's namespace.
func (t *translation) namespaceLabels() labels.Set {
	t.inputs.namespaced = true
	t.inputs.namespace = t.view.Namespaces[t.source.Namespace]
	if t.inputs.namespace == nil {
		return labels.Set{corev1.LabelMetadataName: t.source.Namespace}
	}
	return t.inputs.namespace.Labels
}
