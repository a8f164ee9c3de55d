package view

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/types"
)

const service = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}]}\n"

// write makes a folder of files and returns its path.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// problems returns the Problems as text, without the folder.
func problems(dir string, list []Problem) []string {
	var result []string
	for _, p := range list {
		s := strings.TrimPrefix(p.String(), dir+"/")
		switch p.Level {
		case Skipped:
			s = "skipped " + s
		case Warning:
			s = "warning " + s
		}
		result = append(result, s)
	}
	return result
}

func TestFromFiles(t *testing.T) {
	tests := map[string]struct {
		files    map[string]string
		services []string
		problems []string
	}{
		"yaml, yml and json in all folders": {
			files: map[string]string{
				"a.yaml":       service,
				"deep/b/c.yml": strings.Replace(service, "web", "yml", 1),
				"d.json":       `{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "json"}, "spec": {"ports": [{"port": 80}]}}`,
			},
			services: []string{"json", "web", "yml"},
		},
		"other and hidden files are not read": {
			files:    map[string]string{"a.yaml": service, "README.md": "# {", ".hidden.yaml": "{", ".git/x.yaml": "{", "a.yaml~": "{"},
			services: []string{"web"},
		},
		"several documents, comments and empty ones": {
			files: map[string]string{
				"a.yaml": "# first\n---\n" + service + "---\n# nothing\n---\n---\n" + strings.Replace(service, "web", "two", 1) + "...\n",
			},
			services: []string{"two", "web"},
		},
		"a List": {
			files: map[string]string{
				"a.yaml": "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Service, metadata: {name: one}, spec: {ports: [{port: 80}]}}\n- {kind: Service}\n",
			},
			services: []string{"one"},
			problems: []string{"a.yaml:1: document 1: Service: apiVersion: is missing"},
		},
		"a typed list": {
			files: map[string]string{
				"a.yaml": "apiVersion: v1\nkind: ServiceList\nitems: [{metadata: {name: one}, spec: {ports: [{port: 80}]}}]\n",
			},
			services: []string{"one"},
		},
		"what is wrong in one document does not touch the others": {
			files:    map[string]string{"a.yaml": service + "---\nkind: [\n---\n" + strings.Replace(service, "web", "two", 1), "b.yaml": "{"},
			services: []string{"two", "web"},
			problems: []string{
				"a.yaml:6: document 2: is not YAML: did not find expected node content",
				"b.yaml:1: document 1: is not YAML: did not find expected node content",
			},
		},
		"unknown fields": {
			files:    map[string]string{"a.yaml": strings.Replace(service, "ports:", "prots: [], ports:", 1)},
			problems: []string{`a.yaml:4: document 1: Service default/web: unknown field "spec.prots"`},
		},
		"duplicate fields": {
			files:    map[string]string{"a.yaml": service + "kind: Service\n"},
			problems: []string{`a.yaml:5: document 1: is not YAML: key "kind" already set in map`},
		},
		"wrong types": {
			files:    map[string]string{"a.yaml": strings.Replace(service, "80", "eighty", 1)},
			problems: []string{`a.yaml:4: document 1: Service default/web: spec.ports[0].port: "eighty" is text, want a whole number`},
		},
		"not an object": {
			files:    map[string]string{"a.yaml": "just text\n"},
			problems: []string{`a.yaml:1: document 1: "just text" is text, want an object`},
		},
		"kinds that do not exist and kinds without a part": {
			files: map[string]string{
				"a.yaml": "apiVersion: networking.k8s.io/v1\nkind: Ingres\nmetadata: {name: a}\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\n" +
					"---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: a}\n---\napiVersion: networking.k8s.io/v1beta1\nkind: Ingress\nmetadata: {name: a}\n",
			},
			problems: []string{
				`a.yaml:2: document 1: Ingres a: kind: there is no kind "Ingres" in networking.k8s.io/v1`,
				"skipped a.yaml:5: document 2: Deployment a: kind: apps/v1 Deployment has no part in routing and is left out",
				"skipped a.yaml:9: document 3: ServiceAccount a: kind: v1 ServiceAccount has no part in routing and is left out",
				`a.yaml:14: document 4: Ingress a: kind: there is no kind "Ingress" in networking.k8s.io/v1beta1`,
			},
		},
		"kinds that route and are not served yet": {
			files: map[string]string{
				"a.yaml": "apiVersion: gateway.networking.k8s.io/v1\nkind: GRPCRoute\nmetadata: {name: a}\n---\n" +
					"apiVersion: gateway.networking.k8s.io/v1alpha3\nkind: BackendTLSPolicy\nmetadata: {name: a}\n---\n" +
					"apiVersion: gateway.networking.x-k8s.io/v1alpha1\nkind: XListenerSet\nmetadata: {name: a}\n---\n" +
					"apiVersion: example.com/v1\nkind: GRPCRoute\nmetadata: {name: a}\n---\n" +
					"apiVersion: networking.k8s.io/v1\nkind: GRPCRoute\nmetadata: {name: a}\n",
			},
			problems: []string{
				"warning a.yaml:2: document 1: GRPCRoute a: kind: gateway.networking.k8s.io/v1 GRPCRoute is not served yet and is left out",
				"warning a.yaml:6: document 2: BackendTLSPolicy a: kind: gateway.networking.k8s.io/v1alpha3 BackendTLSPolicy is not served yet and is left out",
				"warning a.yaml:10: document 3: XListenerSet a: kind: gateway.networking.x-k8s.io/v1alpha1 XListenerSet is not served yet and is left out",
				"skipped a.yaml:13: document 4: GRPCRoute a: kind: example.com/v1 GRPCRoute has no part in routing and is left out",
				`a.yaml:18: document 5: GRPCRoute a: kind: there is no kind "GRPCRoute" in networking.k8s.io/v1`,
			},
		},
		"the same object twice": {
			files:    map[string]string{"a.yaml": service, "b.yaml": service},
			services: []string{"web"},
			problems: []string{"b.yaml:1: document 1: Service default/web: is already defined in DIR/a.yaml:1"},
		},
		"names": {
			files: map[string]string{
				"a.yaml": strings.Replace(service, "{name: web}", "{}", 1) + "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: x, namespace: ns}\n",
			},
			problems: []string{
				"a.yaml:3: document 1: Service default/: metadata.name: is missing",
				"a.yaml:8: document 2: Namespace ns/x: metadata.namespace: is set, but the kind has no namespace",
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := write(t, test.files)
			v, list := FromFiles(dir)
			var services []string
			for key := range v.Services {
				services = append(services, key.Name)
			}
			slices.Sort(services)
			if !slices.Equal(services, test.services) {
				t.Errorf("services %v, want %v", services, test.services)
			}
			for i, p := range test.problems {
				test.problems[i] = strings.ReplaceAll(p, "DIR", dir)
			}
			if got := problems(dir, list); !slices.Equal(got, test.problems) {
				t.Errorf("problems\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(test.problems, "\n"))
			}
		})
	}
}

func TestFromFilesOfAFolderThatIsNotThere(t *testing.T) {
	v, list := FromFiles(filepath.Join(t.TempDir(), "gone"))
	if v == nil || len(list) != 1 || list[0].Level == Skipped {
		t.Errorf("view %v, problems %v", v, list)
	}
}

func TestFromFilesFollowsTheLinksOfAMountedConfigMap(t *testing.T) {
	dir := write(t, map[string]string{"..2026_01/a.yaml": service})
	for link, target := range map[string]string{"..data": "..2026_01", "a.yaml": "..data/a.yaml"} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	v, list := FromFiles(dir)
	if len(list) != 0 || len(v.Services) != 1 {
		t.Errorf("services %v, problems %v", slices.Collect(maps.Keys(v.Services)), list)
	}
}

func TestDefaultsAreThoseOfTheAPIServer(t *testing.T) {
	v := New()
	for _, d := range Parse("", []byte(service+`---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec: {gatewayClassName: c, listeners: [{name: http, port: 80, protocol: HTTP, allowedRoutes: {kinds: [{kind: HTTPRoute}]}}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r}
spec:
  parentRefs: [{name: gw}]
  rules:
  - filters: [{type: RequestRedirect, requestRedirect: {}}]
  - matches: [{headers: [{name: X, value: "1"}], queryParams: [{name: q, value: "1"}]}]
    backendRefs: [{name: web, port: 80}]
---
apiVersion: v1
kind: Namespace
metadata: {name: shop}
`)) {
		if len(d.Problems) > 0 {
			t.Fatal(d.Problems)
		}
		v.Set(d.Object)
	}
	key := func(name string) types.NamespacedName { return types.NamespacedName{Namespace: "default", Name: name} }
	l := v.Gateways[key("gw")].Spec.Listeners[0]
	r := v.HTTPRoutes[key("r")].Spec
	ref := r.Rules[1].BackendRefs[0]
	for name, ok := range map[string]bool{
		"service protocol": v.Services[key("web")].Spec.Ports[0].Protocol == "TCP",
		"service target":   v.Services[key("web")].Spec.Ports[0].TargetPort.IntVal == 80,
		"allowed routes":   *l.AllowedRoutes.Namespaces.From == "Same",
		"route group":      *l.AllowedRoutes.Kinds[0].Group == "gateway.networking.k8s.io",
		"parent":           *r.ParentRefs[0].Kind == "Gateway" && *r.ParentRefs[0].Group == "gateway.networking.k8s.io",
		"match":            *r.Rules[0].Matches[0].Path.Type == "PathPrefix" && *r.Rules[0].Matches[0].Path.Value == "/",
		"header match":     *r.Rules[1].Matches[0].Headers[0].Type == "Exact",
		"query match":      *r.Rules[1].Matches[0].QueryParams[0].Type == "Exact",
		"redirect":         *r.Rules[0].Filters[0].RequestRedirect.StatusCode == 302,
		"backend":          *ref.Group == "" && *ref.Kind == "Service" && *ref.Weight == 1,
		"namespace label":  v.Namespaces["shop"].Labels["kubernetes.io/metadata.name"] == "shop",
	} {
		if !ok {
			t.Errorf("%s: no default", name)
		}
	}
}

// FuzzParse: whatever stands in a file, nothing panics, every document is counted, what has no Problem can be set, and one more field,
// which no kind has, is a Problem.
func FuzzParse(f *testing.F) {
	f.Add([]byte(service))
	f.Add([]byte("---\n" + service + "--- {}\n---\nkind: List\nitems: [[]]\n"))
	f.Add([]byte("a: &a [*a]\n---\n{\"kind\":\"\"}\n--- \nkind: Ingress\napiVersion: networking.k8s.io/v1\nspec: {rules: [{}]}\n"))
	for _, name := range []string{"ports[-1]", "ports[-1].0", "ports[0].port", "a.b", "[", ""} { // which look like paths
		f.Add([]byte("apiVersion: v1\nkind: Service\nmetadata: {name: a, labels: {ports: [1], '" + name + "': 5}}\nspec: {ports: [{port: 80}], '" + name + "': 5}\n"))
		f.Add([]byte("apiVersion: breakwater-gateway.io/v1alpha1\nkind: NetworkChaos\nmetadata: {name: a}\nspec:\n" +
			"  endpoints: {podSelector: {matchLabels: {ports: [1], '" + name + "': 5}}}\n"))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v := New()
		last := 0
		documents := Parse("f", data)
		for _, d := range documents {
			if d.Number < last || d.Line < 1 {
				t.Fatalf("document %d at line %d after document %d", d.Number, d.Line, last)
			}
			last = d.Number
			if d.Object == nil && len(d.Problems) == 0 {
				t.Fatal("neither an object nor a problem")
			}
			if d.Object != nil && len(d.Problems) == 0 {
				v.Set(d.Object)
				v.Delete(d.Object)
			}
		}
		if bytes.Contains(data, []byte("List")) || bytes.Contains(data, []byte("...")) {
			return // a field of a list or of what follows the end of a document is nobody's
		}
		more := Parse("f", append(bytes.Clone(data), "\nunknown: 1\n"...))
		if n := len(more); n > 0 && more[n-1].Object != nil && len(more[n-1].Problems) == 0 {
			t.Fatal("an unknown field passes")
		}
	})
}
