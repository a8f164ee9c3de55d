package arch

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
)

// Package is what the rules need to know of one package.
type Package struct {
	Path         string   // as rules name it: relative to the module, or the import path
	Name         string   // of the package clause
	Dir          string   // absolute
	Files        []string // base names of Go files that are not tests, for any platform
	Imports      []string // as rules name them
	TestImports  []string
	Dependencies []string // everything imported directly and indirectly, without tests
}

// Load lists the packages of the module in dir.
func Load(dir string) ([]Package, error) {
	module, err := goCommand(dir, "list", "-m")
	if err != nil {
		return nil, err
	}
	output, err := goCommand(dir, "list", "-e", "-json=ImportPath,Name,Dir,GoFiles,CgoFiles,IgnoredGoFiles,Imports,TestImports,XTestImports,Deps", "./...")
	if err != nil {
		return nil, err
	}
	var packages []Package
	decoder := json.NewDecoder(bytes.NewReader(output))
	relative := relativeTo(strings.TrimSpace(string(module)))
	for {
		var listed struct {
			ImportPath, Name, Dir             string
			GoFiles, CgoFiles, IgnoredGoFiles []string
			Imports, TestImports, Deps        []string
			XTestImports                      []string
		}
		if err := decoder.Decode(&listed); errors.Is(err, io.EOF) {
			return packages, nil
		} else if err != nil {
			return nil, fmt.Errorf("read the package list: %w", err)
		}
		if isScratch(relative(listed.ImportPath)) {
			continue
		}
		p := Package{
			Path: relative(listed.ImportPath), Name: listed.Name, Dir: listed.Dir,
			Imports:      relativeAll(relative, listed.Imports),
			TestImports:  relativeAll(relative, append(listed.TestImports, listed.XTestImports...)),
			Dependencies: relativeAll(relative, listed.Deps),
		}
		for _, name := range append(append(listed.GoFiles, listed.CgoFiles...), listed.IgnoredGoFiles...) {
			if !strings.HasSuffix(name, "_test.go") {
				p.Files = append(p.Files, name)
			}
		}
		packages = append(packages, p)
	}
}

// isScratch tells what lies in the folders that the Makefile builds into, which are not part of the project.
func isScratch(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return first == "build" || first == "bin"
}

func goCommand(dir string, args ...string) ([]byte, error) {
	command := exec.Command("go", args...)
	command.Dir = dir
	var stderr bytes.Buffer
	command.Stderr = &stderr
	output, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s: %w: %s", args[0], err, stderr.Bytes())
	}
	return output, nil
}

func relativeTo(module string) func(string) string {
	return func(path string) string {
		if path == module {
			return "."
		}
		return strings.TrimPrefix(path, module+"/")
	}
}

func relativeAll(relative func(string) string, paths []string) []string {
	all := make([]string, len(paths))
	for i, path := range paths {
		all[i] = relative(path)
	}
	return all
}
