package controllers_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const abort = `apiVersion: breakwater-gateway.io/v1alpha1
kind: NetworkChaos
metadata: {name: abort}
spec: {targetRefs: [{kind: Ingress, name: a-test}], duration: 1h, toxics: [{type: Abort, abort: {status: 503}}]}
`

const killSwitch = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: breakwater-chaos}\ndata: {chaos: off}\n"

// faults says how many experiments the latest snapshot has and whether chaos is off.
func (p *plane) faults() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.applied) == 0 {
		return "nothing applied"
	}
	s := p.applied[len(p.applied)-1]
	return fmt.Sprintf("%d off=%v", len(s.Experiments), s.ChaosOff)
}

// refused says which object the latest snapshot refuses, and why.
func (p *plane) refused() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	text := ""
	for _, r := range p.applied[len(p.applied)-1].Refused {
		text += fmt.Sprintf("%s: %s: %s", r.ID, r.Reason, r.Message)
	}
	return text
}

// logged waits for a line with all these words.
func logged(t *testing.T, log *lines, words ...string) {
	t.Helper()
	const found = "found"
	eventually(t, found, func() string {
		for line := range strings.Lines(log.String()) {
			missing := 0
			for _, w := range words {
				if !strings.Contains(line, w) {
					missing++
				}
			}
			if missing == 0 {
				return found
			}
		}
		return log.String()
	})
}

func TestAFaultEndsWithItsFileWhateverElseIsWrong(t *testing.T) {
	for what, end := range map[string]func(dir string) error{
		"its file is gone":   func(dir string) error { return os.Remove(filepath.Join(dir, "chaos.yaml")) },
		"the folder is gone": func(dir string) error { return os.Rename(dir, dir+".moved") },
		"its file is now broken": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "chaos.yaml"), []byte("kind: ["), 0o644)
		},
	} {
		t.Run(what, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "manifests")
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, "a.yaml"), ingress("a.test"))
			write(t, filepath.Join(dir, "chaos.yaml"), abort)
			p, _, log := runFiles(t, dir)
			eventually(t, "1 off=false", p.faults)
			write(t, filepath.Join(dir, "b.yaml"), "kind: [\n")
			logged(t, log, "last good state stays in service")
			if got := p.faults(); got != "1 off=false" {
				t.Errorf("got %s while the fault's own file is as it was", got)
			}
			if err := end(dir); err != nil {
				t.Fatal(err)
			}
			eventually(t, "0 off=false", p.faults)
			if got, want := p.refused(), "NetworkChaos/default/abort: Withheld: the manifest of NetworkChaos default/abort is gone or cannot be read"; got != want {
				t.Errorf("refused is %q, want %q", got, want)
			}
			if got := p.hosts(); got != "a.test" {
				t.Errorf("serves %q", got)
			}
			logged(t, log, "until all manifests are valid; experiments only end")
		})
	}
}

func TestTheKillSwitchActsWhateverElseIsWrong(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.yaml"), ingress("a.test"))
	write(t, filepath.Join(dir, "chaos.yaml"), abort)
	p, _, log := runFiles(t, dir)
	eventually(t, "1 off=false", p.faults)
	write(t, filepath.Join(dir, "b.yaml"), "kind: [\n")
	logged(t, log, "last good state stays in service")
	write(t, filepath.Join(dir, "switch.yaml"), killSwitch)
	eventually(t, "1 off=true", p.faults)
	write(t, filepath.Join(dir, "b.yaml"), "# nothing\n")
	logged(t, log, "all manifests are valid again")
	if got := p.faults(); got != "1 off=true" {
		t.Errorf("got %s when all is well", got)
	}
}

func TestTheLogSaysWhichObjectsHaveChanged(t *testing.T) {
	dir := t.TempDir()
	var text strings.Builder
	for i := range 7 {
		text.WriteString("---\n" + ingress(fmt.Sprintf("h%d.test", i)))
	}
	write(t, filepath.Join(dir, "a.yaml"), text.String())
	p, _, log := runFiles(t, dir)
	logged(t, log, "applied", "added=", "Ingress default/h0-test, Ingress default/h1-test", "and 2 more")
	write(t, filepath.Join(dir, "a.yaml"), strings.Replace(ingress("h0.test"), "path: /,", "path: /x,", 1))
	logged(t, log, "applied", `changed="Ingress default/h0-test" removed="Ingress default/h1-test`, "and 1 more")
	write(t, filepath.Join(dir, "b.yaml"), "apiVersion: v1\nkind: Pod\nmetadata: {name: idle}\n")
	logged(t, log, "what is served has not", `added="Pod default/idle"`)
	_ = p
}

func TestAnEmptiedFileIsNotAnEmptyConfiguration(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.yaml"), ingress("a.test"))
	p, _, log := runFiles(t, dir)
	eventually(t, "a.test", p.hosts)
	write(t, filepath.Join(dir, "a.yaml"), "")
	logged(t, log, "level=WARN", "unfinished manifest", "a.yaml")
	if got := p.hosts(); got != "a.test" {
		t.Errorf("serves %q", got)
	}
	write(t, filepath.Join(dir, "a.yaml"), ingress("b.test"))
	eventually(t, "b.test", p.hosts)
	logged(t, log, "all manifests are valid again")
	write(t, filepath.Join(dir, "a.yaml"), "")
	eventually(t, "", p.hosts) // when it has been empty for long enough
}

func TestWhatHoldsTheFirstStateBackIsSaid(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.yaml"), "kind: [\n")
	_, f, log := runFiles(t, dir)
	logged(t, log, "nothing is served until all manifests are valid")
	if err := f.Waiting(); err == nil || !strings.Contains(err.Error(), "a.yaml:1") {
		t.Errorf("got %v", err)
	}
	write(t, filepath.Join(dir, "a.yaml"), ingress("a.test"))
	eventually(t, "<nil>", func() string { return fmt.Sprint(f.Waiting()) })
}

func TestPortsThatCannotBeBoundAreLoggedUntilTheyAre(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.yaml"), ingress("a.test"))
	p, _, log := runFiles(t, dir)
	eventually(t, "a.test", p.hosts)
	p.fail(errors.New("port 80 is taken"))
	write(t, filepath.Join(dir, "a.yaml"), ingress("b.test"))
	logged(t, log, "cannot serve everything", "port 80 is taken", "next=1s")
	logged(t, log, "still cannot serve everything", "port 80 is taken", "next=2s")
	p.fail(nil)
	logged(t, log, "everything is served again")
}

func TestWhatIsWrongWithAnObjectIsTheMessageAndSaidOnce(t *testing.T) {
	dir := t.TempDir()
	route := "apiVersion: gateway.networking.k8s.io/v1\nkind: TCPRoute\nmetadata: {name: db}\nspec: {parentRefs: [{name: nope}], rules: [{backendRefs: [{name: db, port: 1}]}]}\n"
	write(t, filepath.Join(dir, "a.yaml"), ingress("a.test")+"---\n"+route)
	p, _, log := runFiles(t, dir)
	logged(t, log, "level=WARN", `msg="spec.parentRefs[0]: there is no Gateway default/nope"`, "TCPRoute=default/db", "file="+filepath.Join(dir, "a.yaml")+":9")
	write(t, filepath.Join(dir, "b.yaml"), ingress("b.test"))
	eventually(t, "a.test b.test", p.hosts)
	write(t, filepath.Join(dir, "b.yaml"), ingress("c.test"))
	eventually(t, "a.test c.test", p.hosts)
	if n := strings.Count(log.String(), "there is no Gateway"); n != 1 {
		t.Errorf("said %d times", n)
	}
}
