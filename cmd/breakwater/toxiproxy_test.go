package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestProxiesOfAConfigFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "toxiproxy.json")
	listen := fmt.Sprintf("127.0.0.1:%d", somePort(t))
	proxies := fmt.Sprintf(`[{"name":"db","listen":%q,"upstream":"127.0.0.1:1"},{"name":"off","listen":"127.0.0.1:0","upstream":"127.0.0.1:1","enabled":false}]`, listen)
	if err := os.WriteFile(file, []byte(proxies), 0o600); err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", somePort(t))
	p := begin(t, "serve", "--manifests", t.TempDir(), "--ingress-http-port", "0", "--admin-address", "",
		"--toxiproxy-address", address, "--toxiproxy-config", file, "--toxiproxy-metrics")
	p.eventually("the API answers", func() bool {
		status, body := get("http://"+address+"/proxies", "localhost")
		return status == 200 && strings.Contains(body, `"db":{"name":"db","listen":"`+listen+`"`) && strings.Contains(body, `"off":{`)
	})
	if status, _ := get("http://"+address+"/metrics", "localhost"); status != 200 {
		t.Errorf("/metrics: %d", status)
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
		{"--toxiproxy-address 127.0.0.1:0 --toxiproxy-config " + dir + "/none.json", "none.json: no such file"},
		{"--toxiproxy-address 127.0.0.1:0 --toxiproxy-config " + bad, "missing required field: upstream at proxy 1"},
		{"--toxiproxy-address 127.0.0.1:0 --toxiproxy-ports 9-1", "--toxiproxy-ports"},
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
