package translate_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/breakwater-gateway/breakwater/controllers/translate"
	"github.com/breakwater-gateway/breakwater/controllers/translate/chaos"
	"github.com/breakwater-gateway/breakwater/controllers/translate/gateway"
	"github.com/breakwater-gateway/breakwater/controllers/view"
)

var update = flag.Bool("update", false, "rewrite testdata/*/out.txt")

// TestGolden translates testdata/<case>/in.yaml and compares the outcome, as text, with out.txt: what the files' own
// checks find, what the proxy serves, what the cluster is told. Objects that an API server would refuse are translated
// too: they must not do harm if they arrive anyway.
//
// A first line "# options: WORD..." changes the Options: "cluster" (no implicit classes), "default-duration" (of NetworkChaos),
// "lookups" (nothing is there but what has been looked up: nothing), "external-name", "share-hosts", "no-trusted-proxies", "pending" (no port allocated
// for the Gateway gw), "offset" (such a high one that there are no ports).
func TestGolden(t *testing.T) {
	inputs, err := filepath.Glob("testdata/*/in.yaml")
	if err != nil || len(inputs) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, in := range inputs {
		t.Run(filepath.Base(filepath.Dir(in)), func(t *testing.T) {
			data, err := os.ReadFile(in)
			if err != nil {
				t.Fatal(err)
			}
			got := golden(t, data)
			out := filepath.Join(filepath.Dir(in), "out.txt")
			if *update {
				if err := os.WriteFile(out, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

// golden returns the outcome for the objects in data, and checks that putting them in one by one ends the same.
func golden(t *testing.T, data []byte) string {
	t.Helper()
	options := caseOptions(data)
	var out strings.Builder
	v := view.New()
	var step *translate.Result
	for _, d := range view.Parse("in.yaml", data) {
		for _, p := range d.Problems {
			out.WriteString("problem " + p.String() + "\n")
		}
		if d.Object != nil {
			v.Set(d.Object)
			step = translate.Build(v, options, step)
		}
	}
	full := text(translate.Build(v, options, nil))
	if step != nil && text(step) != full {
		t.Errorf("object by object:\n%s\nat once:\n%s", text(step), full)
	}
	out.WriteString(full)
	return out.String()
}

func text(r *translate.Result) string { return translate.Text(r.Snapshot) + r.Report.String() }

func testOptions() translate.Options {
	return translate.Options{
		Controller:      "breakwater-gateway.io/controller",
		Class:           "breakwater",
		ImplicitClasses: true,
		IngressPort:     8080,
		Addresses:       []string{"203.0.113.1"},
		Placement:       gateway.Offset{Offset: 10000, Reachable: []string{"203.0.113.2"}},
		Chaos: chaos.Options{
			Switch: types.NamespacedName{Name: "breakwater-chaos"}, Files: true, MaxDuration: 24 * time.Hour,
		},
	}
}

func caseOptions(data []byte) translate.Options {
	o := testOptions()
	first, _, _ := bytes.Cut(data, []byte("\n"))
	words, _ := strings.CutPrefix(string(first), "# options:")
	if words == string(first) {
		return o
	}
	for word := range strings.FieldsSeq(words) {
		switch word {
		case "cluster":
			o.ImplicitClasses = false
		case "lookups":
			o.Chaos.Files = false
		case "default-duration":
			o.Chaos.DefaultDuration = 5 * time.Minute
		case "no-trusted-proxies":
			o.NoTrustedProxies = true
		case "share-hosts":
			o.ShareIngressHosts = true
		case "external-name":
			o.AllowExternalName = true
		case "pending":
			o.Placement = placement{lacks: "gw"}
		case "offset":
			o.Placement = gateway.Offset{Offset: 65535, Reachable: []string{"203.0.113.2"}}
		default:
			panic("unknown option " + word)
		}
	}
	return o
}
