package status

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// sweep finds what has a status of ours though the Report does not speak of it: it ceased to be ours while nobody led.
func (w *Writer) sweep(ctx context.Context) {
	w.sweepRoutes(ctx)
	w.sweepIngresses(ctx)
	w.sweepGateways(ctx)
}

func (w *Writer) sweepRoutes(ctx context.Context) {
	ours := func(p gatewayv1.RouteParentStatus) bool { return p.ControllerName == w.config.Controller }
	for kind, list := range map[string]client.ObjectList{
		HTTPRoute: &gatewayv1.HTTPRouteList{}, TCPRoute: &gatewayv1.TCPRouteList{}, UDPRoute: &gatewayv1.UDPRouteList{},
	} {
		if !w.list(ctx, kind, list) {
			continue
		}
		_ = meta.EachListItem(list, func(item runtime.Object) error {
			route := item.(client.Object)
			if slices.ContainsFunc(statusOf(route).Parents, ours) {
				w.queue.SetIfAbsent(Key{kind, client.ObjectKeyFromObject(route)}, &formerRoute{Route{Kind: kind}})
			}
			return nil
		})
	}
}

// sweepIngresses takes our addresses from the Ingresses that have them and are nobody's. Those of another controller's class are
// left to it: it may have the same addresses, those of the nodes for instance.
func (w *Writer) sweepIngresses(ctx context.Context) {
	w.mu.Lock()
	ours := w.addresses
	w.mu.Unlock()
	var list networkingv1.IngressList
	if len(ours) == 0 || !w.list(ctx, "Ingress", &list) {
		return
	}
	for i := range list.Items {
		ingress := &list.Items[i]
		if equality.Semantic.DeepEqual(ingress.Status.LoadBalancer.Ingress, ours) && !w.othersIngress(ctx, ingress) {
			former := &formerIngress{Ingress: Ingress{UID: ingress.UID}, Gave: ours}
			w.queue.SetIfAbsent(Key{"Ingress", client.ObjectKeyFromObject(ingress)}, former)
		}
	}
}

// othersIngress reports whether an Ingress that is not ours is another controller's, or may be: nothing says whose a class is that
// only the old annotation names.
func (w *Writer) othersIngress(ctx context.Context, i *networkingv1.Ingress) bool {
	if i.Spec.IngressClassName == nil {
		return i.Annotations["kubernetes.io/ingress.class"] != ""
	}
	var class networkingv1.IngressClass
	if err := w.config.Cached.Get(ctx, client.ObjectKey{Name: *i.Spec.IngressClassName}, &class); err != nil {
		return !apierrors.IsNotFound(err)
	}
	return class.Spec.Controller != string(w.config.Controller)
}

// sweepGateways finds Gateways that say they are served. Their status does not name the controller; a Service that we made does.
func (w *Writer) sweepGateways(ctx context.Context) {
	var services corev1.ServiceList
	if !w.list(ctx, "Service", &services, w.config.Provisioned) {
		return
	}
	provisioned := map[types.UID]bool{}
	for i := range services.Items {
		if ref := metav1.GetControllerOf(&services.Items[i]); ref != nil {
			provisioned[ref.UID] = true
		}
	}
	var list gatewayv1.GatewayList
	if len(provisioned) == 0 || !w.list(ctx, "Gateway", &list) {
		return
	}
	for i := range list.Items {
		gateway := &list.Items[i]
		if provisioned[gateway.UID] && saysItIsServed(gateway) {
			w.queue.SetIfAbsent(Key{"Gateway", client.ObjectKeyFromObject(gateway)}, &formerGateway{Gateway{UID: gateway.UID}})
		}
	}
}

func saysItIsServed(g *gatewayv1.Gateway) bool {
	return meta.IsStatusConditionTrue(g.Status.Conditions, string(gatewayv1.GatewayConditionAccepted)) ||
		meta.IsStatusConditionTrue(g.Status.Conditions, string(gatewayv1.GatewayConditionProgrammed)) || len(g.Status.Addresses) > 0
}

// list reports whether there is a list to look through.
func (w *Writer) list(ctx context.Context, kind string, list client.ObjectList, options ...client.ListOption) bool {
	err := w.config.Cached.List(ctx, list, options...)
	if err != nil {
		w.config.Log.Debug("objects are not looked through for old statuses", "kind", kind, "error", err) // not installed, perhaps
	}
	return err == nil
}
