package view

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/types"
)

func ingressText(name, host string) string {
	return fmt.Sprintf(`---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: %s}
spec: {rules: [{host: %s, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}
`, name, host)
}

func sliceText(name, service, address string) string {
	return fmt.Sprintf(`---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: %s, labels: {kubernetes.io/service-name: %s}}
addressType: IPv4
ports: [{port: 80}]
endpoints: [{addresses: [%s]}]
`, name, service, address)
}

func writeFile(t *testing.T, dir, name string, parts ...string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.Join(parts, "")), 0o644); err != nil {
		t.Fatal(err)
	}
}

func load(t *testing.T, f *Folder) Changes {
	t.Helper()
	changes, problems, ok := f.Load()
	if !ok {
		t.Fatal(problems)
	}
	return changes
}

func name(s string) types.NamespacedName { return types.NamespacedName{Namespace: "default", Name: s} }

func TestFolderKeepsWhatHasNotChanged(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, dir, "a.yaml", ingressText("a", "a.test"), ingressText("b", "b.test"))
	writeFile(t, dir, "c.yaml", ingressText("c", "c.test"))
	f := NewFolder(dir)
	load(t, f)
	a, b, c := f.View.Ingresses[name("a")], f.View.Ingresses[name("b")], f.View.Ingresses[name("c")]
	writeFile(t, dir, "a.yaml", ingressText("new", "new.test"), ingressText("b", "other.test"), ingressText("a", "a.test"))
	changes := load(t, f)
	if !changes.Other || len(changes.Services) != 0 {
		t.Errorf("got %+v", changes)
	}
	if f.View.Ingresses[name("a")] != a || f.View.Ingresses[name("c")] != c {
		t.Error("an object that has not changed is a new one")
	}
	if now := f.View.Ingresses[name("b")]; now == b || now.Spec.Rules[0].Host != "other.test" {
		t.Error("the object that has changed is the old one")
	}
	if again := load(t, f); again.Other || len(again.Services) != 0 {
		t.Errorf("nothing has changed, got %+v", again)
	}
}

func TestFolderTellsEndpointsFromTheRest(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, dir, "a.yaml", ingressText("a", "a.test"), sliceText("s", "web", "192.0.2.1"))
	f := NewFolder(dir)
	load(t, f)
	writeFile(t, dir, "a.yaml", ingressText("a", "a.test"), sliceText("s", "shop", "192.0.2.1"))
	changes := load(t, f)
	want := map[types.NamespacedName]struct{}{name("web"): {}, name("shop"): {}}
	if changes.Other || !reflect.DeepEqual(changes.Services, want) {
		t.Errorf("got %+v, want the services %v", changes, want)
	}
	if len(f.View.EndpointSlices[name("shop")]) != 1 || len(f.View.EndpointSlices[name("web")]) != 0 {
		t.Error("the slice has not moved")
	}
}

func TestFolderKeepsItsViewWhileAnythingIsWrong(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, dir, "a.yaml", ingressText("a", "a.test"))
	f := NewFolder(dir)
	load(t, f)
	for _, wrong := range []string{ingressText("b", "'not a host'"), ingressText("a", "twice.test"), "---\n{", "kind: Nothing\n"} {
		writeFile(t, dir, "b.yaml", wrong)
		if _, problems, ok := f.Load(); ok || len(problems) == 0 {
			t.Errorf("%q: ok %v, problems %v", wrong, ok, problems)
		}
		if len(f.View.Ingresses) != 1 || f.View.Ingresses[name("a")].Spec.Rules[0].Host != "a.test" {
			t.Errorf("%q has changed the View", wrong)
		}
	}
	writeFile(t, dir, "b.yaml", ingressText("b", "b.test"))
	if changes := load(t, f); !changes.Other || len(f.View.Ingresses) != 2 {
		t.Errorf("got %+v and %d Ingresses", changes, len(f.View.Ingresses))
	}
	if err := os.Remove(filepath.Join(dir, "a.yaml")); err != nil {
		t.Fatal(err)
	}
	if changes := load(t, f); !changes.Other || len(f.View.Ingresses) != 1 {
		t.Errorf("got %+v and %d Ingresses", changes, len(f.View.Ingresses))
	}
}

// A file can be written twice within one step of the file system's clock and keep its size.
func TestFolderSeesAChangeThatLeavesNoTraceInTheFileInfo(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, dir, "a.yaml", ingressText("a", "a.test"))
	info, err := os.Stat(filepath.Join(dir, "a.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	f := NewFolder(dir)
	load(t, f)
	writeFile(t, dir, "a.yaml", ingressText("a", "b.test"))
	if err := os.Chtimes(filepath.Join(dir, "a.yaml"), info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	load(t, f)
	if host := f.View.Ingresses[name("a")].Spec.Rules[0].Host; host != "b.test" {
		t.Errorf("got host %s", host)
	}
}

// Whatever the edits, a Folder ends where reading everything from scratch does.
func TestFolderEqualsFromFiles(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		dir := t.TempDir()
		f := NewFolder(dir)
		for range 30 {
			var parts []string
			file := fmt.Sprintf("%d.yaml", r.IntN(4))
			for range r.IntN(4) {
				n := fmt.Sprintf("n%s-%d", file[:1], r.IntN(3))
				if r.IntN(2) == 0 {
					parts = append(parts, ingressText(n, fmt.Sprintf("h%d.test", r.IntN(3))))
				} else {
					parts = append(parts, sliceText(n, fmt.Sprintf("s%d", r.IntN(3)), fmt.Sprintf("192.0.2.%d", 1+r.IntN(3))))
				}
			}
			writeFile(t, dir, file, parts...)
			_, problems, ok := f.Load()
			fresh, freshProblems := FromFiles(dir)
			if !slices.Equal(problems, freshProblems) {
				t.Fatalf("seed %d: problems %v, from scratch %v", seed, problems, freshProblems)
			}
			if !ok {
				continue
			}
			if !reflect.DeepEqual(f.View.Ingresses, fresh.Ingresses) || !reflect.DeepEqual(f.View.EndpointSlices, fresh.EndpointSlices) {
				t.Fatalf("seed %d: the View differs from one that was read from scratch", seed)
			}
		}
	}
}
