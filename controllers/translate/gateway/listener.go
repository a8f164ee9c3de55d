package gateway

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/breakwater-gateway/breakwater/api/v1alpha1"
	"github.com/breakwater-gateway/breakwater/controllers/status"
	"github.com/breakwater-gateway/breakwater/controllers/translate/host"
	"github.com/breakwater-gateway/breakwater/controllers/view"
	"github.com/breakwater-gateway/breakwater/controllers/view/syntax"
	"github.com/breakwater-gateway/breakwater/proxy"
)

// gateway is a Gateway of ours. It is immutable; routes remember the pointer as what they were attached to.
type gateway struct {
	source    *gatewayv1.Gateway
	class     *class
	places    []place // of each listener
	addresses []string
	// proxyProtocol is the annotation: another value does not make another generation of the object.
	proxyProtocol string
	problem       string // why the whole Gateway is not accepted
	listeners     []*listener
	events        []status.Event
}

// place is where a listener's port is bound.
type place struct {
	bind     uint16 // 0: not allocated
	taken    string // by whom, if somebody else binds it
	shortage string // why none is to be had; "" if one is still to come
}

// listener is one listener of a Gateway.
type listener struct {
	id       proxy.ListenerID
	spec     *gatewayv1.Listener
	hostname string
	bind     uint16                            // 0: none allocated, or not to be had
	shortage string                            // why none is to be had; "" if one is still to come
	public   uint16                            // where clients connect
	kind     string                            // of the routes that may attach; "" is none
	badKinds string                            // kinds that are not supported
	selector labels.Selector                   // for namespaces, if the listener selects them
	refusal  *refusal                          // why it is not accepted
	conflict gatewayv1.ListenerConditionReason // "" without a conflict
	parentNS string
	// proxyProtocol: connections begin with a header of the PROXY protocol.
	proxyProtocol bool
}

// port is a port that is bound. TCP and UDP have ports of their own.
type port struct {
	number   uint16
	protocol corev1.Protocol
}

// serves returns the protocol of a listener's port and the kind of routes that attach to the listener, and false if the
// listener's protocol is not served.
func serves(p gatewayv1.ProtocolType) (transport corev1.Protocol, kind string, ok bool) {
	switch p {
	case gatewayv1.HTTPProtocolType:
		return corev1.ProtocolTCP, KindHTTPRoute, true
	case gatewayv1.TCPProtocolType:
		return corev1.ProtocolTCP, KindTCPRoute, true
	case gatewayv1.UDPProtocolType:
		return corev1.ProtocolUDP, KindUDPRoute, true
	}
	return "", "", false
}

// refusal is a reason and a message of a condition that is false.
type refusal struct {
	reason  gatewayv1.ListenerConditionReason
	message string
}

// served reports whether there is a proxy.Listener for it.
func (l *listener) served() bool { return l.refusal == nil && l.conflict == "" && l.bind != 0 }

// translateGateways fills gateways, and reports whether they differ from those of prev. A Gateway whose circumstances
// are the same keeps its pointer.
func (s *State) translateGateways(v *view.View, o Options, prev *State) (changed bool) {
	s.gateways = map[types.NamespacedName]*gateway{}
	var ours []*gatewayv1.Gateway
	for _, source := range v.Gateways {
		if s.classes[string(source.Spec.GatewayClassName)] != nil {
			ours = append(ours, source)
		}
	}
	slices.SortFunc(ours, func(a, b *gatewayv1.Gateway) int { return rankOf(a).Compare(rankOf(b)) })
	taken := map[port]string{}
	for _, number := range o.TakenPorts {
		taken[port{number, corev1.ProtocolTCP}] = "the listener for Ingresses"
	}
	for _, source := range ours {
		key := keyOf(source)
		g := &gateway{
			source:    source,
			class:     s.classes[string(source.Spec.GatewayClassName)],
			places:    places(source, o.Placement, taken),
			addresses: o.Placement.Addresses(key),

			proxyProtocol: source.Annotations[v1alpha1.AnnotationProxyProtocol],
		}
		if old := prev.gateways[key]; old != nil && g.sameInputs(old) {
			s.gateways[key] = old
			continue
		}
		g.translate(o)
		s.gateways[key] = g
		changed = true
	}
	return changed || len(s.gateways) != len(prev.gateways)
}

