package peer

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// kindsOf reads the manifests of a site and returns what they hold.
func kindsOf(t *testing.T, s Site) (text string, kinds []string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(s.Dir, "manifests", "bench.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for decoder := yaml.NewDecoder(strings.NewReader(string(data))); ; {
		var object map[string]any
		if decoder.Decode(&object) != nil {
			return string(data), kinds
		}
		kinds = append(kinds, object["kind"].(string))
	}
}

func TestBreakwaterGetsATCPRouteAndItsAPI(t *testing.T) {
	s := site(t)
	s.API = "127.0.0.1:18083"
	command, err := BreakwaterStream("new", "bin/breakwater").Prepare(s)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"bin/breakwater", "serve", "--manifests", filepath.Join(s.Dir, "manifests"), "--port-offset", "0", "--toxiproxy-address", "127.0.0.1:18083",
		"--ingress-http-port", "0", "--admin-address", "127.0.0.1:18081",
	}
	if !slices.Equal(command.Args, want) {
		t.Errorf("arguments %q, want %q", command.Args, want)
	}
	text, kinds := kindsOf(t, s)
	if want := []string{"Gateway", "TCPRoute", "Service", "EndpointSlice"}; !slices.Equal(kinds, want) {
		t.Errorf("kinds %q, want %q", kinds, want)
	}
	if !strings.Contains(text, "port: 18080, protocol: TCP") || !strings.Contains(text, "port: 18082, protocol: TCP") {
		t.Errorf("ports are not those of the site:\n%s", text)
	}
}

func TestBreakwaterGetsANetworkChaosBesideTheCommonJob(t *testing.T) {
	s := site(t)
	if _, err := BreakwaterChaos("new", "bin/breakwater").Prepare(s); err != nil {
		t.Fatal(err)
	}
	if _, kinds := kindsOf(t, s); !slices.Equal(kinds, []string{"IngressClass", "Ingress", "Service", "EndpointSlice", "NetworkChaos"}) {
		t.Errorf("kinds %q", kinds)
	}
}

func TestBreakwaterGetsANetworkChaosThatCanBeStopped(t *testing.T) {
	s := site(t)
	if _, err := BreakwaterGuarded("new", "bin/breakwater").Prepare(s); err != nil {
		t.Fatal(err)
	}
	text, kinds := kindsOf(t, s)
	if kinds[len(kinds)-1] != "NetworkChaos" || !strings.Contains(text, "abort: {status: 599}") || !strings.Contains(text, "guard: {") {
		t.Errorf("no guarded NetworkChaos at the end of\n%s", text)
	}
	s = site(t)
	if _, err := BreakwaterHeld("new", "bin/breakwater").Prepare(s); err != nil {
		t.Fatal(err)
	}
	text, kinds = kindsOf(t, s)
	if !slices.Equal(kinds, []string{"Gateway", "TCPRoute", "Service", "EndpointSlice", "NetworkChaos"}) || !strings.Contains(text, "{kind: TCPRoute, name: bench}") {
		t.Errorf("kinds %q in\n%s", kinds, text)
	}
}

func TestToxiproxyServesItsAPIWhereItIsTold(t *testing.T) {
	s := site(t)
	s.API = "127.0.0.1:18083"
	for _, p := range Streams("/programs") {
		if p.Name != NameToxiproxy {
			continue
		}
		command, err := p.Prepare(s)
		if want := []string{"/programs/toxiproxy", "-host", "127.0.0.1", "-port", "18083"}; err != nil || !slices.Equal(command.Args, want) {
			t.Errorf("arguments %q, %v; want %q", command.Args, err, want)
		}
		return
	}
	t.Error("no Toxiproxy")
}
