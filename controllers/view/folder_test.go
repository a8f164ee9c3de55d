package view

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

func ingressText(name, host string) string {
	return fmt.Sprintf(`---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: %s}
spec: {rules: [{host: %s, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}
`, name, host)
}

func sliceText(name, service, address string) string {
	return fmt.Sprintf(`---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: %s, labels: {kubernetes.io/service-name: %s}}
addressType: IPv4
ports: [{port: 80}]
endpoints: [{addresses: [%s]}]
`, name, service, address)
}

func writeFile(t *testing.T, dir, name string, parts ...string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.Join(parts, "")), 0o644); err != nil {
		t.Fatal(err)
	}
}

func load(t *testing.T, f *Folder) Changes {
	t.Helper()
	changes, problems, ok := f.Load(time.Now())
	if !ok {
		t.Fatal(problems)
	}
	return changes
}

func name(s string) types.NamespacedName { return types.NamespacedName{Namespace: "default", Name: s} }

// What is deleted while a folder is read is no mistake in it.
func TestFolderMayBeDeletedWhileItIsRead(t *testing.T) {
	for range 3 {
		dir := t.TempDir()
		for i := range 200 {
			sub := filepath.Join(dir, fmt.Sprint(i))
			if err := os.Mkdir(sub, 0o755); err != nil {
				t.Fatal(err)
			}
			writeFile(t, sub, "a.yaml", ingressText(fmt.Sprint("a", i), "a.test"))
		}
		deleted := make(chan error)
		go func() {
			var err error
			for i := range 200 {
				err = errors.Join(err, os.RemoveAll(filepath.Join(dir, fmt.Sprint(199-i))))
			}
			deleted <- err
		}()
		f := NewFolder(dir)
		for isDeleted := false; !isDeleted; {
			_, problems, _ := f.Load(time.Now())
			for _, p := range problems {
				if p.Level == Invalid {
					t.Error(p)
				}
			}
			select {
			case err := <-deleted:
				isDeleted = true
				if err != nil {
					t.Fatal(err)
				}
			default:
			}
		}
		if err := os.Symlink("nowhere", filepath.Join(dir, "b.yaml")); err != nil {
			t.Fatal(err)
		}
		if _, problems, ok := f.Load(time.Now()); ok || len(problems) != 1 {
			t.Errorf("a link that leads nowhere: ok %v, problems %v", ok, problems)
		}
	}
}

func TestFolderKeepsWhatHasNotChanged(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, dir, "a.yaml", ingressText("a", "a.test"), ingressText("b", "b.test"))
	writeFile(t, dir, "c.yaml", ingressText("c", "c.test"))
	f := NewFolder(dir)
	load(t, f)
	a, b, c := f.View.Ingresses[name("a")], f.View.Ingresses[name("b")], f.View.Ingresses[name("c")]
	writeFile(t, dir, "a.yaml", ingressText("new", "new.test"), ingressText("b", "other.test"), ingressText("a", "a.test"))
	changes := load(t, f)
	if !changes.Other || len(changes.Services) != 0 {
		t.Errorf("got %+v", changes)
	}
	if f.View.Ingresses[name("a")] != a || f.View.Ingresses[name("c")] != c {
		t.Error("an object that has not changed is a new one")
	}
	if now := f.View.Ingresses[name("b")]; now == b || now.Spec.Rules[0].Host != "other.test" {
		t.Error("the object that has changed is the old one")
	}
	if again := load(t, f); again.Other || len(again.Services) != 0 {
		t.Errorf("nothing has changed, got %+v", again)
	}
}

