package node

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The pod from which the API for Toxiproxy's clients is called, with the token of its own ServiceAccount. The account of a second
// one has no rights.
const testers = `apiVersion: v1
kind: ServiceAccount
metadata: {name: %[1]s}
---
apiVersion: v1
kind: Pod
metadata: {name: %[1]s}
spec:
  serviceAccountName: %[1]s
  terminationGracePeriodSeconds: 1
  containers:
  - {name: agent, image: "localhost/agent:test"}
`

// callFrom makes a request from a pod and returns the status and the body of its answer.
func (n *node) callFrom(t *testing.T, namespace, pod string, args ...string) (status int, body string) {
	t.Helper()
	out := n.kubectl(t, append([]string{"-n", namespace, "exec", pod, "--", "/program", "call"}, args...)...)
	first, body, _ := strings.Cut(out, "\n")
	status, err := strconv.Atoi(first)
	if err != nil {
		t.Fatalf("%s: %s", args, out)
	}
	return status, body
}

func TestToxiproxyAPI(t *testing.T) {
	n := onNode(t)
	ns := n.namespace(t, "toxiproxy")
	n.kubectl(t, "apply", "-k", "overlay/toxiproxy")
	t.Cleanup(func() {
		if !*hold {
			_ = n.try("apply", "-k", "overlay/breakwater")
		}
	})
	n.settled(t, system, "breakwater", "app.kubernetes.io/name=breakwater")
	for _, pod := range []string{"tester", "stranger"} {
		n.feed(t, fmt.Sprintf(testers, pod), "-n", ns, "apply", "-f", "-")
	}
	n.kubectl(t, "-n", system, "create", "rolebinding", "chaos-tests", "--role=breakwater-toxiproxy", "--serviceaccount="+ns+":tester")
	n.kubectl(t, "-n", ns, "wait", "--for=condition=Ready", "pod/tester", "pod/stranger", "--timeout=60s")

	const own = "/var/run/secrets/kubernetes.io/serviceaccount/token"
	pod := n.breakwaters(t)[0]
	api := "http://" + pod.Status.PodIP + ":8474"
	withToken := func(t *testing.T, method, path, body string) (int, string) {
		t.Helper()
		return n.callFrom(t, ns, "tester", "-token", own, method, api+path, body)
	}

	t.Run("who may call", func(t *testing.T) {
		for _, c := range []struct {
			name   string
			pod    string
			args   []string
			status int
		}{
			{"with the account's token", "tester", []string{"-token", own, "GET", api + "/proxies"}, 200},
			{"without a token", "tester", []string{"GET", api + "/proxies"}, 401},
			{"with something else", "tester", []string{"-token", "/etc/hostname", "GET", api + "/proxies"}, 401},
			{"an account without the role", "stranger", []string{"-token", own, "GET", api + "/proxies"}, 403},
			{"an account without the role changes something", "stranger", []string{"-token", own, "POST", api + "/reset"}, 403},
		} {
			t.Run(c.name, func(t *testing.T) {
				status, body := n.callFrom(t, ns, c.pod, c.args...)
				t.Logf("%d %s", status, body)
				if status != c.status {
					t.Errorf("%d %s, want %d", status, body, c.status)
				}
			})
		}
	})

	t.Run("a token that kubectl has made", func(t *testing.T) {
		token := strings.TrimSpace(n.kubectl(t, "-n", ns, "create", "token", "tester"))
		if status := n.bearer(t, token, api+"/version"); status != 200 {
			t.Errorf("%d", status)
		}
		if status := n.bearer(t, token[:len(token)-4]+"AAAA", api+"/version"); status != 401 {
			t.Errorf("with another signature: %d", status)
		}
	})

	t.Run("upstreams that lead inward are refused", func(t *testing.T) {
		for i, upstream := range []string{
			"127.0.0.1:9901", "localhost:9901", "[::1]:9901", "0.0.0.0:9901", pod.Status.PodIP + ":9901", "169.254.169.254:80",
			"127.0.0.1:8474", pod.Status.PodIP + ":8474", nodeIP + ":10250",
		} {
			t.Run(upstream, func(t *testing.T) {
				name := fmt.Sprintf("in%d", i)
				status, body := withToken(t, "POST", "/proxies",
					fmt.Sprintf(`{"name":%q,"listen":"0.0.0.0:%d","upstream":%q}`, name, 30000+i, upstream))
				if status != 201 {
					t.Fatalf("%d %s", status, body)
				}
				address := fmt.Sprintf("%s:%d", pod.Status.PodIP, 30000+i)
				status, answer, err := (&client{address: address, host: "127.0.0.1", fresh: true}).do("GET", "/healthz", "")
				if err == nil {
					t.Errorf("an answer: %d %s", status, answer)
				}
				refusal := ""
				for line := range strings.Lines(n.kubectl(t, "-n", system, "logs", pod.Metadata.Name, "--since=5s")) {
					if strings.Contains(line, `"`+name+`"`) && strings.Contains(line, "upstream") {
						refusal = line
					}
				}
				if !strings.Contains(refusal, "are not allowed") && !strings.Contains(refusal, "is this host itself") &&
					!strings.Contains(refusal, "is the host that this runs on") {
					t.Errorf("it is not told that the upstream is refused: %q", refusal)
				}
				t.Logf("%v; %s", err, refusal)
				withToken(t, "DELETE", "/proxies/"+name, "")
			})
		}
	})

	t.Run("ports outside the range are refused", func(t *testing.T) {
		for _, listen := range []string{"0.0.0.0:29999", "0.0.0.0:30100", "0.0.0.0:8080", "0.0.0.0:80", "[::]:9901"} {
			status, body := withToken(t, "POST", "/proxies", fmt.Sprintf(`{"name":"out","listen":%q,"upstream":"10.96.0.1:443"}`, listen))
			t.Logf("%s: %d %s", listen, status, body)
			if status < 400 || status > 499 {
				t.Errorf("%s: %d %s", listen, status, body)
			}
		}
	})

	t.Run("a proxy works by the pod's address", func(t *testing.T) {
		upstream := n.clusterIP(t, ns, "whoami")
		status, body := withToken(t, "POST", "/proxies", fmt.Sprintf(`{"name":"whoami","listen":"0.0.0.0:30042","upstream":%q}`, upstream))
		if status != 201 {
			t.Fatalf("%d %s", status, body)
		}
		proxy := pod.Status.PodIP + ":30042"
		status, body = n.callFrom(t, ns, "stranger", "GET", "http://"+proxy+"/api")
		if status != 200 || !strings.HasPrefix(hostname(body), "whoami-") {
			t.Errorf("%d %s", status, body)
		}
		status, body = withToken(t, "POST", "/proxies/whoami/toxics", `{"type":"latency","attributes":{"latency":700}}`)
		if status != 200 {
			t.Fatalf("%d %s", status, body)
		}
		slow := func() bool {
			t.Helper()
			began := time.Now()
			if status, body, err := (&client{address: proxy, host: host, fresh: true}).do("GET", "/api", ""); err != nil || status != 200 {
				t.Errorf("%d %s, %v", status, body, err)
			}
			return time.Since(began) >= 700*time.Millisecond
		}
		if !slow() {
			t.Error("the toxic does not act")
		}
		n.kubectl(t, "-n", system, "create", "configmap", "breakwater-chaos", "--from-literal=chaos=off")
		eventually(t, "the kill switch ends it", func() error {
			if slow() {
				return errors.New("the toxic acts")
			}
			return nil
		})
		n.kubectl(t, "-n", system, "delete", "configmap", "breakwater-chaos")
		if status, body := withToken(t, "DELETE", "/proxies/whoami", ""); status != 204 {
			t.Errorf("%d %s", status, body)
		}
		if err := dial(proxy); err == nil {
			t.Error("it still listens after it was deleted")
		}
	})
}

// bearer returns the status of an answer to a request with a token.
func (n *node) bearer(t *testing.T, token, url string) int {
	t.Helper()
	return ask(t, "GET", url, map[string]string{"Authorization": "Bearer " + token})
}
