package controllers

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A large folder in which somebody keeps a file open takes a share of a processor, not all of it.
func TestAFolderRestsBetweenLoads(t *testing.T) {
	dir := t.TempDir()
	w, err := os.Create(filepath.Join(dir, "a.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if _, err := w.WriteString("# to be continued\n"); err != nil {
		t.Fatal(err)
	}
	f, err := NewFiles(FilesConfig{Dir: dir, DataPlane: &target{}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	if f.folder.Load(now); f.folder.Due().IsZero() {
		t.Skip("the file system does not say whether a file is open")
	}
	if d, ok := f.again(now); !ok || d <= 0 || d > 200*time.Millisecond {
		t.Errorf("after a short load: %v, %v", d, ok)
	}
	f.rested = now.Add(time.Second)
	if d, ok := f.again(now); !ok || d != time.Second {
		t.Errorf("after one of 250 ms: %v, %v", d, ok)
	}
}
