package chaos

import (
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// claim is the traffic of one object that is one Experiment's, by one of its targets.
type claim struct {
	target proxy.ExperimentTarget
	by     *proxy.Experiment
}

// meets reports whether two claims on the traffic of one object have any of it in common. Targets of one kind share nothing unless
// they are the same: a request goes by one Gateway and to one Service. Those of different kinds do.
func (c claim) meets(d claim) bool {
	a, b := c.target, d.target
	return a.Object.Kind != b.Object.Kind || a.Object == b.Object && sectionsMeet(a.Section, b.Section)
}

// sectionsMeet reports whether two sections of one object have anything in common; "" is the whole object.
func sectionsMeet(a, b string) bool { return a == b || a == "" || b == "" }

// overlaps says for each of these Experiments, which are in order, which have traffic in common with it, itself included.
func (b *building) overlaps(experiments []*proxy.Experiment) map[types.NamespacedName][]*proxy.Experiment {
	result := map[types.NamespacedName][]*proxy.Experiment{}
	claims := b.claims(experiments)
	for _, x := range experiments {
		result[nameOf(x)] = []*proxy.Experiment{x}
	}
	for object, all := range claims {
		isOfOneKind := !slices.ContainsFunc(all, func(c claim) bool { return c.target.Object.Kind != all[0].target.Object.Kind })
		if isOfOneKind && all[0].target.Object != object {
			continue // what they have in common is seen at the target
		}
		for _, c := range all {
			key := nameOf(c.by)
			for _, d := range all {
				if c.meets(d) && !slices.Contains(result[key], d.by) {
					result[key] = append(result[key], d.by)
				}
			}
		}
	}
	for _, all := range result {
		slices.SortFunc(all, compare)
	}
	return result
}

func nameOf(x *proxy.Experiment) types.NamespacedName {
	return types.NamespacedName{Namespace: x.ID.Namespace, Name: x.ID.Name}
}

// claims lists the claims on each object: on the targets, and on the Routes and Ingresses that lead through targets.
func (b *building) claims(experiments []*proxy.Experiment) map[proxy.ObjectID][]claim {
	claims := map[proxy.ObjectID][]claim{}
	through := false
	for _, x := range experiments {
		for _, t := range x.Targets {
			claims[t.Object] = append(claims[t.Object], claim{t, x})
			through = through || isShared(t)
		}
	}
	if len(experiments) < 2 || !through {
		return claims
	}
	b.eachWay(func(route, via proxy.ObjectID, section string) {
		for _, c := range claims[via] {
			if sectionsMeet(section, c.target.Section) && !slices.Contains(claims[route], c) {
				claims[route] = append(claims[route], c)
			}
		}
	})
	return claims
}

// eachWay calls f for every Gateway and every Service that a Route or an Ingress leads through.
func (b *building) eachWay(f func(route, via proxy.ObjectID, section string)) {
	parents := func(route proxy.ObjectID, refs []gatewayv1.ParentReference) {
		for i := range refs {
			if p := &refs[i]; p.Kind == nil || *p.Kind == kindGateway {
				f(route, objectOf(kindGateway, route.Namespace, p.Namespace, p.Name), sectionOf(p))
			}
		}
	}
	backend := func(route proxy.ObjectID, ref *gatewayv1.BackendRef) {
		if ref.Kind == nil || *ref.Kind == kindService {
			f(route, objectOf(kindService, route.Namespace, ref.Namespace, ref.Name), "")
		}
	}
	backends := func(route proxy.ObjectID, refs []gatewayv1.BackendRef) {
		for i := range refs {
			backend(route, &refs[i])
		}
	}
	for key, r := range b.view.HTTPRoutes {
		route := idOf(kindHTTPRoute, key)
		parents(route, r.Spec.ParentRefs)
		for i := range r.Spec.Rules {
			for j := range r.Spec.Rules[i].BackendRefs {
				backend(route, &r.Spec.Rules[i].BackendRefs[j].BackendRef)
			}
		}
	}
	for key, r := range b.view.TCPRoutes {
		route := idOf(kindTCPRoute, key)
		parents(route, r.Spec.ParentRefs)
		for i := range r.Spec.Rules {
			backends(route, r.Spec.Rules[i].BackendRefs)
		}
	}
	for key, r := range b.view.UDPRoutes {
		route := idOf(kindUDPRoute, key)
		parents(route, r.Spec.ParentRefs)
		for i := range r.Spec.Rules {
			backends(route, r.Spec.Rules[i].BackendRefs)
		}
	}
	for key, in := range b.view.Ingresses {
		eachBackend(in, func(service string) {
			f(idOf(kindIngress, key), proxy.ObjectID{Kind: kindService, Namespace: key.Namespace, Name: service}, "")
		})
	}
}

// eachBackend calls f for every Service that an Ingress names.
func eachBackend(in *networkingv1.Ingress, f func(service string)) {
	one := func(b *networkingv1.IngressBackend) {
		if b != nil && b.Service != nil {
			f(b.Service.Name)
		}
	}
	one(in.Spec.DefaultBackend)
	for i := range in.Spec.Rules {
		if http := in.Spec.Rules[i].HTTP; http != nil {
			for j := range http.Paths {
				one(&http.Paths[j].Backend)
			}
		}
	}
}

func idOf(kind string, key types.NamespacedName) proxy.ObjectID {
	return proxy.ObjectID{Kind: kind, Namespace: key.Namespace, Name: key.Name}
}

// objectOf returns what a reference leads to; without a namespace that is in the one it is from.
func objectOf(kind, from string, namespace *gatewayv1.Namespace, name gatewayv1.ObjectName) proxy.ObjectID {
	if namespace != nil {
		from = string(*namespace)
	}
	return proxy.ObjectID{Kind: kind, Namespace: from, Name: string(name)}
}

func sectionOf(p *gatewayv1.ParentReference) string {
	if p.SectionName == nil {
		return ""
	}
	return string(*p.SectionName)
}
