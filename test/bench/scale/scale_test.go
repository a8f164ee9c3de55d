package scale

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.yaml.in/yaml/v3"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var layout = Layout{Hosts: 25, PerService: 10, PerFile: 7, Endpoints: [2]string{"127.0.0.1:81", "127.0.0.1:82"}}

// objects reads all manifests: "Kind/name" to the object, and how many files there are.
func objects(t *testing.T, dir string) (map[string]map[string]any, int) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]map[string]any{}
	for _, path := range paths {
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		for decoder := yaml.NewDecoder(file); ; {
			var object map[string]any
			if err := decoder.Decode(&object); err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			name := fmt.Sprint(object["kind"], "/", object["metadata"].(map[string]any)["name"])
			if all[name] != nil {
				t.Errorf("%s is there twice", name)
			}
			all[name] = object
		}
	}
	return all, len(paths)
}

func TestManifestsHoldEveryObjectOnce(t *testing.T) {
	set, err := Write(layout, filepath.Join(t.TempDir(), "m"))
	if err != nil {
		t.Fatal(err)
	}
	all, files := objects(t, set.Dir())
	if want := 1 + 25 + 2*3; len(all) != want || files != 5 || set.Services() != 3 || set.Files() != 5 {
		t.Errorf("%d objects in %d files (Files %d), %d services; want %d in 5, 3", len(all), files, set.Files(), set.Services(), want)
	}
	text := fmt.Sprint(all["Ingress/h24"])
	if !strings.Contains(text, "host:h24.bench.example.com") || !strings.Contains(text, "name:s2") {
		t.Errorf("Ingress h24 is %s", text)
	}
	if text := fmt.Sprint(all["EndpointSlice/s1-1"]); !strings.Contains(text, "port:81") || !strings.Contains(text, "kubernetes.io/service-name:s1") {
		t.Errorf("EndpointSlice s1-1 is %s", text)
	}
}

func TestOneServiceCanBeBehindAllHosts(t *testing.T) {
	one := layout
	one.PerService = one.Hosts
	set, err := Write(one, filepath.Join(t.TempDir(), "m"))
	if err != nil {
		t.Fatal(err)
	}
	all, _ := objects(t, set.Dir())
	if set.Services() != 1 || len(all) != 1+25+2 || !strings.Contains(fmt.Sprint(all["Ingress/h24"]), "name:s0") {
		t.Errorf("%d services, %d objects, Ingress h24 is %v", set.Services(), len(all), all["Ingress/h24"])
	}
}

func TestAnEditChangesOneObjectAtTheMomentOfTheReplacement(t *testing.T) {
	set, err := Write(layout, filepath.Join(t.TempDir(), "m"))
	if err != nil {
		t.Fatal(err)
	}
	now, swap, err := set.Swap(1)
	if err != nil || now != 1 {
		t.Fatalf("Swap = %d, %v; want 1", now, err)
	}
	addPath, err := set.AddPath(24, "/edit-1")
	if err != nil {
		t.Fatal(err)
	}
	before, _ := objects(t, set.Dir())
	edits := []struct {
		replace func() error
		object  string
		holds   string
	}{{swap, "EndpointSlice/s1-1", "port:82"}, {addPath, "Ingress/h24", "path:/edit-1 pathType:Exact"}}
	for _, edit := range edits {
		if err := edit.replace(); err != nil {
			t.Fatal(err)
		}
		after, _ := objects(t, set.Dir())
		for name := range after {
			if changed := fmt.Sprint(before[name]) != fmt.Sprint(after[name]); changed != (name == edit.object) {
				t.Errorf("edit of %s: %s changed is %v", edit.object, name, changed)
			}
		}
		if !strings.Contains(fmt.Sprint(after[edit.object]), edit.holds) {
			t.Errorf("%s does not hold %q: %v", edit.object, edit.holds, after[edit.object])
		}
		before = after
	}
	if now, _, err := set.Swap(1); err != nil || now != 0 {
		t.Errorf("second Swap = %d, %v; want 0", now, err)
	}
}

func TestEveryObjectCanBeEdited(t *testing.T) {
	set, err := Write(layout, filepath.Join(t.TempDir(), "m"))
	if err != nil {
		t.Fatal(err)
	}
	for host := range layout.Hosts {
		replace, err := set.AddPath(host, "/new")
		if err != nil {
			t.Fatal(err)
		}
		if err := replace(); err != nil {
			t.Fatal(err)
		}
		all, _ := objects(t, set.Dir())
		if name := fmt.Sprint("Ingress/h", host); !strings.Contains(fmt.Sprint(all[name]), "path:/new") {
			t.Errorf("%s was not edited", name)
		}
	}
	for service := range set.Services() {
		_, replace, err := set.Swap(service)
		if err != nil {
			t.Fatal(err)
		}
		if err := replace(); err != nil {
			t.Fatal(err)
		}
		all, _ := objects(t, set.Dir())
		if name := fmt.Sprintf("EndpointSlice/s%d-1", service); !strings.Contains(fmt.Sprint(all[name]), "port:82") {
			t.Errorf("%s was not edited", name)
		}
	}
}

