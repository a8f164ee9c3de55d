package node

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

type podList struct {
	Items []pod
}

type pod struct {
	Metadata struct{ Name string }
	Status   struct {
		PodIP             string
		ContainerStatuses []struct {
			Ready        bool
			RestartCount int
		}
	}
}

// pods returns the pods of Breakwater.
func (n *node) breakwaters(t *testing.T) []pod {
	t.Helper()
	var list podList
	n.get(t, &list, "pods", "-n", system, "-l", "app.kubernetes.io/name=breakwater", "--field-selector=status.phase=Running")
	return list.Items
}

func TestInstallation(t *testing.T) {
	n := onNode(t)
	n.install(t)
	n.describeFailure(t, system)
	t.Run("both replicas are ready and none was restarted", func(t *testing.T) {
		pods := n.breakwaters(t)
		if len(pods) != 2 {
			t.Errorf("%d pods", len(pods))
		}
		for _, p := range pods {
			for _, c := range p.Status.ContainerStatuses {
				if !c.Ready || c.RestartCount != 0 {
					t.Errorf("%s: %+v", p.Metadata.Name, c)
				}
			}
		}
	})
	t.Run("the processes have no rights", func(t *testing.T) {
		found := 0
		for pid, status := range processes(t, "/program\x00serve") {
			found++
			for _, want := range []string{
				"Uid:\t65532\t65532\t65532\t65532", "Gid:\t65532\t65532\t65532\t65532", "CapPrm:\t0000000000000000",
				"CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2",
			} {
				if !strings.Contains(status, want+"\n") {
					t.Errorf("process %s: no %q in\n%s", pid, want, status)
				}
			}
			mounts, err := os.ReadFile(filepath.Join("/proc", pid, "mounts"))
			if err != nil {
				t.Fatal(err)
			}
			root, _, _ := strings.Cut(string(mounts), "\n")
			if fields := strings.Fields(root); len(fields) < 4 || fields[1] != "/" || !strings.HasPrefix(fields[3], "ro,") {
				t.Errorf("process %s can write its root: %s", pid, root)
			}
		}
		if found != 2 {
			t.Errorf("%d processes", found)
		}
	})
	t.Run("nothing is forbidden to it", func(t *testing.T) {
		for _, p := range n.breakwaters(t) {
			logs := n.kubectl(t, "-n", system, "logs", p.Metadata.Name)
			for line := range strings.Lines(logs) {
				// Two replicas that write the Lease at once are told so, and who writes an Event while all is being deleted.
				harmless := strings.Contains(line, "lease") || strings.Contains(line, "being terminated")
				if !harmless && (strings.Contains(line, `"ERROR"`) || strings.Contains(line, "forbidden")) {
					t.Errorf("%s logs a problem: %s", p.Metadata.Name, line)
				}
			}
		}
	})
	t.Run("the memory limit of the pod is known to it", func(t *testing.T) {
		for _, p := range n.breakwaters(t) {
			metrics := n.kubectl(t, "get", "--raw", fmt.Sprintf("/api/v1/namespaces/%s/pods/%s:9901/proxy/metrics", system, p.Metadata.Name))
			_, rest, _ := strings.Cut(metrics, "\ngo_gc_gomemlimit_bytes ")
			value, _, _ := strings.Cut(rest, "\n")
			if limit, err := strconv.ParseFloat(value, 64); err != nil || limit > 512<<20 {
				t.Errorf("go_gc_gomemlimit_bytes is %q, more than resources.limits.memory", value)
			}
		}
	})
	t.Run("one of them leads", func(t *testing.T) {
		holder := n.field(t, ".spec.holderIdentity", "-n", system, "lease", "breakwater")
		if !strings.HasPrefix(holder, "breakwater-") {
			t.Errorf("the Lease is held by %q", holder)
		}
	})
	t.Run("nothing can be changed at the admin port from outside", func(t *testing.T) {
		for _, p := range n.breakwaters(t) {
			for _, c := range []struct {
				method, path string
				status       int
			}{
				{"GET", "/readyz", 200}, {"GET", "/healthz", 200}, {"GET", "/metrics", 200}, {"GET", "/snapshot", 403},
				{"GET", "/explain?url=a/", 403}, {"GET", "/chaos", 403}, {"GET", "/report", 403}, {"POST", "/chaos/off", 403},
			} {
				fields := map[string]string{}
				if c.method == "POST" {
					fields["X-Breakwater-Admin"] = "1"
				}
				if status := ask(t, c.method, fmt.Sprintf("http://%s:9901%s", p.Status.PodIP, c.path), fields); status != c.status {
					t.Errorf("%s %s: %d, want %d", c.method, c.path, status, c.status)
				}
			}
		}
	})
}

// ask returns the status of an answer to a request with header fields.
func ask(t *testing.T, method, url string, fields map[string]string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range fields {
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	return res.StatusCode
}

// processes returns the status of the processes whose command begins so, by number.
func processes(t *testing.T, command string) map[string]string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, file := range files {
		line, _ := os.ReadFile(file) // it may have ended
		if !strings.HasPrefix(string(line), command) {
			continue
		}
		status, err := os.ReadFile(filepath.Join(filepath.Dir(file), "status"))
		if err != nil {
			t.Fatal(err)
		}
		found[filepath.Base(filepath.Dir(file))] = string(status)
	}
	return found
}
