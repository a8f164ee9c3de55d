package view

import (
	"slices"
	"strings"
	"testing"
)

// Authors may give names to fields that look like paths. What is wrong with such a field is found, or what stands around it.
func TestNamesThatLookLikePaths(t *testing.T) {
	const service = "apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec:\n  ports:\n  - port: 80\n  NAME: 5\n"
	const labels = "apiVersion: v1\nkind: Service\nmetadata:\n  name: x\n  labels:\n    a: [1, 2]\n    NAME: 5\nspec: {ports: [{port: 80}]}\n"
	const chaos = "apiVersion: breakwater-gateway.io/v1alpha1\nkind: NetworkChaos\nmetadata: {name: x}\nspec:\n" +
		"  targetRefs: [{kind: HTTPRoute, name: a}]\n  toxics: [{name: a, type: Abort, abort: {status: 503}}]\n" +
		"  endpoints:\n    podSelector:\n      matchLabels:\n        a: [1, 2]\n        NAME: 5\n"
	const config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata:\n  a: '1'\n  NAME: 5\n"
	for _, test := range []struct {
		text string
		line string // of the field that is called NAME
	}{{service, "7"}, {labels, "7"}, {chaos, "11"}, {config, "6"}} {
		for _, name := range []string{
			"ports[-1]", "a[-1]", "a[1]", "a[99999999999999999999]", "[-1]", "[0]", "a[0", "a]0[", "[]", "a[0][0]", "a..b", ".", "..a", "a.b",
			"tls.crt", `a"b`, `"`, `a\b`, "ä", "[ä]", "-1", "a[b", "", "]", "[", ".[", "[.", "ports[0].port",
		} {
			quoted := "'" + name + "'"
			var lines []string
			for _, d := range Parse("f", []byte(strings.Replace(test.text, "NAME", quoted, 1))) {
				for _, p := range d.Problems {
					line, _, _ := strings.Cut(strings.TrimPrefix(p.String(), "f:"), ":")
					lines = append(lines, line)
				}
			}
			if !slices.Contains(lines, test.line) {
				t.Errorf("%s: problems at lines %v, want one at %s of\n%s", quoted, lines, test.line, test.text)
			}
		}
	}
}

// Nor does a path that leads nowhere lead out of a list.
func TestPathsThatLeadNowhere(t *testing.T) {
	tree := newTree([]byte("a: [1, 2]\nb: {c: 1}\n"))
	object := map[string]any{"a": []any{1.0, 2.0}, "b": map[string]any{"c": 1.0}}
	for _, path := range []string{"a[-1]", "a[2]", "a[4294967296]", "a[18446744073709551615]", "a[+1]", "a[1", "a.0", "a[0].b", "b[0]", "b.c.d", "b..c", "["} {
		if n, _, ok := tree.at(path); ok {
			t.Errorf("%s leads to %q", path, n.Value)
		}
		if v, ok := valueAt(object, path); ok {
			t.Errorf("%s leads to %v", path, v)
		}
	}
	for path, want := range map[string]string{"a[1]": "2", "b.c": "1", "b[c]": "1"} {
		n, _, ok := tree.at(path)
		if v, found := valueAt(object, path); !ok || n.Value != want || !found || textOf(v) != want {
			t.Errorf("%s leads to %+v and %v, want %s", path, n, v, want)
		}
	}
}
