package controllers

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/breakwater-gateway/breakwater/controllers/translate"
	"github.com/breakwater-gateway/breakwater/controllers/view"
)

// FilesConfig is the Config of Files.
type FilesConfig struct {
	Dir       string // folder of manifests, or one file; it may come into being later
	DataPlane DataPlane
	Log       *slog.Logger
	Translate translate.Options
	// Applied, if not nil, is told of every change of what is served. It must not block.
	Applied func(Applied)
	// Problems, if not nil, is told how many things are wrong with the files and the objects in them. It must not block.
	Problems func(int)
}

// Files keep the data plane as a folder of manifests says: the standalone mode. Every change below the folder is picked up:
// files written in place or replaced, the symbolic links of a mounted ConfigMap, folders made, removed and renamed. Files
// that symbolic links lead to outside the folder are read, but only a change of the link is noticed.
//
// If anything in the folder is wrong, the log says which file, object and field and why, and the last good state stays in
// service as a whole, but for what breaks traffic on purpose: experiments end as the files say, and none begins.
type Files struct {
	config  FilesConfig
	folder  *view.Folder
	builder builder
	synced  chan struct{}                // closed when the first state serves
	waiting atomic.Pointer[view.Problem] // what holds the first state back; nil: nothing that is known

	held     bool           // by the last load
	problems []view.Problem // of the last load
	changes  []any          // what the last load has changed, for the log; nil if it has been logged
	findings []finding      // what is wrong or doubtful about the objects, by the last build
	rested   time.Time      // until when not to load again if nothing has changed but time
}

// NewFiles returns Files that have not begun.
func NewFiles(c FilesConfig) (*Files, error) {
	if c.Dir == "" || c.DataPlane == nil || c.Log == nil {
		return nil, errors.New("controllers: Dir, DataPlane and Log are required")
	}
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return nil, fmt.Errorf("find the folder of manifests: %w", err)
	}
	c.Dir = dir
	f := &Files{config: c, folder: view.NewFolder(c.Dir), synced: make(chan struct{})}
	f.folder.Switch = c.Translate.Chaos.Switch.Name
	f.builder = builder{dataPlane: c.DataPlane, applied: f.applied, log: c.Log}
	return f, nil
}

// Synced reports whether a good state has been loaded and serves. Once true it stays so.
func (f *Files) Synced() bool {
	select {
	case <-f.synced:
		return true
	default:
		return false
	}
}

// Waiting returns what holds the first state back, nil if nothing does that is known yet. It may be called concurrently.
func (f *Files) Waiting() error {
	if p := f.waiting.Load(); p != nil && !f.Synced() {
		return fmt.Errorf("nothing is served until all manifests are valid: %v", p)
	}
	return nil
}

// A change is acted upon when the files have been quiet for settle, so that a file that is being written is not read in
// the middle, and after settleMost in any case.
const (
	settle     = 20 * time.Millisecond
	settleMost = 200 * time.Millisecond
)

// Run loads the folder and then every change of it, until ctx is done. It can be called once.
func (f *Files) Run(ctx context.Context) error {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch the folder of manifests: %w", err)
	}
	defer watcher.Close()
	f.watch(watcher) // before the first load, so that no change falls in between
	f.load(time.Now())

	timer := time.NewTimer(0)
	<-timer.C
	defer timer.Stop()
	var first time.Time // when the oldest change that is not loaded yet was noticed; zero: there is none
	for {
		if again, ok := f.again(time.Now()); ok && first.IsZero() {
			timer.Reset(again)
		}
		select {
		case <-ctx.Done():
			return nil
		case e := <-watcher.Events:
			if !f.concerns(e.Name) {
				continue
			}
			if first.IsZero() {
				first = time.Now()
			}
			timer.Reset(min(settle, max(0, time.Until(first.Add(settleMost)))))
		case err := <-watcher.Errors:
			// The queue of notices overflowed, for instance: look at everything.
			f.config.Log.Warn("notices of changes may have been lost, loading everything", "error", err)
			first = time.Now()
			timer.Reset(settle)
		case <-timer.C:
			if due := f.folder.Due(); first.IsZero() && !due.IsZero() && !time.Now().Before(due) {
				first = time.Now()
			}
			if first.IsZero() {
				f.done(f.builder.serve(Applied{Lane: LaneRetry}, time.Now()))
				f.tell()
				f.count()
				continue
			}
			began := time.Now()
			f.watch(watcher)
			f.load(first)
			first, f.rested = time.Time{}, time.Now().Add(restPerLoad*time.Since(began))
		}
	}
}

