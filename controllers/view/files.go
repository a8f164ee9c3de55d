package view

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// maxFile bounds the size of one file of manifests, in bytes.
const maxFile = 64 << 20

// Problem is what is wrong with one field of one document of a file.
type Problem struct {
	File     string
	Document int // number of the document in the file, from 1; 0: the file as a whole
	Line     int // where the document begins, or where the error is; from 1, 0 if not known
	Object   string
	Field    string
	Reason   string
	Level    Level
}

// Level says what a Problem means for everything else in the folder.
type Level uint8

const (
	// Invalid: what is there is wrong, and holds back everything.
	Invalid Level = iota
	// Unfinished: a file seems to be being written, which holds back everything.
	Unfinished
	// Warning: what is there is taken, but perhaps not as it was meant, or is left out because we do not serve its kind yet.
	Warning
	// Skipped: nothing is wrong; the document is of a kind that has no part in routing and was left out.
	Skipped
)

// Holds reports whether the Problem holds back everything in the folder.
func (p Problem) Holds() bool { return p.Level == Invalid || p.Level == Unfinished }

func holds(problems []Problem) bool { return slices.ContainsFunc(problems, Problem.Holds) }

// String returns file, line, document, object, field and reason in one line.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
	}
	if p.Document > 0 {
		fmt.Fprintf(&b, ": document %d", p.Document)
	}
	for _, part := range [...]string{p.Object, p.Field, p.Reason} {
		if part != "" {
			b.WriteString(": " + part)
		}
	}
	return b.String()
}

// FromFiles returns a View of the manifests below dir (*.yaml, *.yml and *.json, in all folders but hidden ones; dir may
// also be one file), as an API server would hold them: decoded strictly, with defaults set and rules checked. Objects
// without a namespace are put in "default".
//
// What is wrong is not in the View and is reported; so is what is skipped. A caller that wants all or nothing keeps
// what it had if a Problem Holds; that is what a Folder does.
//
// As there is no one to fill EndpointSlices, they stand in the files too, and may name loopback addresses.
func FromFiles(dir string) (*View, []Problem) {
	f := NewFolder(dir)
	now := time.Now()
	objects, problems := f.read(now)
	f.stamp(objects, now)
	for _, o := range objects {
		f.View.Set(o)
	}
	return f.View, problems
}

func isManifest(path string) bool {
	switch filepath.Ext(path) {
	case ".yaml", ".yml", ".json":
		return !strings.HasPrefix(filepath.Base(path), ".")
	}
	return false
}

// read reads a regular file, following links as those of a mounted ConfigMap. open tells whether somebody may be writing it.
func read(path string, info os.FileInfo) (data []byte, open bool, err error) {
	switch {
	case !info.Mode().IsRegular():
		return nil, false, errors.New("is not a regular file")
	case info.Size() > maxFile:
		return nil, false, fmt.Errorf("is larger than %d bytes", maxFile)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	open = isOpenForWriting(f)
	data, err = io.ReadAll(f)
	return data, open || isOpenForWriting(f), err
}
