package admin

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode"

	"github.com/breakwater-gateway/breakwater/proxy"
)

func describeAll(filters []proxy.Filter) []string {
	var all []string
	for _, f := range filters {
		all = append(all, lowerCamel(describe(f)))
	}
	return all
}

// describe prints a Filter or a Balancer: by its own String method, else as the name of its type and those of its exported fields that are
// set. A Filter that holds anything secret has a String method that leaves it out.
func describe(v any) string {
	if s, ok := v.(fmt.Stringer); ok {
		return clean(s.String())
	}
	of := reflect.Indirect(reflect.ValueOf(v))
	return strings.Join(append([]string{of.Type().Name()}, fields(of)...), " ")
}

// fields are the exported fields of a struct that are set, as name=value; none of anything else.
func fields(v reflect.Value) (all []string) {
	if v.Kind() != reflect.Struct {
		return nil
	}
	for f, value := range v.Fields() {
		isEmpty := value.IsZero() || value.Kind() == reflect.Slice && value.Len() == 0
		if f.IsExported() && !isEmpty {
			all = append(all, lowerCamel(f.Name)+"="+valueText(value))
		}
	}
	return all
}

func valueText(v reflect.Value) string {
	if s, ok := v.Interface().(fmt.Stringer); ok {
		return word(s.String())
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		return valueText(v.Elem())
	case reflect.Struct:
		return "{" + strings.Join(fields(v), " ") + "}"
	case reflect.Slice, reflect.Array:
		var all []string
		for _, one := range v.Seq2() {
			all = append(all, valueText(one))
		}
		return "[" + strings.Join(all, " ") + "]"
	}
	return word(fmt.Sprint(v))
}

// word quotes s unless it is one word that can be told from what is around it.
func word(s string) string {
	if s == "" || strings.ContainsAny(s, ` ={}[]"`) {
		return strconv.Quote(s)
	}
	return clean(s)
}

// lowerCamel begins a name of Go with small letters: "URLPath" is "urlPath".
func lowerCamel(name string) string {
	n := strings.IndexFunc(name, func(r rune) bool { return !unicode.IsUpper(r) })
	switch {
	case n < 0:
		n = len(name)
	case n > 1 && unicode.IsLower(rune(name[n])):
		n-- // the last one begins the next word
	}
	return strings.ToLower(name[:n]) + name[n:]
}
