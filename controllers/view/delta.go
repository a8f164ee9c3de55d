package view

import (
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/breakwater-gateway/breakwater/api/v1alpha1"
)

// maxJournal bounds the changes that a View remembers. A build that is further behind looks at everything.
const maxJournal = 4096

// Delta says what has changed in a View since some revision: where a build must look. It may name objects that are the
// same.
type Delta struct {
	// Everything: what has changed is not known; the rest of the Delta is empty.
	Everything bool
	Ingresses  map[types.NamespacedName]bool
	HTTPRoutes map[types.NamespacedName]bool
	TCPRoutes  map[types.NamespacedName]bool
	UDPRoutes  map[types.NamespacedName]bool
	// Services that have changed themselves, and those whose EndpointSlices have.
	Services       map[types.NamespacedName]bool
	EndpointSlices map[types.NamespacedName]bool
	// Others: objects of another kind have changed, but for Gateways and their classes, and for NetworkChaos and what only
	// those refer to.
	Others bool
}

// change is an entry of the journal.
type change struct {
	kind kindOfChange
	key  types.NamespacedName // of a slice: its Service
}

type kindOfChange uint8

const (
	changedOther   kindOfChange = iota
	changedGateway              // of which there are few: every build looks at all
	changedIngress
	changedHTTPRoute
	changedTCPRoute
	changedUDPRoute
	changedService
	changedSlice
	changedChaos // of which every build looks at all
)

// Revision counts the changes of the View.
func (v *View) Revision() uint64 { return v.revision }

// Since returns what has changed since the View was at this revision.
func (v *View) Since(revision uint64) *Delta {
	behind := v.revision - revision
	if revision > v.revision || behind > uint64(len(v.journal)) {
		return &Delta{Everything: true}
	}
	d := &Delta{
		Ingresses:      map[types.NamespacedName]bool{},
		HTTPRoutes:     map[types.NamespacedName]bool{},
		TCPRoutes:      map[types.NamespacedName]bool{},
		UDPRoutes:      map[types.NamespacedName]bool{},
		Services:       map[types.NamespacedName]bool{},
		EndpointSlices: map[types.NamespacedName]bool{},
	}
	for _, c := range v.journal[len(v.journal)-int(behind):] {
		switch c.kind {
		case changedIngress:
			d.Ingresses[c.key] = true
		case changedHTTPRoute:
			d.HTTPRoutes[c.key] = true
		case changedTCPRoute:
			d.TCPRoutes[c.key] = true
		case changedUDPRoute:
			d.UDPRoutes[c.key] = true
		case changedService:
			d.Services[c.key] = true
		case changedSlice:
			d.EndpointSlices[c.key] = true
		case changedOther:
			d.Others = true
		}
	}
	return d
}

// note enters a change in the journal.
func (v *View) note(c change) {
	v.revision++
	if len(v.journal) >= maxJournal {
		v.journal = append(v.journal[:0], v.journal[maxJournal/2:]...)
	}
	v.journal = append(v.journal, c)
}

func changeOf(object Object) change {
	c := change{key: keyOf(object)}
	switch object.(type) {
	case *networkingv1.Ingress:
		c.kind = changedIngress
	case *gatewayv1.GatewayClass, *gatewayv1.Gateway:
		c.kind = changedGateway
	case *gatewayv1.HTTPRoute:
		c.kind = changedHTTPRoute
	case *gatewayv1.TCPRoute:
		c.kind = changedTCPRoute
	case *gatewayv1.UDPRoute:
		c.kind = changedUDPRoute
	case *corev1.Service:
		c.kind = changedService
	case *v1alpha1.NetworkChaos, *corev1.Secret, *corev1.ConfigMap, *corev1.Pod:
		c.kind = changedChaos
	}
	return c
}

// noteSlices enters a change of a Service's EndpointSlices.
func (v *View) noteSlices(service types.NamespacedName) { v.note(change{changedSlice, service}) }

// isSlice reports whether an object is an EndpointSlice, whose changes are those of its Service.
func isSlice(object Object) bool {
	_, ok := object.(*discoveryv1.EndpointSlice)
	return ok
}
