package gateway

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/breakwater-gateway/breakwater/controllers/translate/host"
	"github.com/breakwater-gateway/breakwater/controllers/view"
	"github.com/breakwater-gateway/breakwater/proxy"
)

// attachment is what the translations of all kinds of routes have in common: where a route attaches and what it refers
// to. It is immutable once translated.
type attachment struct {
	source source
	inputs inputs

	rank     host.Rank
	attached []proxy.ListenerID // accepted by, each once
	uses     []proxy.BackendID
	parents  []parent
	rules    ruleOutcome
	ignored  []string // fields that have no effect
}

// base returns the part of a route's translation that all kinds have.
func (a *attachment) base() *attachment { return a }

// source is a route of any kind, as far as attaching it is concerned.
type source struct {
	metav1.Object
	kind    string
	parents []gatewayv1.ParentReference
	written []gatewayv1.RouteParentStatus // what stands in its status
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

// fresh reports whether translating the route, as it is now, would give the same again.
func (a *attachment) fresh(s *State, b *building, now source) bool {
	controller := b.options.Controller
	if a.source.Object != now.Object && (!same(a.source.Object, now.Object) || a.source.names(controller) != now.names(controller)) {
		return false
	}
	for _, g := range a.inputs.gateways {
		if s.gateways[g.key] != g.value {
			return false
		}
	}
	for _, service := range a.inputs.services {
		if b.view.Services[service.key] != service.value {
			return false
		}
	}
	for _, g := range a.inputs.grants {
		if !slices.Equal(b.view.ReferenceGrants[g.namespace], g.grants) {
			return false
		}
	}
	return !a.inputs.namespaced || b.view.Namespaces[now.GetNamespace()] == a.inputs.namespace
}

// dependsOn reports whether one of these Services was looked up.
func (a *attachment) dependsOn(services map[types.NamespacedName]bool) bool {
	return slices.ContainsFunc(a.inputs.services, func(f found[*corev1.Service]) bool { return services[f.key] })
}

// concerns reports whether a route names a Gateway of ours as a parent, or us in its status.
func (s *State) concerns(route source) bool {
	for i := range route.parents {
		if key, ok := route.gateway(&route.parents[i]); ok && s.gateways[key] != nil {
			return true
		}
	}
	return route.names(string(s.controller))
}

// names reports whether the status of a route has an entry of this controller.
func (s source) names(controller string) bool {
	return slices.ContainsFunc(s.written, func(p gatewayv1.RouteParentStatus) bool { return string(p.ControllerName) == controller })
}

// gateway returns the Gateway that a parentRef names, and false if it names something else.
func (s source) gateway(ref *gatewayv1.ParentReference) (types.NamespacedName, bool) {
	if ref.Group != nil && *ref.Group != gatewayv1.GroupName || ref.Kind != nil && *ref.Kind != KindGateway {
		return types.NamespacedName{}, false
	}
	key := types.NamespacedName{Namespace: s.GetNamespace(), Name: string(ref.Name)}
	if ref.Namespace != nil {
		key.Namespace = string(*ref.Namespace)
	}
	return key, true
}

// parent is the outcome for one parentRef that names a Gateway of ours.
type parent struct {
	ref     *gatewayv1.ParentReference
	reason  gatewayv1.RouteConditionReason // "" if a listener has accepted the route
	message string
}

// translation is a route of any kind in the making.
type translation struct {
	*attachment
	state   *State
	view    *view.View
	options Options

	matches int // in all rules; 0 for routes without any
	served  int // Routes that the proxy has got of it
}

// maxServed bounds what one route becomes in the proxy, which has a Route for each match, hostname and listener: at 440 bytes or
// more each. With all matches and hostnames that the API allows it can have eight listeners that cover every name.
const maxServed = 16_384

func (s *State) newTranslation(b *building, a *attachment, route source) translation {
	a.source, a.rank = route, rankOf(route.Object)
	return translation{attachment: a, state: s, view: b.view, options: b.options}
}

// attachTo attaches the route to the Gateways that it names and calls contribute for each listener that accepts it, once.
func (t *translation) attachTo(hostnames []string, contribute func(*listener)) {
	var accepted []proxy.ListenerID
	for i := range t.source.parents {
		ref := &t.source.parents[i]
		key, ok := t.source.gateway(ref)
		if !ok {
			continue
		}
		g := t.state.gateways[key]
		t.inputs.gateways = append(t.inputs.gateways, found[*gateway]{key, g})
		if g == nil {
			continue
		}
		p := parent{ref: ref}
		for _, l := range t.attach(&p, g, hostnames) {
			if slices.Contains(accepted, l.id) {
				continue
			}
			accepted = append(accepted, l.id)
			contribute(l)
		}
		t.parents = append(t.parents, p)
	}
	if !t.rules.allInvalid {
		t.attached = accepted
	}
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
		if l.kind == t.source.kind && l.allows(t.source.GetNamespace(), t.namespaceLabels) {
			allowed = append(allowed, l)
		}
	}
	if len(allowed) == 0 {
		p.reason = gatewayv1.RouteReasonNotAllowedByListeners
		p.message = fmt.Sprintf("no listener allows routes of kind %s from namespace %q", t.source.kind, t.source.GetNamespace())
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
	return t.afford(p, matching, hostnames)
}

// afford returns the listeners, none if with them the route would become too much.
func (t *translation) afford(p *parent, listeners []*listener, hostnames []string) []*listener {
	names := 0
	for _, l := range listeners {
		names += len(intersect(l.hostname, hostnames))
	}
	if t.served+t.matches*names > maxServed {
		p.reason = gatewayv1.RouteReasonUnsupportedValue
		p.message = fmt.Sprintf("spec: %d matches for %d hostnames of listeners are too many: all that a route attaches to may take %d of their product",
			t.matches, names, maxServed)
		return nil
	}
	t.served += t.matches * names
	return listeners
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

// namespaceLabels returns the labels of the route's namespace.
func (t *translation) namespaceLabels() labels.Set {
	t.inputs.namespaced = true
	t.inputs.namespace = t.view.Namespaces[t.source.GetNamespace()]
	if t.inputs.namespace == nil {
		return labels.Set{corev1.LabelMetadataName: t.source.GetNamespace()}
	}
	return t.inputs.namespace.Labels
}
