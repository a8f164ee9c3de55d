package controllers

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/breakwater-gateway/breakwater/api/v1alpha1"
	"github.com/breakwater-gateway/breakwater/controllers/status"
	"github.com/breakwater-gateway/breakwater/controllers/translate"
	"github.com/breakwater-gateway/breakwater/controllers/view"
)

// Reasons of warnings.
const (
	reasonNotServed   = "NotServed"   // an object or a reference has no effect
	reasonUnknownName = "UnknownName" // an annotation of ours that there is not
	reasonNoEndpoints = "NoEndpoints" // a port of a Service leads nowhere
	reasonExperiment  = "Experiment"  // an experiment is accepted, and may not do what is meant
)

// warner collects what is valid in a folder but has no effect, or perhaps not the one that is meant. In a cluster most of it
// is nobody's fault: other controllers serve what we do not.
type warner struct {
	view     *view.View
	options  translate.Options
	report   *status.Report
	warnings []finding
}

// warnings returns what is doubtful about the objects of a folder, of which the Report is.
func warnings(v *view.View, o translate.Options, report *status.Report) []finding {
	w := warner{view: v, options: o, report: report}
	w.classes()
	w.parents()
	w.annotations()
	w.ports()
	w.experiments()
	slices.SortStableFunc(w.warnings, compareFindings)
	return w.warnings
}

func (w *warner) add(kind string, key types.NamespacedName, reason, format string, args ...any) {
	w.warnings = append(w.warnings, finding{kind: kind, object: key, reason: reason, message: fmt.Sprintf(format, args...)})
}

// classes finds Ingresses and Gateways of a class that is not served.
func (w *warner) classes() {
	for key, i := range w.view.Ingresses {
		class := i.Annotations["kubernetes.io/ingress.class"]
		if i.Spec.IngressClassName != nil {
			class = *i.Spec.IngressClassName
		}
		if w.options.IngressPort != 0 && w.report.Ingresses[key] == nil {
			w.add("Ingress", key, reasonNotServed, "is not served: its class is %q, and the one that is served is %q", class, w.options.Class)
		}
	}
	for key, g := range w.view.Gateways {
		if w.report.Gateways[key] == nil {
			w.add("Gateway", key, reasonNotServed, "is not served: its spec.gatewayClassName is %q, and the one that is served is %q",
				g.Spec.GatewayClassName, w.options.Class)
		}
	}
}

// parents finds Routes that lead nowhere because there is no such Gateway.
func (w *warner) parents() {
	check := func(kind string, route metav1.Object, refs []gatewayv1.ParentReference) {
		key := types.NamespacedName{Namespace: route.GetNamespace(), Name: route.GetName()}
		if len(refs) == 0 {
			w.add(kind, key, reasonNotServed, "spec.parentRefs: is empty, so no Gateway serves it")
		}
		for i := range refs {
			p := &refs[i]
			gateway := types.NamespacedName{Namespace: key.Namespace, Name: string(p.Name)}
			if p.Namespace != nil {
				gateway.Namespace = string(*p.Namespace)
			}
			if (p.Kind == nil || *p.Kind == "Gateway") && w.view.Gateways[gateway] == nil {
				w.add(kind, key, reasonNotServed, "spec.parentRefs[%d]: there is no Gateway %s", i, gateway)
			}
		}
	}
	for _, r := range w.view.HTTPRoutes {
		check(status.HTTPRoute, r, r.Spec.ParentRefs)
	}
	for _, r := range w.view.TCPRoutes {
		check(status.TCPRoute, r, r.Spec.ParentRefs)
	}
	for _, r := range w.view.UDPRoutes {
		check(status.UDPRoute, r, r.Spec.ParentRefs)
	}
}

// annotations finds annotations of ours that there are not, or not on this kind of object.
func (w *warner) annotations() {
	check := func(kind string, o metav1.Object, known ...string) {
		for _, name := range slices.Sorted(maps.Keys(o.GetAnnotations())) {
			if strings.HasPrefix(name, v1alpha1.AnnotationPrefix) && !slices.Contains(known, name) {
				hint := "there is none"
				if len(known) > 0 {
					hint = "there is " + strings.Join(known, ", ")
				}
				w.add(kind, types.NamespacedName{Namespace: o.GetNamespace(), Name: o.GetName()}, reasonUnknownName,
					"metadata.annotations[%s]: has no effect on an object of kind %s; %s", name, kind, hint)
			}
		}
	}
	v := w.view
	for _, o := range v.Gateways {
		check("Gateway", o, v1alpha1.AnnotationProxyProtocol)
	}
	for _, o := range v.Services {
		check("Service", o, v1alpha1.AnnotationProxyProtocol)
	}
	for _, o := range v.Ingresses {
		check("Ingress", o)
	}
	for _, o := range v.HTTPRoutes {
		check(status.HTTPRoute, o)
	}
	for _, o := range v.TCPRoutes {
		check(status.TCPRoute, o)
	}
	for _, o := range v.UDPRoutes {
		check(status.UDPRoute, o)
	}
	for _, o := range v.Namespaces {
		check("Namespace", o)
	}
	for _, o := range v.NetworkChaos {
		check(v1alpha1.KindNetworkChaos, o)
	}
}

