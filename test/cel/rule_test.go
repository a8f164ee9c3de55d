package cel

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/breakwater-gateway/breakwater/config/crd"
)

// schema is what an OpenAPI schema demands of values, but for their types. It has all keywords that the definition uses: rules of a
// kind that is not known here must not go unseen.
type schema struct {
	Enum                               []any
	Pattern                            string
	Minimum, Maximum                   *float64
	ExclusiveMinimum, ExclusiveMaximum bool
	MinLength, MaxLength               *int
	MinItems, MaxItems                 *int
	MinProperties, MaxProperties       *int
	Required                           []string
	ListType                           string                                      `json:"x-kubernetes-list-type"`
	Validations                        []struct{ Rule, Message, FieldPath string } `json:"x-kubernetes-validations"`
	AllOf                              []*schema
	Items, AdditionalProperties        *schema
	Properties                         map[string]*schema

	// These demand nothing but a type.
	Type, Format, Description, Default, AnyOf any
	IntOrString                               any `json:"x-kubernetes-int-or-string"`
	ListMapKeys                               any `json:"x-kubernetes-list-map-keys"`
}

// rule is one rule of the definition: the field that it is about, as a regular expression, and how the API server says that it is broken.
type rule struct {
	field *regexp.Regexp
	says  string
}

func (r rule) String() string { return fmt.Sprintf("%v: %s", r.field, r.says) }

func (r rule) isBroken(c metav1.StatusCause) bool {
	return r.field.MatchString(c.Field) && strings.Contains(c.Message, r.says)
}

// rules appends the rules of s, which describes the values of a field.
func (s *schema) rules(all []rule, field string) []rule {
	add := func(field, says string, args ...any) {
		all = append(all, rule{regexp.MustCompile("^" + field + "$"), fmt.Sprintf(says, args...)})
	}
	bound := func(limit *float64, exclusive bool, word string) {
		if !exclusive {
			word += " or equal to"
		}
		if limit != nil {
			add(field, "should be %s %s", word, strconv.FormatFloat(*limit, 'f', -1, 64))
		}
	}
	count := func(limit *int, says string) {
		if limit != nil {
			add(field, says, *limit)
		}
	}
	if s.Enum != nil {
		add(field, "Unsupported value")
	}
	if s.Pattern != "" {
		add(field, "should match '%s'", s.Pattern)
	}
	bound(s.Minimum, s.ExclusiveMinimum, "greater than")
	bound(s.Maximum, s.ExclusiveMaximum, "less than")
	count(s.MinLength, "should be at least %d chars long")
	count(s.MaxLength, "may not be more than %d bytes")
	count(s.MinItems, "should have at least %d items")
	count(s.MaxItems, "must have at most %d item")
	count(s.MinProperties, "should have at least %d properties")
	count(s.MaxProperties, "must have at most %d item")
	for _, name := range s.Required {
		add(field+`\.`+name, "Required value")
	}
	if s.ListType == "set" || s.ListType == "map" {
		add(field+`\[\d+\]`, "Duplicate value")
	}
	for _, v := range s.Validations {
		add(field+regexp.QuoteMeta(v.FieldPath), "%s", v.Message)
	}
	return s.below(all, field)
}

// below appends the rules of what is in the values of a field.
func (s *schema) below(all []rule, field string) []rule {
	// The first pattern of a quantity comes with its type, and is wider than the other.
	if len(s.AllOf) > 0 {
		all = s.AllOf[len(s.AllOf)-1].rules(all, field)
	}
	if s.Items != nil {
		all = s.Items.rules(all, field+`\[\d+\]`)
	}
	if s.AdditionalProperties != nil {
		all = s.AdditionalProperties.rules(all, field+`\.[^.]+`)
	}
	for name, property := range s.Properties {
		all = property.rules(all, field+`\.`+name)
	}
	return all
}

// specRules returns the rules of all fields of the spec, each once.
func specRules(t *testing.T) []rule {
	t.Helper()
	var definition struct {
		Spec struct {
			Versions []struct {
				Schema struct {
					OpenAPIV3Schema struct {
						Properties struct{ Spec json.RawMessage }
					}
				}
			}
		}
	}
	if err := yaml.Unmarshal(crd.NetworkChaos, &definition); err != nil {
		t.Fatal(err)
	}
	var spec schema
	reader := json.NewDecoder(bytes.NewReader(definition.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties.Spec))
	reader.DisallowUnknownFields()
	if err := reader.Decode(&spec); err != nil {
		t.Fatal(err)
	}
	all := spec.rules(nil, "spec")
	slices.SortFunc(all, func(a, b rule) int { return strings.Compare(a.String(), b.String()) })
	// Rules that speak alike of a field count as one: those for the members of toxics. There are rows for each type.
	return slices.CompactFunc(all, func(a, b rule) bool { return a.String() == b.String() })
}

// A rule that is taken out of the definition must make a test fail: there is a row whose refusal, without what this rule says, is not
// the expected one any more.
func TestEveryRuleHasARow(t *testing.T) {
	missing := specRules(t)
	for _, r := range rejected() {
		causes := causesOf(eventuallyServed(t, api, r.object(t)))
		if !r.fits(said(causes)) {
			continue // is refused as a whole, for a field that is not known for instance; TestRejected tells if it should not
		}
		missing = slices.DeleteFunc(missing, func(tested rule) bool {
			rest := slices.DeleteFunc(slices.Clone(causes), tested.isBroken)
			return len(rest) < len(causes) && !r.fits(said(rest))
		})
	}
	for _, r := range missing {
		t.Errorf("no rejected row tests %v", r)
	}
}

// causesOf returns what is wrong with an object, each by itself.
func causesOf(err error) []metav1.StatusCause {
	if status := apierrors.APIStatus(nil); errors.As(err, &status) && status.Status().Details != nil {
		return status.Status().Details.Causes
	}
	return nil
}

// said puts causes together; it is nil if there are none.
func said(causes []metav1.StatusCause) error {
	var all []error
	for _, c := range causes {
		all = append(all, errors.New(c.Message))
	}
	return errors.Join(all...)
}