// places asks where the listeners are, and claims what no older Gateway has.
func places(source *gatewayv1.Gateway, placement Placement, taken map[port]string) []place {
	key := keyOf(source)
	result := make([]place, len(source.Spec.Listeners))
	for i := range source.Spec.Listeners {
		number := source.Spec.Listeners[i].Port
		transport, _, ok := serves(source.Spec.Listeners[i].Protocol)
		if !ok {
			continue
		}
		bind, ok := placement.Port(key, number, transport)
		if !ok || bind == 0 {
			result[i].shortage = placement.Shortage(key, number)
			continue
		}
		owner := "Gateway " + key.String()
		if by, ok := taken[port{bind, transport}]; ok && by != owner {
			result[i].taken = by
			continue
		}
		taken[port{bind, transport}] = owner
		result[i].bind = bind
	}
	return result
}

func (g *gateway) sameInputs(old *gateway) bool {
	return g.class == old.class && same(g.source, old.source) && g.proxyProtocol == old.proxyProtocol &&
		slices.Equal(g.places, old.places) && slices.Equal(g.addresses, old.addresses)
}

func (g *gateway) translate(o Options) {
	switch infrastructure := g.source.Spec.Infrastructure; {
	case g.class.problem != "":
		g.problem = fmt.Sprintf("spec.gatewayClassName: GatewayClass %q is not accepted: %s", g.source.Spec.GatewayClassName, g.class.problem)
	case infrastructure != nil && infrastructure.ParametersRef != nil:
		g.problem = "spec.infrastructure.parametersRef: parameters are not supported"
	}
	names := map[gatewayv1.SectionName]bool{}
	for i := range g.source.Spec.Listeners {
		l := g.newListener(i, o)
		if names[l.spec.Name] {
			l.refuse(gatewayv1.ListenerReasonUnsupportedValue, fmt.Sprintf("spec.listeners[%d].name: %q is used twice", i, l.spec.Name))
		}
		names[l.spec.Name] = true
		if g.problem != "" {
			l.bind = 0
		}
		g.listeners = append(g.listeners, l)
	}
	findConflicts(g.listeners)
	g.acceptProxyProtocol(o)
}

func (g *gateway) newListener(i int, o Options) *listener {
	spec := &g.source.Spec.Listeners[i]
	l := &listener{
		id: proxy.ListenerID{
			Object:  proxy.ObjectID{Kind: KindGateway, Namespace: g.source.Namespace, Name: g.source.Name},
			Section: string(spec.Name),
		},
		spec: spec, bind: g.places[i].bind, shortage: g.places[i].shortage, parentNS: g.source.Namespace,
	}
	l.public = uint16(spec.Port)
	if o.DirectPorts {
		l.public = l.bind
	}
	field := fmt.Sprintf("spec.listeners[%d]", i)
	_, kind, ok := serves(spec.Protocol)
	l.kind = kind
	if spec.Hostname != nil && *spec.Hostname != "" {
		l.hostname = string(*spec.Hostname)
		if problem := syntax.HostProblem(l.hostname); problem != "" {
			l.refuse(gatewayv1.ListenerReasonUnsupportedValue, fmt.Sprintf("%s.hostname: %q %s", field, l.hostname, problem))
		}
	}
	switch {
	case spec.Protocol == gatewayv1.HTTPSProtocolType, spec.Protocol == gatewayv1.TLSProtocolType:
		l.refuse(gatewayv1.ListenerReasonUnsupportedProtocol, fmt.Sprintf("%s.protocol: %s is not served yet", field, spec.Protocol))
	case !ok:
		l.refuse(gatewayv1.ListenerReasonUnsupportedProtocol, fmt.Sprintf("%s.protocol: %q is not supported; want HTTP, TCP or UDP", field, spec.Protocol))
	case spec.TLS != nil:
		l.refuse(gatewayv1.ListenerReasonUnsupportedValue, fmt.Sprintf("%s.tls: is set, but the protocol is %s", field, spec.Protocol))
	case l.hostname != "" && kind != KindHTTPRoute:
		l.refuse(gatewayv1.ListenerReasonUnsupportedValue, fmt.Sprintf("%s.hostname: is set, but the protocol is %s", field, spec.Protocol))
	case spec.Port < 1 || spec.Port > 65535:
		l.refuse(gatewayv1.ListenerReasonPortUnavailable, fmt.Sprintf("%s.port: %d is not a port from 1 to 65535", field, spec.Port))
	case g.places[i].taken != "":
		l.refuse(gatewayv1.ListenerReasonPortUnavailable, fmt.Sprintf("%s.port: %d is already bound by %s", field, spec.Port, g.places[i].taken))
	}
	l.allow(field)
	return l
}

