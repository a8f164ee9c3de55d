package view

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/breakwater-gateway/breakwater/api/v1alpha1"
)

// Folder keeps a View as a folder of manifests says, see FromFiles. What has not changed since the last Load is not parsed
// again and keeps its pointers, so that a small edit costs little however much the folder holds. One goroutine uses it.
type Folder struct {
	View *View // all objects of the last Load that found nothing wrong, but for what hold takes away
	// Switch is the name of the ConfigMap that is the kill switch, "" for none. Text that cannot be read and has this name in it
	// counts as one that says nothing, so that faults end.
	Switch string

	dir    string
	files  map[string]*file
	served map[identity]Object // what View holds
	// withheld are those of the NetworkChaos in View that are withheld, and why.
	withheld map[identity]string
	places   map[identity]Place // of the objects of the last Load
	due      time.Time
}

// identity is what tells objects apart.
type identity struct {
	kind string
	types.NamespacedName
}

func idOf(o Object) identity { return identity{kindName(o), keyOf(o)} }

// file is a file as it was when it was read last.
type file struct {
	info      os.FileInfo
	at        time.Time // when it was read
	documents []Document
	texts     texts
	problem   string // why it could not be read
	blank     bool   // there is nothing in it
	// emptied is when it was found to be blank that was not before; zero: it is not, or always was.
	emptied time.Time
	open    bool // somebody had it open for writing
}

// NewFolder returns a Folder with an empty View.
func NewFolder(dir string) *Folder {
	return &Folder{View: New(), dir: dir, files: map[string]*file{}, served: map[identity]Object{}}
}

// Changes are what a Load has changed in the View.
type Changes struct {
	Other    bool                              // something else than EndpointSlices
	Services map[types.NamespacedName]struct{} // whose EndpointSlices have changed
	// Added, Changed and Removed are the objects ("Ingress shop/web"), in order. Withheld are the NetworkChaos that end although they
	// stay in the View.
	Added, Changed, Removed, Withheld []string
}

// Load brings the View to what the folder says. If a Problem holds it back, ok is false and the View stays as it is but for
// what may break traffic on purpose: that can only become less, see hold.
func (f *Folder) Load(now time.Time) (changes Changes, problems []Problem, ok bool) {
	objects, problems := f.read(now)
	ok = !slices.ContainsFunc(problems, Problem.Holds)
	withheld := map[identity]string{}
	if ok {
		f.stamp(objects, now)
	} else {
		objects, withheld = f.hold(objects)
	}
	changes.Services = map[types.NamespacedName]struct{}{}
	for id, o := range f.served {
		if _, ok := objects[id]; !ok {
			f.change(&changes, o, f.View.Delete)
			changes.Removed = append(changes.Removed, describe(o))
		}
	}
	for id, o := range objects {
		switch before := f.served[id]; {
		case before == o:
			continue
		case before == nil:
			changes.Added = append(changes.Added, describe(o))
		default:
			changes.Changed = append(changes.Changed, describe(o))
		}
		f.change(&changes, o, f.View.Set)
	}
	f.withhold(&changes, objects, withheld)
	for _, names := range [][]string{changes.Added, changes.Changed, changes.Removed, changes.Withheld} {
		slices.Sort(names)
	}
	f.served = objects
	return changes, problems, ok
}

// withhold tells the View which NetworkChaos of the objects to come are withheld.
func (f *Folder) withhold(c *Changes, objects map[identity]Object, withheld map[identity]string) {
	for id := range f.withheld {
		if _, still := withheld[id]; still {
			continue
		}
		f.View.Withhold(id.NamespacedName, "")
		c.Other = true
		if o := objects[id]; o != nil && o == f.served[id] {
			c.Changed = append(c.Changed, describe(o))
		}
	}
	for id, why := range withheld {
		if f.withheld[id] == why {
			continue
		}
		f.View.Withhold(id.NamespacedName, why)
		c.Other = true
		if f.withheld[id] == "" {
			c.Withheld = append(c.Withheld, describe(objects[id]))
		}
	}
	f.withheld = withheld
}

// Due returns when to Load again although nothing has changed in the folder: when a file that turned empty counts as such, or one that
// is being written may be finished. It is zero if there is no reason to.
func (f *Folder) Due() time.Time { return f.due }