func TestFolderTellsEndpointsFromTheRest(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, dir, "a.yaml", ingressText("a", "a.test"), sliceText("s", "web", "192.0.2.1"))
	f := NewFolder(dir)
	load(t, f)
	writeFile(t, dir, "a.yaml", ingressText("a", "a.test"), sliceText("s", "shop", "192.0.2.1"))
	changes := load(t, f)
	want := map[types.NamespacedName]struct{}{name("web"): {}, name("shop"): {}}
	if changes.Other || !reflect.DeepEqual(changes.Services, want) {
		t.Errorf("got %+v, want the services %v", changes, want)
	}
	if len(f.View.EndpointSlices[name("shop")]) != 1 || len(f.View.EndpointSlices[name("web")]) != 0 {
		t.Error("the slice has not moved")
	}
}

func TestFolderKeepsItsViewWhileAnythingIsWrong(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, dir, "a.yaml", ingressText("a", "a.test"))
	f := NewFolder(dir)
	load(t, f)
	for _, wrong := range []string{ingressText("b", "'not a host'"), ingressText("a", "twice.test"), "---\n{", "kind: Nothing\n"} {
		writeFile(t, dir, "b.yaml", wrong)
		if _, problems, ok := f.Load(time.Now()); ok || len(problems) == 0 {
			t.Errorf("%q: ok %v, problems %v", wrong, ok, problems)
		}
		if len(f.View.Ingresses) != 1 || f.View.Ingresses[name("a")].Spec.Rules[0].Host != "a.test" {
			t.Errorf("%q has changed the View", wrong)
		}
	}
	writeFile(t, dir, "b.yaml", ingressText("b", "b.test"))
	if changes := load(t, f); !changes.Other || len(f.View.Ingresses) != 2 {
		t.Errorf("got %+v and %d Ingresses", changes, len(f.View.Ingresses))
	}
	if err := os.Remove(filepath.Join(dir, "a.yaml")); err != nil {
		t.Fatal(err)
	}
	if changes := load(t, f); !changes.Other || len(f.View.Ingresses) != 1 {
		t.Errorf("got %+v and %d Ingresses", changes, len(f.View.Ingresses))
	}
}

// A file can be written twice within one step of the file system's clock and keep its size.
func TestFolderSeesAChangeThatLeavesNoTraceInTheFileInfo(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, dir, "a.yaml", ingressText("a", "a.test"))
	info, err := os.Stat(filepath.Join(dir, "a.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	f := NewFolder(dir)
	load(t, f)
	writeFile(t, dir, "a.yaml", ingressText("a", "b.test"))
	if err := os.Chtimes(filepath.Join(dir, "a.yaml"), info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	load(t, f)
	if host := f.View.Ingresses[name("a")].Spec.Rules[0].Host; host != "b.test" {
		t.Errorf("got host %s", host)
	}
}

// Whatever the edits, a Folder ends where reading everything from scratch does.
func TestFolderEqualsFromFiles(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		dir := t.TempDir()
		f := NewFolder(dir)
		for range 30 {
			var parts []string
			file := fmt.Sprintf("%d.yaml", r.IntN(4))
			for range r.IntN(4) {
				n := fmt.Sprintf("n%s-%d", file[:1], r.IntN(3))
				if r.IntN(2) == 0 {
					parts = append(parts, ingressText(n, fmt.Sprintf("h%d.test", r.IntN(3))))
				} else {
					parts = append(parts, sliceText(n, fmt.Sprintf("s%d", r.IntN(3)), fmt.Sprintf("192.0.2.%d", 1+r.IntN(3))))
				}
			}
			writeFile(t, dir, file, parts...)
			f.Load(time.Now())
			_, problems, ok := f.Load(time.Now().Add(emptyGrace)) // when what is empty counts as empty
			fresh, freshProblems := FromFiles(dir)
			if !slices.Equal(problems, freshProblems) {
				t.Fatalf("seed %d: problems %v, from scratch %v", seed, problems, freshProblems)
			}
			if !ok {
				continue
			}
			if !reflect.DeepEqual(f.View.Ingresses, fresh.Ingresses) || !reflect.DeepEqual(f.View.EndpointSlices, fresh.EndpointSlices) {
				t.Fatalf("seed %d: the View differs from one that was read from scratch", seed)
			}
		}
	}
}

const (
	abortText = `---
apiVersion: breakwater-gateway.io/v1alpha1
kind: NetworkChaos
metadata: {name: abort}
spec: {targetRefs: [{kind: Ingress, name: a}], duration: 1h, toxics: [{type: Abort, abort: {status: 503}}]}
`
	switchText = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: breakwater-chaos}\ndata: {chaos: %s}\n"
	tokenText  = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: token}\nstringData: {key: %s}\n"
	podText    = "---\napiVersion: v1\nkind: Pod\nmetadata: {name: pod, labels: {app: %s}}\n"
	spaceText  = "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: default, labels: {breakwater-gateway.io/chaos: %s, team: %s}}\n"
	grantText  = `---
apiVersion: gateway.networking.k8s.io/v1
kind: ReferenceGrant
metadata: {name: grant}
spec:
  from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: x}, {group: %s, kind: NetworkChaos, namespace: x}]
  to: [{group: "", kind: Service}]
`
)

