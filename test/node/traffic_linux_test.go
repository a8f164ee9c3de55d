package node

import (
	"fmt"
	"strings"
	"testing"
)

const host = "whoami.example.com" // of the samples

func TestTraffic(t *testing.T) {
	n := onNode(t)
	ns := n.namespace(t, "traffic")
	const gatewayAddress = "10.98.0.2"
	service := n.gatewayService(t, ns, "web")
	n.balance(t, ns, service, gatewayAddress)

	for _, c := range []struct{ name, address string }{
		{"Ingress, by the cluster's address", n.clusterIP(t, system, "breakwater")},
		{"Ingress, by the load balancer's address", loadBalancer + ":80"},
		{"HTTPRoute, by the cluster's address", n.clusterIP(t, ns, service)},
		{"HTTPRoute, by the load balancer's address", gatewayAddress + ":80"},
	} {
		t.Run(c.name, func(t *testing.T) {
			samples := &client{address: c.address, host: host, fresh: true}
			pods := map[string]bool{}
			eventually(t, "both pods answer", func() error {
				status, answer, err := samples.do("GET", "/", "")
				if err != nil {
					return err
				}
				if status != 200 || !strings.Contains(answer, "X-Forwarded-Host: "+host) {
					return fmt.Errorf("%d %s", status, answer)
				}
				if pods[hostname(answer)] = true; len(pods) != 2 {
					return fmt.Errorf("only %v", pods)
				}
				return nil
			})
			for pod := range pods {
				if !strings.HasPrefix(pod, "whoami-") {
					t.Errorf("%q answers", pod)
				}
			}
			other := &client{address: c.address, host: "other.example.com", fresh: true}
			if status, answer, err := other.do("GET", "/", ""); err != nil || status != 404 {
				t.Errorf("another host: %d %q, %v", status, answer, err)
			}
		})
	}
	for _, c := range []struct{ object, path, want string }{
		{"ingress/whoami", ".status.loadBalancer.ingress[*].ip", loadBalancer},
		{"gateway/web", ".status.addresses[*].value", gatewayAddress},
		{"gateway/web", `.status.conditions[?(@.type=="Programmed")].status`, "True"},
		{"gateway/web", ".status.listeners[0].attachedRoutes", "1"},
		{"httproute/whoami", `.status.parents[0].conditions[?(@.type=="Accepted")].status`, "True"},
		{"httproute/whoami", `.status.parents[0].conditions[?(@.type=="ResolvedRefs")].status`, "True"},
		{"httproute/whoami", ".status.parents[0].controllerName", "breakwater-gateway.io/controller"},
	} {
		t.Run("status of "+c.object+c.path, func(t *testing.T) {
			eventually(t, "the status", func() error {
				if got := n.field(t, c.path, "-n", ns, c.object); got != c.want {
					return fmt.Errorf("%q, want %q", got, c.want)
				}
				return nil
			})
		})
	}
}

// gatewayService waits for the Service of a Gateway and returns its name.
func (n *node) gatewayService(t *testing.T, namespace, gateway string) (name string) {
	t.Helper()
	eventually(t, "the Gateway's Service", func() error {
		name = n.field(t, ".items[0].metadata.name", "-n", namespace, "services", "-l", "gateway.networking.k8s.io/gateway-name="+gateway)
		if name == "" {
			return fmt.Errorf("none")
		}
		return nil
	})
	return name
}
