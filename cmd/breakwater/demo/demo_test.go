package demo_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"go.uber.org/goleak"

	"github.com/breakwater-gateway/breakwater/cmd/breakwater/demo"
	"github.com/breakwater-gateway/breakwater/controllers/view"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStart(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	d, err := demo.Start("")
	if err != nil {
		t.Fatal(err)
	}
	v, problems := view.FromFiles(d.Dir)
	for _, p := range problems {
		t.Errorf("a sample manifest is wrong: %s", p)
	}
	if len(v.Ingresses) != 1 || len(v.Gateways) != 2 || len(v.HTTPRoutes) != 1 || len(v.TCPRoutes) != 1 || len(v.NetworkChaos) != 2 || len(v.Services) != 5 {
		t.Errorf("%d Ingresses, %d Gateways, %d HTTPRoutes, %d TCPRoutes, %d NetworkChaos, %d Services",
			len(v.Ingresses), len(v.Gateways), len(v.HTTPRoutes), len(v.TCPRoutes), len(v.NetworkChaos), len(v.Services))
	}
	slices := 0
	for service, of := range v.EndpointSlices {
		if v.Services[service] == nil {
			t.Errorf("endpoints for %s, which is no Service", service)
		}
		slices += len(of)
	}
	if slices != len(d.Replicas) || slices != 7 {
		t.Errorf("%d EndpointSlices for %d replicas", slices, len(d.Replicas))
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for _, r := range d.Replicas {
		if r.Service == "db" {
			if got := ask(t, r, "select 1"); got != r.Name+": select 1\n" {
				t.Errorf("%s answers %q", r.Name, got)
			}
			continue
		}
		res, err := client.Get("http://" + r.Address.String() + "/")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		if err != nil || !strings.HasPrefix(string(body), "Name: "+r.Name+"\n") {
			t.Errorf("%s answers %q, %v", r.Name, body, err)
		}
		if err := res.Body.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(d.Dir); !os.IsNotExist(err) {
		t.Errorf("the temporary folder is left behind: %v", err)
	}
}

// ask sends a line to the demo's database and returns the line that comes back.
func ask(t *testing.T, r demo.Replica, line string) string {
	t.Helper()
	nc, err := net.Dial("tcp", r.Address.String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if _, err := io.WriteString(nc, line+"\n"); err != nil {
		t.Fatal(err)
	}
	answer, err := bufio.NewReader(nc).ReadString('\n')
	if err != nil {
		t.Error(err)
	}
	return answer
}

func TestOwnFolderIsKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "folder")
	d, err := demo.Start(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	mine := filepath.Join(dir, "20-shop.yaml")
	if err := os.WriteFile(mine, []byte("# mine\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(filepath.Join(dir, demo.EndpointsFile))
	if err != nil {
		t.Fatal(err)
	}
	if d, err = demo.Start(dir); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}()
	if content, err := os.ReadFile(mine); err != nil || string(content) != "# mine\n" {
		t.Errorf("the user's file is now %q, %v", content, err)
	}
	if after, err := os.ReadFile(filepath.Join(dir, demo.EndpointsFile)); err != nil || bytes.Equal(before, after) {
		t.Errorf("the endpoints are not written anew: %v", err)
	}
}

func TestStartSaysWhatFailed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := demo.Start(file); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("got %v, want an error that names %s", err, file)
	}
}

func TestGuide(t *testing.T) {
	g := demo.Guide{Program: "bin/breakwater", Dir: "/tmp/d", IngressPort: 8080, GatewayPort: 10080, DBPort: 15432, Admin: "127.0.0.1:9901", Toxiproxy: "127.0.0.1:8475", Notes: []string{"port 8081 is taken"}}
	var plain, colored strings.Builder
	if err := g.Write(&plain); err != nil {
		t.Fatal(err)
	}
	g.Color = true
	if err := g.Write(&colored); err != nil {
		t.Fatal(err)
	}
	text := plain.String()
	for _, want := range []string{"http://hello.localhost:8080", "http://shop.localhost:10080", "http://127.0.0.1:9901", "/tmp/d", "port 8081 is taken", "nc localhost 15432",
		"TOXIPROXY_URL=http://127.0.0.1:8475", " bin/breakwater report "} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q", want)
		}
	}
	if strings.Contains(text, "\x1b") || !strings.Contains(colored.String(), "\x1b[1m") {
		t.Error("colours do not follow the option")
	}
	if strings.Contains(text, "'") {
		t.Error("single quotes mean nothing to some shells")
	}
	column := -1
	for line := range strings.Lines(text) {
		if utf8.RuneCountInString(line) > 81 {
			t.Errorf("too wide for a terminal: %q", line)
		}
		if i := strings.Index(line, "  # "); i >= 0 {
			if column < 0 {
				column = i
			}
			if strings.Contains(line, "localhost:8080") && i != column {
				t.Errorf("not aligned: %q", line)
			}
		}
	}
}
