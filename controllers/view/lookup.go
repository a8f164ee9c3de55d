package view

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

// Lookup names what is not watched as a whole but only where an object refers to it: a Secret or ConfigMap by its name, or pods by
// their labels. It is comparable.
type Lookup struct {
	Kind      string // "Secret", "ConfigMap" or "Pod"
	Namespace string
	Name      string // of a Secret or ConfigMap
	Labels    string // of pods, as a label selector: "a=b,c=d" in the order of the keys
}

// PodLookup returns the Lookup of pods that have all these labels.
func PodLookup(namespace string, matchLabels map[string]string) Lookup {
	return Lookup{Kind: "Pod", Namespace: namespace, Labels: labels.Set(matchLabels).String()}
}

// Compare orders Lookups.
func (l Lookup) Compare(m Lookup) int {
	return cmp.Or(strings.Compare(l.Kind, m.Kind), strings.Compare(l.Namespace, m.Namespace),
		strings.Compare(l.Name, m.Name), strings.Compare(l.Labels, m.Labels))
}

// found is what a Lookup has found.
type found struct {
	listed bool
	pods   map[string]struct{} // "namespace/name"; replaced, never changed
}

// Listed notes that a Lookup has found everything there is for now.
func (v *View) Listed(l Lookup) {
	f := v.lookups[l]
	f.listed = true
	v.lookups[l] = f
	v.note(change{kind: changedChaos})
}

// IsListed reports whether it has. Until then nobody knows whether what it asks for exists.
func (v *View) IsListed(l Lookup) bool { return v.lookups[l].listed }

// Forget drops a Lookup and what it has found.
func (v *View) Forget(l Lookup) {
	delete(v.lookups, l)
	key := types.NamespacedName{Namespace: l.Namespace, Name: l.Name}
	switch l.Kind {
	case "Secret":
		delete(v.Secrets, key)
	case "ConfigMap":
		delete(v.ConfigMaps, key)
	}
	v.note(change{kind: changedChaos})
}

// SetPod notes that a pod has, or has no longer, the labels of a Lookup.
func (v *View) SetPod(l Lookup, name string, is bool) {
	f := v.lookups[l]
	key := l.Namespace + "/" + name
	if _, was := f.pods[key]; was == is {
		return
	}
	f.pods = maps.Clone(f.pods)
	if is {
		if f.pods == nil {
			f.pods = map[string]struct{}{}
		}
		f.pods[key] = struct{}{}
	} else {
		delete(f.pods, key)
	}
	v.lookups[l] = f
	v.note(change{kind: changedChaos})
}

// PodsOf returns the pods ("namespace/name") that a Lookup has found, and those among Pods that it would find. The result must not
// be changed.
func (v *View) PodsOf(l Lookup) map[string]struct{} {
	if len(v.Pods) == 0 {
		return v.lookups[l].pods
	}
	pods := maps.Clone(v.lookups[l].pods)
	if pods == nil {
		pods = map[string]struct{}{}
	}
	selector, err := labels.Parse(l.Labels)
	if err != nil {
		return pods
	}
	for key, pod := range v.Pods {
		if key.Namespace == l.Namespace && selector.Matches(labels.Set(pod.Labels)) {
			pods[key.String()] = struct{}{}
		}
	}
	return pods
}

// Lookups returns what is being looked up, in order.
func (v *View) Lookups() []Lookup {
	return slices.SortedFunc(maps.Keys(v.lookups), Lookup.Compare)
}
