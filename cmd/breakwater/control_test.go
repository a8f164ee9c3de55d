package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy/chaos"
)

// abortHalf answers half of the requests for the Ingress of ingress with 418.
func abortHalf(seed int) string {
	return fmt.Sprintf(`
---
apiVersion: breakwater-gateway.io/v1alpha1
kind: NetworkChaos
metadata: {name: teapot, namespace: default}
spec:
  targetRefs: [{kind: Ingress, name: shop}]
  at: Client
  duration: 1h
  seed: %d
  toxics: [{name: tea, type: Abort, percent: 50, abort: {status: 418}}]
`, seed)
}

// command runs breakwater against the admin endpoint of s.
func (s served) command(args string) (code int, stdout, stderr string) {
	var out, err output
	code = run(context.Background(), append(strings.Fields(args), "--admin-address", fmt.Sprintf("127.0.0.1:%d", s.admin)), &out, &err)
	return code, out.String(), err.String()
}

// statuses are those of requests one after the other: t for a fault, . for none.
func (s served) statuses(n int) string {
	all := ""
	for range n {
		switch s.get("a.example.com") {
		case 418:
			all += "t"
		case 503:
			all += "."
		default:
			all += "?"
		}
	}
	return all
}

func TestChaosIsControlledLoggedReportedAndReplayed(t *testing.T) {
	dir := t.TempDir()
	log := filepath.Join(dir, "faults.jsonl")
	s := serveFolder(t, ingress("a.example.com")+abortHalf(1), "--fault-log", log)
	s.eventually("it is ready", s.ready)
	first := s.statuses(32)
	broken := strings.Count(first, "t")
	if broken == 0 || broken == 32 || strings.Contains(first, "?") {
		t.Fatalf("got %s", first)
	}

	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"chaos status", 0, "default/teapot  Active"},
		{"chaos status -o json", 0, `"enabled":true`},
		{"chaos status -o xml", exitUsage, "want text or json"},
		{"chaos rearm default/teapot", exitFailure, "409 Conflict: default/teapot is not halted"},
		{"chaos rearm teapot", exitUsage, "want NAMESPACE/NAME"},
		{"chaos off now", exitUsage, "unexpected argument"},
		{"chaos off", 0, "chaos is off"},
		{"chaos status", 0, "default/teapot  Off"},
	} {
		if code, stdout, stderr := s.command(c.args); code != c.code || !strings.Contains(stdout+stderr, c.says) {
			t.Errorf("%s: exit code %d\n%s%s", c.args, code, stdout, stderr)
		}
	}
	if got := s.statuses(8); got != "........" {
		t.Errorf("with the kill switch: %s", got)
	}
	if code, stdout, _ := s.command("chaos on"); code != 0 || stdout != "chaos is on\n" {
		t.Errorf("chaos on: %d %q", code, stdout)
	}
	file := filepath.Join(dir, "report.json")
	if code, stdout, stderr := s.command("report --format json --fail-on none-injected,halted -o " + file); code != 0 || stdout != "" {
		t.Errorf("report: %d %s%s", code, stdout, stderr)
	}
	var r chaos.Report
	if data, err := os.ReadFile(file); err != nil || json.Unmarshal(data, &r) != nil || len(r.Experiments) != 1 {
		t.Fatalf("%v, %s", err, data)
	}
	x := r.Experiments[0]
	if x.Injected != uint64(broken) || x.InjectedTraffic.Status["4xx"] != uint64(broken) || x.UninjectedTraffic.Status["5xx"] < uint64(32-broken) {
		t.Errorf("%d of 32 are broken, and the report says %+v", broken, x)
	}
	if _, metrics := s.adminGet("/metrics"); !strings.Contains(metrics, fmt.Sprintf("\nbreakwater_chaos_injected_total{experiment=\"default/teapot\"} %d\n", broken)) {
		t.Errorf("the metrics do not say %d", broken)
	}
	s.end()

	lines, err := os.ReadFile(log)
	if err != nil || strings.Count(string(lines), "\n") != broken {
		t.Errorf("%v; %d are broken, and the log says\n%s", err, broken, lines)
	}
	again := serveFolder(t, ingress("a.example.com")+abortHalf(2), "--fault-replay", log)
	again.eventually("it is ready", again.ready)
	if got := again.statuses(40); got != first+"........" {
		t.Errorf("replayed with another seed:\n%s, want\n%s", got, first)
	}
	again.end()
}

