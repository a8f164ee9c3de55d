package view

import (
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A file that a program is still writing is left alone, however well what is there reads; but not for ever.
func TestAFileThatIsOpenForWritingIsNotTakenYet(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.yaml")
	writeFile(t, dir, "a.yaml", ingressText("a", "a.test"), ingressText("b", "b.test"))
	f := NewFolder(dir)
	load(t, f)
	b := f.View.Ingresses[name("b")]

	for _, test := range []struct {
		what string
		end  func(*os.File) time.Time // returns when it is read
		left int                      // of the Ingresses
	}{
		{"closed", func(w *os.File) time.Time {
			writeTo(t, w, ingressText("b", "b.test"))
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			return written(t, path)
		}, 2},
		{"left open", func(*os.File) time.Time { return written(t, path).Add(writeGrace) }, 1},
	} {
		w, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		if !isOpenForWriting(w) {
			t.Skip("the file system does not say whether a file is open")
		}
		for _, part := range []string{"", ingressText("a", "other.test"), "---\napiVersion: v1\nki"} {
			writeTo(t, w, part)
			now := written(t, path)
			_, problems, ok := f.Load(now)
			if ok || len(problems) != 1 || problems[0].Level != Unfinished || !f.Due().Equal(now.Add(lookAgain)) {
				t.Errorf("after %q: ok %v, problems %v, due %v", part, ok, problems, f.Due())
			}
			if len(f.View.Ingresses) != 2 {
				t.Errorf("after %q: Ingresses %v", part, f.View.Ingresses)
			}
		}
		if err := w.Truncate(int64(len(ingressText("a", "other.test")))); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Seek(0, io.SeekEnd); err != nil {
			t.Fatal(err)
		}
		at := test.end(w)
		if _, problems, ok := f.Load(at); !ok || len(f.View.Ingresses) != test.left || !f.Due().IsZero() {
			t.Errorf("%s: ok %v, problems %v, Ingresses %v, due %v", test.what, ok, problems, f.View.Ingresses, f.Due())
		}
		if test.left == 2 && f.View.Ingresses[name("b")] != b {
			t.Errorf("%s: what is the same has not been kept", test.what)
		}
	}
}

// written returns when a file was written last.
func written(t *testing.T, path string) time.Time {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.ModTime()
}

func writeTo(t *testing.T, w *os.File, text string) {
	t.Helper()
	if _, err := w.WriteString(text); err != nil {
		t.Fatal(err)
	}
}