const exposition = `# HELP breakwater_snapshot_apply_duration_seconds Time.
breakwater_snapshot_apply_duration_seconds_bucket{le="0.1"} 2
breakwater_snapshot_apply_duration_seconds_sum 0.5
breakwater_snapshot_apply_duration_seconds_count 2
breakwater_build_seconds{kind="a b",x="}"} 0.25
breakwater_config_read_seconds{quantile="0.5"} 9
breakwater_config_read_seconds_sum{} 1 1700000000
breakwater_config_read_seconds_count{} 4
breakwater_snapshot_last_applied_timestamp_seconds 1.7e9
breakwater_route_request_duration_seconds_sum 3
breakwater_backend_response_head_seconds_sum 3
go_gc_duration_seconds_sum 7
breakwater_build_broken_seconds{ 1
breakwater_build_nan_seconds NaN
`

func TestDurationsAreReadFromTheExposition(t *testing.T) {
	want := Durations{
		"breakwater_snapshot_apply_duration_seconds": {Sum: 0.5, Count: 2},
		`breakwater_build_seconds{kind="a b",x="}"}`: {Sum: 0.25, Gauge: true},
		"breakwater_config_read_seconds{}":           {Sum: 1, Count: 4},
	}
	got := ParseDurations(exposition)
	if !maps.Equal(got, want) {
		t.Errorf("ParseDurations = %v, want %v", got, want)
	}
}

func TestSinceGivesTheMeanOfNewObservations(t *testing.T) {
	earlier := Durations{"h": {Sum: 1, Count: 2}, "same": {Sum: 1, Count: 1}, "g": {Sum: 3, Gauge: true}, "still": {Sum: 4, Gauge: true}}
	now := Durations{"h": {Sum: 4, Count: 4}, "same": {Sum: 1, Count: 1}, "g": {Sum: 5, Gauge: true}, "still": {Sum: 4, Gauge: true}, "new": {Sum: 6, Count: 3}}
	want := map[string]float64{"h": 1.5, "g": 5, "new": 2}
	if got := now.Since(earlier); !maps.Equal(got, want) {
		t.Errorf("Since = %v, want %v", got, want)
	}
}

func FuzzParseDurations(f *testing.F) {
	f.Add(exposition)
	f.Fuzz(func(t *testing.T, text string) {
		for name := range ParseDurations(text) {
			if !strings.HasPrefix(name, "breakwater_") {
				t.Errorf("took %q", name)
			}
		}
	})
}

// server answers 404 until live is set, and then "new".
func server(t *testing.T, live *atomic.Bool) *Client {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != "h" || r.URL.Path != "/p" || !live.Load() {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, "new")
	}))
	client := NewClient(s.Listener.Addr().String())
	t.Cleanup(func() {
		client.Close()
		s.Close()
	})
	return client
}

var question = Question{Host: "h", Path: "/p", Live: func(status int, body string) bool { return status == 200 && body == "new" }}

func TestTimeEditLastsUntilTheNewAnswer(t *testing.T) {
	const delay = 20 * time.Millisecond
	var live atomic.Bool
	var timer *time.Timer
	took, err := server(t, &live).TimeEdit(t.Context(), func() error {
		timer = time.AfterFunc(delay, func() { live.Store(true) })
		return nil
	}, question)
	if err != nil || took < delay {
		t.Errorf("TimeEdit = %v, %v; want at least %v", took, err, delay)
	}
	timer.Stop()
}

func TestTimeEditRefusesAnAnswerThatProvesNothing(t *testing.T) {
	var live atomic.Bool
	live.Store(true)
	edited := false
	_, err := server(t, &live).TimeEdit(t.Context(), func() error { edited = true; return nil }, question)
	if err == nil || edited {
		t.Errorf("error %v, edited %v; want an error before the edit", err, edited)
	}
}

func TestTimeEditEndsWithItsContext(t *testing.T) {
	var live atomic.Bool
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := server(t, &live).TimeEdit(ctx, func() error { cancel(); return nil }, question); err == nil {
		t.Error("no error")
	}
}
