// Package ingress translates Ingress v1 (networking.k8s.io) into one Listener.
//
// Where the API leaves a choice to the controller, this is ours:
//
//   - ImplementationSpecific paths are treated as Prefix.
//   - A rule without http sends all requests of its host to the Ingress's default backend; without one, to the default
//     backend of all hosts, else they are answered with 404.
//   - The default backend of an Ingress without rules is that of all hosts; of an Ingress with rules, that of the hosts which its
//     rules name. The API says "requests that don't match any rule" and leaves open for which hosts; that one Ingress of many
//     serves what none of the others does would be a surprise, and ingress-nginx does it so as well.
//   - A host belongs to the namespace of the oldest Ingress that names it: what Ingresses of other namespaces say of it is left
//     out, unless Options.ShareHosts. Hosts are compared as they are written, so "*.example.com" and "a.example.com" are two.
//     Rules without a host, and the default backend of all hosts, are shared by all namespaces.
//   - Of two Ingresses that want the same path of the same host the older one has it.
//   - A backend that does not exist is answered with 503, one that cannot be used as written with 500; both say so in an
//     Event.
//   - spec.tls has no effect yet, and an Event says so.
//
// The package is pure. A State is immutable and is both the result and the memory for the next Build.
package ingress

import (
	"maps"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/breakwater-gateway/breakwater/controllers/status"
	"github.com/breakwater-gateway/breakwater/controllers/translate/backend"
	"github.com/breakwater-gateway/breakwater/controllers/translate/change"
	"github.com/breakwater-gateway/breakwater/controllers/translate/host"
	"github.com/breakwater-gateway/breakwater/controllers/view"
	"github.com/breakwater-gateway/breakwater/proxy"
)

// Kind is ObjectID.Kind of an Ingress.
const Kind = "Ingress"

// Options of the translation. A State made with some Options must not be continued with others.
type Options struct {
	Controller string // spec.controller of the IngressClasses that are ours
	// Class is a value of the annotation kubernetes.io/ingress.class that is ours even without an IngressClass.
	Class string
	// ImplicitClass: Class exists, and is the default class, unless IngressClasses say otherwise (standalone).
	ImplicitClass     bool
	Port              uint16 // to bind; 0: there is no Listener
	AllowExternalName bool
	ShareHosts        bool     // Ingresses of several namespaces serve one host together
	Addresses         []string // IP addresses or host names for status.loadBalancer
}

// State is the outcome of a Build.
type State struct {
	Listener *proxy.Listener // nil without a port
	Reports  map[types.NamespacedName]*status.Ingress
	// LoadBalancer is what all Reports say of it.
	LoadBalancer []networkingv1.IngressLoadBalancerIngress

	objects  map[types.NamespacedName]*object
	hosts    *host.Table
	fallback *object // its default backend is that of all hosts; nil: there is none
}

// Build translates the Ingresses of the View that are ours. prev may be nil; otherwise delta says what has changed since.
// References to Backends that have come or gone are added to uses. If nothing has changed, Build returns prev itself.
func Build(v *view.View, delta *view.Delta, o Options, prev *State, uses backend.Uses) *State {
	if o.Port == 0 {
		v = view.New()
	}
	if prev == nil {
		prev = &State{hosts: &host.Table{Owned: !o.ShareHosts}}
	}
	changes := prev.changes(v, delta, o)
	if len(changes) == 0 && prev.objects != nil {
		return prev
	}
	next := &State{objects: cloneOrMake(prev.objects, len(changes)), Reports: cloneOrMake(prev.Reports, len(changes)), LoadBalancer: loadBalancer(o.Addresses)}
	var gained, lost []*host.Part
	for key, c := range changes {
		if c.Old != nil {
			lost = append(lost, c.Old.parts...)
			uses.Add(nil, c.Old.uses)
			delete(next.objects, key)
			delete(next.Reports, key)
		}
		if c.New != nil {
			gained = append(gained, c.New.parts...)
			uses.Add(c.New.uses, nil)
			next.objects[key] = c.New
		}
	}
	var touched []*host.Part
	next.hosts, touched = prev.hosts.Update(gained, lost)
	next.fallback = prev.fallback
	if fallbackChanged(changes) {
		next.fallback = oldestFallback(next.objects)
	}
	next.Listener = next.listener(o)
	next.report(prev, changes, touched)
	return next
}

func (s *State) changes(v *view.View, delta *view.Delta, o Options) change.Map[object] {
	classes := classesOf(v, o)
	kind := change.Kind[networkingv1.Ingress, object]{
		Sources:   v.Ingresses,
		Known:     s.objects,
		Ours:      classes.claim,
		Fresh:     func(object *object, source *networkingv1.Ingress) bool { return object.fresh(v, source) },
		Translate: func(source *networkingv1.Ingress) *object { return translate(v, o, source) },
		DependsOn: (*object).dependsOn,
	}
	if delta.Everything || delta.Others {
		return kind.Everywhere()
	}
	return kind.Among(delta.Ingresses, delta.Services)
}

func (s *State) listener(o Options) *proxy.Listener {
	if o.Port == 0 {
		return nil
	}
	l := &proxy.Listener{
		ID:       proxy.ListenerID{Object: proxy.ObjectID{Kind: "IngressClass", Name: o.Class}, Section: "http"},
		Port:     o.Port,
		Protocol: proxy.HTTP1,
		Hosts:    s.hosts.Hosts,
	}
	if s.fallback != nil {
		l.Default = s.fallback.fallback
	}
	return l
}

func fallbackChanged(changes change.Map[object]) bool {
	for _, c := range changes {
		if c.Old != nil && c.Old.fallback != nil || c.New != nil && c.New.fallback != nil {
			return true
		}
	}
	return false
}

// oldestFallback returns the object whose default backend is that of all hosts.
func oldestFallback(objects map[types.NamespacedName]*object) *object {
	var oldest *object
	for _, candidate := range objects {
		if candidate.fallback != nil && (oldest == nil || candidate.rank.Compare(oldest.rank) < 0) {
			oldest = candidate
		}
	}
	return oldest
}

func cloneOrMake[K comparable, V any](m map[K]V, size int) map[K]V {
	if len(m) == 0 {
		return make(map[K]V, size)
	}
	return maps.Clone(m)
}

func keyOf(i *networkingv1.Ingress) types.NamespacedName {
	return types.NamespacedName{Namespace: i.Namespace, Name: i.Name}
}