func (l *listener) refuse(reason gatewayv1.ListenerConditionReason, message string) {
	if l.refusal == nil {
		l.refusal = &refusal{reason, message}
	}
}

// allow reads spec.allowedRoutes.
func (l *listener) allow(field string) {
	allowed := l.spec.AllowedRoutes
	if allowed == nil {
		return
	}
	if len(allowed.Kinds) > 0 {
		supported := l.kind
		l.kind = ""
		for _, k := range allowed.Kinds {
			if supported != "" && string(k.Kind) == supported && (k.Group == nil || *k.Group == gatewayv1.GroupName) {
				l.kind = supported
			} else if l.badKinds == "" {
				l.badKinds = fmt.Sprintf("%s.allowedRoutes.kinds: %q is not supported by the listener", field, k.Kind)
			}
		}
	}
	if allowed.Namespaces == nil || allowed.Namespaces.From == nil {
		return
	}
	switch *allowed.Namespaces.From {
	case gatewayv1.NamespacesFromAll, gatewayv1.NamespacesFromSame, gatewayv1.NamespacesFromNone:
	case gatewayv1.NamespacesFromSelector:
		selector, err := metav1.LabelSelectorAsSelector(allowed.Namespaces.Selector)
		if err != nil {
			l.refuse(gatewayv1.ListenerReasonUnsupportedValue, fmt.Sprintf("%s.allowedRoutes.namespaces.selector: %v", field, err))
		}
		l.selector = selector
	default:
		l.refuse(gatewayv1.ListenerReasonUnsupportedValue,
			fmt.Sprintf("%s.allowedRoutes.namespaces.from: %q is not known", field, *allowed.Namespaces.From))
	}
}

// allows reports whether routes of this namespace may attach. labels returns the namespace's labels.
func (l *listener) allows(namespace string, labels func() labels.Set) bool {
	from := gatewayv1.NamespacesFromSame
	if a := l.spec.AllowedRoutes; a != nil && a.Namespaces != nil && a.Namespaces.From != nil {
		from = *a.Namespaces.From
	}
	switch from {
	case gatewayv1.NamespacesFromAll:
		return true
	case gatewayv1.NamespacesFromSame:
		return namespace == l.parentNS
	case gatewayv1.NamespacesFromSelector:
		return l.selector != nil && l.selector.Matches(labels())
	default:
		return false
	}
}

// findConflicts marks the listeners that share a port but not the protocol, or port, protocol and hostname. None of them
// wins (Gateway API: an implementation must not pick one). TCP and UDP have ports of their own.
func findConflicts(listeners []*listener) {
	for i, a := range listeners {
		for _, b := range listeners[:i] {
			if a.spec.Port != b.spec.Port || a.spec.Name == b.spec.Name {
				continue
			}
			switch {
			case (a.spec.Protocol == gatewayv1.UDPProtocolType) != (b.spec.Protocol == gatewayv1.UDPProtocolType):
			case transport(a.spec.Protocol) != transport(b.spec.Protocol):
				a.conflict, b.conflict = gatewayv1.ListenerReasonProtocolConflict, gatewayv1.ListenerReasonProtocolConflict
			case a.spec.Protocol == b.spec.Protocol && a.hostname == b.hostname:
				a.conflict = cmp.Or(a.conflict, gatewayv1.ListenerReasonHostnameConflict)
				b.conflict = cmp.Or(b.conflict, gatewayv1.ListenerReasonHostnameConflict)
			}
		}
	}
}

// transport groups the protocols that can share a port.
func transport(p gatewayv1.ProtocolType) gatewayv1.ProtocolType {
	if p == gatewayv1.TLSProtocolType {
		return gatewayv1.HTTPSProtocolType // both are told apart by SNI
	}
	return p
}

// same reports whether two versions of an object differ only in what is not translated, as after a write of its status:
// the API server counts up the generation with every change of the spec.
func same(a, b metav1.Object) bool {
	return a == b || a.GetUID() == b.GetUID() && a.GetUID() != "" && a.GetGeneration() == b.GetGeneration() && a.GetGeneration() > 0
}

func rankOf(o metav1.Object) host.Rank {
	return host.Rank{Created: o.GetCreationTimestamp().Time, Namespace: o.GetNamespace(), Name: o.GetName()}
}

func keyOf(o metav1.Object) types.NamespacedName {
	return types.NamespacedName{Namespace: o.GetNamespace(), Name: o.GetName()}
}

func sortedKeys[V any](m map[types.NamespacedName]V) []types.NamespacedName {
	return slices.SortedFunc(maps.Keys(m), func(a, b types.NamespacedName) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
}
