package gateway

import (
	"fmt"
	"slices"
	"strings"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/breakwater-gateway/breakwater/api/v1alpha1"
	"github.com/breakwater-gateway/breakwater/controllers/status"
)

// acceptProxyProtocol reads the annotation that says at which listeners connections begin with a header of the PROXY
// protocol. What is wrong with it is one Event; what is right with it holds all the same.
func (g *gateway) acceptProxyProtocol(o Options) {
	if g.proxyProtocol == "" {
		return
	}
	if o.NoTrustedProxies {
		g.events = []status.Event{status.Warning(status.ReasonInvalidAnnotation, fmt.Sprintf(
			"metadata.annotations[%s]: --trusted-proxies names nobody who may send such headers, so every connection is reset",
			v1alpha1.AnnotationProxyProtocol))}
	}
	for name := range strings.SplitSeq(g.proxyProtocol, ",") {
		if problem := g.acceptProxyProtocolAt(strings.TrimSpace(name)); problem != "" && g.events == nil {
			g.events = []status.Event{status.Warning(status.ReasonInvalidAnnotation,
				fmt.Sprintf("metadata.annotations[%s]: %s", v1alpha1.AnnotationProxyProtocol, problem))}
		}
	}
}

// acceptProxyProtocolAt turns the protocol on for a listener by its name, or for all if that is "*". It returns what is
// wrong with the name.
func (g *gateway) acceptProxyProtocolAt(name string) (problem string) {
	found := slices.IndexFunc(g.listeners, func(l *listener) bool { return string(l.spec.Name) == name })
	switch {
	case name == "*":
	case found < 0:
		return fmt.Sprintf("there is no listener %q", name[:min(len(name), 64)])
	case g.listeners[found].spec.Protocol == gatewayv1.UDPProtocolType:
		return fmt.Sprintf("listener %q is for UDP, which has no such header", name)
	}
	for _, l := range g.listeners {
		// The header comes before anything that tells the listeners of one port apart.
		if l.spec.Protocol != gatewayv1.UDPProtocolType && (name == "*" || l.spec.Port == g.listeners[found].spec.Port) {
			l.proxyProtocol = true
		}
	}
	return ""
}
