package view

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/breakwater-gateway/breakwater/api/v1alpha1"
)

// Folder keeps a View as a folder of manifests says, see FromFiles. What has not changed since the last Load is not parsed
// again and keeps its pointers, so that a small edit costs little however much the folder holds. One goroutine uses it.
type Folder struct {
	View *View // all objects of the last Load that found nothing wrong

	dir    string
	files  map[string]*file
	served map[identity]Object // what View holds
}

// identity is what tells objects apart.
type identity struct {
	kind string
	types.NamespacedName
}

// file is a file as it was when it was read last.
type file struct {
	info      os.FileInfo
	at        time.Time // when it was read
	documents []Document
	texts     texts
	problem   string // why it could not be read
}

// NewFolder returns a Folder with an empty View.
func NewFolder(dir string) *Folder {
	return &Folder{View: New(), dir: dir, files: map[string]*file{}, served: map[identity]Object{}}
}

// Changes are what a Load has changed in the View.
type Changes struct {
	Other    bool                              // something else than EndpointSlices
	Services map[types.NamespacedName]struct{} // whose EndpointSlices have changed
}

// Load brings the View to what the folder says. If anything is wrong there the View stays as it is and ok is false; the
// Problems say what, and also what is skipped.
func (f *Folder) Load() (changes Changes, problems []Problem, ok bool) {
	objects, problems := f.read()
	for _, p := range problems {
		if !p.Skipped {
			return changes, problems, false
		}
	}
	changes.Services = map[types.NamespacedName]struct{}{}
	for id, o := range f.served {
		if _, ok := objects[id]; !ok {
			f.change(&changes, o, f.View.Delete)
		}
	}
	for id, o := range objects {
		if f.served[id] != o {
			f.change(&changes, o, f.View.Set)
		}
	}
	f.served = objects
	return changes, problems, true
}

// change changes one object of the View and notes what that is a change of.
func (f *Folder) change(c *Changes, o Object, do func(Object)) {
	if _, ok := o.(*discoveryv1.EndpointSlice); !ok {
		do(o)
		c.Other = true
		return
	}
	key := keyOf(o)
	if service, ok := f.View.ServiceOf(key); ok {
		c.Services[service] = struct{}{}
	}
	do(o)
	if service, ok := f.View.ServiceOf(key); ok {
		c.Services[service] = struct{}{}
	}
}

// read returns the objects of all files without those that are wrong.
func (f *Folder) read() (map[identity]Object, []Problem) {
	r := reading{objects: make(map[identity]Object, len(f.served)), seen: make(map[identity]place, len(f.served))}
	files := make(map[string]*file, len(f.files))
	root := f.dir
	if info, err := os.Stat(root); err == nil && info.IsDir() {
		root = filepath.Clean(root) + string(filepath.Separator) // leads to the folder even if dir is a link to one
	}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			r.problems = append(r.problems, Problem{File: path, Reason: err.Error()})
		case entry.IsDir() && path != root && strings.HasPrefix(entry.Name(), "."):
			return filepath.SkipDir
		case !entry.IsDir() && (path == root || isManifest(path)):
			files[path] = readFile(path, f.files[path])
			r.add(path, files[path])
		}
		return nil
	})
	if err != nil {
		r.problems = append(r.problems, Problem{File: f.dir, Reason: err.Error()})
	}
	f.files = files
	return r.objects, r.problems
}

// clockStep is the coarsest step in which a file system may note times: a file that was read so soon after it was written may
// have been written again without a trace.
const clockStep = 2 * time.Second

// readFile reads a file, or returns what it was before if it is the same.
func readFile(path string, before *file) *file {
	info, err := os.Stat(path)
	if err != nil {
		return &file{problem: err.Error()}
	}
	if before != nil && before.problem == "" && os.SameFile(info, before.info) && info.Size() == before.info.Size() &&
		info.ModTime().Equal(before.info.ModTime()) && before.at.Sub(info.ModTime()) > clockStep {
		return before
	}
	next := &file{info: info, at: time.Now()}
	data, err := read(path, info)
	if err != nil {
		return &file{problem: err.Error()}
	}
	var known texts
	if before != nil {
		known = before.texts
	}
	next.documents, next.texts = parse(path, data, known)
	for _, d := range next.documents {
		stamp(d.Object, next.at)
	}
	return next
}

// stamp gives a NetworkChaos a time of creation: its duration counts from when it was loaded, or changed last. Other kinds go
// without, so that their precedence does not depend on the order of edits.
func stamp(o Object, at time.Time) {
	if c, ok := o.(*v1alpha1.NetworkChaos); ok && c.CreationTimestamp.IsZero() {
		c.CreationTimestamp = metav1.NewTime(at)
	}
}

// reading is the objects of a folder being put together.
type reading struct {
	objects  map[identity]Object
	seen     map[identity]place
	problems []Problem
}

// place is where an object stands.
type place struct {
	file string
	line int
}

func (r *reading) add(path string, f *file) {
	if f.problem != "" {
		r.problems = append(r.problems, Problem{File: path, Reason: f.problem})
	}
	for _, d := range f.documents {
		r.problems = append(r.problems, d.Problems...)
		if d.Object == nil || len(d.Problems) > 0 {
			continue
		}
		id := identity{kindName(d.Object), keyOf(d.Object)}
		if first, ok := r.seen[id]; ok {
			r.problems = append(r.problems, Problem{File: path, Document: d.Number, Line: d.Line, Object: describe(d.Object),
				Reason: fmt.Sprintf("is already defined in %s:%d", first.file, first.line)})
			continue
		}
		r.seen[id] = place{path, d.Line}
		r.objects[id] = d.Object
	}
}
