package peer

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.yaml.in/yaml/v3"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func site(t *testing.T) Site {
	t.Helper()
	return Site{Listen: "127.0.0.1:18080", Admin: "127.0.0.1:18081", Backend: "127.0.0.1:18082", Dir: t.TempDir(), Files: 4096}
}

func TestNginxAndHAProxyAcceptTheirConfiguration(t *testing.T) {
	check := map[string][]string{"nginx": {"-t"}, "haproxy": {"-c"}}
	many := Hosts{Names: []string{"a.example.com", "b.example.com", "c.example.com"}, Path: "/small", PerBackend: 2}
	debian := Debian()
	for _, p := range Streams("/bin") {
		if check[p.Name] != nil {
			debian = append(debian, p)
		}
	}
	for _, p := range debian {
		t.Run(p.Name, func(t *testing.T) {
			if p.Missing != "" {
				t.Skip(p.Missing)
			}
			if p.Version == "" {
				t.Error("no version found")
			}
			prepared := []func(Site) (Command, error){p.Prepare}
			if p.PrepareMany != nil {
				prepared = append(prepared, func(s Site) (Command, error) { return p.PrepareMany(s, many) })
			}
			for _, prepare := range prepared {
				command, err := prepare(site(t))
				if err != nil {
					t.Fatal(err)
				}
				args := append(command.Args[1:], check[p.Name]...)
				if out, err := exec.Command(command.Args[0], args...).CombinedOutput(); err != nil {
					t.Errorf("%v: %v\n%s", args, err, out)
				}
			}
		})
	}
}

func TestCaddyConfigurationNamesTheBackend(t *testing.T) {
	command, err := prepareCaddy("/bin", site(t))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(command.Args[3])
	if err != nil {
		t.Fatal(err)
	}
	if !json.Valid(text) || !strings.Contains(string(text), `"dial": "127.0.0.1:18082"`) {
		t.Errorf("configuration:\n%s", text)
	}
}

func TestBreakwaterGetsManifestsAndServeFlags(t *testing.T) {
	s := site(t)
	command, err := Breakwater("new", "wrapper --flag bin/breakwater").Prepare(s)
	if err != nil {
		t.Fatal(err)
	}
	manifests := filepath.Join(s.Dir, "manifests")
	want := []string{"wrapper", "--flag", "bin/breakwater", "serve", "--manifests", manifests, "--ingress-http-port", "18080", "--admin-address", "127.0.0.1:18081"}
	if !slices.Equal(command.Args, want) {
		t.Errorf("arguments %q, want %q", command.Args, want)
	}
	text, err := os.ReadFile(filepath.Join(manifests, "bench.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	kinds := []string{}
	for decoder := yaml.NewDecoder(strings.NewReader(string(text))); ; {
		var object map[string]any
		if decoder.Decode(&object) != nil {
			break
		}
		kinds = append(kinds, object["kind"].(string))
	}
	if want := []string{"IngressClass", "Ingress", "Service", "EndpointSlice"}; !slices.Equal(kinds, want) {
		t.Errorf("kinds %q, want %q", kinds, want)
	}
}

func TestStopEndsTheWholeGroupEvenIfItIgnoresSIGTERM(t *testing.T) {
	dir := t.TempDir()
	child := filepath.Join(dir, "child")
	script := "trap '' TERM; sh -c 'trap \"\" TERM; echo $$ > " + child + ".new; mv " + child + ".new " + child + "; read line <&3' 3<>" + filepath.Join(dir, "fifo") + " & wait; wait"
	if err := syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := Start("stubborn", Command{Args: []string{"sh", "-c", script}}, dir)
	if err != nil {
		t.Fatal(err)
	}
	var text []byte
	err = p.Ready(t.Context(), 20*time.Second, func(context.Context) (err error) {
		text, err = os.ReadFile(child)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	p.Stop()
	id, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); running(id); {
		if time.Now().After(deadline) {
			t.Fatalf("child %d outlived its group", id)
		}
	}
}

// running tells whether a process exists and is no zombie that waits for whoever adopted it.
func running(id int) bool {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(id) + "/stat")
	return err == nil && !strings.Contains(string(text), ") Z ")
}

func TestReadyTellsWhyAProcessEnded(t *testing.T) {
	p, err := Start("failing", Command{Args: []string{"sh", "-c", "echo no such thing >&2; exit 3"}}, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	err = p.Ready(t.Context(), 20*time.Second, func(context.Context) error { return errors.New("not yet") })
	if err == nil || !strings.Contains(err.Error(), "no such thing") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("error %v", err)
	}
	p.Stop()
}

func TestStartOfAMissingProgramIsAnError(t *testing.T) {
	if _, err := Start("missing", Command{Args: []string{"/nonexistent"}}, t.TempDir()); err == nil {
		t.Error("no error")
	}
}

func TestGetWantsStatus200(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != "h" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte("body"))
	}))
	defer server.Close()
	address := server.Listener.Addr().String()
	if body, err := Get(t.Context(), address, "h", "/"); err != nil || body != "body" {
		t.Errorf("Get = %q, %v", body, err)
	}
	if _, err := Get(t.Context(), address, "other", "/"); err == nil {
		t.Error("404 is no error")
	}
}

func TestControlSaysThatItIsNoPageOfABrowser(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.Header.Get("X-Breakwater-Admin") != "1" || r.URL.Path != "/chaos/off" {
			http.Error(w, "no such control", http.StatusForbidden)
		}
	}))
	defer server.Close()
	address := server.Listener.Addr().String()
	if err := Control(t.Context(), address, "/chaos/off"); err != nil {
		t.Error(err)
	}
	if err := Control(t.Context(), address, "/other"); err == nil || !strings.Contains(err.Error(), "no such control") {
		t.Errorf("error %v, want what the endpoint says", err)
	}
}

func TestAMissingPackageIsNamed(t *testing.T) {
	if p := debian(Peer{Name: "no-such-proxy"}, "-v"); !strings.Contains(p.Missing, "apt-get install no-such-proxy") {
		t.Errorf("Missing = %q", p.Missing)
	}
}
