package crd

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "rewrite docs/networkchaos.md")

const page = "../../docs/networkchaos.md"

// schema is what the page tells of an OpenAPI schema.
type schema struct {
	Type             string
	Description      string
	Pattern          string
	Default          any
	Enum             []any
	Minimum, Maximum *float64
	ExclusiveMinimum bool
	ExclusiveMaximum bool
	MaxItems         int
	Items            *schema
	Properties       map[string]*schema
	Required         []string
	IntOrString      bool                       `json:"x-kubernetes-int-or-string"`
	Validations      []struct{ Message string } `json:"x-kubernetes-validations"`
}

// The page of all fields is written from the definition, so that it cannot say anything else.
func TestThePageOfFieldsIsThatOfTheDefinition(t *testing.T) {
	var definition struct {
		Spec struct {
			Versions []struct {
				Schema struct{ OpenAPIV3Schema *schema }
			}
		}
	}
	if err := yaml.Unmarshal(NetworkChaos, &definition); err != nil {
		t.Fatal(err)
	}
	want := fields(definition.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"])
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what the definition says: run \"make manifests\"", page)
	}
}

const introduction = `# Fields of a NetworkChaos

Written by ` + "`make manifests`" + ` from the definition in config/crd. ` + "`kubectl explain networkchaos.spec`" + ` says the same in a cluster.

- A **duration** is a number with a unit, or several: ` + "`90s`, `1h30m`, `2.5ms`" + ` (units h, m, s, ms, us).
- A **quantity** is a number of bytes, or of bytes per second: ` + "`500`, `100k` (100,000), `1Mi` (1,048,576)" + `.
- Percentages go from 0 to 100. **Bold** fields are required.

## What the status says

` + "`kubectl get nchaos`" + ` shows the reason of the condition Active as STATE, and with ` + "`-o wide`" + ` its message:

| STATE | Active | what it means |
|---|---|---|
| Injecting | True | faults are being injected |
| DryRun | True | they are counted, not injected |
| NoTraffic | False | its time has come, and nothing that is served here is among what it could touch; the message says why |
| Waiting | False | its time has not come, or the next run of its schedule has not |
| Suspended | False | ` + "`spec.suspend`" + ` is true |
| SwitchedOff | False | a kill switch is used: in all replicas or in the one that leads, as the message says |
| Halted | False | its guard has halted it |
| Expired | False | its time is over |
| NotAccepted | False | it does nothing; the condition Accepted and the message say why |

- Status and Events are those of the replica that leads. Counts begin anew with another one, but not when the experiment is over or is
  not accepted any more: what has been counted then stays.
- Events say when faults, or a dry run, start (Started), also if a dry run becomes a real one, when they stop and why (Stopped), also if
  the object is deleted, and when a guard halts them (Halted). A restart of the controller is no reason for any.
- A halt holds in all replicas, and so does its end: by a change of ` + "`spec.rearm`" + ` or by ` + "`breakwater chaos rearm`" + ` at any one of them.
  ` + "`status.halts`" + ` counts them.
`

// fields returns the page.
func fields(spec *schema) string {
	var b strings.Builder
	b.WriteString(introduction)
	toxic := spec.Properties["toxics"].Items
	members := map[string]*schema{}
	for name, s := range toxic.Properties {
		if s.Type == "object" {
			members[name] = s
		}
	}
	table(&b, "## spec", spec, func(path string) bool { return path == "toxics[]" })
	table(&b, "## spec.toxics[]", toxic, func(path string) bool { return members[path] != nil })
	for _, name := range slices.Sorted(maps.Keys(members)) {
		title := fmt.Sprintf("### spec.toxics[].%s\n\n%s", name, sentence(members[name].Description))
		table(&b, title, members[name], func(string) bool { return false })
	}
	return b.String()
}

// table writes the fields below s. Those below leaf fields are left out.
func table(b *strings.Builder, title string, s *schema, leaf func(path string) bool) {
	fmt.Fprintf(b, "\n%s\n", title)
	if len(s.Properties) == 0 {
		return
	}
	b.WriteString("\n| Field | Type | Range | Default | Meaning |\n|---|---|---|---|---|\n")
	rows(b, "", s, leaf)
}

func rows(b *strings.Builder, prefix string, s *schema, leaf func(path string) bool) {
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		field := s.Properties[name]
		item, path := field, prefix+name
		if field.Items != nil {
			item, path = field.Items, path+"[]"
		}
		shown := "`" + path + "`"
		if slices.Contains(s.Required, name) {
			shown = "**" + shown + "**"
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s |\n", shown, kind(item), limits(field, item), standard(field), sentence(field.Description))
		if !leaf(path) {
			rows(b, path+".", item, leaf)
		}
	}
}

// kind names the type of values.
func kind(s *schema) string {
	switch {
	case s.IntOrString:
		return "quantity"
	case strings.HasPrefix(s.Pattern, "^([0-9]{1,5}("):
		return "duration"
	default:
		return s.Type
	}
}

// limits says which values there may be. item is field, or what a list of that name holds.
func limits(field, item *schema) string {
	var all []string
	if field.MaxItems > 0 {
		all = append(all, fmt.Sprintf("at most %d", field.MaxItems))
	}
	for _, value := range item.Enum {
		all = append(all, fmt.Sprintf("`%v`", value))
	}
	if item.Minimum != nil {
		all = append(all, bound("from", "above", *item.Minimum, item.ExclusiveMinimum))
	}
	if item.Maximum != nil {
		all = append(all, bound("to", "below", *item.Maximum, item.ExclusiveMaximum))
	}
	if len(item.Properties) == 0 {
		for _, v := range item.Validations {
			all = append(all, v.Message)
		}
	}
	return cell(strings.Join(all, ", "))
}

func bound(inclusive, exclusive string, value float64, isExclusive bool) string {
	if isExclusive {
		inclusive = exclusive
	}
	return fmt.Sprintf("%s %.0f", inclusive, value)
}

func standard(s *schema) string {
	switch value := s.Default.(type) {
	case nil, map[string]any:
		return ""
	default:
		return fmt.Sprintf("`%v`", value)
	}
}

// sentence returns a description in one line of text, in which lines that stand apart, as those of a table, still begin anew.
func sentence(description string) string {
	lines := strings.Split(description, "\n\t")
	for i, line := range lines {
		lines[i] = cell(strings.Join(strings.Fields(line), " "))
	}
	return strings.Join(lines, "<br>")
}

// cell returns text as a cell of a table can hold it.
func cell(text string) string { return strings.NewReplacer("|", `\|`, "<", "&lt;").Replace(text) }
