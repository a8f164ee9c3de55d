package gateway

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/breakwater-gateway/breakwater/controllers/translate/change"
	"github.com/breakwater-gateway/breakwater/proxy"
)

// streamRoute is a TCPRoute or UDPRoute that names a Gateway of ours, or whose status names us. It is immutable once
// translated.
type streamRoute struct {
	attachment
	claims []proxy.ListenerID // the listeners that accept it; it may not have all of them
	stream *proxy.StreamRoute
}

// streamSource is a TCPRoute or UDPRoute.
type streamSource struct {
	source
	rules    int
	backends []gatewayv1.BackendRef // of the first rule, the only one that the API allows
}

func tcpSource(r *gatewayv1.TCPRoute) streamSource {
	s := streamSource{source: source{r, KindTCPRoute, r.Spec.ParentRefs, r.Status.Parents}, rules: len(r.Spec.Rules)}
	if s.rules > 0 {
		s.backends = r.Spec.Rules[0].BackendRefs
	}
	return s
}

func udpSource(r *gatewayv1.UDPRoute) streamSource {
	s := streamSource{source: source{r, KindUDPRoute, r.Spec.ParentRefs, r.Status.Parents}, rules: len(r.Spec.Rules)}
	if s.rules > 0 {
		s.backends = r.Spec.Rules[0].BackendRefs
	}
	return s
}

func (s *State) tcpChanges(b *building, prev *State) change.Map[streamRoute] {
	kind := streamKind(s, b, tcpSource)
	kind.Sources, kind.Known = b.view.TCPRoutes, prev.tcp.routes
	return streamChanges(b, kind, b.changed.TCPRoutes)
}

func (s *State) udpChanges(b *building, prev *State) change.Map[streamRoute] {
	kind := streamKind(s, b, udpSource)
	kind.Sources, kind.Known = b.view.UDPRoutes, prev.udp.routes
	return streamChanges(b, kind, b.changed.UDPRoutes)
}

// streamKind says how the routes of one kind are translated. of reads an object of the kind.
func streamKind[S any](s *State, b *building, of func(*S) streamSource) change.Kind[S, streamRoute] {
	return change.Kind[S, streamRoute]{
		Ours:      func(object *S) bool { return s.concerns(of(object).source) },
		Fresh:     func(r *streamRoute, object *S) bool { return r.fresh(s, b, of(object).source) },
		Translate: func(object *S) *streamRoute { return s.translateStream(b, of(object)) },
		DependsOn: (*streamRoute).dependsOn,
	}
}

// streamChanges translates the routes of one kind that are not what they were.
func streamChanges[S any](b *building, kind change.Kind[S, streamRoute], changed map[types.NamespacedName]bool) change.Map[streamRoute] {
	if b.everywhere {
		return kind.Everywhere()
	}
	return kind.Among(changed, b.changed.Services)
}

func (s *State) translateStream(b *building, source streamSource) *streamRoute {
	r := &streamRoute{stream: &proxy.StreamRoute{ID: source.id()}}
	t := s.newTranslation(b, &r.attachment, source.source)
	fail := func(reason gatewayv1.RouteConditionReason, message string) {
		if r.stream.Invalid == "" {
			r.stream.Invalid = message
		}
		r.rules.allInvalid = true
		r.rules.fail(reason, message)
	}
	for i := range source.backends {
		at := fmt.Sprintf("spec.rules[0].backendRefs[%d]", i)
		r.stream.Backends = append(r.stream.Backends, t.share(&r.rules, at, &source.backends[i], fail))
	}
	switch {
	case source.rules == 0:
		fail(gatewayv1.RouteReasonUnsupportedValue, "spec.rules: is empty")
	case source.rules > 1:
		r.ignored = append(r.ignored, "spec.rules[1]: has no effect, because nothing tells its connections from those of spec.rules[0]")
	}
	t.attachTo(nil, func(l *listener) { r.claims = append(r.claims, l.id) })
	return r
}

// streams are the routes of one kind, TCPRoute or UDPRoute.
type streams struct {
	routes map[types.NamespacedName]*streamRoute
	// claims are the routes that each listener accepts, by rank: the first has the listener. Lists are replaced, never
	// changed.
	claims map[proxy.ListenerID][]*streamRoute
}

// claim makes the claims out of those of before and returns the routes at all listeners that were touched.
func (s *streams) claim(before streams, changes change.Map[streamRoute]) (touched []*streamRoute) {
	s.claims = cloneOrMake(before.claims, len(changes))
	lists := map[proxy.ListenerID][]*streamRoute{}
	edit := func(r *streamRoute, change func([]*streamRoute) []*streamRoute) {
		if r == nil {
			return
		}
		for _, id := range r.claims {
			list, ok := lists[id]
			if !ok {
				list = slices.Clone(s.claims[id])
			}
			lists[id] = change(list)
		}
	}
	for _, c := range changes {
		edit(c.Old, func(list []*streamRoute) []*streamRoute {
			return slices.DeleteFunc(list, func(r *streamRoute) bool { return r == c.Old })
		})
		edit(c.New, func(list []*streamRoute) []*streamRoute { return append(list, c.New) })
	}
	for id, list := range lists {
		if len(list) == 0 {
			delete(s.claims, id)
			continue
		}
		slices.SortFunc(list, func(a, b *streamRoute) int { return a.rank.Compare(b.rank) })
		s.claims[id] = list
		touched = append(touched, list...)
	}
	return touched
}

// holder returns what happens to the connections of a listener; nil if no route has it.
func (s *streams) holder(id proxy.ListenerID) *proxy.StreamRoute {
	if list := s.claims[id]; len(list) > 0 {
		return list[0].stream
	}
	return nil
}