func removeFile(t *testing.T, dir, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}

// said is what the ConfigMap of the kill switch says; "" if that is nothing, or there is none.
func said(v *View) string {
	if m := v.ConfigMaps[name("breakwater-chaos")]; m != nil {
		return m.Data["chaos"]
	}
	return ""
}

func TestWhileAFolderIsHeldExperimentsCanOnlyEnd(t *testing.T) {
	for what, test := range map[string]struct {
		edit func(dir string)
		goes bool // whether the experiment goes on
	}{
		"nothing else has changed": {func(string) {}, true},
		"its text, not its spec": {func(dir string) {
			writeFile(t, dir, "chaos.yaml", strings.ReplaceAll(abortText, "metadata:", "# a comment\nmetadata:"))
		}, true},
		"its file is gone":  {func(dir string) { removeFile(t, dir, "chaos.yaml") }, false},
		"it is gone":        {func(dir string) { writeFile(t, dir, "chaos.yaml", "# nothing\n") }, false},
		"its file is empty": {func(dir string) { writeFile(t, dir, "chaos.yaml") }, false},
		"it is no YAML":     {func(dir string) { writeFile(t, dir, "chaos.yaml", "---\nkind: [\n") }, false},
		"it breaks a rule": {func(dir string) {
			writeFile(t, dir, "chaos.yaml", strings.Replace(abortText, "status: 503", "status: 5030", 1))
		}, false},
		"it says something else": {func(dir string) {
			writeFile(t, dir, "chaos.yaml", strings.Replace(abortText, "duration: 1h", "duration: 1h, percent: 1", 1))
		}, false},
		"the folder is gone": {func(dir string) {
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
		}, false},
	} {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			writeFile(t, dir, "a.yaml", ingressText("a", "a.test"))
			writeFile(t, dir, "chaos.yaml", abortText)
			f := NewFolder(dir)
			load(t, f)
			writeFile(t, dir, "b.yaml", "kind: [\n")
			writeFile(t, dir, "new.yaml", strings.Replace(abortText, "name: abort", "name: new", 1))
			test.edit(dir)
			changes, _, ok := f.Load(time.Now())
			if ok {
				t.Fatal("nothing is wrong")
			}
			if got := f.View.Withheld[name("abort")] == ""; got != test.goes || changes.Other == test.goes || len(changes.Withheld) == 1 == test.goes {
				t.Errorf("goes on: %v, want %v; changes %+v", got, test.goes, changes)
			}
			if f.View.NetworkChaos[name("abort")] == nil {
				t.Error("it is another object when all is well")
			}
			if changes, _, _ := f.Load(time.Now()); changes.Other {
				t.Errorf("the next look finds %+v", changes)
			}
			if f.View.NetworkChaos[name("new")] != nil {
				t.Error("a new one begins")
			}
			if f.View.Ingresses[name("a")] == nil {
				t.Error("the route is gone")
			}
		})
	}
}

