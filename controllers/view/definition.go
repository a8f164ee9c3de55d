package view

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"k8s.io/kube-openapi/pkg/validation/spec"
	"k8s.io/kube-openapi/pkg/validation/strfmt"
	"k8s.io/kube-openapi/pkg/validation/validate"
	"sigs.k8s.io/yaml"

	"github.com/breakwater-gateway/breakwater/config/crd"
)

// definition is the schema of a custom resource. It sets the defaults and checks all rules of the schema as the API server
// does, but for those in CEL, which are checked by hand (check_chaos.go): the libraries for CEL would add a third to
// the program. test/cel holds that both refuse the same. It is immutable.
type definition struct{ schema spec.Schema }

// fieldFault is what is wrong with a field.
type fieldFault struct{ field, reason string }

// networkChaosDefinition reads the definition when it is needed first.
var networkChaosDefinition = sync.OnceValues(func() (*definition, error) { return newDefinition(crd.NetworkChaos) })

// newDefinition reads the only version of a CustomResourceDefinition.
func newDefinition(data []byte) (*definition, error) {
	var d struct {
		Spec struct {
			Versions []struct {
				Schema struct {
					OpenAPIV3Schema spec.Schema `json:"openAPIV3Schema"`
				} `json:"schema"`
			} `json:"versions"`
		} `json:"spec"`
	}
	if err := yaml.Unmarshal(data, &d); err != nil {
		return nil, fmt.Errorf("read the definition: %w", err)
	}
	if len(d.Spec.Versions) != 1 {
		return nil, fmt.Errorf("read the definition: %d versions instead of one", len(d.Spec.Versions))
	}
	return &definition{d.Spec.Versions[0].Schema.OpenAPIV3Schema}, nil
}

// complete sets the defaults of an object in JSON and returns what the schema says is wrong with it.
func (d *definition) complete(data []byte) ([]byte, []fieldFault) {
	var object map[string]any
	if err := json.Unmarshal(data, &object); err != nil {
		return nil, []fieldFault{{reason: err.Error()}}
	}
	setDefaults(object, &d.schema)
	var faults []fieldFault
	checkLists("", object, &d.schema, func(field, reason string) { faults = append(faults, fieldFault{field, reason}) })
	for _, err := range validate.NewSchemaValidator(&d.schema, nil, "", strfmt.Default).Validate(object).Errors {
		faults = append(faults, openAPIFault(err))
	}
	for i := range faults {
		faults[i].reason = reword(object, faults[i])
	}
	if said := func(f fieldFault) bool { return f.reason != "" }; slices.ContainsFunc(faults, said) {
		faults = slices.DeleteFunc(faults, func(f fieldFault) bool { return !said(f) })
	}
	// The library goes through objects in no order.
	slices.SortFunc(faults, func(a, b fieldFault) int {
		return cmp.Or(strings.Compare(a.field, b.field), strings.Compare(a.reason, b.reason))
	})
	faults = slices.Compact(faults)
	completed, err := json.Marshal(object)
	if err != nil {
		faults = append(faults, fieldFault{reason: err.Error()})
	}
	return completed, faults
}

// openAPIFault takes the field out of an error.
func openAPIFault(err error) fieldFault {
	text := err.Error()
	field, reason, ok := strings.Cut(text, " in body ")
	if !ok || strings.ContainsAny(field, " ") {
		return fieldFault{reason: text}
	}
	return fieldFault{indexed.ReplaceAllString(field, "[$1]$2"), reason}
}

// indexed finds the index of an element in a path such as "spec.toxics.0.type".
var indexed = regexp.MustCompile(`\.([0-9]+)(\.|$)`)

// setDefaults sets the defaults of a schema in a value, from above, as the API server does.
func setDefaults(value any, s *spec.Schema) {
	switch v := value.(type) {
	case map[string]any:
		for name := range s.Properties {
			property := s.Properties[name]
			if _, ok := v[name]; !ok && property.Default != nil {
				v[name] = clone(property.Default)
			}
			setDefaults(v[name], &property)
		}
	case []any:
		if s.Items != nil && s.Items.Schema != nil {
			for _, item := range v {
				setDefaults(item, s.Items.Schema)
			}
		}
	}
}

// clone copies a default, which objects must not share.
func clone(value any) any {
	if m, ok := value.(map[string]any); ok {
		c := make(map[string]any, len(m))
		for k, v := range m {
			c[k] = clone(v)
		}
		return c
	}
	return value
}

// checkLists reports elements of sets and keyed lists that are there twice.
func checkLists(path string, value any, s *spec.Schema, f fault) {
	switch v := value.(type) {
	case map[string]any:
		for name := range s.Properties {
			property := s.Properties[name]
			checkLists(strings.TrimPrefix(path+"."+name, "."), v[name], &property, f)
		}
	case []any:
		if s.Items == nil || s.Items.Schema == nil {
			return
		}
		kind, _ := s.Extensions.GetString("x-kubernetes-list-type")
		keys, _ := s.Extensions.GetStringSlice("x-kubernetes-list-map-keys")
		seen := map[string]bool{}
		for i, item := range v {
			at := fmt.Sprintf("%s[%d]", path, i)
			if id := identityOf(item, kind, keys); id != "" && seen[id] {
				f(at, "Duplicate value: "+id)
			} else {
				seen[id] = true
			}
			checkLists(at, item, s.Items.Schema, f)
		}
	}
}

// identityOf returns what must be unique in a list, "" if nothing must.
func identityOf(item any, kind string, keys []string) string {
	switch kind {
	case "set":
		return fmt.Sprint(item)
	case "map":
		object, ok := item.(map[string]any)
		if !ok {
			return ""
		}
		var id []string
		for _, key := range keys {
			id = append(id, fmt.Sprint(object[key]))
		}
		return strings.Join(id, " ")
	}
	return ""
}
