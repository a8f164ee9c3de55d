package chaos

import (
	"fmt"

	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/breakwater-gateway/breakwater/api/v1alpha1"
	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/fault"
	"github.com/breakwater-gateway/breakwater/proxy/toxic"
)

// traffic is a set of kinds of traffic.
type traffic uint8

const (
	requests traffic = 1 << iota // of HTTP
	streams                      // the bytes of connections, those that carry HTTP included
	datagrams

	everything = requests | streams | datagrams
)

// actsOn returns what a toxic can act on.
func actsOn(t proxy.Toxic) (all traffic) {
	if _, ok := t.(fault.Fault); ok {
		all |= requests
	}
	if _, ok := t.(toxic.Stream); ok {
		all |= streams
	}
	if _, ok := t.(toxic.Datagram); ok {
		all |= datagrams
	}
	return all
}

// carriedBy returns what an object of a kind carries; of a Gateway and a Service the kind alone does not tell.
func carriedBy(kind string) traffic {
	switch kind {
	case kindHTTPRoute, kindIngress:
		return requests | streams
	case kindTCPRoute:
		return streams
	case kindUDPRoute:
		return datagrams
	}
	return everything
}

// carried returns what a target carries, and how to say in a message who does: a Gateway's listeners, or the Routes and Ingresses that
// lead to a Service. Without any of those nothing is ruled out.
func (b *building) carried(ref *v1alpha1.TargetRef, key types.NamespacedName) (all traffic, carrier string) {
	switch ref.Kind {
	case kindGateway:
		carrier = "Gateway " + targetText(ref, key)
		for i := range b.view.Gateways[key].Spec.Listeners {
			if l := &b.view.Gateways[key].Spec.Listeners[i]; ref.SectionName == nil || string(l.Name) == *ref.SectionName {
				all |= carriedByListener(l.Protocol)
			}
		}
	case kindService:
		carrier = fmt.Sprintf("what leads to Service %s", key)
		all = b.carriedTo()[idOf(kindService, key)]
	default:
		return carriedBy(ref.Kind), "a " + ref.Kind
	}
	if all == 0 {
		all = everything
	}
	return all, carrier
}

func carriedByListener(p gatewayv1.ProtocolType) traffic {
	switch p {
	case gatewayv1.TCPProtocolType:
		return carriedBy(kindTCPRoute)
	case gatewayv1.UDPProtocolType:
		return carriedBy(kindUDPRoute)
	}
	return carriedBy(kindHTTPRoute)
}

// carriedToServices returns what Routes and Ingresses carry to each Service that they lead to.
func (b *building) carriedToServices() map[proxy.ObjectID]traffic {
	all := map[proxy.ObjectID]traffic{}
	b.eachWay(func(route, via proxy.ObjectID, _ string) { all[via] |= carriedBy(route.Kind) })
	return all
}

// requestField returns the field of a spec that looks at what only requests bear, "" if there is none.
func requestField(s *v1alpha1.NetworkChaosSpec) string {
	isNamed := func(k *v1alpha1.Key) bool { return k != nil && k.Name != nil }
	switch {
	case len(s.Match) > 0:
		return "spec.match"
	case s.Token != nil:
		return "spec.token"
	case isNamed(s.DecideBy):
		return "spec.decideBy"
	case s.Sequence != nil && isNamed(s.Sequence.Key):
		return "spec.sequence.key"
	}
	return ""
}
