package apiserver

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/breakwater-gateway/breakwater/test/bench/scale"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const kubeconfig = `apiVersion: v1
kind: Config
current-context: two
contexts:
- {name: one, context: {cluster: one, user: one}}
- {name: two, context: {cluster: near, user: admin}}
clusters:
- {name: one, cluster: {server: "https://far:1", certificate-authority: /far.crt}}
- {name: near, cluster: {server: "https://127.0.0.1:2", certificate-authority: /ca.crt}}
users:
- {name: one, user: {client-certificate: /one.crt, client-key: /one.key}}
- {name: admin, user: {client-certificate: /admin.crt, client-key: /admin.key}}
`

func TestKubeconfigIsReadAtItsCurrentContext(t *testing.T) {
	got, err := parseKubeconfig([]byte(kubeconfig))
	if want := (access{"https://127.0.0.1:2", "/ca.crt", "/admin.crt", "/admin.key"}); err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	for _, remove := range []string{"current-context: two", "user: admin", "cluster: near", "client-key: /admin.key", "certificate-authority: /ca.crt"} {
		if got, err := parseKubeconfig([]byte(strings.Replace(kubeconfig, remove, "other: none", 1))); err == nil {
			t.Errorf("without %q it gives %+v and no error", remove, got)
		}
	}
	if _, err := parseKubeconfig([]byte("{")); err == nil {
		t.Error("what is no YAML is accepted")
	}
}

func FuzzParseKubeconfig(f *testing.F) {
	f.Add([]byte(kubeconfig))
	f.Add([]byte("contexts: 1"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if a, err := parseKubeconfig(text); err == nil && (a.server == "" || a.key == "") {
			t.Errorf("incomplete %+v and no error", a)
		}
	})
}

// store is an API server that keeps what is written; a name in refused cannot be created.
type store struct {
	mu      sync.Mutex
	objects map[string]map[string]any // guarded by mu
	refused string
}

func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Method == http.MethodGet {
		fmt.Fprint(w, `{"items":[{"status":{"loadBalancer":{"ingress":[{"ip":"1.2.3.4"}]}}},{"status":{"loadBalancer":{}}},{}]}`)
		return
	}
	var object map[string]any
	if err := json.NewDecoder(r.Body).Decode(&object); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	path := r.URL.Path
	if r.Method == http.MethodPatch {
		if r.Header.Get("Content-Type") != "application/merge-patch+json" || s.objects[path] == nil {
			http.Error(w, "no such object", http.StatusNotFound)
			return
		}
		for key, value := range object {
			s.objects[path][key] = value
		}
		return
	}
	path += "/" + fmt.Sprint(object["metadata"].(map[string]any)["name"])
	switch {
	case s.objects[path] != nil:
		http.Error(w, "is there", http.StatusConflict)
	case s.refused != "" && strings.HasSuffix(path, s.refused):
		http.Error(w, "refused", http.StatusForbidden)
	default:
		s.objects[path] = object
		w.WriteHeader(http.StatusCreated)
	}
}

func (s *store) text(path string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return fmt.Sprint(s.objects[path])
}

func newStore(t *testing.T) (*store, *Client) {
	t.Helper()
	s := &store{objects: map[string]map[string]any{}}
	server := httptest.NewServer(s)
	c := &Client{url: server.URL}
	c.http.Transport = &http.Transport{}
	t.Cleanup(func() { c.Close(); server.Close() })
	return s, c
}

func TestSetGrowsAndIsEdited(t *testing.T) {
	s, c := newStore(t)
	set := &Set{PerService: 10, Endpoints: [2]string{"192.0.2.1:81", "192.0.2.1:82"}}
	for _, want := range []struct{ hosts, services, objects int }{{5, 1, 2 + 5 + 2}, {25, 3, 2 + 25 + 6}, {7, 3, 2 + 25 + 6}} {
		if err := set.Grow(t.Context(), c, want.hosts); err != nil {
			t.Fatal(err)
		}
		if set.Services() != want.services || len(s.objects) != want.objects {
			t.Errorf("at %d hosts: %d Services, %d objects; want %d, %d", want.hosts, set.Services(), len(s.objects), want.services, want.objects)
		}
	}
	h24, s1 := string(Ingress)+"/h24", string(EndpointSlice)+"/s1-1"
	for _, want := range []string{"host:h24.bench.example.com", "name:s2", "ingressClassName:breakwater", "path:/small pathType:Prefix"} {
		if text := s.text(h24); !strings.Contains(text, want) {
			t.Errorf("no %q in %s", want, text)
		}
	}
	for _, want := range []string{"kubernetes.io/service-name:s1", "port:81", "192.0.2.1"} {
		if text := s.text(s1); !strings.Contains(text, want) {
			t.Errorf("no %q in %s", want, text)
		}
	}

	path, object, change := set.AddPath(24)
	if err := c.Patch(t.Context(), object, change); err != nil {
		t.Fatal(err)
	}
	if text := s.text(h24); !strings.Contains(text, "path:"+path+" pathType:Exact") || !strings.Contains(text, "path:/small") {
		t.Errorf("after the edit: %s", text)
	}
	if again, _, _ := set.AddPath(3); again == path {
		t.Errorf("%s is given twice", path)
	}
	for _, want := range []int{1, 0, 1} {
		now, object, change := set.Swap(1)
		if err := c.Patch(t.Context(), object, change); err != nil {
			t.Fatal(err)
		}
		if text := s.text(s1); now != want || !strings.Contains(text, fmt.Sprint("port:", 81+want)) {
			t.Errorf("swap gives %d, want %d: %s", now, want, text)
		}
	}
}

func TestGrowSaysWhatFails(t *testing.T) {
	s, c := newStore(t)
	s.refused = "h17"
	err := (&Set{PerService: 10}).Grow(t.Context(), c, 10_000)
	if status := statusError(0); !errors.As(err, &status) || status != http.StatusForbidden {
		t.Errorf("error %v, want that of the object", err)
	}
}

func TestStatusesAreCounted(t *testing.T) {
	_, c := newStore(t)
	if n, err := c.WithStatus(t.Context()); n != 1 || err != nil {
		t.Errorf("%d, %v; want 1", n, err)
	}
}

func TestClientIdentifiesItself(t *testing.T) {
	server := httptest.NewTLSServer(&store{objects: map[string]map[string]any{}})
	defer server.Close()
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca.crt")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(strings.ReplaceAll(kubeconfig, "https://127.0.0.1:2", server.URL), "/ca.crt", ca)
	file := filepath.Join(dir, "kubeconfig")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := NewClient(file); err == nil {
		c.Close()
		t.Error("a client without its certificate")
	}
}

// TestEditIsTimed has a write that the proxy serves before the writer has its answer, and one that it serves later.
func TestEditIsTimed(t *testing.T) {
	question := scale.Question{Host: "h", Path: "/", Live: func(_ int, body string) bool { return body == "new" }}
	for _, early := range []bool{true, false} {
		var written atomic.Bool
		served := make(chan struct{})
		var questions atomic.Int64 // since then
		proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if !written.Load() {
				return
			}
			n := questions.Add(1)
			if n > 2 {
				fmt.Fprint(w, "new")
			}
			if n == 3 {
				close(served)
			}
		}))
		client := scale.NewClient(strings.TrimPrefix(proxy.URL, "http://"))
		write := func(context.Context) error {
			written.Store(true)
			if early {
				<-served
			}
			return nil
		}
		edit, err := TimeEdit(t.Context(), client, write, question)
		if err != nil || edit.Live <= 0 || edit.Write <= 0 || edit.Unsure <= 0 || edit.Unsure > edit.Live {
			t.Errorf("early %v: %+v, %v", early, edit, err)
		}
		if _, err := TimeEdit(t.Context(), client, write, question); err == nil {
			t.Error("an edit that is live before it is made has a time")
		}
		client.Close()
		proxy.Close()
	}
	if got := (Edit{Write: 5 * time.Millisecond, Live: 3 * time.Millisecond}).AfterWrite(); got != -2*time.Millisecond {
		t.Errorf("an edit that was live 2 ms before the answer is live %v after it", got)
	}
}

func TestFailedWriteEndsTheWait(t *testing.T) {
	proxy := httptest.NewServer(http.NotFoundHandler())
	defer proxy.Close()
	client := scale.NewClient(strings.TrimPrefix(proxy.URL, "http://"))
	defer client.Close()
	refused := errors.New("refused")
	question := scale.Question{Host: "h", Path: "/", Live: func(status int, _ string) bool { return status == 200 }}
	if _, err := TimeEdit(t.Context(), client, func(context.Context) error { return refused }, question); !errors.Is(err, refused) {
		t.Errorf("error %v, want that of the write", err)
	}
}

// TestEditIsLiveWhenItsRequestReachesTheBackend has a proxy whose answers take much longer than the way to the backend.
func TestEditIsLiveWhenItsRequestReachesTheBackend(t *testing.T) {
	const late = 200 * time.Millisecond
	var written atomic.Bool
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set(scale.Received, strconv.FormatInt(time.Now().UnixNano(), 10))
		if written.Load() {
			time.Sleep(late)
			fmt.Fprint(w, "new")
		}
	}))
	defer proxy.Close()
	client := scale.NewClient(strings.TrimPrefix(proxy.URL, "http://"))
	defer client.Close()
	begin := time.Now()
	edit, err := TimeEdit(t.Context(), client, func(context.Context) error {
		written.Store(true)
		return nil
	}, scale.Question{Host: "h", Path: "/", Live: func(_ int, body string) bool { return body == "new" }})
	if took := time.Since(begin); err != nil || edit.Live > took-late+time.Millisecond {
		t.Errorf("live after %v, %v; the answer took %v more of %v", edit.Live, err, late, took)
	}
}

// TestUnsureIsTheTimeSinceTheLastOldAnswer is about questions whose answers come in another order.
func TestUnsureIsTheTimeSinceTheLastOldAnswer(t *testing.T) {
	at := func(ms int) time.Time { return time.UnixMilli(int64(ms)) }
	s := sight{old: at(0)}
	s.add(at(5), scale.Answer{Received: at(6)}, false)
	s.add(at(8), scale.Answer{Received: at(20)}, true)
	s.add(at(9), scale.Answer{Received: at(11)}, true)
	s.add(at(7), scale.Answer{Received: at(30)}, false)
	s.add(at(3), scale.Answer{Received: at(31)}, false)
	if s.old != at(7) || s.live != at(11) {
		t.Errorf("old until %v, live at %v; want 7 ms and 11 ms", s.old, s.live)
	}
}