// Place returns where an object that the last Load has read stands.
func (f *Folder) Place(kind string, key types.NamespacedName) (Place, bool) {
	p, ok := f.places[identity{kind, key}]
	return p, ok
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

// read returns the objects of all files without those that are wrong. A folder in which something goes while it is read is read again: a
// file that has been given another name may have been listed under neither.
func (f *Folder) read(now time.Time) (map[identity]Object, []Problem) {
	r, files, gone := f.walk(now)
	for range 3 {
		if gone == "" {
			break
		}
		r, files, gone = f.walk(now)
	}
	if gone != "" {
		r.unfinished(gone, now.Add(lookAgain), "has been deleted or renamed while the folder was read, again and again")
	}
	if len(files) == 0 && len(r.problems) == 0 {
		r.problems = append(r.problems, Problem{File: f.dir, Level: Warning, Reason: "holds no manifests (*.yaml, *.yml or *.json)"})
	}
	holdsBack := slices.ContainsFunc(r.problems, Problem.Holds)
	for path, before := range f.files {
		if files[path] == nil && holdsBack {
			files[path] = before // it may be back before all is well, and empty
		}
	}
	f.files, f.places, f.due = files, r.places, r.due
	return r.objects, r.problems
}

// walk reads all files. gone is the last of those that were there only at first.
func (f *Folder) walk(now time.Time) (r reading, files map[string]*file, gone string) {
	r = reading{
		objects: make(map[identity]Object, len(f.served)), places: make(map[identity]Place, len(f.served)),
		mark: f.Switch, now: now,
	}
	files = make(map[string]*file, len(f.files))
	root := f.dir
	if info, err := os.Stat(root); err == nil && info.IsDir() {
		root = filepath.Clean(root) + string(filepath.Separator) // leads to the folder even if dir is a link to one
	}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil && path != root && isGone(path): // a folder
			gone = path
		case err != nil:
			r.problems = append(r.problems, Problem{File: path, Reason: reasonOf(err)})
		case entry.IsDir() && path != root && strings.HasPrefix(entry.Name(), "."):
			return filepath.SkipDir
		case !entry.IsDir() && (path == root || isManifest(path)):
			next := readFile(path, f.files[path], now)
			if next.problem != "" && path != root && isGone(path) {
				gone = path
				break
			}
			files[path] = next
			r.add(path, next)
		}
		return nil
	})
	if err != nil {
		r.problems = append(r.problems, Problem{File: f.dir, Reason: reasonOf(err)})
	}
	return r, files, gone
}

// isGone reports whether a name is not in its folder any more.
func isGone(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, fs.ErrNotExist)
}

// reasonOf returns what an error of the file system says, without the path, which a Problem has besides.
func reasonOf(err error) string {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err.Error()
	}
	return err.Error()
}

// clockStep is the coarsest step in which a file system may note times: a file that was read so soon after it was written may
// have been written again without a trace.
const clockStep = 2 * time.Second

const (
	// emptyGrace is how long a file that turned empty is taken to be in the middle of being written: a shell empties what its
	// output goes to before the program that makes the output begins.
	emptyGrace = 5 * time.Second
	// writeGrace is how long after it was written last a file that is still open for writing is taken to be in the middle of it. It
	// has an end because some file systems call any file open, and some programs close none.
	writeGrace = 5 * time.Second
	// lookAgain is how soon such a file is looked at again: nobody tells that it has been closed.
	lookAgain = 100 * time.Millisecond
)

// readFile reads a file, or returns what it was before if it is the same.
func readFile(path string, before *file, now time.Time) *file {
	info, err := os.Stat(path)
	if err != nil {
		return &file{problem: reasonOf(err)}
	}
	if before != nil && before.problem == "" && !before.open && os.SameFile(info, before.info) && info.Size() == before.info.Size() &&
		info.ModTime().Equal(before.info.ModTime()) && before.at.Sub(info.ModTime()) > clockStep {
		return before
	}
	data, open, err := read(path, info)
	if err != nil {
		return &file{problem: reasonOf(err)}
	}
	next := &file{info: info, at: now, open: open}
	var known texts
	if before != nil {
		known = before.texts
	}
	next.documents, next.texts = contained(parse, path, data, known)
	if next.blank = len(bytes.TrimSpace(data)) == 0; next.blank && before != nil {
		if next.emptied = before.emptied; !before.blank {
			next.emptied = now
		}
	}
	if next.blank || next.isBeingWritten(now) {
		next.texts = known // what is still to come may be what was there
	}
	return next
}