func TestWhileAFolderIsHeldTheKillSwitchActs(t *testing.T) {
	for what, test := range map[string]struct {
		before, after, want string
		switchIs            bool // in the View
	}{
		"it comes":                   {"", fmt.Sprintf(switchText, `"off"`), "off", true},
		"it is thrown":               {fmt.Sprintf(switchText, `"on"`), fmt.Sprintf(switchText, `"off"`), "", true},
		"it is thrown without marks": {fmt.Sprintf(switchText, `"on"`), fmt.Sprintf(switchText, `off`), "", true},
		"it is released":             {fmt.Sprintf(switchText, `"off"`), fmt.Sprintf(switchText, `"on"`), "", true},
		"it is not touched":          {fmt.Sprintf(switchText, `"on"`), fmt.Sprintf(switchText, `"on"`), "on", true},
		"it goes":                    {fmt.Sprintf(switchText, `"on"`), "", "", true},
		"it breaks":                  {fmt.Sprintf(switchText, `"on"`), fmt.Sprintf(switchText, `"off`), "", true},
		"it comes broken":            {"", fmt.Sprintf(switchText, `"off`), "", true},
		"it says nothing readable":   {fmt.Sprintf(switchText, `"on"`), strings.Replace(switchText, "%s", "{off: 1}", 1), "", true},
		"it has another field":       {fmt.Sprintf(switchText, `"on"`), strings.Replace(fmt.Sprintf(switchText, "'on'"), "data:", "dat:", 1), "", true},
		"something else breaks":      {"", "---\nkind: ConfigMap\nmetadata: {name: other\n", "", false},
		"another says on":            {fmt.Sprintf(switchText, `"off"`), fmt.Sprintf(switchText, `"off"`) + fmt.Sprintf(switchText, `"on"`), "", true},
		"another says off":           {fmt.Sprintf(switchText, `"on"`), fmt.Sprintf(switchText, `"on"`) + fmt.Sprintf(switchText, `"off"`), "", true},
		"another says the same":      {fmt.Sprintf(switchText, `"on"`), fmt.Sprintf(switchText, `"on"`) + fmt.Sprintf(switchText, `"on"`), "on", true},
		"another is broken":          {fmt.Sprintf(switchText, `"on"`), fmt.Sprintf(switchText, `"off`) + fmt.Sprintf(switchText, `"on"`), "", true},
	} {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			writeFile(t, dir, "a.yaml", ingressText("a", "a.test"))
			writeFile(t, dir, "switch.yaml", test.before)
			f := NewFolder(dir)
			f.Switch = "breakwater-chaos"
			load(t, f)
			writeFile(t, dir, "b.yaml", "kind: [\n")
			writeFile(t, dir, "switch.yaml", test.after)
			if _, _, ok := f.Load(time.Now()); ok {
				t.Fatal("nothing is wrong")
			}
			if got := f.View.ConfigMaps[name("breakwater-chaos")] != nil; got != test.switchIs || said(f.View) != test.want {
				t.Errorf("there: %v, want %v; says %q, want %q", got, test.switchIs, said(f.View), test.want)
			}
			if changes, _, _ := f.Load(time.Now()); changes.Other {
				t.Errorf("the next look finds %+v", changes)
			}
		})
	}
}

func TestAnIllTypedKillSwitchFreezesNothing(t *testing.T) {
	for _, text := range []string{"off", "no", "1", "{off: 1}", "[off]"} {
		dir := t.TempDir()
		writeFile(t, dir, "a.yaml", ingressText("a", "a.test"), fmt.Sprintf(switchText, text))
		f := NewFolder(dir)
		_, problems, ok := f.Load(time.Now())
		if !ok || len(problems) != 1 || problems[0].Level != Warning {
			t.Errorf("%s: ok %v, problems %v", text, ok, problems)
		}
		if m := f.View.ConfigMaps[name("breakwater-chaos")]; m == nil || m.Data["chaos"] == "on" {
			t.Errorf("%s: got %v", text, m)
		}
	}
}

