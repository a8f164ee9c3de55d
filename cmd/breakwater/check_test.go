package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheckCommand(t *testing.T) {
	const good = `apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: ExternalName, externalName: a.test}
`
	doubtful := strings.Replace(good, "metadata: {", "metadata: {annotations: {breakwater-gateway.io/proxy: v1}, ", 1)
	const unserved = good + "---\napiVersion: gateway.networking.k8s.io/v1\nkind: GRPCRoute\nmetadata: {name: cart}\n"
	for name, test := range map[string]struct {
		text string
		args []string
		code int
		out  []string
	}{
		"good":               {good, nil, 0, []string{"1 object, no error, no warning"}},
		"doubtful":           {doubtful, nil, 0, []string{"a.yaml:1: warning: Service default/web: metadata.annotations[", "1 warning"}},
		"doubtful, strict":   {doubtful, []string{"--strict"}, 1, []string{"a.yaml:1: warning: Service default/web", "breakwater: ", "no error, 1 warning"}},
		"not served":         {unserved, nil, 0, []string{"a.yaml:7: warning: GRPCRoute cart: kind: ", "not served yet", "1 object, no error, 1 warning"}},
		"not served, strict": {unserved, []string{"--strict"}, 1, []string{"no error, 1 warning"}},
		"invalid":            {strings.Replace(good, "spec:", "spce:", 1), nil, 1, []string{"a.yaml:", "error: Service default/web: ", `unknown field "spce"`}},
		"no such flag":       {good, []string{"--nope"}, 2, nil},
		"two folders":        {good, []string{"x"}, 2, []string{"want DIR"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "a.yaml"), []byte(test.text), 0o644); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			if code := run(t.Context(), append([]string{"check", dir}, test.args...), &out, &out); code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
			for _, want := range test.out {
				if !strings.Contains(out.String(), want) {
					t.Errorf("does not say %q:\n%s", want, out.String())
				}
			}
		})
	}
}

func TestAFolderThatIsNotThereEndsServe(t *testing.T) {
	nope := filepath.Join(t.TempDir(), "nope")
	for _, args := range [][]string{{"check", nope}, {"serve", "--admin-address", "", "--manifests", nope}} {
		var out bytes.Buffer
		if code := run(t.Context(), args, &out, &out); code != exitFailure {
			t.Errorf("%v: exit code %d", args, code)
		}
		if !strings.Contains(out.String(), nope+": no such folder") {
			t.Errorf("%v: %s", args, out.String())
		}
	}
}
