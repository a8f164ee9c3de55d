package chaos

import (
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// Served is what the proxy serves: what Experiments may touch.
type Served struct {
	Listeners []*proxy.Listener
	Backends  map[proxy.BackendID]*proxy.Backend
}

// reach is what is served of the traffic of one target.
type reach struct {
	served   bool
	selects  bool                         // some Experiment is for some Endpoints only
	backends map[proxy.BackendID]struct{} // that the traffic goes to, if selects
}

func (r *reach) add(backends ...proxy.WeightedBackend) {
	r.served = true
	if !r.selects {
		return
	}
	for i := range backends {
		r.backends[backends[i].Backend] = struct{}{}
	}
}

// reachOf works out what is served of each target of Experiments. The Routes of closed namespaces, which are in order, are left alone
// behind targets that others have Routes at. There may be very many Routes, and this is part of each build: as little as possible is done
// for one.
func (s *Served) reachOf(experiments []*proxy.Experiment, closed []string) map[proxy.ExperimentTarget]*reach {
	all := map[proxy.ExperimentTarget]*reach{}
	routes, services := false, false
	for _, x := range experiments {
		for _, t := range x.Targets {
			r := all[t]
			if r == nil {
				r = &reach{backends: map[proxy.BackendID]struct{}{}}
				all[t] = r
			}
			r.selects = r.selects || x.Endpoints.Filters()
			services = services || t.Object.Kind == kindService
			routes = routes || !isShared(t)
		}
	}
	for _, l := range s.Listeners {
		var gateways []*reach
		for _, section := range slices.Compact([]string{"", l.ID.Section}) {
			if r := all[proxy.ExperimentTarget{Object: l.ID.Object, Section: section}]; r != nil {
				gateways = append(gateways, r)
			}
		}
		if !routes && !services && len(gateways) == 0 {
			continue
		}
		eachRoute(l, func(route proxy.ObjectID, backends []proxy.WeightedBackend) {
			if routes {
				if r := all[proxy.ExperimentTarget{Object: route}]; r != nil {
					r.add(backends...)
				}
			}
			if _, is := slices.BinarySearch(closed, route.Namespace); is {
				return
			}
			for _, r := range gateways {
				r.add(backends...)
			}
			for i := range backends {
				if !services {
					break
				}
				b := &backends[i].Backend
				if r := all[proxy.ExperimentTarget{Object: proxy.ObjectID{Kind: b.Kind, Namespace: b.Namespace, Name: b.Name}}]; r != nil {
					r.add(backends[i])
				}
			}
		})
	}
	return all
}

// eachRoute calls f for every Route of a Listener.
func eachRoute(l *proxy.Listener, f func(proxy.ObjectID, []proxy.WeightedBackend)) {
	for _, h := range l.Hosts {
		for _, r := range h.Routes {
			f(r.ID.Object, r.Backends)
		}
	}
	if l.Default != nil {
		f(l.Default.ID.Object, l.Default.Backends)
	}
	if l.Stream != nil {
		f(l.Stream.ID, l.Stream.Backends)
	}
}

// idle says why there is nothing that an Experiment could touch; it is empty if there is.
func (s *Served) idle(x *proxy.Experiment, all map[proxy.ExperimentTarget]*reach) string {
	isServed := false
	for _, t := range x.Targets {
		isServed = isServed || all[t].served
		for id := range all[t].backends {
			if b := s.Backends[id]; b != nil && slices.ContainsFunc(b.Endpoints, func(e proxy.Endpoint) bool { return x.Endpoints.Fits(&e) }) {
				return ""
			}
		}
	}
	switch {
	case !isServed:
		return "no traffic that it may break is served here: look at the status, class and parents of its targets"
	case x.Endpoints.Pods != nil && len(x.Endpoints.Pods) == 0:
		return "no pod has these labels now"
	case x.Endpoints.Pods != nil:
		return "no endpoint of its targets is one of the pods that it selects"
	case x.Endpoints.Zone != "":
		return "no endpoint of its targets is in the zone " + x.Endpoints.Zone
	}
	return ""
}

// Follows reports whether what the State says changes with the Endpoints of one of the Services, since an Experiment is for some of them
// only.
func (s *State) Follows(services []types.NamespacedName) bool {
	return slices.ContainsFunc(services, func(name types.NamespacedName) bool {
		_, is := s.followed[name]
		return is
	})
}

// followed returns the Services that Experiments which are for some Endpoints only lead to.
func followed(all map[proxy.ExperimentTarget]*reach) map[types.NamespacedName]struct{} {
	services := map[types.NamespacedName]struct{}{}
	for _, r := range all {
		for id := range r.backends {
			services[types.NamespacedName{Namespace: id.Namespace, Name: id.Name}] = struct{}{}
		}
	}
	return services
}
