package arch_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/breakwater-gateway/breakwater/test/arch"
)

// seed is an import that breaks a rule, or a neighbour of one that does not.
type seed struct {
	from, to string
	kind     string // direct, deep or test
	breaks   bool
}

func (s seed) packages() []arch.Package {
	p := arch.Package{Path: s.from}
	switch s.kind {
	case "direct":
		p.Imports = []string{s.to}
	case "deep":
		p.Dependencies = []string{s.to}
	case "test":
		p.TestImports = []string{s.to}
	}
	return []arch.Package{p}
}

func seeds() []seed {
	return []seed{
		{"proxy", "net/http", "direct", false},
		{"proxy", "golang.org/x/net/http2", "direct", true},
		{"proxy", "proxy/filter", "direct", true},
		{"proxy", "api/v1alpha1", "direct", true},
		{"proxy/http1", "golang.org/x/net/http2", "direct", false},
		{"proxy/server", "k8s.io/api/core/v1", "direct", true},
		{"proxy/server", "sigs.k8s.io/yaml", "deep", true},
		{"proxy/server", "controllers/view", "test", true},
		{"proxy/server/deeper", "api/v1alpha1", "direct", true},
		{"proxyother", "k8s.io/api/core/v1", "direct", false},
		{"proxy/router", "proxy/filter", "direct", true},
		{"proxy/filter", "proxy/filter/header", "direct", false},
		{"proxy/filter/header", "proxy/toxic", "direct", true},
		{"proxy/balancer", "proxy/http1", "direct", true},
		{"proxy/toxic", "proxy/balancer", "direct", true},
		{"proxy/http1", "proxy/router", "direct", true},
		{"proxy/http1", "proxy/router", "test", false},
		{"proxy/server", "proxy/router", "direct", false},
		{"proxy/upstream", "cmd/whoami/whoami", "direct", true},
		{"proxy/upstream", "cmd/whoami/whoami", "test", false},
		{"controllers/view", "test/testbed", "direct", true},
		{"controllers/translate", "context", "direct", true},
		{"controllers/translate/ingress", "log/slog", "direct", true},
		{"controllers/translate/ingress", "k8s.io/client-go/kubernetes", "direct", true},
		{"controllers/translate/gateway", "sigs.k8s.io/controller-runtime/pkg/client", "direct", true},
		{"controllers/translate/gateway", "sigs.k8s.io/gateway-api/apis/v1", "direct", false},
		{"controllers/translate/gateway", "math/rand/v2", "direct", true},
		{"controllers/translate", "os", "direct", true},
		{"controllers/view", "context", "direct", false},
		{"controllers/translate/ingress", "controllers/translate/gateway", "direct", true},
		{"controllers/translate/gateway", "controllers/translate/chaos", "direct", true},
		{"controllers/translate/chaos", "controllers/translate/ingress", "direct", true},
		{"controllers/translate/chaos", "controllers/translate/backend", "direct", false},
		{"controllers/translate", "controllers/translate/ingress", "direct", false},
		{"controllers", "proxy", "direct", false},
		{"controllers", "proxy/server", "direct", true},
		{"controllers", "proxy/filter", "direct", true},
		{"controllers/translate/gateway", "proxy/filter", "direct", false},
		{"controllers/translate/gateway", "proxy/router", "direct", true},
		{"api/v1alpha1", "proxy", "direct", true},
		{"api/v1alpha1", "k8s.io/apimachinery/pkg/apis/meta/v1", "direct", false},
		{"cmd/whoami/whoami", "google.golang.org/grpc", "deep", true},
		{"cmd/whoami/whoamigrpc", "google.golang.org/grpc", "direct", false},
		{"cmd/breakwater", "proxy/server", "direct", false},
		{"cmd/breakwater", "reflect", "direct", true},
		{"proxy/admin", "reflect", "direct", true},
		{"proxy/filter", "reflect", "test", false},
		{"test/testbed", "controllers/view", "direct", false},
	}
}

func TestImportRulesCatchSeededBreaches(t *testing.T) {
	rules := arch.Imports{Rules: arch.ImportRules, Siblings: arch.SiblingRules}
	for _, s := range seeds() {
		if found := rules.CheckImports(s.packages()); (len(found) > 0) != s.breaks {
			t.Errorf("%s imports %s (%s): %q, want a breach: %v", s.from, s.to, s.kind, found, s.breaks)
		}
	}
}

// No rule may stand without a seeded breach of its own: without the rule, at least one goes unnoticed.
func TestEveryRuleHasASeededBreachOfItsOwn(t *testing.T) {
	for i, rule := range arch.ImportRules {
		without := arch.Imports{Rules: slices.Delete(slices.Clone(arch.ImportRules), i, i+1), Siblings: arch.SiblingRules}
		if rule.Reason == "" || !missesAny(without) {
			t.Errorf("nothing proves this rule, or it has no reason: %+v", rule)
		}
	}
	for i, s := range arch.SiblingRules {
		without := arch.Imports{Rules: arch.ImportRules, Siblings: slices.Delete(slices.Clone(arch.SiblingRules), i, i+1)}
		if s.Reason == "" || !missesAny(without) {
			t.Errorf("nothing proves these siblings, or they have no reason: %+v", s)
		}
	}
}

func missesAny(rules arch.Imports) bool {
	return slices.ContainsFunc(seeds(), func(s seed) bool { return s.breaks && len(rules.CheckImports(s.packages())) == 0 })
}

