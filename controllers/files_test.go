package controllers_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"k8s.io/apimachinery/pkg/types"

	"github.com/breakwater-gateway/breakwater/controllers"
	"github.com/breakwater-gateway/breakwater/controllers/translate"
	"github.com/breakwater-gateway/breakwater/controllers/translate/chaos"
	"github.com/breakwater-gateway/breakwater/proxy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// plane records what is applied.
type plane struct {
	mu      sync.Mutex
	applied []*proxy.Snapshot // guarded by mu
	failure error             // what Apply returns; guarded by mu
}

// fail has Apply return err.
func (p *plane) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failure = err
}

func (p *plane) Apply(s *proxy.Snapshot) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.applied = append(p.applied, s)
	return p.failure
}

// hosts returns the host names of the latest snapshot.
func (p *plane) hosts() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.applied) == 0 {
		return "nothing applied"
	}
	var names []string
	for _, l := range p.applied[len(p.applied)-1].Listeners {
		for _, h := range l.Hosts {
			names = append(names, h.Name)
		}
	}
	return strings.Join(names, " ")
}

// lines is a log that tests look into.
type lines struct {
	mu sync.Mutex
	b  strings.Builder // guarded by mu
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *lines) log() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// eventually waits until what says want.
func eventually(t *testing.T, want string, what func() string) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for what() != want {
		if time.Now().After(deadline) {
			t.Fatalf("got %q, want %q", what(), want)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func ingress(host string) string {
	return `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: "` + strings.ReplaceAll(host, ".", "-") + `"}
spec:
  rules:
  - host: ` + host + `
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
`
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func runFiles(t *testing.T, dir string) (*plane, *controllers.Files, *lines) {
	t.Helper()
	p, log := &plane{}, &lines{}
	f, err := controllers.NewFiles(controllers.FilesConfig{
		Dir: dir, DataPlane: p, Log: log.log(),
		Translate: translate.Options{
			Controller: "breakwater-gateway.io/controller", Class: "breakwater", ImplicitClasses: true, IngressPort: 8080,
			Chaos: chaos.Options{Files: true, Switch: types.NamespacedName{Name: "breakwater-chaos"}},
		},
		Applied: func(a controllers.Applied) { log.log().Info("applied", a.Changes...) },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := f.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	return p, f, log
}

func TestFilesAreServedAndReloaded(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.yaml"), ingress("a.test"))
	p, f, _ := runFiles(t, dir)
	eventually(t, "a.test", p.hosts)
	eventually(t, "true", func() string { return map[bool]string{true: "true", false: "false"}[f.Synced()] })

	write(t, filepath.Join(dir, "a.yaml"), ingress("b.test")) // in place
	eventually(t, "b.test", p.hosts)

	write(t, filepath.Join(dir, ".a.tmp"), ingress("c.test")) // as editors do
	if err := os.Rename(filepath.Join(dir, ".a.tmp"), filepath.Join(dir, "a.yaml")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "c.test", p.hosts)

	if err := os.MkdirAll(filepath.Join(dir, "team", "shop"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "team", "shop", "d.yaml"), ingress("d.test")) // in folders made later
	eventually(t, "c.test d.test", p.hosts)

	if err := os.RemoveAll(filepath.Join(dir, "team")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "c.test", p.hosts)
}

func TestAnInvalidFileKeepsTheLastGoodState(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.yaml"), ingress("a.test"))
	p, _, log := runFiles(t, dir)
	eventually(t, "a.test", p.hosts)

	write(t, filepath.Join(dir, "b.yaml"), strings.Replace(ingress("b.test"), "pathType", "pathTyp", 1))
	eventually(t, "true", func() string {
		if strings.Contains(log.String(), "last good state") { // the last line
			return "true"
		}
		return log.String()
	})
	for _, want := range []string{"b.yaml", "b-test", "pathTyp", "invalid manifest"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not say %q:\n%s", want, log)
		}
	}
	if got := p.hosts(); got != "a.test" {
		t.Errorf("serves %q after an invalid file, want what was good", got)
	}
	write(t, filepath.Join(dir, "b.yaml"), ingress("b.test"))
	eventually(t, "a.test b.test", p.hosts)
}

func TestAMountedConfigMapIsReloadedWhenItsLinkIsSwapped(t *testing.T) {
	dir := t.TempDir()
	version := func(name, host string) {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name, "a.yaml"), ingress(host))
		if err := os.Symlink(name, filepath.Join(dir, "..data_tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	version("..1", "one.test")
	if err := os.Symlink(filepath.Join("..data", "a.yaml"), filepath.Join(dir, "a.yaml")); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{"the folder": dir, "one file": filepath.Join(dir, "a.yaml")} {
		t.Run(name, func(t *testing.T) {
			p, _, _ := runFiles(t, path)
			eventually(t, p.hosts(), p.hosts)
			version("..2"+strings.ReplaceAll(name, " ", ""), strings.ReplaceAll(name, " ", "-")+".test")
			eventually(t, strings.ReplaceAll(name, " ", "-")+".test", p.hosts)
		})
	}
}

func TestAFolderMadeLaterIsPickedUp(t *testing.T) {
	base := t.TempDir()
	dir := filepath.Join(base, "etc", "manifests")
	p, f, _ := runFiles(t, dir)
	if f.Synced() {
		t.Error("synced without a folder")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "a.yaml"), ingress("a.test"))
	eventually(t, "a.test", p.hosts)
	write(t, filepath.Join(dir, "a.yaml"), ingress("d.test"))
	eventually(t, "d.test", p.hosts)
	if err := os.Rename(filepath.Join(base, "etc"), filepath.Join(base, "old")); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "b.yaml"), ingress("b.test"))
	eventually(t, "b.test", p.hosts)
	write(t, filepath.Join(dir, "b.yaml"), ingress("c.test"))
	eventually(t, "c.test", p.hosts)
}

// A folder may come into being between the look for it and the watch of the one above it.
func TestAFolderMadeWhileItsWatchBeginsIsPickedUp(t *testing.T) {
	for i := range 100 {
		t.Run(strconv.Itoa(i), func(t *testing.T) { // a subtest, so that the watch ends with it: users may have few
			base := t.TempDir()
			dir := filepath.Join(base, "etc", "manifests")
			p, _, _ := runFiles(t, dir)
			for range i { // a little later each time
				_, _ = os.Stat(dir)
			}
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, "a.yaml"), ingress("a.test"))
			eventually(t, "a.test", p.hosts)
		})
	}
}

func TestAFolderBehindALinkIsServed(t *testing.T) {
	base := t.TempDir()
	for _, version := range []string{"one", "two"} {
		if err := os.Mkdir(filepath.Join(base, version), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(base, version, "a.yaml"), ingress(version+".test"))
	}
	link := filepath.Join(base, "current")
	if err := os.Symlink("one", link); err != nil {
		t.Fatal(err)
	}
	p, _, _ := runFiles(t, link)
	eventually(t, "one.test", p.hosts)
	if err := os.Symlink("two", link+".new"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(link+".new", link); err != nil {
		t.Fatal(err)
	}
	eventually(t, "two.test", p.hosts)
	write(t, filepath.Join(base, "two", "a.yaml"), ingress("three.test"))
	eventually(t, "three.test", p.hosts)
}
