// Package change finds the objects of a kind that have to be translated again.
//
// It is pure, and it knows nothing of what the objects mean.
package change

import "k8s.io/apimachinery/pkg/types"

// Of is an object as it was translated before and as it is now; one of them may be nil.
type Of[T any] struct{ Old, New *T }

// Map holds what has changed, by object.
type Map[T any] map[types.NamespacedName]Of[T]

// Kind is a kind of object: S is what the View holds, T its translation.
type Kind[S, T any] struct {
	Sources map[types.NamespacedName]*S // as they are now
	Known   map[types.NamespacedName]*T // as they were translated the last time
	// Ours reports whether an object is to be translated at all.
	Ours func(*S) bool
	// Fresh reports whether translating the object would give the same again.
	Fresh func(*T, *S) bool
	// Translate returns a new translation, never nil.
	Translate func(*S) *T
	// DependsOn reports whether one of these Services was looked up for the translation.
	DependsOn func(*T, map[types.NamespacedName]bool) bool
}

// Everywhere looks at all objects.
func (k *Kind[S, T]) Everywhere() Map[T] {
	changes := Map[T]{}
	for key := range k.Sources {
		k.look(key, changes)
	}
	for key := range k.Known {
		if k.Sources[key] == nil {
			k.look(key, changes)
		}
	}
	return changes
}

// Among looks at the objects that have changed themselves and at those that depend on Services that have.
func (k *Kind[S, T]) Among(objects, services map[types.NamespacedName]bool) Map[T] {
	changes := Map[T]{}
	for key := range objects {
		k.look(key, changes)
	}
	if len(services) == 0 {
		return changes
	}
	for key, known := range k.Known {
		if k.DependsOn(known, services) {
			k.look(key, changes)
		}
	}
	return changes
}

// look translates an object if it is not what it was.
func (k *Kind[S, T]) look(key types.NamespacedName, changes Map[T]) {
	source, old := k.Sources[key], k.Known[key]
	switch ours := source != nil && k.Ours(source); {
	case !ours && old != nil:
		changes[key] = Of[T]{Old: old}
	case ours && (old == nil || !k.Fresh(old, source)):
		changes[key] = Of[T]{old, k.Translate(source)}
	}
}