func TestExceptions(t *testing.T) {
	rules := arch.Imports{Siblings: arch.SiblingRules, Exceptions: []arch.Exception{{From: "proxy/router", To: "proxy/filter"}}}
	breaking := []arch.Package{{Path: "proxy/router", Imports: []string{"proxy/filter"}}}
	if found := rules.CheckImports(breaking); len(found) != 0 {
		t.Errorf("excepted: %q", found)
	}
	breaking[0].Imports = []string{"proxy/filter", "proxy/http1"}
	if found := rules.CheckImports(breaking); len(found) != 1 || !strings.Contains(found[0], "proxy/http1") {
		t.Errorf("beside the exception: %q", found)
	}
	breaking[0].Imports = nil
	if found := rules.CheckImports(breaking); len(found) != 1 || !strings.Contains(found[0], "no use") {
		t.Errorf("unused: %q", found)
	}
}

// Source rules, proved on a module that is written for the purpose and read by the real loader.
func TestSourceRulesCatchSeededBreaches(t *testing.T) {
	const doc = "// Package p is documented.\npackage p\n"
	tests := []struct {
		name  string
		path  string // of the package
		files map[string]string
		want  string // part of the one breach; "" for none
	}{
		{"documented", "proxy/p", map[string]string{"p.go": doc, "q.go": "package p\n"}, ""},
		{"no doc", "proxy/p", map[string]string{"p.go": "package p\n"}, "0 package docs"},
		{"detached comment", "proxy/p", map[string]string{"p.go": "// Package p.\n\npackage p\n"}, "0 package docs"},
		{"two docs", "proxy/p", map[string]string{"p.go": doc, "q.go": doc}, "2 package docs"},
		{"doc in a file for another platform", "proxy/p", map[string]string{"p.go": doc, "p_plan9.go": doc}, "2 package docs"},
		{"doc in a test does not count", "proxy/p", map[string]string{"p.go": doc, "p_test.go": doc}, ""},
		{"init", "proxy/p", map[string]string{"p.go": doc + "func init() {}\n"}, "func init"},
		{"method named init", "proxy/p", map[string]string{"p.go": doc + "type t int\nfunc (t) init() {}\n"}, ""},
		{"generated init", "proxy/p", map[string]string{"p.go": doc, "g.go": "// Code generated by x. DO NOT EDIT.\n\npackage p\n\nfunc init() {}\n"}, ""},
		{"banned name", "proxy/util", map[string]string{"p.go": "// Package util is documented.\npackage util\n"}, "says nothing"},
		{"long file", "proxy/p", map[string]string{"p.go": doc + strings.Repeat("//\n", 600)}, "a file over"},
		{"goroutine where allowed", "proxy/p", map[string]string{"p.go": doc + "func f() { go f() }\n"}, ""},
		{"goroutine in translate", "controllers/translate/p", map[string]string{"p.go": doc + "func f() { go f() }\n"}, "goroutine"},
		{"clock in translate", "controllers/translate/p", map[string]string{"p.go": doc + "import \"time\"\n\nvar t = time.Now()\n"}, "time.Now"},
		{"renamed clock in translate", "controllers/translate/p", map[string]string{"p.go": doc + "import x \"time\"\n\nvar t = x.Since(x.Time{})\n"}, "time.Since"},
		{"duration in translate", "controllers/translate/p", map[string]string{"p.go": doc + "import \"time\"\n\nvar t = time.Second\n"}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			root := t.TempDir()
			write(t, filepath.Join(root, "go.mod"), "module example.com/m\n\ngo 1.26.0\n")
			for name, text := range test.files {
				write(t, filepath.Join(root, test.path, name), text)
			}
			packages, err := arch.Load(root)
			if err != nil || len(packages) != 1 || packages[0].Path != test.path {
				t.Fatalf("load: %+v, %v", packages, err)
			}
			found, err := arch.CheckSource(packages[0])
			if err != nil {
				t.Fatal(err)
			}
			if test.want == "" && len(found) > 0 || test.want != "" && (len(found) != 1 || !strings.Contains(found[0], test.want)) {
				t.Errorf("found %q, want %q", found, test.want)
			}
		})
	}
}

func TestLoadReadsImportsOfEachKind(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "go.mod"), "module example.com/m\n\ngo 1.26.0\n")
	write(t, filepath.Join(root, "proxy/a/a.go"), "package a\n\nimport _ \"example.com/m/proxy/b\"\n")
	write(t, filepath.Join(root, "proxy/a/a_test.go"), "package a\n\nimport _ \"example.com/m/controllers\"\n")
	write(t, filepath.Join(root, "proxy/a/x_test.go"), "package a_test\n\nimport _ \"testing\"\n")
	write(t, filepath.Join(root, "proxy/b/b.go"), "package b\n\nimport _ \"example.com/m/api\"\n")
	write(t, filepath.Join(root, "api/api.go"), "package api\n")
	write(t, filepath.Join(root, "build/scratch/s.go"), "package scratch\n")
	write(t, filepath.Join(root, "controllers/c.go"), "package controllers\n")
	packages, err := arch.Load(root)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(packages, func(p arch.Package) bool { return p.Path == "proxy/a" })
	if i < 0 || len(packages) != 4 {
		t.Fatalf("packages: %+v", packages)
	}
	a := packages[i]
	if !slices.Equal(a.Imports, []string{"proxy/b"}) || !slices.Contains(a.Dependencies, "api") ||
		!slices.Equal(a.TestImports, []string{"controllers", "testing"}) {
		t.Errorf("package: %+v", a)
	}
	if _, err := arch.Load(filepath.Join(root, "nowhere")); err == nil {
		t.Error("a missing folder is no error")
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
