package node

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// kubectl runs kubectl as the administrator and returns what it prints. It must succeed.
func (n *node) kubectl(t *testing.T, args ...string) string {
	t.Helper()
	return n.feed(t, "", args...)
}

// feed is kubectl with an input.
func (n *node) feed(t *testing.T, input string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out, err := n.run(ctx, input, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// get reads an object, or a list of them.
func (n *node) get(t *testing.T, into any, args ...string) {
	t.Helper()
	out := n.kubectl(t, append([]string{"get", "-o", "json"}, args...)...)
	if err := json.Unmarshal([]byte(out), into); err != nil {
		t.Fatalf("%s: %v", args, err)
	}
}

// field returns one field of an object as text.
func (n *node) field(t *testing.T, path string, object ...string) string {
	t.Helper()
	return n.kubectl(t, append([]string{"get", "-o", "jsonpath={" + path + "}"}, object...)...)
}

// eventually calls check until it returns nil and returns how long that took.
func eventually(t *testing.T, what string, check func() error) time.Duration {
	t.Helper()
	began := time.Now()
	deadline := began.Add(patience)
	for {
		err := check()
		if err == nil {
			return time.Since(began)
		}
		if time.Now().After(deadline) {
			t.Fatalf("wait for %s: %v", what, err)
		}
		select {
		case died := <-cluster.died:
			t.Fatal(died)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// namespace makes a namespace with everything in config/samples, whose pods are ready when it returns.
func (n *node) namespace(t *testing.T, name string) string {
	t.Helper()
	n.install(t)
	n.kubectl(t, "create", "namespace", name)
	t.Cleanup(func() {
		if !*hold {
			if err := n.try("delete", "namespace", name); err != nil { // waits, since the next one has an Ingress of the same host
				t.Error(err)
			}
		}
	})
	n.describeFailure(t, name)
	n.kubectl(t, "-n", name, "apply", "-k", "overlay/samples")
	n.kubectl(t, "-n", name, "rollout", "status", "deployment/whoami", "--timeout=120s")
	return name
}

// describeFailure prints what helps to understand, if the test fails.
func (n *node) describeFailure(t *testing.T, namespace string) {
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		for _, args := range [][]string{
			{"get", "pods", "-A", "-o", "wide"},
			{"-n", namespace, "get", "events", "--sort-by=.lastTimestamp"},
			{"-n", system, "get", "events", "--sort-by=.lastTimestamp"},
			{"-n", system, "logs", "-l", "app.kubernetes.io/name=breakwater", "--tail=40", "--prefix"},
		} {
			out, err := n.run(context.Background(), "", args...)
			t.Logf("kubectl %s (%v):\n%s", strings.Join(args, " "), err, out)
		}
	})
}

var installed sync.Once

// system is the namespace that config/ puts Breakwater into.
const system = "breakwater-system"

// loadBalancer is the address that the installation's Service gets, as a load balancer would give it. kube-proxy serves it.
const loadBalancer = "10.98.0.1"

// install installs Breakwater, once, and Gateway API after it is ready: it has to pick that up.
func (n *node) install(t *testing.T) {
	t.Helper()
	installed.Do(func() {
		n.describeFailure(t, system)
		began := time.Now()
		t.Logf("kubectl apply -k: \n%s", n.kubectl(t, "apply", "-k", "overlay/breakwater"))
		n.kubectl(t, "-n", system, "rollout", "status", "deployment/breakwater", "--timeout=180s")
		t.Logf("Breakwater was ready after %s", time.Since(began).Round(time.Millisecond))
		n.balance(t, system, "breakwater", loadBalancer)
		n.kubectl(t, "apply", "--server-side", "-f", gatewayAPI(t))
		n.kubectl(t, "apply", "-k", "../../config/gateway-api")
		n.kubectl(t, "wait", "--for=condition=Accepted", "gatewayclass/breakwater", "--timeout=60s")
	})
}

// gatewayAPI returns the folder with the standard channel of the release of Gateway API that the product's go.mod names.
func gatewayAPI(t *testing.T) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/gateway-api")
	cmd.Dir, cmd.Env = "../..", append(os.Environ(), "GOPROXY=off")
	dir, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(strings.TrimSpace(string(dir)), "config/crd/standard")
}

// balance gives a Service of type LoadBalancer its address.
func (n *node) balance(t *testing.T, namespace, service, address string) {
	t.Helper()
	n.kubectl(t, "-n", namespace, "patch", "service", service, "--subresource=status", "--type=merge",
		"-p", fmt.Sprintf(`{"status":{"loadBalancer":{"ingress":[{"ip":%q}]}}}`, address))
}

// clusterIP returns the address of a Service, with its port.
func (n *node) clusterIP(t *testing.T, namespace, service string) string {
	t.Helper()
	return n.field(t, ".spec.clusterIP", "-n", namespace, "service", service) + ":80"
}
