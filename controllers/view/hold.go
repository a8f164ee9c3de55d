package view

import (
	"bytes"
	"maps"
	"reflect"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/breakwater-gateway/breakwater/api/v1alpha1"
)

// hold returns what is served while something is wrong in the folder, of which these objects could be read: what was served
// before, but with less that breaks traffic on purpose wherever the folder says so or can no longer be asked.
//
//   - An experiment goes on only if its NetworkChaos can be read and says the same. Otherwise it is withheld until all is well: it
//     stays the same object, so that a halt by its guard stays, and so does what it has counted. None begins.
//   - A ConfigMap, which may be the kill switch, acts when it comes. One that is not read as it was says nothing from then on, which of
//     a kill switch means that chaos is off: it can be thrown, and is not released.
//   - A Secret or a Pod, to which nothing but experiments refers, stays only if it is the same.
//   - A Namespace that opts out does so at once, and a ReferenceGrant for experiments stays only if it is the same.
func (f *Folder) hold(read map[identity]Object) (held map[identity]Object, withheld map[identity]string) {
	held, withheld = maps.Clone(f.served), map[identity]string{}
	for id, o := range f.served {
		is := read[id]
		switch o := o.(type) {
		case *v1alpha1.NetworkChaos:
			if is, ok := is.(*v1alpha1.NetworkChaos); !ok {
				withheld[id] = "the manifest of " + describe(o) + " is gone or cannot be read"
			} else if f.withheld[id] != "" || !sameExperiment(o, is) {
				withheld[id] = "the manifest of " + describe(o) + " has changed, and waits until all are valid"
			}
		case *corev1.ConfigMap:
			if is, ok := is.(*corev1.ConfigMap); !ok || !maps.Equal(o.Data, is.Data) {
				held[id] = saysNothing(o)
			}
		case *corev1.Secret:
			if is, ok := is.(*corev1.Secret); !ok || !reflect.DeepEqual(o.Data, is.Data) {
				delete(held, id)
			}
		case *corev1.Pod:
			if is, ok := is.(*corev1.Pod); !ok || !maps.Equal(o.Labels, is.Labels) {
				delete(held, id)
			}
		case *gatewayv1.ReferenceGrant:
			if is, ok := is.(*gatewayv1.ReferenceGrant); !ok || !reflect.DeepEqual(o.Spec, is.Spec) {
				held[id] = withoutExperiments(o)
			}
		}
	}
	for id, o := range read {
		switch o := o.(type) {
		case *corev1.ConfigMap:
			if f.served[id] == nil {
				held[id] = o
			}
		case *corev1.Namespace:
			if label := o.Labels[v1alpha1.LabelChaos]; label != "" && label != v1alpha1.ChaosEnabled {
				held[id] = optedOut(f.served[id], o)
			}
		}
	}
	return held, withheld
}

// sameExperiment reports whether two NetworkChaos of one name say the same.
func sameExperiment(a, b *v1alpha1.NetworkChaos) bool {
	return reflect.DeepEqual(a.Spec, b.Spec) && reflect.DeepEqual(a.Status, b.Status) &&
		(a.DeletionTimestamp == nil) == (b.DeletionTimestamp == nil)
}

// saysNothing returns a ConfigMap without data, m itself if it has none.
func saysNothing(m *corev1.ConfigMap) *corev1.ConfigMap {
	if len(m.Data) == 0 {
		return m
	}
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: m.Namespace, Name: m.Name}}
}

// withoutExperiments returns a grant without what it grants to NetworkChaos, or g itself if that is nothing.
func withoutExperiments(g *gatewayv1.ReferenceGrant) *gatewayv1.ReferenceGrant {
	isOurs := func(from gatewayv1.ReferenceGrantFrom) bool { return from.Group == v1alpha1.Group }
	if !slices.ContainsFunc(g.Spec.From, isOurs) {
		return g
	}
	less := g.DeepCopy()
	less.Spec.From = slices.DeleteFunc(less.Spec.From, isOurs)
	return less
}

// optedOut returns the Namespace that is served (nil: none) with what another says of chaos, itself if it says the same.
func optedOut(served Object, read *corev1.Namespace) *corev1.Namespace {
	value := read.Labels[v1alpha1.LabelChaos]
	n, ok := served.(*corev1.Namespace)
	switch {
	case !ok:
		n = &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: read.Name}}
		defaultNamespace(n)
	case n.Labels[v1alpha1.LabelChaos] == value:
		return n
	default:
		n = n.DeepCopy()
	}
	n.Labels[v1alpha1.LabelChaos] = value
	return n
}

// addSwitch adds a kill switch that says nothing for text that could not be read and may have been meant for one.
func (r *reading) addSwitch(d Document) {
	if r.mark == "" || !holds(d.Problems) || !bytes.Contains(d.text, []byte(r.mark)) {
		return
	}
	m := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: r.mark}}
	r.put(idOf(m), m)
}

func isConfigMap(o Object) bool {
	_, ok := o.(*corev1.ConfigMap)
	return ok
}