// restPerLoad is how many times longer than a load takes it is before the next one, if nothing has changed but time: a large folder in
// which somebody keeps a file open for writing takes a fifth of a processor at the most.
const restPerLoad = 4

// again returns how long to wait if nothing changes meanwhile: for another attempt to bind ports, or another look at the folder, see
// view.Folder.Due. ok is false if there is nothing to wait for.
func (f *Files) again(now time.Time) (d time.Duration, ok bool) {
	d, ok = f.builder.retryAfter()
	if due := f.folder.Due(); !due.IsZero() {
		if wait := max(0, due.Sub(now), f.rested.Sub(now)); !ok || wait < d {
			return wait, true
		}
	}
	return d, ok
}

// watch watches the folder, all folders in it and the nearest folder above it, in which it or a part of its path may
// come into being, be replaced or be renamed. A folder that comes into being before the one above it is watched gives no
// notice, so watch looks again until it finds no other folders than it has just watched.
func (f *Files) watch(watcher *fsnotify.Watcher) {
	for wanted, watched := f.folders(), map[string]bool(nil); !maps.Equal(wanted, watched); wanted, watched = f.folders(), wanted {
		for _, path := range watcher.WatchList() {
			if !wanted[path] {
				_ = watcher.Remove(path) // fails if the folder is gone, and the watch with it
			}
		}
		for path := range wanted {
			if err := watcher.Add(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				f.config.Log.Warn("changes in this folder will not be noticed", "folder", path, "error", err)
			}
		}
	}
}

// folders returns the folders that are to be watched, as they are now.
func (f *Files) folders() map[string]bool {
	folders := map[string]bool{}
	_ = filepath.WalkDir(f.root(), func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			folders[filepath.Clean(path)] = true
		}
		return nil // what cannot be read is reported by the load
	})
	above := filepath.Dir(f.config.Dir)
	for !isFolder(above) && above != filepath.Dir(above) {
		above = filepath.Dir(above)
	}
	folders[above] = true
	return folders
}

// concerns reports whether a change of path may change what the folder says. The folder above is watched as well, and what
// happens there to others does not matter; but if Dir is a file, any change beside it may be a change of a link that
// leads to it.
func (f *Files) concerns(path string) bool {
	within := func(path, folder string) bool {
		return path == folder || strings.HasPrefix(path, folder+string(filepath.Separator))
	}
	return within(path, f.config.Dir) || within(f.config.Dir, path) || !isFolder(f.config.Dir)
}

