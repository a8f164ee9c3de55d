package arch

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
)

// clockNames are the functions of package time that look at a clock or start one.
var clockNames = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}

// CheckSource returns a sentence for each rule on source text that p breaks.
func CheckSource(p Package) ([]string, error) {
	var found []string
	if slices.Contains(BannedNames, p.Name) {
		found = append(found, fmt.Sprintf("%s: the package name %q says nothing: name what it provides", p.Path, p.Name))
	}
	documented := 0
	for _, name := range p.Files {
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, filepath.Join(p.Dir, name), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		if ast.IsGenerated(file) {
			continue
		}
		if file.Doc != nil && file.Doc.Text() != "" {
			documented++
		}
		s := source{path: p.Path, files: files, file: file}
		s.checkLength()
		s.checkInit()
		if matchAny(PurePackages, p.Path) {
			s.checkPure()
		}
		found = append(found, s.found...)
	}
	if documented != 1 && len(p.Files) > 0 {
		found = append(found, fmt.Sprintf("%s has %d package docs: exactly one says what it is, what it is not, and who may call it at once", p.Path, documented))
	}
	return found, nil
}

// source is one file under examination.
type source struct {
	path  string
	files *token.FileSet
	file  *ast.File
	found []string
}

func (s *source) report(node ast.Node, reason string) {
	position := s.files.Position(node.Pos())
	s.found = append(s.found, fmt.Sprintf("%s/%s:%d: %s", s.path, filepath.Base(position.Filename), position.Line, reason))
}

func (s *source) checkLength() {
	if lines := s.files.File(s.file.Pos()).LineCount(); lines > MaxFileLines {
		s.report(s.file, fmt.Sprintf("%d lines: a file over %d holds a second topic", lines, MaxFileLines))
	}
}

func (s *source) checkInit() {
	for _, declaration := range s.file.Decls {
		if f, ok := declaration.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
			s.report(f, "func init hides order and acts on import: use an explicit list or constructor")
		}
	}
}

// checkPure looks for goroutines and for functions that look at a clock.
func (s *source) checkPure() {
	clock := s.importName("time")
	ast.Inspect(s.file, func(node ast.Node) bool {
		switch n := node.(type) {
		case *ast.GoStmt:
			s.report(n, "a goroutine in a pure package")
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && clock != "" && x.Name == clock && slices.Contains(clockNames, n.Sel.Name) {
				s.report(n, "time."+n.Sel.Name+" in a pure package: take the time from the caller")
			}
		}
		return true
	})
}

// importName returns the name under which the file imports path, which is its own unless the file renames it; "" if it
// does not import it.
func (s *source) importName(path string) string {
	for _, spec := range s.file.Imports {
		if value, err := strconv.Unquote(spec.Path.Value); err != nil || value != path {
			continue
		}
		if spec.Name != nil {
			return spec.Name.Name
		}
		return path
	}
	return ""
}