func TestChaosFlag(t *testing.T) {
	s := serveFolder(t, ingress("a.example.com")+abortHalf(1), "--chaos=false")
	s.eventually("it is ready", s.ready)
	if got := s.statuses(8); got != "........" {
		t.Errorf("got %s", got)
	}
	if code, _, stderr := s.command("chaos on"); code != exitFailure || !strings.Contains(stderr, "chaos stays off: switched off by --chaos=false") {
		t.Errorf("chaos on: %d %q", code, stderr)
	}
	if code, stdout, stderr := s.command("report --fail-on skipped"); code != exitFailure || !strings.Contains(stdout, "Chaos is off: nothing is injected") ||
		!strings.Contains(stderr, "--fail-on: default/teapot: skipped: chaos is off") {
		t.Errorf("report: %d\n%s%s", code, stdout, stderr)
	}
	s.end()
}

// What is refused is in every view, whether it has acted before or not; what is deleted is in reports until somebody forgets it.
func TestRefusedAndDeletedExperiments(t *testing.T) {
	s := serveFolder(t, ingress("a.example.com")+abortHalf(1))
	s.eventually("it is ready", s.ready)
	s.get("a.example.com")
	shown := func(args string, code int, says string) {
		t.Helper()
		if got, stdout, stderr := s.command(args); got != code || !strings.Contains(stdout+stderr, says) {
			t.Errorf("%s: exit code %d, no %q in\n%s%s", args, got, says, stdout, stderr)
		}
	}
	phase := func(want string) func() bool {
		return func() bool {
			_, stdout, _ := s.command("chaos status")
			return strings.Contains(stdout, want)
		}
	}
	write(t, s.dir, ingress("a.example.com")+strings.Replace(abortHalf(1), "name: shop}]", "name: shoq}]", 1))
	s.eventually("it is refused", phase("default/teapot  Refused"))
	shown("chaos status", 0, "default/teapot: TargetNotFound: ")
	shown("chaos rearm default/teapot", exitFailure, "it is Refused: TargetNotFound")
	shown("report --fail-on refused", exitFailure, "--fail-on: default/teapot: refused: TargetNotFound: ")
	shown("report --fail-on halted", 0, "1 experiment\n")
	write(t, s.dir, ingress("a.example.com"))
	s.eventually("it is deleted", phase("no experiments"))
	shown("report --forget", 0, "Deleted")
	shown("report --fail-on no-experiments", exitFailure, "there were no experiments")
	shown("report --forget --from x", exitUsage, "--forget")
	s.end()
	for _, want := range []string{"experiment begins", "experiment ends"} {
		if strings.Count(s.stderr.String(), want) != 1 {
			t.Errorf("not one line %q:\n%s", want, s.stderr.String())
		}
	}
}

// A process leaves a report behind, and opens its fault log anew when it is told to.
func TestFilesOfExperiments(t *testing.T) {
	dir := t.TempDir()
	log, old, final := filepath.Join(dir, "faults"), filepath.Join(dir, "faults.1"), filepath.Join(dir, "final.md")
	manifests := ingress("a.example.com") + strings.Replace(abortHalf(1), "percent: 50", "percent: 100", 1)
	s := serveFolder(t, manifests, "--fault-log", log, "--report", final)
	s.eventually("it is ready", s.ready)
	lines := func(file string, n int) {
		t.Helper()
		s.eventually(fmt.Sprintf("%s has %d lines", file, n), func() bool {
			text, err := os.ReadFile(file)
			return err == nil && strings.Count(string(text), "\n") == n
		})
	}
	s.statuses(1)
	lines(log, 1)
	if err := os.Rename(log, old); err != nil {
		t.Fatal(err)
	}
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if err := self.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	s.eventually("it is opened anew", func() bool { return strings.Contains(s.stderr.String(), "the fault log is opened anew") })
	s.statuses(2)
	s.end()
	lines(old, 1)
	lines(log, 2)
	if text, err := os.ReadFile(final); err != nil || !strings.Contains(string(text), "# Fault report: 1 experiment\n") || !strings.Contains(string(text), "## default/teapot: ok\n") {
		t.Errorf("%v\n%s", err, text)
	}

	if err := os.WriteFile(log, []byte(`{"object":"NetworkCh`), 0o600); err != nil {
		t.Fatal(err)
	}
	again := serveFolder(t, manifests, "--fault-replay", log)
	again.eventually("it is ready", again.ready)
	again.end()
	for _, want := range []string{"is empty: all experiments decide anew", "incomplete and left out"} {
		if !strings.Contains(again.stderr.String(), want) {
			t.Errorf("no %q in\n%s", want, again.stderr.String())
		}
	}
}

