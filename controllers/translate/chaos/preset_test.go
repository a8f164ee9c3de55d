package chaos

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/breakwater-gateway/breakwater/proxy/toxic"
)

// property is a part of a definition's schema.
type property struct {
	Description string
	Enum        []any
	Properties  map[string]property
}

// The description of the field has a table of the presets: a line for each, in their order, with the numbers that they have.
func TestPresetsAreDescribed(t *testing.T) {
	text, err := os.ReadFile("../../../config/crd/breakwater-gateway.io_networkchaos.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var crd struct {
		Spec struct {
			Versions []struct {
				Schema struct{ OpenAPIV3Schema property }
			}
		}
	}
	if err := yaml.Unmarshal(text, &crd); err != nil {
		t.Fatal(err)
	}
	preset := crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"].Properties["preset"]
	var rows []string
	for line := range strings.Lines(preset.Description) {
		if row, ok := strings.CutPrefix(line, "\t"); ok {
			rows = append(rows, strings.Join(strings.Fields(row), " "))
		}
	}
	presets := toxic.Presets()
	if len(rows) != len(presets) || len(preset.Enum) != len(presets) {
		t.Fatalf("%d rows and %d values for %d presets", len(rows), len(preset.Enum), len(presets))
	}
	for i, p := range presets {
		want := fmt.Sprintf("%s %v ms", p.Name, p.RTT)
		if p.Down > 0 {
			want += fmt.Sprintf(" %.0f/%.0f", p.Down, p.Up)
		}
		if p.Loss.Rate.Base > 0 {
			want += fmt.Sprintf(" %v %%", p.Loss.Rate.Base*100)
		}
		if !strings.HasPrefix(rows[i], want+" ") {
			t.Errorf("%q, want it to begin with %q", rows[i], want)
		}
		for _, extra := range []struct {
			is   bool
			text string
		}{{p.Jitter > 0, fmt.Sprintf("jitter of %v ms", p.Jitter)}, {p.Loss.Burst > 0, fmt.Sprintf("bursts of %v packets", p.Loss.Burst)}} {
			if extra.is && !strings.Contains(rows[i], extra.text) {
				t.Errorf("%q, want %q in it", rows[i], extra.text)
			}
		}
	}
}