// What an experiment needs in order to act is taken away at once, and given only when all is well.
func TestWhileAFolderIsHeldWhatExperimentsNeedCanOnlyGo(t *testing.T) {
	for _, test := range []struct {
		text, before, after string
		stays               bool // for whatever but experiments
		has                 func(v *View) bool
	}{
		{tokenText, "old", "new", false, func(v *View) bool { return v.Secrets[name("token")] != nil }},
		{podText, "old", "new", false, func(v *View) bool { return v.Pods[name("pod")] != nil }},
		{grantText, "breakwater-gateway.io", "other", true, func(v *View) bool { return len(v.ReferenceGrants["default"][0].Spec.From) == 2 }},
		{strings.Replace(spaceText, "team: %s", "team: a", 1), "enabled", "disabled", true, func(v *View) bool {
			return v.Namespaces["default"].Labels["breakwater-gateway.io/chaos"] == "enabled"
		}},
	} {
		dir := t.TempDir()
		writeFile(t, dir, "x.yaml", fmt.Sprintf(test.text, test.before))
		f := NewFolder(dir)
		load(t, f)
		writeFile(t, dir, "b.yaml", "kind: [\n")
		f.Load(time.Now())
		if !test.has(f.View) {
			t.Errorf("%s: is gone although it has not changed", test.text)
		}
		writeFile(t, dir, "x.yaml", fmt.Sprintf(test.text, test.after))
		f.Load(time.Now())
		if test.has(f.View) {
			t.Errorf("%s: is still there", test.text)
		}
		if all := len(f.View.Secrets) + len(f.View.Pods) + len(f.View.ReferenceGrants) + len(f.View.Namespaces); all == 1 != test.stays {
			t.Errorf("%s: stays: %v, want %v", test.text, all == 1, test.stays)
		}
		removeFile(t, dir, "b.yaml")
		load(t, f)
		fresh, _ := FromFiles(dir)
		if !reflect.DeepEqual(f.View.Secrets, fresh.Secrets) || !reflect.DeepEqual(f.View.Namespaces, fresh.Namespaces) ||
			!reflect.DeepEqual(f.View.Pods, fresh.Pods) || !reflect.DeepEqual(f.View.ReferenceGrants, fresh.ReferenceGrants) {
			t.Errorf("%s: is not as the files say when all is well", test.text)
		}
	}
}

func TestAFileThatTurnedEmptyIsBeingWrittenForAWhile(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, dir, "a.yaml", ingressText("a", "a.test"), abortText)
	writeFile(t, dir, "empty.yaml")
	f := NewFolder(dir)
	load(t, f)
	began := f.View.NetworkChaos[name("abort")].CreationTimestamp
	now := time.Now()
	for _, blank := range []string{"", " \n"} {
		writeFile(t, dir, "a.yaml", blank)
		_, problems, ok := f.Load(now)
		if ok || len(problems) != 1 || problems[0].Level != Unfinished || !f.Due().Equal(now.Add(emptyGrace)) {
			t.Errorf("%q: ok %v, problems %v, due %v", blank, ok, problems, f.Due())
		}
		if len(f.View.Ingresses) != 1 || len(f.View.Withheld) != 1 {
			t.Errorf("%q: %d Ingresses, withheld %v", blank, len(f.View.Ingresses), f.View.Withheld)
		}
	}
	writeFile(t, dir, "a.yaml", ingressText("a", "a.test"), abortText)
	load(t, f)
	if c := f.View.NetworkChaos[name("abort")]; c == nil || !c.CreationTimestamp.Equal(&began) || len(f.View.Withheld) != 0 || !f.Due().IsZero() {
		t.Errorf("it does not go on when the file is written: %v, withheld %v, due %v", c, f.View.Withheld, f.Due())
	}
	writeFile(t, dir, "a.yaml")
	f.Load(now)
	if _, problems, ok := f.Load(now.Add(emptyGrace)); !ok || len(problems) != 0 || len(f.View.Ingresses) != 0 || !f.Due().IsZero() {
		t.Errorf("after a while: ok %v, problems %v, %d Ingresses, due %v", ok, problems, len(f.View.Ingresses), f.Due())
	}
}