// root returns Dir in a form that leads to the folder even if Dir is a symbolic link to one.
func (f *Files) root() string {
	if isFolder(f.config.Dir) {
		return f.config.Dir + string(filepath.Separator)
	}
	return f.config.Dir
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// load brings the data plane to what the folder says, or reports why not.
func (f *Files) load(first time.Time) {
	changes, problems, good := f.folder.Load(time.Now())
	f.changes = changesForLog(&changes)
	if i := slices.IndexFunc(problems, view.Problem.Holds); i >= 0 && f.builder.last == nil {
		f.waiting.Store(&problems[i])
	}
	f.tellProblems(problems, good)
	defer f.count()
	if !good && (f.builder.last == nil || f.changes == nil) {
		return
	}
	full := changes.Other || f.builder.last == nil
	f.done(f.builder.build(f.folder.View, f.config.Translate, batch{first: first, full: full, services: changes.Services}))
	if f.changes != nil {
		f.config.Log.Info("manifests have changed, and what is served has not", f.changes...)
	}
	f.tell()
}

// applied passes on what the builder tells, with what has changed in the folder.
func (f *Files) applied(a Applied) {
	a.Changes, f.changes = f.changes, nil
	if f.config.Applied != nil {
		f.config.Applied(a)
	}
}

// tellProblems logs what is wrong with the files and was not before, and whether that holds back the rest.
func (f *Files) tellProblems(problems []view.Problem, good bool) {
	known := make(map[view.Problem]bool, len(f.problems))
	for _, p := range f.problems {
		known[p] = true
	}
	level := slog.LevelWarn
	for _, p := range problems {
		if p.Level == view.Invalid {
			level = slog.LevelError
		}
		if !known[p] {
			said := spokenAs(p.Level)
			f.config.Log.Log(context.Background(), said.level, said.message, problemAttributes(p)...)
		}
	}
	switch {
	case good && f.held:
		f.config.Log.Info("all manifests are valid again", "folder", f.config.Dir)
	case !good && slices.Equal(problems, f.problems) && f.changes == nil:
	case !good && f.builder.last == nil:
		f.config.Log.Log(context.Background(), level, "nothing is served until all manifests are valid", "folder", f.config.Dir)
	case !good:
		f.config.Log.Log(context.Background(), level, "the last good state stays in service until all manifests are valid; experiments only end",
			"folder", f.config.Dir)
	}
	f.problems, f.held = problems, !good
}

// spoken is how a Problem is logged.
type spoken struct {
	level   slog.Level
	message string
}

func spokenAs(l view.Level) spoken {
	return map[view.Level]spoken{
		view.Invalid:    {slog.LevelError, "invalid manifest"},
		view.Unfinished: {slog.LevelWarn, "unfinished manifest"},
		view.Warning:    {slog.LevelWarn, "doubtful manifest"},
		view.Skipped:    {slog.LevelInfo, "skipped"},
	}[l]
}

// changesForLog returns attributes that name the objects which have come, changed, gone and been withheld; nil for none.
func changesForLog(c *view.Changes) (attributes []any) {
	const most = 5 // names in one line
	for _, a := range []struct {
		key   string
		names []string
	}{{"added", c.Added}, {"changed", c.Changed}, {"removed", c.Removed}, {"withheld", c.Withheld}} {
		if len(a.names) == 0 {
			continue
		}
		text := strings.Join(a.names[:min(len(a.names), most)], ", ")
		if more := len(a.names) - most; more > 0 {
			text += fmt.Sprintf(" and %d more", more)
		}
		attributes = append(attributes, a.key, text)
	}
	return attributes
}

// tell logs what is wrong with objects and was not before.
func (f *Files) tell() {
	report := f.builder.report()
	if report == nil {
		return
	}
	now := append(findings(report), warnings(f.folder.View, f.config.Translate, report)...)
	logFindings(f.config.Log, f.findings, now, f.place)
	f.findings = now
}

// place returns where the object of a finding stands, "" if that is not known.
func (f *Files) place(of finding) string {
	p, ok := f.folder.Place(of.kind, of.object)
	if !ok {
		return ""
	}
	return fmt.Sprintf("%s:%d", p.File, p.Line)
}

// count passes on how many things are wrong with the files as they are now, and with the objects that are served.
func (f *Files) count() {
	if f.config.Problems == nil {
		return
	}
	n := len(f.findings)
	for _, p := range f.problems {
		if p.Level != view.Skipped {
			n++
		}
	}
	f.config.Problems(n)
}

// done notes whether everything is served.
func (f *Files) done(served bool) {
	if served && !f.Synced() {
		close(f.synced)
	}
}

func problemAttributes(p view.Problem) []any {
	file := p.File
	if p.Line > 0 {
		file = fmt.Sprintf("%s:%d", file, p.Line)
	}
	attributes := []any{"file", file}
	for _, a := range []struct{ key, value string }{{"object", p.Object}, {"field", p.Field}, {"reason", p.Reason}} {
		if a.value != "" {
			attributes = append(attributes, a.key, a.value)
		}
	}
	return attributes
}