// What is given to an instance as its address is good for asking it too.
func TestInstanceOnEveryAddress(t *testing.T) {
	s := serveFolder(t, ingress("a.example.com"))
	s.eventually("it is ready", s.ready)
	for _, host := range []string{"", "0.0.0.0", "[::]", "localhost"} {
		var stdout, stderr output
		if code := run(context.Background(), []string{"chaos", "status", "--admin-address", fmt.Sprintf("%s:%d", host, s.admin)}, &stdout, &stderr); code != 0 {
			t.Errorf("%q: exit code %d, %s", host, code, stderr.String())
		}
	}
	s.end()
}

func TestFaultFilesThatCannotBeUsed(t *testing.T) {
	dir := t.TempDir()
	bad, good := filepath.Join(dir, "bad"), filepath.Join(dir, "good")
	write := func(name, text string) {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(bad, "\nno JSON\n")
	write(good, "")
	for _, c := range []struct{ args, says string }{
		{"--fault-log " + dir, "open the fault log (--fault-log)"},
		{"--fault-replay " + dir + "/gone", "open the faults to replay (--fault-replay)"},
		{"--fault-replay " + bad, "line 2"},
		{"--fault-replay " + good + " --fault-log " + good, "are the same file"},
	} {
		var stdout, stderr output
		args := append([]string{"serve", "--manifests", dir, "--admin-address", ""}, strings.Fields(c.args)...)
		if code := run(context.Background(), args, &stdout, &stderr); code == 0 || !strings.Contains(stderr.String(), c.says) {
			t.Errorf("%s: exit code %d, %s", c.args, code, stderr.String())
		}
	}
}

func TestReportOfAFile(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	empty := file("empty", `{"time":"2026-01-02T03:04:05Z","enabled":true,"experiments":[]}`)
	halted := file("halted", `{"time":"2026-01-02T03:04:05Z","enabled":true,"experiments":[{"namespace":"shop","name":"x","haltedReason":"too bad","injected":1}]}`)
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"--from " + empty, 0, "no experiments"},
		{"--from " + empty + " --fail-on no-experiments", exitFailure, "there were no experiments"},
		{"--from " + halted, 0, "shop/x: halted\n  too bad"},
		{"--from " + halted + " --format markdown", 0, "## shop/x: halted"},
		{"--from " + halted + " --fail-on refused,none-injected", 0, "shop/x"},
		{"--from " + halted + " --fail-on refused,halted", exitFailure, "--fail-on: shop/x: halted: too bad"},
		{"--from " + halted + " --fail-on stopped", exitUsage, "want some of halted, refused, none-injected, skipped, no-experiments"},
		{"--format pdf", exitUsage, `unknown format "pdf": want table, markdown, junit, json`},
		{"--from " + file("other", "{}"), exitFailure, "this is none"},
		{"--from " + file("text", "table"), exitFailure, "read the report: invalid character"},
		{"--from " + empty + " -o " + dir, exitFailure, "write the report"},
		{"--admin-address 127.0.0.1:1", exitFailure, "ask the instance at 127.0.0.1:1"},
	} {
		var stdout, stderr output
		code := run(context.Background(), append([]string{"report"}, strings.Fields(c.args)...), &stdout, &stderr)
		if code != c.code || !strings.Contains(stdout.String()+stderr.String(), c.says) {
			t.Errorf("%s: exit code %d\n%s%s", c.args, code, stdout.String(), stderr.String())
		}
	}
}

// echo sends back what connections bring.
func echo(t *testing.T) (port int) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	return ln.Addr().(*net.TCPAddr).Port
}

const tcpManifests = `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: shop}
spec:
  gatewayClassName: breakwater
  listeners: [{name: tcp, port: %d, protocol: TCP}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: TCPRoute
metadata: {name: db, namespace: shop}
spec:
  parentRefs: [{name: edge}]
  rules: [{backendRefs: [{name: db, port: 5432}]}]
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: shop}
spec:
  ports: [{port: 5432}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: db-1, namespace: shop, labels: {kubernetes.io/service-name: db}}
addressType: IPv4
ports: [{port: %d}]
endpoints: [{addresses: [127.0.0.1]}]
`

