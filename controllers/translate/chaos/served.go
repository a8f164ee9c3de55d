package chaos

import (
	"slices"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// Served is what the proxy serves: what Experiments may touch.
type Served struct {
	Listeners []*proxy.Listener
	Backends  map[proxy.BackendID]*proxy.Backend
}

// reach says for each of the targets of Experiments, if anything that is served is its traffic, which Backends that goes to.
type reach map[proxy.ExperimentTarget]map[proxy.BackendID]struct{}

// reachOf works out the reach of the targets. The Routes of closed namespaces, which are in order, are left alone behind targets that
// others have Routes at.
func (s *Served) reachOf(experiments []*proxy.Experiment, closed []string) reach {
	reached := reach{}
	if len(experiments) == 0 {
		return reached
	}
	wanted := map[proxy.ExperimentTarget]bool{}
	for _, x := range experiments {
		for _, t := range x.Targets {
			wanted[t] = true
		}
	}
	add := func(object proxy.ObjectID, section string, backends ...proxy.WeightedBackend) {
		t := proxy.ExperimentTarget{Object: object, Section: section}
		if !wanted[t] {
			return
		}
		if reached[t] == nil {
			reached[t] = map[proxy.BackendID]struct{}{}
		}
		for i := range backends {
			reached[t][backends[i].Backend] = struct{}{}
		}
	}
	s.eachRoute(func(l proxy.ListenerID, route proxy.ObjectID, backends []proxy.WeightedBackend) {
		add(route, "", backends...)
		if _, is := slices.BinarySearch(closed, route.Namespace); is {
			return
		}
		add(l.Object, "", backends...)
		add(l.Object, l.Section, backends...)
		for i := range backends {
			b := &backends[i].Backend
			add(proxy.ObjectID{Kind: b.Kind, Namespace: b.Namespace, Name: b.Name}, "", backends[i])
		}
	})
	return reached
}

// eachRoute calls f for every Route that is served.
func (s *Served) eachRoute(f func(proxy.ListenerID, proxy.ObjectID, []proxy.WeightedBackend)) {
	for _, l := range s.Listeners {
		for _, h := range l.Hosts {
			for _, r := range h.Routes {
				f(l.ID, r.ID.Object, r.Backends)
			}
		}
		if l.Default != nil {
			f(l.ID, l.Default.ID.Object, l.Default.Backends)
		}
		if l.Stream != nil {
			f(l.ID, l.Stream.ID, l.Stream.Backends)
		}
	}
}

// idle says why there is nothing that an Experiment could touch; it is empty if there is.
func (s *Served) idle(x *proxy.Experiment, reached reach) string {
	isServed := false
	for _, t := range x.Targets {
		backends, is := reached[t]
		isServed = isServed || is
		for id := range backends {
			if b := s.Backends[id]; b != nil && slices.ContainsFunc(b.Endpoints, func(e proxy.Endpoint) bool { return isSelected(&x.Endpoints, &e) }) {
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

// isSelected reports whether zone and pods of a selector leave an Endpoint to choose from.
func isSelected(s *proxy.EndpointSelector, e *proxy.Endpoint) bool {
	_, isPod := s.Pods[e.Pod]
	return (s.Zone == "" || e.Zone == s.Zone) && (s.Pods == nil || isPod)
}

// SelectsEndpoints reports whether an Experiment is for Endpoints of some zone or of some pods only, so that what the State says changes
// with the Endpoints.
func (s *State) SelectsEndpoints() bool {
	return slices.ContainsFunc(s.Experiments, func(x *proxy.Experiment) bool { return x.Endpoints.Zone != "" || x.Endpoints.Pods != nil })
}