// contained is parse, but that a panic becomes a Problem of the file: it must not end the process that serves.
func contained(parse func(string, []byte, texts) ([]Document, texts), path string, data []byte, before texts) (documents []Document, after texts) {
	defer func() {
		if p := recover(); p != nil {
			problem := Problem{File: path, Reason: fmt.Sprintf("cannot be read because of a bug in Breakwater: panic: %v", p)}
			documents, after = []Document{{Number: 1, Line: 1, Problems: []Problem{problem}, text: data}}, before
		}
	}()
	return parse(path, data, before)
}

// isBeingWritten reports whether what was read may be a part of what the file is to hold.
func (f *file) isBeingWritten(now time.Time) bool {
	return f.open && now.Sub(f.info.ModTime()).Abs() < writeGrace
}

// reading is the objects of a folder being put together.
type reading struct {
	objects  map[identity]Object
	places   map[identity]Place
	mark     string // Folder.Switch
	now      time.Time
	due      time.Time // Folder.due
	problems []Problem
}

// Place is where an object stands.
type Place struct {
	File string
	Line int // from 1
}

func (r *reading) add(path string, f *file) {
	if f.problem != "" {
		r.problems = append(r.problems, Problem{File: path, Reason: f.problem})
	}
	isBeingWritten := f.isBeingWritten(r.now)
	if until := f.emptied.Add(emptyGrace); isBeingWritten {
		r.unfinished(path, r.now.Add(lookAgain), "is being written: some program has it open")
	} else if !f.emptied.IsZero() && r.now.Before(until) {
		r.unfinished(path, until,
			fmt.Sprintf("has become empty: taken to be being written for %v; to remove what it held, delete it", emptyGrace))
	}
	for _, d := range f.documents {
		if !isBeingWritten { // what is wrong may be that the rest is missing
			r.problems = append(r.problems, d.Problems...)
		}
		switch {
		case d.Object == nil:
			r.addSwitch(d)
			continue
		case holds(d.Problems) && !isConfigMap(d.Object):
			continue
		}
		id := idOf(d.Object)
		if first, ok := r.places[id]; ok {
			r.problems = append(r.problems, Problem{File: path, Document: d.Number, Line: d.Line, Object: describe(d.Object),
				Reason: fmt.Sprintf("is already defined in %s:%d", first.File, first.Line)})
			r.put(id, d.Object)
			continue
		}
		r.places[id] = Place{path, d.Line}
		r.put(id, d.Object)
	}
}

// unfinished holds everything back because of a file, which is to be looked at again at a time.
func (r *reading) unfinished(path string, again time.Time, reason string) {
	r.problems = append(r.problems, Problem{File: path, Level: Unfinished, Reason: reason})
	if r.due.IsZero() || again.Before(r.due) {
		r.due = again
	}
}

// put adds an object, unless there is one of its name. Nothing is left of what two ConfigMaps say differently, which of a kill switch
// means that chaos is off: one that says so is not overruled by another.
func (r *reading) put(id identity, o Object) {
	before, ok := r.objects[id]
	if !ok {
		r.objects[id] = o
		return
	}
	if m, ok := before.(*corev1.ConfigMap); ok && !maps.Equal(m.Data, o.(*corev1.ConfigMap).Data) {
		r.objects[id] = saysNothing(m)
	}
}

// stamp gives each NetworkChaos that is let in a generation, and a time of creation if it has none: its duration counts from when it was
// let in, or its spec changed last. Other kinds go without, so that their precedence does not depend on the order of edits.
func (f *Folder) stamp(objects map[identity]Object, now time.Time) {
	for id, o := range objects {
		c, ok := o.(*v1alpha1.NetworkChaos)
		if !ok || o == f.served[id] {
			continue
		}
		before, _ := f.served[id].(*v1alpha1.NetworkChaos)
		isSame := before != nil && sameExperiment(before, c)
		switch {
		case before == nil:
			c.Generation = 1
		case isSame:
			c.Generation = before.Generation
		default:
			c.Generation = before.Generation + 1
		}
		switch {
		case !c.CreationTimestamp.IsZero():
		case isSame:
			c.CreationTimestamp = before.CreationTimestamp
		default:
			c.CreationTimestamp = metav1.NewTime(now)
		}
	}
}