// An experiment, or what is new of one, has its whole duration from when it is let in, however long the folder was broken before.
func TestAnExperimentBeginsWhenItIsLetIn(t *testing.T) {
	const wait = 3 * time.Hour
	changed := strings.Replace(abortText, "503", "502", 1)
	for what, test := range map[string]struct {
		before, broken, then string // chaos.yaml when all is well, while another file is broken, and when all is well again
		created              time.Duration
		generation           int64
	}{
		"new":               {"# nothing\n", abortText, abortText, wait, 1},
		"new, then changed": {"# nothing\n", abortText, changed, wait, 1},
		"changed":           {abortText, changed, changed, wait, 2},
		"changed and back":  {abortText, changed, abortText, 0, 1},
		"the same":          {abortText, abortText, abortText, 0, 1},
		"gone and back":     {abortText, "# nothing\n", abortText, 0, 1},
	} {
		t.Run(what, func(t *testing.T) {
			dir, start := t.TempDir(), time.Now()
			f := NewFolder(dir)
			for _, step := range []struct {
				after        time.Duration
				chaos, other string
			}{
				{0, test.before, "# nothing\n"}, {time.Minute, test.broken, "---\n{"}, {wait, test.then, "# nothing\n"},
			} {
				writeFile(t, dir, "chaos.yaml", step.chaos)
				writeFile(t, dir, "other.yaml", step.other)
				f.Load(start.Add(step.after))
			}
			c := f.View.NetworkChaos[name("abort")]
			if got := c.CreationTimestamp.Sub(start); got != test.created || c.Generation != test.generation {
				t.Errorf("created after %v as generation %d, want %v and %d", got, c.Generation, test.created, test.generation)
			}
		})
	}
}

// A folder may go and come back while one of its files is being written.
func TestAFileThatTurnedEmptyIsRememberedWhileTheFolderIsGone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "manifests")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	writeFile(t, dir, "a.yaml", ingressText("a", "a.test"))
	f := NewFolder(dir)
	load(t, f)
	writeFile(t, dir, "a.yaml")
	for _, names := range [][2]string{{dir, dir + "2"}, {dir + "2", dir}} {
		if err := os.Rename(names[0], names[1]); err != nil {
			t.Fatal(err)
		}
		if _, problems, ok := f.Load(time.Now()); ok || len(f.View.Ingresses) != 1 {
			t.Errorf("as %s: ok %v, problems %v", names[1], ok, problems)
		}
	}
}

