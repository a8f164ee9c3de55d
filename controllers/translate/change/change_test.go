package change

import (
	"maps"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/types"
)

// object is ours if its text is not empty; its translation is fresh while the text is the same.
type object struct{ text string }

type translation struct {
	text    string
	service string
}

func name(s string) types.NamespacedName { return types.NamespacedName{Name: s} }

// kind has "same" and "edited", "left" that is no longer ours, "gone", "new", and "foreign" that never was ours.
func kind() *Kind[object, translation] {
	return &Kind[object, translation]{
		Sources: map[types.NamespacedName]*object{
			name("same"): {"same"}, name("edited"): {"edited"}, name("left"): {""}, name("new"): {"new"}, name("foreign"): {""},
		},
		Known: map[types.NamespacedName]*translation{
			name("same"): {"same", "a"}, name("edited"): {"before", "a"}, name("left"): {"left", "b"}, name("gone"): {"gone", "b"},
		},
		Ours:      func(o *object) bool { return o.text != "" },
		Fresh:     func(t *translation, o *object) bool { return t.text == o.text },
		Translate: func(o *object) *translation { return &translation{text: o.text} },
		DependsOn: func(t *translation, services map[types.NamespacedName]bool) bool { return services[name(t.service)] },
	}
}

func set(names ...string) map[types.NamespacedName]bool {
	s := map[types.NamespacedName]bool{}
	for _, n := range names {
		s[name(n)] = true
	}
	return s
}

func TestOnlyWhatHasChangedIsTranslated(t *testing.T) {
	tests := []struct {
		name string
		find func(*Kind[object, translation]) Map[translation]
		want []string // what was before the arrow, what is now behind it
	}{
		{"everywhere", (*Kind[object, translation]).Everywhere, []string{"before>edited", "gone>", "left>", ">new"}},
		{"among nothing", among(set(), set()), nil},
		{"among objects", among(set("same", "edited", "new", "foreign"), set()), []string{"before>edited", ">new"}},
		{"among objects that are gone", among(set("gone", "left", "unknown"), set()), []string{"gone>", "left>"}},
		{"among those that depend on a Service", among(set(), set("a", "other")), []string{"before>edited"}},
		{"among both", among(set("new"), set("b")), []string{"gone>", "left>", ">new"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			k := kind()
			var got []string
			for key, c := range test.find(k) {
				if c.Old != k.Known[key] {
					t.Errorf("%s: what was before is not what was known", key)
				}
				got = append(got, text(c.Old)+">"+text(c.New))
			}
			slices.Sort(got)
			if want := slices.Sorted(slices.Values(test.want)); !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestKnownIsNotChanged(t *testing.T) {
	k, before := kind(), kind()
	k.Everywhere()
	equal := func(a, b *translation) bool { return *a == *b }
	if !maps.EqualFunc(k.Known, before.Known, equal) {
		t.Error("what was known has changed")
	}
}

func among(objects, services map[types.NamespacedName]bool) func(*Kind[object, translation]) Map[translation] {
	return func(k *Kind[object, translation]) Map[translation] { return k.Among(objects, services) }
}

func text(t *translation) string {
	if t == nil {
		return ""
	}
	return t.text
}
