package main

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestChaosToken(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args string
		code int
		want string // of standard error
	}{
		{"shop/slow --secret-file " + file, 0, ""},
		{"shop/slow --valid-for 24h --secret-file " + file, 0, ""},
		{"shop --secret-file " + file, exitUsage, "want NAMESPACE/NAME"},
		{"", exitUsage, "NAMESPACE/NAME"},
		{"shop/slow --valid-for 0s --secret-file " + file, exitUsage, "at least a second"},
		{"shop/slow --secret-file " + file + ".not", exitFailure, "read the secret"},
		{"shop/slow --secret-file " + empty, exitFailure, "it is empty"},
		{"shop/slow --nonsense", exitUsage, "unknown flag"},
	} {
		var stdout, stderr output
		code := run(context.Background(), append([]string{"chaos", "token"}, strings.Fields(c.args)...), &stdout, &stderr)
		if code != c.code || !strings.Contains(stderr.String(), c.want) {
			t.Errorf("%s: code %d, %q", c.args, code, stderr.String())
		}
		if c.code == 0 && !regexp.MustCompile(`^v1\.\d{10}\.[-_A-Za-z0-9]{43}\n$`).MatchString(stdout.String()) {
			t.Errorf("%s: %q", c.args, stdout.String())
		}
	}
}
