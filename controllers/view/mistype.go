package view

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// mistypes returns the values in JSON that cannot be decoded into an object. The decoder finds them too, but only the first, and says so
// in the words of Go and without indices.
func (p *parsing) mistypes(data []byte, object Object) (problems []Problem) {
	var value any
	if err := json.Unmarshal(data, &value); err != nil {
		return nil
	}
	findMistypes("", value, reflect.TypeOf(object), func(field string, value any, want string) {
		problems = append(problems, p.problem(field, p.mistype(field, value, want)))
	})
	return problems
}

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

// findMistypes calls found for the values of a tree in JSON that do not fit a type, with what is wanted.
func findMistypes(field string, value any, t reflect.Type, found func(field string, value any, want string)) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case value == nil: // counts as absent
	case reflect.PointerTo(t).Implements(unmarshaler), t == reflect.TypeFor[[]byte]():
		findMistype(field, value, t, found)
	case t.Kind() == reflect.Struct:
		object, ok := value.(map[string]any)
		if !ok {
			found(field, value, "an object")
			return
		}
		for member := range t.Fields() {
			name, _, _ := strings.Cut(member.Tag.Get("json"), ",")
			if name == "" && member.Anonymous {
				findMistypes(field, value, member.Type, found)
				continue
			}
			findMistypes(strings.TrimPrefix(field+"."+name, "."), object[name], member.Type, found)
		}
	case t.Kind() == reflect.Map:
		object, ok := value.(map[string]any)
		if !ok {
			found(field, value, "an object")
			return
		}
		for _, key := range slices.Sorted(maps.Keys(object)) {
			findMistypes(fmt.Sprintf("%s[%s]", field, key), object[key], t.Elem(), found)
		}
	case t.Kind() == reflect.Slice:
		items, ok := value.([]any)
		if !ok {
			found(field, value, "a list")
			return
		}
		for i, item := range items {
			findMistypes(at(field, i), item, t.Elem(), found)
		}
	default:
		findMistype(field, value, t, found)
	}
}

// findMistype is findMistypes for a type without parts that we look at.
func findMistype(field string, value any, t reflect.Type, found func(field string, value any, want string)) {
	text, err := json.Marshal(value)
	if err == nil {
		err = json.Unmarshal(text, reflect.New(t).Interface())
	}
	if err != nil {
		found(field, value, wanted(t))
	}
}

const (
	wantText   = "text"
	wantNumber = "a whole number"
	wantBool   = "true or false"
)

// wanted says what a type takes.
func wanted(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[intstr.IntOrString]():
		return "a whole number or text"
	case reflect.TypeFor[resource.Quantity]():
		return "a quantity such as 500m or 1Gi"
	case reflect.TypeFor[metav1.Time](), reflect.TypeFor[metav1.MicroTime]():
		return "a time such as 2006-01-02T15:04:05Z"
	case reflect.TypeFor[[]byte]():
		return "text in base64"
	}
	switch t.Kind() {
	case reflect.String:
		return wantText
	case reflect.Bool:
		return wantBool
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return wantNumber
	case reflect.Float32, reflect.Float64:
		return "a number"
	default:
		return "something else"
	}
}

// mistype says what a value is, as it stands in the file, and what is wanted.
func (p *parsing) mistype(field string, value any, want string) string {
	text, hint := textOf(value), ""
	written, known := p.written(field)
	is := ""
	switch v := value.(type) {
	case map[string]any, []any:
		return fmt.Sprintf("is %s, want %s", text, want)
	case string:
		is = "text"
		if _, err := strconv.ParseInt(v, 10, 64); want == wantNumber && err == nil || want == wantBool && (v == "true" || v == "false") {
			hint = ": write " + v + " without quotes"
		}
	case float64:
		if is = "a number"; want == wantNumber && v == math.Trunc(v) {
			return text + " is out of range"
		}
	default:
		is = "a boolean"
	}
	if is != "text" && known {
		text = written
	}
	if is != "text" && want == wantText {
		hint = ": write it in quotes"
		if known {
			hint = fmt.Sprintf(": write %q in quotes", written)
		}
	}
	return fmt.Sprintf("%s is %s, want %s%s", text, is, want, hint)
}

// written returns a scalar as it is written in the document: "yes", not the boolean that it is. ok is false if that is not known.
func (p *parsing) written(field string) (text string, ok bool) {
	if p.tree == nil {
		p.tree = newTree(p.text)
	}
	if p.tree.root == nil {
		return "", false
	}
	n, _, ok := p.tree.at(field)
	return n.Value, ok && n.Kind == yaml.ScalarNode
}
