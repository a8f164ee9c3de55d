package view

import (
	"slices"
	"strings"
	"testing"
)

// What is said of a NetworkChaos names the value, in the words of its author, and the line of the field.
func TestProblemsOfNetworkChaosNameValueAndLine(t *testing.T) {
	const text = `apiVersion: breakwater-gateway.io/v1alpha1
kind: NetworkChaos
metadata: {name: x}
spec:
  targetRefs: [{kind: HTTPRoute, name: a}]
  duration: 1h
  toxics:
  - name: one
    type: Abort
    abort: {status: 503}
`
	const toxic = "type: Abort\n    abort: {status: 503}"
	for _, test := range []struct {
		before, after string
		want          []string // after "NetworkChaos default/x: "
	}{
		{"1h", "1d", []string{`6: spec.duration: "1d" is not a duration such as 1h30m (units h, m, s, ms, us)`}},
		{"1h", "-1m", []string{`6: spec.duration: "-1m" is not a duration such as 1h30m (units h, m, s, ms, us)`}},
		{"1h", "10", []string{`6: spec.duration: 10 has no unit: write 10s or 10m`}},
		{toxic, "type: Latency\n    latency: {latency: 100}", []string{`10: spec.toxics[0].latency.latency: 100 has no unit: write 100ms or 100s`}},
		{"1h", "0s", []string{`6: spec.duration: 0s must be more than 0`}},
		{"1h", "1h\n  percent: 150", []string{`7: spec.percent: 150 should be less than or equal to 100`}},
		{"1h", "1h\n  percent: '5'", []string{`7: spec.percent: "5" must be of type number`}},
		{"1h", "1h\n  schedule: x", []string{`7: spec.schedule: "x" must be a cron expression of five fields: minute, hour, day of month, month, day of week`}},
		{"1h", "1h\n  sequence:\n    steps:\n    - toxics: [one]\n    - toxics: [nope]",
			[]string{`10: spec.sequence.steps[1].toxics[0]: there is no toxic "nope"`}},
		{toxic, "type: Bandwidth\n    bandwidth: {rate: 1MB}",
			[]string{`10: spec.toxics[0].bandwidth.rate: "1MB" is not a number of bytes per second such as 500k, 1M or 1Mi`}},
		{toxic, "type: Bandwidth\n    bandwidth: {rate: -1M}",
			[]string{`10: spec.toxics[0].bandwidth.rate: "-1M" is not a number of bytes per second such as 500k, 1M or 1Mi`}},
		{toxic, "type: LimitData\n    limitData: {bytes: 1.5}",
			[]string{`10: spec.toxics[0].limitData.bytes: 1.5 is not a number of bytes such as 500k, 1M or 1Mi`}},
		{toxic, "type: Latency\n    latency: {latency: 100 ms}",
			[]string{`10: spec.toxics[0].latency.latency: "100 ms" is not a duration such as 1h30m (units h, m, s, ms, us)`}},
		{toxic, "type: Latency\n    latency: {latency: 2h}", []string{`10: spec.toxics[0].latency.latency: 2h must be at most 1h`}},
		{toxic, "type: Abort\n    attributes: {status: 503}",
			[]string{`10: unknown field "spec.toxics[0].attributes"`, `8: spec.toxics[0]: type Abort needs its settings under "abort"`}},
		{toxic, "type: Abort\n    delay: {latency: 1s}", []string{`8: spec.toxics[0]: type is Abort, but "delay" is set`}},
		{"type: Abort", "type: Abrt", []string{`9: spec.toxics[0].type: "Abrt" is none of the 26 values: is Abort meant?`}},
		{"type: Abort", "type: latncy", []string{`9: spec.toxics[0].type: "latncy" is none of the 26 values: is Latency meant?`}},
		{"toxics:\n  - name", "preset: 5G\n  toxics:\n  - name", []string{`7: spec.preset: "5G" should be one of [GPRS EDGE 3G Slow4G DSL WiFi FlakyWiFi LEOSatellite GEOSatellite CrossRegion]`}},
		{"1h", "1h\n  at: Clint", []string{`7: spec.at: "Clint" should be one of [Client Backend]`}},
		{"targetRefs", "targetRef", []string{`4: spec.targetRefs: is required`, `5: unknown field "spec.targetRef"`}},
		{"name: x", "name: {{ .Release.Name }}", []string{"3: looks like a template: render it first"}},
	} {
		var got []string
		for _, d := range Parse("f", []byte(strings.Replace(text, test.before, test.after, 1))) {
			for _, p := range d.Problems {
				line := strings.TrimPrefix(p.String(), "f:")
				got = append(got, strings.Replace(strings.Replace(line, "document 1: ", "", 1), "NetworkChaos default/x: ", "", 1))
			}
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: got\n%s\nwant\n%s", test.after, strings.Join(got, "\n"), strings.Join(test.want, "\n"))
		}
	}
}

func TestAProblemKeepsItsPlaceWhenWhatIsAboveChanges(t *testing.T) {
	const m = "kind: ConfigMap\napiVersion: v1\nmetadata: {name: a}\ndata:\n  b: off\n"
	_, known := parse("f", []byte("---\n"+m), nil)
	documents, _ := parse("f", []byte("# a\n# b\n---\n"+m), known)
	i := len(documents) - 1
	if i < 0 || len(documents[i].Problems) != 1 || documents[i].Problems[0].Line != 8 {
		t.Errorf("got %+v", documents)
	}
}
