package chaos

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/breakwater-gateway/breakwater/api/v1alpha1"
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
		}{{p.Jitter > 0, fmt.Sprintf("jitter of %v ms", p.Jitter)}, {p.Loss.Burst.Base > 0, fmt.Sprintf("bursts of %v packets", p.Loss.Burst.Base)}} {
			if extra.is && !strings.Contains(rows[i], extra.text) {
				t.Errorf("%q, want %q in it", rows[i], extra.text)
			}
		}
	}
}

// What a preset has for streams and what it has for datagrams both go to targets that may carry both.
func TestPresetsFitTheirTargets(t *testing.T) {
	streams := []string{"latency_upstream", "packet_loss_upstream", "bandwidth_upstream", "latency_downstream", "packet_loss_downstream", "bandwidth_downstream"}
	datagrams := []string{"latency_upstream", "udp_drop_upstream", "udp_rate_upstream", "latency_downstream", "udp_drop_downstream", "udp_rate_downstream"}
	both := []string{
		"latency_upstream", "packet_loss_upstream", "udp_drop_upstream", "bandwidth_upstream", "udp_rate_upstream",
		"latency_downstream", "packet_loss_downstream", "udp_drop_downstream", "bandwidth_downstream", "udp_rate_downstream",
	}
	for _, c := range []struct {
		kinds []string
		want  []string
	}{
		{[]string{"HTTPRoute"}, streams}, {[]string{"Ingress"}, streams}, {[]string{"TCPRoute"}, streams}, {[]string{"UDPRoute"}, datagrams},
		{[]string{"Gateway"}, both}, {[]string{"Service"}, both}, {[]string{"TCPRoute", "UDPRoute"}, both}, {[]string{"UDPRoute", "Ingress"}, both},
		{[]string{"UDPRoute", "Service"}, both}, {[]string{"HTTPRoute", "TCPRoute"}, streams},
	} {
		var targets []v1alpha1.TargetRef
		for _, kind := range c.kinds {
			targets = append(targets, v1alpha1.TargetRef{Kind: kind})
		}
		var got []string
		for _, x := range presetToxics(v1alpha1.PresetGPRS, targets) {
			got = append(got, x.Name)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%v: %v, want %v", c.kinds, got, c.want)
		}
	}
}
