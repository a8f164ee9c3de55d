// Package cel puts tables of objects, good and bad, to a real API server with the definitions of config/crd, and to the checks that
// objects in files get: both must accept and refuse the same, and say why.
package cel

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/breakwater-gateway/breakwater/config/crd"
	"github.com/breakwater-gateway/breakwater/controllers/view"
)

// api is the API server that all tests share.
var api client.Client

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	command := exec.Command("go", "run", "-C", "../cluster", ".")
	command.Stderr = os.Stderr
	control, err := command.StdinPipe()
	if err != nil {
		return fail(err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		return fail(err)
	}
	if err := command.Start(); err != nil {
		return fail(err)
	}
	code := 1
	if err := connect(out); err != nil {
		fail(err)
	} else {
		code = m.Run()
	}
	if err := errors.Join(control.Close(), command.Wait()); err != nil {
		return fail(err)
	}
	return code
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, "cel:", err)
	return 1
}

// connect reads from the API server's process where it is, and installs the definitions.
func connect(out io.Reader) error {
	answers := bufio.NewScanner(out)
	if !answers.Scan() {
		return fmt.Errorf("test/cluster ended: %w", errors.Join(answers.Err(), io.ErrUnexpectedEOF))
	}
	var line struct{ Kubeconfig string }
	if err := json.Unmarshal(answers.Bytes(), &line); err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", line.Kubeconfig)
	if err != nil {
		return err
	}
	config.QPS = -1
	config.WarningHandler = rest.NoWarnings{}
	if api, err = client.New(config, client.Options{Scheme: runtime.NewScheme()}); err != nil {
		return err
	}
	var definition unstructured.Unstructured
	if err := yaml.Unmarshal(crd.NetworkChaos, &definition.Object); err != nil {
		return err
	}
	return api.Create(context.Background(), &definition)
}

// row is a spec that is accepted or refused: what it differs by from the simplest one, as YAML. "x: null" leaves x out.
type row struct {
	name, differs string
	// message is what the refusal must say; "" if the spec is accepted.
	message string
}

// simplest is a spec that is accepted.
const simplest = `
targetRefs: [{kind: HTTPRoute, name: a}]
duration: 1m
toxics: [{type: Noop}]
`

func (r row) object(t *testing.T) *unstructured.Unstructured {
	t.Helper()
	spec, differs := map[string]any{}, map[string]any{}
	if err := errors.Join(yaml.Unmarshal([]byte(simplest), &spec), yaml.UnmarshalStrict([]byte(r.differs), &differs)); err != nil {
		t.Fatal(err)
	}
	maps.Copy(spec, differs)
	maps.DeleteFunc(spec, func(_ string, v any) bool { return v == nil })
	o := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "breakwater-gateway.io/v1alpha1", "kind": "NetworkChaos",
		"metadata": map[string]any{"namespace": "default", "name": "x"}, "spec": spec,
	}}
	return o
}

func TestAccepted(t *testing.T) {
	for _, r := range accepted() {
		t.Run(r.name, func(t *testing.T) { r.check(t) })
	}
}

func TestRejected(t *testing.T) {
	for _, r := range rejected() {
		if r.message == "" {
			t.Fatalf("%s: says no message", r.name)
		}
		t.Run(r.name, func(t *testing.T) { r.check(t) })
	}
}

// A toxic without its member has one mistake, and is told one.
func TestAMissingMemberIsOneMistake(t *testing.T) {
	for _, r := range rejected() {
		if !strings.HasSuffix(r.name, " without its member") {
			continue
		}
		err := eventuallyServed(t, api, r.object(t))
		if n := strings.Count(fmt.Sprint(err), "Invalid value"); n != 1 {
			t.Errorf("%s: %d messages: %v", r.name, n, err)
		}
	}
}

// check puts a row to the API server and to the checks of files.
func (r row) check(t *testing.T) {
	o := r.object(t)
	data, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	strict := client.WithFieldValidation(api, "Strict")
	if said := eventuallyServed(t, strict, o); !r.fits(said) {
		t.Errorf("API server: %v\nwant %q", said, r.message)
	}
	var problems []error
	for _, d := range view.Parse("x.json", data) {
		for _, p := range d.Problems {
			problems = append(problems, errors.New(p.String()))
		}
	}
	if said := errors.Join(problems...); !r.fits(said) {
		t.Errorf("files: %v\nwant %q", said, r.message)
	}
}

// eventuallyServed creates the object for trial; a definition that is new is not served at once.
func eventuallyServed(t *testing.T, c client.Client, o client.Object) error {
	for {
		err := c.Create(t.Context(), o.DeepCopyObject().(client.Object), client.DryRunAll)
		if err == nil || !strings.Contains(err.Error(), "no matches for kind") && !strings.Contains(err.Error(), "could not find the requested resource") {
			return err
		}
		if t.Context().Err() != nil {
			return err
		}
	}
}

// fits reports whether what was said is what the row expects. The two sides word a value outside an enumeration, and a field that is
// not known, differently.
func (r row) fits(said error) bool {
	if r.message == "" || said == nil {
		return r.message == "" && said == nil
	}
	for alternative := range strings.SplitSeq(r.message, " | ") {
		if strings.Contains(said.Error(), alternative) {
			return true
		}
	}
	return false
}