func TestAnExperimentBeginsAnewOnlyWithAnotherSpec(t *testing.T) {
	for what, test := range map[string]struct {
		edit   func(dir string)
		begins bool
	}{
		"a comment": {func(dir string) { writeFile(t, dir, "chaos.yaml", "# c\n", abortText) }, false},
		"a form":    {func(dir string) { writeFile(t, dir, "chaos.yaml", strings.Replace(abortText, "503", " 503 ", 1)) }, false},
		"a label": {func(dir string) {
			writeFile(t, dir, "chaos.yaml", strings.Replace(abortText, "abort}", "abort, labels: {a: b}}", 1))
		}, false},
		"another file":  {func(dir string) { writeFile(t, dir, "other.yaml", abortText); removeFile(t, dir, "chaos.yaml") }, false},
		"another spec":  {func(dir string) { writeFile(t, dir, "chaos.yaml", strings.Replace(abortText, "503", "502", 1)) }, true},
		"gone and back": {func(string) {}, true},
	} {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			writeFile(t, dir, "chaos.yaml", abortText)
			f := NewFolder(dir)
			load(t, f)
			began, first := f.View.NetworkChaos[name("abort")].CreationTimestamp, f.View.NetworkChaos[name("abort")].Generation
			if what == "gone and back" {
				removeFile(t, dir, "chaos.yaml")
				load(t, f)
				writeFile(t, dir, "chaos.yaml", abortText)
			}
			test.edit(dir)
			load(t, f)
			if c := f.View.NetworkChaos[name("abort")]; c.CreationTimestamp.Equal(&began) == test.begins {
				t.Errorf("created %v, at first %v", c.CreationTimestamp, began)
			}
			if c := f.View.NetworkChaos[name("abort")]; first != 1 || c.Generation == 2 != (what == "another spec") {
				t.Errorf("its generation is %d, at first %d", c.Generation, first)
			}
		})
	}
}

// What has ended because it could not be read is the same object when it is mended, whatever it says then.
// What was never let in has never been: an edit that is taken back before is none.
func TestAnExperimentThatIsMendedIsTheSame(t *testing.T) {
	edited := strings.Replace(abortText, "duration: 1h", "duration: 1h, percent: 1", 1)
	for what, test := range map[string]struct {
		broken, mended string
		generation     int64
		is             bool
		changes        Changes
	}{
		"as it was":      {"kind: [\n", abortText, 1, true, Changes{Other: true, Changed: []string{"NetworkChaos default/abort"}}},
		"edited":         {"kind: [\n", edited, 2, true, Changes{Other: true, Changed: []string{"NetworkChaos default/abort"}}},
		"edited first":   {edited + "---\nkind: [\n", edited, 2, true, Changes{Other: true, Changed: []string{"NetworkChaos default/abort"}}},
		"there and back": {edited + "---\nkind: [\n", abortText, 1, true, Changes{Other: true, Changed: []string{"NetworkChaos default/abort"}}},
		"deleted":        {"kind: [\n", "# nothing\n", 0, false, Changes{Other: true, Removed: []string{"NetworkChaos default/abort"}}},
	} {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			writeFile(t, dir, "chaos.yaml", abortText)
			f := NewFolder(dir)
			load(t, f)
			writeFile(t, dir, "chaos.yaml", test.broken)
			if _, _, ok := f.Load(time.Now()); ok || f.View.Withheld[name("abort")] == "" {
				t.Errorf("ok %v, withheld %v", ok, f.View.Withheld)
			}
			writeFile(t, dir, "chaos.yaml", test.mended)
			changes := load(t, f)
			test.changes.Services = map[types.NamespacedName]struct{}{}
			if !reflect.DeepEqual(changes, test.changes) {
				t.Errorf("changes %+v, want %+v", changes, test.changes)
			}
			c := f.View.NetworkChaos[name("abort")]
			if (c != nil) != test.is || c != nil && c.Generation != test.generation || len(f.View.Withheld) != 0 {
				t.Errorf("got %+v, withheld %v", c, f.View.Withheld)
			}
		})
	}
}

// A bug that some text brings out is a problem of its file, which may have held the kill switch.
func TestAPanicIsAProblemOfTheFile(t *testing.T) {
	known := texts{{}: nil}
	documents, after := contained(func(string, []byte, texts) ([]Document, texts) { panic("boom") }, "x.yaml", []byte("name: off"), known)
	if len(documents) != 1 || len(documents[0].Problems) != 1 || string(documents[0].text) != "name: off" || len(after) != 1 {
		t.Fatalf("%+v, %v", documents, after)
	}
	p := documents[0].Problems[0]
	if got := p.String(); got != "x.yaml: cannot be read because of a bug in Breakwater: panic: boom" || !p.Holds() {
		t.Errorf("%q, holds %v", got, p.Holds())
	}
}