// ports finds ports of Services that none of their EndpointSlices has.
func (w *warner) ports() {
	for key, s := range w.view.Services {
		endpoints := w.view.EndpointSlices[key]
		if len(endpoints) == 0 || s.Spec.Type == corev1.ServiceTypeExternalName {
			continue
		}
		for i := range s.Spec.Ports {
			p := &s.Spec.Ports[i]
			var others []string
			found := false
			for _, slice := range endpoints {
				for _, e := range slice.Ports {
					found = found || *e.Name == p.Name && *e.Protocol == p.Protocol
					others = append(others, fmt.Sprintf("%q (%s)", *e.Name, *e.Protocol))
				}
			}
			if !found {
				slices.Sort(others)
				w.add("Service", key, reasonNoEndpoints, "spec.ports[%d]: no EndpointSlice of it has a port %q (%s); they have %s",
					i, p.Name, p.Protocol, strings.Join(slices.Compact(others), ", "))
			}
		}
	}
}

// experiments finds experiments that are accepted with a remark, those that nothing leads to, and those that are to act on more endpoints
// than there are.
func (w *warner) experiments() {
	for key, r := range w.report.NetworkChaos {
		c := meta.FindStatusCondition(r.Conditions, v1alpha1.ConditionAccepted)
		if c == nil || c.Status != metav1.ConditionTrue {
			continue
		}
		for _, remark := range []string{c.Message, r.Idle} {
			if remark != "" {
				w.add(v1alpha1.KindNetworkChaos, key, reasonExperiment, "%s", remark)
			}
		}
		source := w.view.NetworkChaos[key]
		if source == nil || source.Spec.Endpoints == nil || source.Spec.Endpoints.Count == nil {
			continue
		}
		count := int(*source.Spec.Endpoints.Count)
		for _, service := range w.targetServices(source) {
			if n := endpointsOf(w.view.EndpointSlices[service]); n < count {
				w.add(v1alpha1.KindNetworkChaos, key, reasonExperiment, "spec.endpoints.count: is %d, and Service %s has %d", count, service, n)
			}
		}
	}
}

// targetServices returns the Services that the targets are or lead to, in order; not those behind a Gateway.
func (w *warner) targetServices(c *v1alpha1.NetworkChaos) []types.NamespacedName {
	found := map[types.NamespacedName]bool{}
	for _, t := range c.Spec.TargetRefs {
		key := types.NamespacedName{Namespace: c.Namespace, Name: t.Name}
		if t.Namespace != nil {
			key.Namespace = *t.Namespace
		}
		if t.Kind == "Service" {
			found[key] = true
		}
		for _, ref := range w.backends(t.Kind, key) {
			service := types.NamespacedName{Namespace: key.Namespace, Name: string(ref.Name)}
			if ref.Namespace != nil {
				service.Namespace = string(*ref.Namespace)
			}
			found[service] = true
		}
	}
	return slices.SortedFunc(maps.Keys(found), func(a, b types.NamespacedName) int { return strings.Compare(a.String(), b.String()) })
}

// backends returns what an Ingress or a Route leads to.
func (w *warner) backends(kind string, key types.NamespacedName) (refs []gatewayv1.BackendRef) {
	switch kind {
	case "Ingress":
		refs = ingressBackends(w.view.Ingresses[key])
	case status.HTTPRoute:
		if r := w.view.HTTPRoutes[key]; r != nil {
			for _, rule := range r.Spec.Rules {
				for _, b := range rule.BackendRefs {
					refs = append(refs, b.BackendRef)
				}
			}
		}
	case status.TCPRoute:
		if r := w.view.TCPRoutes[key]; r != nil {
			for _, rule := range r.Spec.Rules {
				refs = append(refs, rule.BackendRefs...)
			}
		}
	case status.UDPRoute:
		if r := w.view.UDPRoutes[key]; r != nil {
			for _, rule := range r.Spec.Rules {
				refs = append(refs, rule.BackendRefs...)
			}
		}
	}
	return refs
}

func ingressBackends(i *networkingv1.Ingress) (refs []gatewayv1.BackendRef) {
	if i == nil {
		return nil
	}
	add := func(b *networkingv1.IngressBackend) {
		if b != nil && b.Service != nil {
			ref := gatewayv1.BackendRef{}
			ref.Name = gatewayv1.ObjectName(b.Service.Name)
			refs = append(refs, ref)
		}
	}
	add(i.Spec.DefaultBackend)
	for _, rule := range i.Spec.Rules {
		if rule.HTTP != nil {
			for _, path := range rule.HTTP.Paths {
				add(&path.Backend)
			}
		}
	}
	return refs
}

func endpointsOf(list []*discoveryv1.EndpointSlice) (n int) {
	for _, s := range list {
		n += len(s.Endpoints)
	}
	return n
}
