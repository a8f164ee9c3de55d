package chaos

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/breakwater-gateway/breakwater/api/v1alpha1"
	"github.com/breakwater-gateway/breakwater/proxy"
)

// The kinds of targets.
const (
	kindHTTPRoute = "HTTPRoute"
	kindGRPCRoute = "GRPCRoute"
	kindTCPRoute  = "TCPRoute"
	kindTLSRoute  = "TLSRoute"
	kindUDPRoute  = "UDPRoute"
	kindIngress   = "Ingress"
	kindGateway   = "Gateway"
	kindService   = "Service"
)

func refuse(reason, format string, args ...any) *refusal {
	return &refusal{reason, fmt.Sprintf(format, args...)}
}

// namespaceOf returns the namespace that a reference leads to.
func namespaceOf(source *v1alpha1.NetworkChaos, ref *v1alpha1.TargetRef) string {
	if ref.Namespace != nil {
		return *ref.Namespace
	}
	return source.Namespace
}

// targetNamespaces returns the namespaces of all targets, each once.
func targetNamespaces(source *v1alpha1.NetworkChaos) []string {
	var all []string
	for i := range source.Spec.TargetRefs {
		all = append(all, namespaceOf(source, &source.Spec.TargetRefs[i]))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func labelsOf(s *v1alpha1.PodSelector) (map[string]string, error) {
	set := make(labels.Set, len(s.MatchLabels))
	for key, value := range s.MatchLabels {
		set[key] = string(value)
	}
	_, err := set.AsValidatedSelector()
	return set, err
}

// targets checks that all targets of a NetworkChaos exist, may be broken by it and carry what it breaks.
func (b *building) targets(source *v1alpha1.NetworkChaos, content *proxy.Experiment) *refusal {
	var together traffic
	for i := range source.Spec.TargetRefs {
		ref := &source.Spec.TargetRefs[i]
		field := fmt.Sprintf("spec.targetRefs[%d]", i)
		namespace := namespaceOf(source, ref)
		key := types.NamespacedName{Namespace: namespace, Name: ref.Name}
		switch {
		case ref.Kind == kindGRPCRoute || ref.Kind == kindTLSRoute:
			return refuse(v1alpha1.ReasonUnsupportedTarget, "%s: %ss are not served", field, ref.Kind)
		// The grant comes first: what exists in another namespace is nobody's business without it.
		case namespace != source.Namespace && !b.granted(source.Namespace, ref.Kind, key):
			return refuse(v1alpha1.ReasonRefNotPermitted,
				"%s: no ReferenceGrant in namespace %s lets a NetworkChaos of namespace %s refer to the %s %s",
				field, namespace, source.Namespace, ref.Kind, ref.Name)
		case !b.enabled(namespace):
			return refuse(v1alpha1.ReasonNamespaceNotEnabled, "%s: namespace %s is not labelled %s: %s",
				field, namespace, v1alpha1.LabelChaos, v1alpha1.ChaosEnabled)
		case !b.exists(ref, key):
			return refuse(v1alpha1.ReasonTargetNotFound, "%s: %s", field, b.missing(ref, key))
		}
		carried, carrier := b.carried(ref, key)
		together |= carried
		if source.Spec.Preset != nil {
			continue // its toxics were chosen by the targets
		}
		if t := unfit(carried, content.Toxics); t != nil {
			return refuse(v1alpha1.ReasonUnsupportedTarget, "%s: %s does not carry what the toxic %s breaks", field, carrier, t.Name)
		}
	}
	if field := requestField(&source.Spec); field != "" && together&requests == 0 {
		return refuse(v1alpha1.ReasonUnsupportedTarget, "%s: looks at requests of HTTP, and no target carries any", field)
	}
	return nil
}

func targetText(ref *v1alpha1.TargetRef, key types.NamespacedName) string {
	if ref.SectionName != nil {
		return key.String() + " with listener " + *ref.SectionName
	}
	return key.String()
}

// missing says that a target does not exist.
func (b *building) missing(ref *v1alpha1.TargetRef, key types.NamespacedName) string {
	g := b.view.Gateways[key]
	if ref.Kind != kindGateway || g == nil || ref.SectionName == nil {
		return fmt.Sprintf("%s %s not found", ref.Kind, key)
	}
	var names []string
	for i := range g.Spec.Listeners {
		names = append(names, string(g.Spec.Listeners[i].Name))
	}
	return fmt.Sprintf("Gateway %s has no listener %q; it has %s", key, *ref.SectionName, strings.Join(names, ", "))
}

// enabled reports whether the traffic of a namespace may be broken.
func (b *building) enabled(namespace string) bool {
	var label string
	if n := b.view.Namespaces[namespace]; n != nil {
		label = n.Labels[v1alpha1.LabelChaos]
	}
	if b.options.WithoutOptIn || b.options.Files {
		return label == "" || label == v1alpha1.ChaosEnabled
	}
	return label == v1alpha1.ChaosEnabled
}

// streamNamespaces returns the namespaces of TCPRoutes whose traffic may be broken, in order.
func (b *building) streamNamespaces() []string {
	return b.namespaces(true, maps.Keys(b.view.TCPRoutes))
}

// closedNamespaces returns the namespaces of all Routes and Ingresses whose traffic may not be broken, in order.
func (b *building) closedNamespaces() []string {
	v := b.view
	return b.namespaces(false, maps.Keys(v.HTTPRoutes), maps.Keys(v.Ingresses), maps.Keys(v.TCPRoutes), maps.Keys(v.UDPRoutes))
}

// namespaces returns the namespaces of objects, in order: those that are enabled, or those that are not.
func (b *building) namespaces(enabled bool, kinds ...iter.Seq[types.NamespacedName]) []string {
	wanted := map[string]bool{}
	for _, keys := range kinds {
		for key := range keys {
			if _, known := wanted[key.Namespace]; !known {
				wanted[key.Namespace] = b.enabled(key.Namespace) == enabled
			}
		}
	}
	maps.DeleteFunc(wanted, func(_ string, is bool) bool { return !is })
	return slices.Sorted(maps.Keys(wanted))
}

// spared returns the namespaces whose Routes are left alone behind a target that others may have Routes at.
func (b *building) spared(targets []proxy.ExperimentTarget) []string {
	if !slices.ContainsFunc(targets, isShared) {
		return nil
	}
	return b.closed()
}

// isShared reports whether Routes lead through a target, those of other namespaces perhaps, rather than that it is one itself.
func isShared(t proxy.ExperimentTarget) bool {
	return t.Object.Kind == kindGateway || t.Object.Kind == kindService
}

func (b *building) exists(ref *v1alpha1.TargetRef, key types.NamespacedName) bool {
	v := b.view
	switch ref.Kind {
	case kindHTTPRoute:
		return v.HTTPRoutes[key] != nil
	case kindTCPRoute:
		return v.TCPRoutes[key] != nil
	case kindUDPRoute:
		return v.UDPRoutes[key] != nil
	case kindIngress:
		return v.Ingresses[key] != nil
	case kindService:
		return v.Services[key] != nil
	case kindGateway:
		g := v.Gateways[key]
		return g != nil && (ref.SectionName == nil || slices.ContainsFunc(g.Spec.Listeners, func(l gatewayv1.Listener) bool {
			return string(l.Name) == *ref.SectionName
		}))
	}
	return false
}

func groupOf(kind string) string {
	switch kind {
	case kindService:
		return ""
	case kindIngress:
		return "networking.k8s.io"
	}
	return gatewayv1.GroupName
}

// granted reports whether a ReferenceGrant lets NetworkChaos of a namespace refer to an object in another.
func (b *building) granted(from, kind string, to types.NamespacedName) bool {
	for _, g := range b.view.ReferenceGrants[to.Namespace] {
		fits := slices.ContainsFunc(g.Spec.From, func(f gatewayv1.ReferenceGrantFrom) bool {
			return f.Group == v1alpha1.Group && f.Kind == v1alpha1.KindNetworkChaos && string(f.Namespace) == from
		})
		if fits && slices.ContainsFunc(g.Spec.To, func(t gatewayv1.ReferenceGrantTo) bool {
			return string(t.Group) == groupOf(kind) && string(t.Kind) == kind &&
				(t.Name == nil || *t.Name == "" || string(*t.Name) == to.Name)
		}) {
			return true
		}
	}
	return false
}

// unfit returns a toxic that cannot act on what a target carries, nil if there is none.
func unfit(carried traffic, toxics []proxy.ExperimentToxic) *proxy.ExperimentToxic {
	for i := range toxics {
		if actsOn(toxics[i].Toxic)&carried == 0 {
			return &toxics[i]
		}
	}
	return nil
}
