package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy/toxiproxy"
)

func TestProxiesOfAConfigFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "toxiproxy.json")
	listen := fmt.Sprintf("127.0.0.1:%d", somePort(t))
	proxies := fmt.Sprintf(`[{"toxics":[{"type":"noop"}],"name":"db","listen":%q,"upstream":"127.0.0.1:1"},{"name":"off","listen":"127.0.0.1:0","upstream":"127.0.0.1:1","enabled":false}]`, listen)
	if err := os.WriteFile(file, []byte(proxies), 0o600); err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", somePort(t))
	p := begin(t, "serve", "--manifests", t.TempDir(), "--ingress-http-port", "0", "--admin-address", "",
		"--toxiproxy-address", address, "--toxiproxy-config", file, "--toxiproxy-runtime-metrics")
	p.eventually("the API answers", func() bool {
		status, body := get("http://"+address+"/proxies", "localhost")
		return status == 200 && strings.Contains(body, `"db":{"name":"db","listen":"`+listen+`"`) && strings.Contains(body, `"off":{`)
	})
	if status, text := get("http://"+address+"/metrics", "localhost"); status != 200 || !strings.Contains(text, "go_goroutines") {
		t.Errorf("/metrics: %d %s", status, text)
	}
	for _, want := range []string{
		`"msg":"API for Toxiproxy's clients","address":"` + address, `"proxy":"db","listen":"` + listen, `"proxy":"db","field":"toxics"`,
	} {
		if !strings.Contains(p.stderr.String(), want) {
			t.Errorf("no %s in the log:\n%s", want, p.stderr.String())
		}
	}
	p.end()
}