// A toxic made through the API acts on the live connection of a TCP route, and is taken off it again.
func TestToxicsOfTCPRoutes(t *testing.T) {
	port, api := somePort(t), somePort(t)
	manifests := fmt.Sprintf(tcpManifests, port, echo(t))
	s := serveFolder(t, manifests, "--port-offset", "0", "--ingress-http-port", "0",
		"--toxiproxy-address", fmt.Sprintf("127.0.0.1:%d", api))
	s.eventually("it is ready", s.ready)
	call := func(method, path, body string, status int) string {
		t.Helper()
		return callToxiproxy(t, api, method, path, body, status)
	}
	shown := fmt.Sprintf(`{"name":"shop.db","listen":"127.0.0.1:%d","upstream":"db.shop:5432","enabled":true,"toxics":[]}`, port)
	if got := call("GET", "/proxies/shop.db", "", 200); got != shown {
		t.Errorf("got %s, want %s", got, shown)
	}

	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	lines := bufio.NewReader(c)
	send := func(line string) {
		t.Helper()
		if _, err := io.WriteString(c, line); err != nil {
			t.Fatal(err)
		}
	}
	wantEcho := func(line string) {
		t.Helper()
		_ = c.SetReadDeadline(time.Now().Add(patience))
		if got, err := lines.ReadString('\n'); err != nil || got != line {
			t.Fatalf("got %q, %v", got, err)
		}
	}
	wantSilence := func() {
		t.Helper()
		_ = c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if got, err := lines.Peek(1); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("got %q, %v", got, err)
		}
	}
	send("one\n")
	wantEcho("one\n")
	call("POST", "/proxies/shop.db/toxics", `{"name":"slow","type":"latency","attributes":{"latency":3600000}}`, 200)
	send("two\n")
	wantSilence()
	if _, stdout, _ := s.command("chaos status"); !strings.Contains(stdout, "toxiproxy shop.db/slow  latency  jitter=0 latency=3600000  downstream  1") {
		t.Errorf("the toxic is not shown:\n%s", stdout)
	}
	call("DELETE", "/proxies/shop.db/toxics/slow", "", 204)
	wantEcho("two\n")
	for _, want := range []string{"toxiproxy API: a toxic is added", "toxiproxy API: a toxic is removed"} {
		if !strings.Contains(s.stderr.String(), want) {
			t.Errorf("no %q in the log:\n%s", want, s.stderr.String())
		}
	}

	// Under another name the route has no toxics.
	call("POST", "/proxies/shop.db/toxics", `{"name":"slow","type":"latency","attributes":{"latency":3600000}}`, 200)
	send("and\n")
	wantSilence()
	second := somePort(t)
	write(t, s.dir, strings.Replace(manifests, "protocol: TCP}", fmt.Sprintf("protocol: TCP}, {name: more, port: %d, protocol: TCP}", second), 1))
	wantEcho("and\n")
	s.eventually("both are shown", func() bool {
		all := call("GET", "/proxies", "", 200)
		return strings.Contains(all, `"shop.db.tcp":`) && strings.Contains(all, `"shop.db.more":`)
	})
	write(t, s.dir, manifests)
	s.eventually("it is back", func() bool { return strings.Contains(call("GET", "/proxies", "", 200), `"shop.db":`) })
	call("DELETE", "/proxies/shop.db/toxics/slow", "", 204)

	call("POST", "/proxies/shop.db/toxics", `{"name":"slow","type":"latency","attributes":{"latency":3600000}}`, 200)
	send("three\n")
	wantSilence()
	if code, _, stderr := s.command("chaos off"); code != 0 {
		t.Error(stderr)
	}
	wantEcho("three\n")
	call("POST", "/reset", "", 204)
	call("DELETE", "/proxies/shop.db", "", 409)
	write(t, s.dir, manifests+`---
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {breakwater-gateway.io/chaos: disabled}}
`)
	s.eventually("a toxic is refused", func() bool {
		status, answer := post(fmt.Sprintf("http://127.0.0.1:%d/proxies/shop.db/toxics", api), `{"type":"noop"}`)
		call("POST", "/reset", "", 204)
		return status == 403 && strings.Contains(answer, "namespace shop is not labelled breakwater-gateway.io/chaos: enabled")
	})
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	s.end()
}

func post(url, body string) (status int, answer string) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	res, err := client.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		return 0, ""
	}
	defer res.Body.Close()
	data, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(data)
}
