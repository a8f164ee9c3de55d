package node

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// A Deployment behind Breakwater is changed while requests go on: none may fail.
func TestRollingWhoami(t *testing.T) {
	n := onNode(t)
	ns := n.namespace(t, "rolling")
	address := n.clusterIP(t, system, "breakwater")
	n.awaitRoute(t, address)
	const pods = "app.kubernetes.io/name=whoami"
	for _, c := range []struct {
		name  string
		steps []string
	}{
		{"one pod is deleted", []string{"delete pod --wait=false " + n.field(t, ".items[0].metadata.name", "-n", ns, "pods", "-l", pods)}},
		{"more and fewer replicas", []string{
			"scale deployment/whoami --replicas=4", "scale deployment/whoami --replicas=1", "scale deployment/whoami --replicas=2",
		}},
		{"all pods are replaced", []string{"rollout restart deployment/whoami"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := startLoad(address, host)
			time.Sleep(2 * time.Second) // of undisturbed requests
			for _, step := range c.steps {
				n.kubectl(t, append([]string{"-n", ns}, strings.Fields(step)...)...)
				n.settled(t, ns, "whoami", pods)
			}
			time.Sleep(2 * time.Second)
			l.stop(t)
			t.Logf("%d pods answered", len(l.pods))
		})
	}
}

// Breakwater itself is replaced, pod by pod, while requests go on: by the installation's Service, and by a Gateway's own, whose
// endpoints Breakwater itself writes, though the replica that does is among those replaced.
func TestRollingBreakwater(t *testing.T) {
	n := onNode(t)
	ns := n.namespace(t, "self")
	addresses := map[string]string{
		"Ingress": n.clusterIP(t, system, "breakwater"), "Gateway": n.clusterIP(t, ns, n.gatewayService(t, ns, "web")),
	}
	loads := map[string]*load{}
	for name, address := range addresses {
		n.awaitRoute(t, address)
		loads[name] = startLoad(address, host)
	}
	time.Sleep(2 * time.Second)
	began := time.Now()
	n.kubectl(t, "-n", system, "rollout", "restart", "deployment/breakwater")
	n.settled(t, system, "breakwater", "app.kubernetes.io/name=breakwater")
	t.Logf("it took %s", time.Since(began).Round(time.Second))
	time.Sleep(2 * time.Second)
	for name, l := range loads {
		t.Run(name, l.stop)
	}
	n.kubectl(t, "-n", ns, "create", "ingress", "late", "--class=breakwater", "--rule=late.example.com/*=whoami:80")
	after := eventually(t, "somebody who writes statuses", func() error {
		if got := n.field(t, ".status.loadBalancer.ingress[*].ip", "-n", ns, "ingress/late"); got != loadBalancer {
			return fmt.Errorf("the address of a new Ingress is %q", got)
		}
		return nil
	})
	t.Logf("a new Ingress had its address after %s", after.Round(time.Millisecond))
}

// awaitRoute waits until the samples' host is served.
func (n *node) awaitRoute(t *testing.T, address string) {
	t.Helper()
	eventually(t, "the route", func() error {
		status, answer, err := (&client{address: address, host: host, fresh: true}).do("GET", "/api", "")
		if err == nil && status != 200 {
			err = fmt.Errorf("%d %s", status, answer)
		}
		return err
	})
}

// settled waits until a Deployment has the pods it wants and all others have ended.
func (n *node) settled(t *testing.T, namespace, deployment, selector string) {
	t.Helper()
	n.kubectl(t, "-n", namespace, "rollout", "status", "deployment/"+deployment, "--timeout=170s")
	want := n.field(t, ".spec.replicas", "-n", namespace, "deployment", deployment)
	eventually(t, "the end of old pods", func() error {
		var list podList
		n.get(t, &list, "-n", namespace, "pods", "-l", selector)
		if got := fmt.Sprint(len(list.Items)); got != want {
			return fmt.Errorf("%s pods, want %s", got, want)
		}
		return nil
	})
}