func TestToxiproxyFlagsThatCannotBeUsed(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.json")
	if err := os.WriteFile(bad, []byte(`[{"name":"db"}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ args, want string }{
		{"--toxiproxy-config x.json", "--toxiproxy-config needs --toxiproxy-address"},
		{"--toxiproxy-ports 1-2", "--toxiproxy-ports needs --toxiproxy-address"},
		{"--toxiproxy-seed 1", "--toxiproxy-seed needs --toxiproxy-address"},
		{"--toxiproxy-strict", "--toxiproxy-strict needs --toxiproxy-address"},
		{"--toxiproxy-metrics", "--toxiproxy-metrics needs --toxiproxy-address"},
		{"--toxiproxy-runtime-metrics", "--toxiproxy-runtime-metrics needs --toxiproxy-address"},
		{"--toxiproxy-address 127.0.0.1:0 --toxiproxy-ports 0-1", "--toxiproxy-ports 0-1: want two ports in ascending order"},
		{"--toxiproxy-address 127.0.0.1:0 --toxiproxy-config " + dir + "/none.json", "none.json: no such file"},
		{"--toxiproxy-address 127.0.0.1:0 --toxiproxy-config " + bad, "missing required field: upstream at proxy 1"},
		{"--toxiproxy-address 127.0.0.1:0 --toxiproxy-ports 9-1", "--toxiproxy-ports 9-1: want two ports in ascending order"},
		{"--toxiproxy-address nonsense", "API for Toxiproxy's clients (--toxiproxy-address nonsense)"},
	} {
		var stdout, stderr strings.Builder
		args := append([]string{"serve", "--manifests", dir, "--ingress-http-port", "0", "--admin-address", ""}, strings.Fields(c.args)...)
		if code := run(context.Background(), args, &stdout, &stderr); code == 0 || !strings.Contains(stderr.String(), c.want) {
			t.Errorf("%s: exit code %d, %s", c.args, code, stderr.String())
		}
	}
}

func TestAddressesOfTheHost(t *testing.T) {
	for _, c := range []struct {
		flag      []string
		env, want string
	}{
		{nil, "", "[]"},
		{nil, "192.0.2.9", "[192.0.2.9]"},
		{nil, "192.0.2.9, 2001:db8::9", "[192.0.2.9 2001:db8::9]"},
		{[]string{"192.0.2.7"}, "192.0.2.9", "[192.0.2.7]"},
		{[]string{"node"}, "", `--host-ip "node": want an IP address`},
		{nil, "node", `$HOST_IP "node": want an IP address`},
	} {
		t.Setenv("HOST_IP", c.env)
		all, err := (&clusterOptions{hosts: c.flag}).hostAddresses()
		got := fmt.Sprint(all)
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("--host-ip %q, $HOST_IP %q: %s, want %s", c.flag, c.env, got, c.want)
		}
	}
}

// In a cluster proxies lead nowhere near the node, and nobody uses the API without being asked who they are.
func TestToxiproxyInACluster(t *testing.T) {
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(kubeconfig, []byte(`
apiVersion: v1
kind: Config
current-context: c
clusters: [{name: c, cluster: {server: "https://192.0.2.1:6443"}}]
contexts: [{name: c, context: {cluster: c, user: u}}]
users: [{name: u, user: {}}]
`), 0o600); err != nil {
		t.Fatal(err)
	}
	o := &toxiproxyOptions{address: ":8474", cluster: &clusterOptions{kubeconfig: kubeconfig, hosts: []string{"192.0.2.9"}}}
	c, err := o.serverConfig(toxiproxy.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for address, refused := range map[string]bool{"192.0.2.9:80": true, "127.0.0.1:80": true, "192.0.2.10:80": false} {
		if err := c.Refuse(netip.MustParseAddrPort(address)); (err != nil) != refused {
			t.Errorf("%s: %v, refused should be %v", address, err, refused)
		}
	}
	if c.Ports != (toxiproxy.PortRange{First: 30000, Last: 30099}) {
		t.Errorf("ports %v", c.Ports)
	}
	if refusal := c.Authorize(httptest.NewRequest(http.MethodGet, "/proxies", nil)); refusal == nil {
		t.Error("who shows no token is let in")
	}
}

// callToxiproxy calls the API at a port, wants a status, and returns the answer.
func callToxiproxy(t *testing.T, port uint16, method, path, body string, status int) string {
	t.Helper()
	r, err := http.NewRequest(method, fmt.Sprintf("http://127.0.0.1:%d%s", port, path), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != status {
		t.Errorf("%s %s: %s %s, %v", method, path, res.Status, data, err)
	}
	return string(data)
}

// Every kill switch holds for the toxics of proxies that were made through the API.
func TestKillSwitchesHoldForProxiesOfTheAPI(t *testing.T) {
	api, port, up := somePort(t), somePort(t), echo(t)
	begin := func(args ...string) served {
		s := serveFolder(t, ingress("a.example.com"), append(args, "--toxiproxy-address", fmt.Sprintf("127.0.0.1:%d", api))...)
		s.eventually("it is ready", s.ready)
		callToxiproxy(t, api, "POST", "/proxies", fmt.Sprintf(`{"name":"db","listen":"127.0.0.1:%d","upstream":"127.0.0.1:%d"}`, port, up), 201)
		callToxiproxy(t, api, "POST", "/proxies/db/toxics", `{"type":"limit_data","attributes":{"bytes":2}}`, 200)
		return s
	}
	comes := func() string { // of four bytes
		nc, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		_ = nc.SetDeadline(time.Now().Add(patience))
		_, _ = io.WriteString(nc, "ping")
		got := make([]byte, 4)
		n, _ := io.ReadFull(nc, got)
		return string(got[:n])
	}
	want := func(when, what string) {
		t.Helper()
		if got := comes(); got != what {
			t.Errorf("%s: %q", when, got)
		}
	}
	s := begin()
	want("with the toxic", "pi")
	s.command("chaos off")
	want("chaos off", "ping")
	s.command("chaos on")
	want("chaos on", "pi")
	write(t, s.dir, ingress("a.example.com")+`
---
apiVersion: v1
kind: ConfigMap
metadata: {name: breakwater-chaos}
data: {chaos: "off"}
`)
	s.eventually("the ConfigMap switches it off", func() bool { return comes() == "ping" })
	write(t, s.dir, ingress("a.example.com"))
	s.eventually("it is on again without the ConfigMap", func() bool { return comes() == "pi" })
	s.end()

	s = begin("--chaos=false")
	want("--chaos=false", "ping")
	s.end()
}

func TestPortsOfProxies(t *testing.T) {
	for _, c := range []struct {
		ports   string
		cluster *clusterOptions
		want    string
	}{
		{"", nil, "{0 0}"},
		{"80-90", nil, "{80 90}"},
		{"", &clusterOptions{gatewayPorts: "20000-29999"}, "{30000 30099}"},
		{"8090-9000", &clusterOptions{gatewayPorts: "20000-29999"}, "{8090 9000}"},
		{"80-90", &clusterOptions{gatewayPorts: "20000-29999"}, "--toxiproxy-ports 80-90: a pod may only bind 1024 and more"},
		{"8000-9000", &clusterOptions{gatewayPorts: "20000-29999"}, "--ingress-http-port 8080 lies in --toxiproxy-ports 8000-9000"},
		{"", &clusterOptions{gatewayPorts: "20000-30000"}, "--toxiproxy-ports 30000-30099 and --gateway-ports 20000-30000 overlap"},
		{"10000-20000", &clusterOptions{gatewayPorts: "20000-29999"}, "overlap"},
	} {
		o := toxiproxyOptions{address: "127.0.0.1:0", ports: c.ports, cluster: c.cluster}
		r, err := o.portRange()
		if bad := o.validate(8080); bad != nil {
			err = bad
		}
		got := fmt.Sprint(r)
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, c.want) {
			t.Errorf("%q: %s, want %s", c.ports, got, c.want)
		}
	}
}

// Who drives faults with Toxiproxy's clients finds them in the report of the run, in the fault log and in the metrics: of proxies and of
// TCP routes, after they have been removed as well.
func TestToxicsOfTheAPIAreReported(t *testing.T) {
	dir := t.TempDir()
	log, final := filepath.Join(dir, "faults.jsonl"), filepath.Join(dir, "final.md")
	api, port, route, up := somePort(t), somePort(t), somePort(t), echo(t)
	s := serveFolder(t, fmt.Sprintf(tcpManifests, route, up), "--port-offset", "0", "--ingress-http-port", "0",
		"--toxiproxy-address", fmt.Sprintf("127.0.0.1:%d", api), "--toxiproxy-seed", "3", "--fault-log", log, "--report", final)
	s.eventually("it is ready", s.ready)
	call := func(method, path, body string, status int) {
		t.Helper()
		callToxiproxy(t, api, method, path, body, status)
	}
	send := func(port uint16) {
		t.Helper()
		nc, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		_ = nc.SetDeadline(time.Now().Add(patience))
		_, _ = io.WriteString(nc, "ping")
		_, _ = io.ReadFull(nc, make([]byte, 4))
	}
	wantReport := func(args string, code int, lines ...string) {
		t.Helper()
		said := ""
		s.eventually("the report says "+strings.Join(lines, ", "), func() bool {
			got, stdout, stderr := s.command("report " + args)
			said = strings.Join(strings.Fields(stdout+stderr), " ") // columns are as wide as what is in them
			is := got == code
			for _, line := range lines {
				is = is && strings.Contains(said, line)
			}
			return is
		})
	}
	wantReport("--fail-on no-experiments", exitFailure, "no experiments")
	call("POST", "/proxies", fmt.Sprintf(`{"name":"db","listen":"127.0.0.1:%d","upstream":"127.0.0.1:%d"}`, port, up), 201)
	call("POST", "/proxies/db/toxics", `{"type":"limit_data","attributes":{"bytes":2}}`, 200)
	call("POST", "/proxies/shop.db/toxics", `{"type":"latency","attributes":{"latency":1},"toxicity":0}`, 200)
	wantReport("--fail-on none-injected", exitFailure, "2 proxies with toxics", "toxiproxy db: none-injected: no connection has met them")
	send(port)
	send(route)
	wantReport("--fail-on no-experiments", 0, "toxiproxy db ok Active - 1 1 100.0%", "limit_data_downstream limit_data 1 1 1 4 B",
		"with faults 1 1 0", "toxiproxy shop.db none-injected Active - 1 0 0.0%", "none of 1 that matched got a fault", "latency_downstream latency 1 0 0 -")
	call("DELETE", "/proxies/db", "", 204)
	wantReport("--format json", 0, `"kind": "Toxiproxy", "namespace": "", "name": "db", "phase": "Removed"`,
		`"attributes": "bytes=2", "toxicity": 1, "changes": 0, "removed": true`)
	wantReport("--format junit", 0, `<testsuite id="0" name="toxiproxy db"`, `name="toxic.limit_data_downstream.attributes" value="bytes=2"`)
	if _, metrics := s.adminGet("/metrics"); !strings.Contains(metrics, "\nbreakwater_toxiproxy_toxics_applied_total{type=\"limit_data\"} 1\n") {
		t.Error("the metrics do not have it")
	}
	if code, _, stderr := s.command("report --forget"); code != 0 {
		t.Error(stderr)
	}
	wantReport("", 0, "1 proxy with toxics", "toxiproxy shop.db none-injected")
	s.end()

	left, err := os.ReadFile(final)
	if err != nil || !strings.Contains(string(left), "| toxiproxy shop.db | none-injected | Active |") {
		t.Errorf("%v, it leaves %s", err, left)
	}
	lines, err := os.ReadFile(log)
	if err != nil || strings.Count(string(lines), "\n") != 2 || strings.Count(string(lines), `"object":"Toxiproxy//db","toxic":"limit_data_downstream"`) != 2 {
		t.Errorf("%v, the fault log says %s", err, lines)
	}
	again := serveFolder(t, ingress("a.example.com"), "--fault-replay", log)
	again.eventually("it is ready", again.ready)
	if said := again.stderr.String(); !strings.Contains(said, "are not replayed; --toxiproxy-seed repeats what they decide") || !strings.Contains(said, `"seeds":[3]`) {
		t.Errorf("it says %s", said)
	}
	again.end()
}
