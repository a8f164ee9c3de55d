package view

import (
	"slices"
	"strings"
	"testing"
)

// Values of a wrong type are named by line and field, as they stand in the file, with what is wanted instead.
func TestValuesOfAWrongType(t *testing.T) {
	const route = `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: x}
spec:
  rules:
  - matches:
    - path: {value: /a}
    - headers:
      - name: a
        value: b
`
	const service = `apiVersion: v1
kind: Service
metadata:
  name: x
spec:
  ports:
  - port: 80
    targetPort: http
`
	const pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {containers: [{name: c}]}\n"
	for _, test := range []struct {
		text, before, after string
		want                []string
	}{
		{route, "value: b", "value: yes", []string{`10: HTTPRoute default/x: spec.rules[0].matches[1].headers[0].value: yes is a boolean, want text: write "yes" in quotes`}},
		{route, "value: b", "value: 0x1F", []string{`10: HTTPRoute default/x: spec.rules[0].matches[1].headers[0].value: 0x1F is a number, want text: write "0x1F" in quotes`}},
		{route, "value: b", "value: [b]", []string{`10: HTTPRoute default/x: spec.rules[0].matches[1].headers[0].value: is a list, want text`}},
		{route, "name: x", "name: n", []string{`3: HTTPRoute default/: metadata.name: n is a boolean, want text: write "n" in quotes`}},
		{route, "metadata: {name: x}", "metadata: x", []string{`3: HTTPRoute default/: metadata: "x" is text, want an object`}},
		{route, "name: x", "name: x, labels: {a.b/c: 1, d: on}", []string{
			`3: HTTPRoute default/x: metadata.labels[a.b/c]: 1 is a number, want text: write "1" in quotes`,
			`3: HTTPRoute default/x: metadata.labels[d]: on is a boolean, want text: write "on" in quotes`,
		}},
		{route, "- path: {value: /a}", "- path: /a", []string{`7: HTTPRoute default/x: spec.rules[0].matches[0].path: "/a" is text, want an object`}},
		{route, "kind: HTTPRoute", "kind: true", []string{`2: kind: true is a boolean, want text: write "true" in quotes`}},
		{route, "gateway.networking.k8s.io/v1", "1", []string{`1: HTTPRoute x: apiVersion: 1 is a number, want text: write "1" in quotes`}},
		{service, "80", `"80"`, []string{`7: Service default/x: spec.ports[0].port: "80" is text, want a whole number: write 80 without quotes`}},
		{service, "80", "eighty", []string{`7: Service default/x: spec.ports[0].port: "eighty" is text, want a whole number`}},
		{service, "80", "80.5", []string{`7: Service default/x: spec.ports[0].port: 80.5 is a number, want a whole number`}},
		{service, "80", "8000000000", []string{`7: Service default/x: spec.ports[0].port: 8000000000 is out of range`}},
		{service, "http", "yes", []string{`8: Service default/x: spec.ports[0].targetPort: yes is a boolean, want a whole number or text`}},
		{service, "- port: 80\n    targetPort: http", "  port: 80", []string{`6: Service default/x: spec.ports: is an object, want a list`}},
		{service, "spec:", "spec:\n  publishNotReadyAddresses: 'true'", []string{
			`6: Service default/x: spec.publishNotReadyAddresses: "true" is text, want true or false: write true without quotes`}},
		{pod, "{name: c}", "{name: c, resources: {limits: {cpu: x}}}", []string{
			`4: Pod default/x: spec.containers[0].resources.limits[cpu]: "x" is text, want a quantity such as 500m or 1Gi`}},
		{pod, "name: x", "name: x, creationTimestamp: yesterday", []string{
			`3: Pod default/x: metadata.creationTimestamp: "yesterday" is text, want a time such as 2006-01-02T15:04:05Z`}},
		{"just text", "", "", []string{`1: "just text" is text, want an object`}},
		{"- a", "", "", []string{`1: is a list, want an object`}},
		{"apiVersion: v1\nkind: List\nitems: {}\n", "", "", []string{`1: items: is an object, want a list`}},
		{"apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Service, metadata: {name: no}}\n", "", "", []string{
			`1: Service default/: metadata.name: false is a boolean, want text: write it in quotes`}},
	} {
		var got []string
		for _, d := range Parse("f", []byte(strings.Replace(test.text, test.before, test.after, 1))) {
			for _, p := range d.Problems {
				got = append(got, strings.Replace(strings.TrimPrefix(p.String(), "f:"), "document 1: ", "", 1))
			}
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: got\n%s\nwant\n%s", test.after, strings.Join(got, "\n"), strings.Join(test.want, "\n"))
		}
	}
}

// A document is read once for all its mistakes: one with thousands must not hold the folder up for minutes.
func TestADocumentIsReadOnceForAllItsMistakes(t *testing.T) {
	p := &parsing{text: []byte("a: yes\nb: no\n")}
	if text, ok := p.written("a"); text != "yes" || !ok {
		t.Fatalf("%q, %v", text, ok)
	}
	p.text = nil
	if text, ok := p.written("b"); text != "no" || !ok {
		t.Errorf("%q, %v: it is read again", text, ok)
	}
}

// Nor is a mapping gone through again for each of them.
func TestAMappingIsReadOnceForAllItsMistakes(t *testing.T) {
	tree := newTree([]byte("a: 1\nb: 2\nb: 3\n"))
	if n, line, ok := tree.at("a"); !ok || n.Value != "1" || line != 1 {
		t.Fatalf("%+v at %d, %v", n, line, ok)
	}
	tree.root.Content = nil
	if n, line, ok := tree.at("b"); !ok || n.Value != "2" || line != 2 {
		t.Errorf("%+v at %d, %v: it is gone through again", n, line, ok)
	}
}
