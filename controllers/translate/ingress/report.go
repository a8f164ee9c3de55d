package ingress

import (
	"fmt"
	"net/netip"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/breakwater-gateway/breakwater/controllers/status"
	"github.com/breakwater-gateway/breakwater/controllers/translate/change"
	"github.com/breakwater-gateway/breakwater/controllers/translate/host"
	"github.com/breakwater-gateway/breakwater/proxy"
)

// report makes the entries of all objects that have changed themselves or whose Hosts were touched.
func (s *State) report(prev *State, changes change.Map[object], touched []*host.Part) {
	for key, c := range changes {
		if c.New != nil {
			s.Reports[key] = s.entry(c.New)
		}
	}
	again := make(map[types.NamespacedName]bool)
	for _, part := range touched {
		again[types.NamespacedName{Namespace: part.Rank.Namespace, Name: part.Rank.Name}] = true
	}
	if prev.fallback != s.fallback {
		for key, object := range s.objects {
			if object.fallback != nil {
				again[key] = true
			}
		}
	}
	for key := range again {
		if _, done := changes[key]; done {
			continue
		}
		entry := s.entry(s.objects[key])
		if !slices.Equal(entry.Events, s.Reports[key].Events) {
			s.Reports[key] = entry
		}
	}
}

func (s *State) entry(b *object) *status.Ingress {
	events := b.events
	for _, part := range b.parts {
		if owner, others := s.hosts.Owner(part); others {
			events = append(slices.Clip(events), ownerEvent(b.source, part.Host, owner))
		}
		for _, loss := range s.hosts.Losses(part) {
			events = append(slices.Clip(events), lossEvent(part, loss))
		}
	}
	if b.fallback != nil && s.fallback != b {
		events = append(slices.Clip(events), status.Warning(status.ReasonDefaultBackendConflict, fmt.Sprintf(
			"spec.defaultBackend: Ingress %s is older and provides the default backend of all hosts", keyOf(s.fallback.source))))
	}
	return &status.Ingress{UID: b.source.UID, Generation: b.source.Generation, LoadBalancer: s.LoadBalancer, Events: events}
}

// ownerEvent says no more of the other namespace than its name.
func ownerEvent(source *networkingv1.Ingress, name, owner string) status.Event {
	rule := slices.IndexFunc(source.Spec.Rules, func(r networkingv1.IngressRule) bool { return r.Host == name })
	why := "whose Ingress came first"
	if source.CreationTimestamp.IsZero() {
		why = "which comes first by name (without creation times that decides)"
	}
	return status.Warning(status.ReasonHostConflict, fmt.Sprintf(
		"spec.rules[%d].host: %q belongs to namespace %q, %s; what this Ingress says of it is left out", rule, name, owner, why))
}

func lossEvent(part *host.Part, loss host.Loss) status.Event {
	winner := loss.Winner.ID
	owner := types.NamespacedName{Namespace: winner.Object.Namespace, Name: winner.Object.Name}
	name := part.Host
	if name == "" {
		name = "*"
	}
	if loss.Route.ID.Rule < 0 {
		return status.Warning(status.ReasonDefaultBackendConflict, fmt.Sprintf(
			"spec.defaultBackend: Ingress %s provides the default backend of host %q", owner, name))
	}
	reason := status.ReasonPathConflict
	if owner.Namespace != part.Rank.Namespace {
		reason = status.ReasonHostConflict
	}
	return status.Warning(reason, fmt.Sprintf("spec.rules[%d].http.paths[%d]: %s of host %q is served by Ingress %s, rules[%d].http.paths[%d]",
		loss.Route.ID.Rule, loss.Route.ID.Match, pathText(loss.Route.Match.Path), name, owner, winner.Rule, winner.Match))
}

func pathText(p proxy.PathMatch) string {
	if p.Type == proxy.PathExact {
		return fmt.Sprintf("path %q (Exact)", p.Value)
	}
	return fmt.Sprintf("path %q (Prefix)", p.Value)
}

func loadBalancer(addresses []string) []networkingv1.IngressLoadBalancerIngress {
	result := make([]networkingv1.IngressLoadBalancerIngress, len(addresses))
	for i, a := range addresses {
		if _, err := netip.ParseAddr(a); err == nil {
			result[i].IP = a
		} else {
			result[i].Hostname = a
		}
	}
	return result
}
