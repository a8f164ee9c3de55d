package arch_test

import (
	"path/filepath"
	"testing"

	"github.com/breakwater-gateway/breakwater/test/arch"
)

func TestArchitecture(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	packages, err := arch.Load(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(packages) == 0 {
		t.Fatal("no packages found")
	}
	rules := arch.Imports{Rules: arch.ImportRules, Siblings: arch.SiblingRules, Exceptions: arch.Exceptions}
	for _, breach := range rules.CheckImports(packages) {
		t.Error(breach)
	}
	for _, p := range packages {
		found, err := arch.CheckSource(p)
		if err != nil {
			t.Error(err)
		}
		for _, breach := range found {
			t.Error(breach)
		}
	}
}
