package ingress

import (
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/breakwater-gateway/breakwater/controllers/view"
)

// legacyClass is the annotation that named the class before spec.ingressClassName existed.
const legacyClass = "kubernetes.io/ingress.class"

// classes says which Ingresses are ours.
type classes struct {
	ours    map[string]bool // classes of our controller
	legacy  string          // a value of the annotation that is ours even without an IngressClass
	unnamed bool            // an Ingress that names no class is ours: the default class is
}

// classesOf reads the IngressClasses. Of several default classes the newest counts, then the one whose name sorts first:
// the rule of the API server's admission.
func classesOf(v *view.View, o Options) classes {
	c := classes{ours: map[string]bool{}, legacy: o.Class}
	var fallback *networkingv1.IngressClass
	for name, class := range v.IngressClasses {
		if class.Spec.Controller == o.Controller {
			c.ours[name] = true
		}
		if class.Annotations[networkingv1.AnnotationIsDefaultIngressClass] == "true" && (fallback == nil || newer(class, fallback)) {
			fallback = class
		}
	}
	if _, exists := v.IngressClasses[o.Class]; o.ImplicitClass && !exists {
		c.ours[o.Class] = true
		c.unnamed = fallback == nil
	}
	if fallback != nil {
		c.unnamed = c.ours[fallback.Name]
	}
	return c
}

func newer(a, b *networkingv1.IngressClass) bool {
	if at, bt := a.CreationTimestamp, b.CreationTimestamp; !at.Equal(&bt) {
		return bt.Before(&at)
	}
	return a.Name < b.Name
}

// claim reports whether the Ingress is ours. spec.ingressClassName counts before the annotation.
func (c *classes) claim(i *networkingv1.Ingress) bool {
	if name := i.Spec.IngressClassName; name != nil {
		return c.ours[*name]
	}
	if name, ok := i.Annotations[legacyClass]; ok {
		return c.ours[name] || name == c.legacy
	}
	return c.unnamed
}
