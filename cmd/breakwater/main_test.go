package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	goleak.VerifyTestMain(m)
}

// output is a writer that can be read at any time.
type output struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// program is a running breakwater.
type program struct {
	t              *testing.T
	stdout, stderr output
	stop           context.CancelFunc
	code           chan int
}

// begin runs breakwater with these arguments until the test stops it.
func begin(t *testing.T, args ...string) *program {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	p := &program{t: t, stop: cancel, code: make(chan int, 1)}
	go func() { p.code <- run(ctx, args, &p.stdout, &p.stderr) }()
	t.Cleanup(cancel)
	return p
}

// end stops the program and wants it to succeed.
func (p *program) end() {
	p.t.Helper()
	p.stop()
	if code := <-p.code; code != 0 {
		p.t.Errorf("exit code %d, standard error:\n%s", code, p.stderr.String())
	}
}

// patience bounds the wait for what must happen soon. Only a failing test waits that long.
const patience = 30 * time.Second

func (p *program) eventually(what string, ok func() bool) {
	p.t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			p.t.Fatalf("not within %v: %s; standard error:\n%s", patience, what, p.stderr.String())
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// get returns status and body; 0 if there is no answer.
func get(url, host string) (int, string) {
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return 0, err.Error()
	}
	r.Host = host
	client := &http.Client{
		Timeout:       patience,
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := client.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = res.Body.Close() }() // it has been read
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error()
	}
	return res.StatusCode, string(body)
}

// given are the ports of somePort.
var given = struct {
	sync.Mutex
	ports map[uint16]bool // guarded by Mutex
}{ports: map[uint16]bool{}}

// somePort returns a port that is free now, below those that systems give to outgoing connections. It returns none twice: who has been
// given one may not listen on it yet.
func somePort(t *testing.T) uint16 {
	t.Helper()
	given.Lock()
	defer given.Unlock()
	for {
		port, err := freePort(uint16(11_000 + rand.IntN(20_000)))
		if err != nil {
			t.Fatal(err)
		}
		if !given.ports[port] {
			given.ports[port] = true
			return port
		}
	}
}

// folder returns a folder with one file of manifests.
func folder(t *testing.T, manifests string) string {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, manifests)
	return dir
}

func write(t *testing.T, dir, manifests string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "main.yaml"), []byte(manifests), 0o600); err != nil {
		t.Fatal(err)
	}
}

// ingress sends all of a host to a Service without endpoints: 503 says that the route is there.
func ingress(host string) string {
	return fmt.Sprintf(`apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop}
spec:
  rules:
  - host: %s
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: shop, port: {number: 80}}}}]}
---
apiVersion: v1
kind: Service
metadata: {name: shop}
spec: {ports: [{port: 80}]}
`, host)
}

func TestWrongCommandLines(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"serve x", exitUsage, `unexpected argument "x"`},
		{"serve --no-such-flag", exitUsage, "--no-such-flag"},
		{"serve --ingress-http-port 99999", exitUsage, "--ingress-http-port"},
		{"serve --header-timeout soon", exitUsage, "--header-timeout"},
		{"nonsense", exitUsage, "nonsense"},
		{"explain GET ftp://h/", exitUsage, "ftp"},
		{"explain GET h -o yaml", exitUsage, "--output"},
		{"serve --manifests " + dir + " --log-level loud", exitUsage, "--log-level"},
		{"serve --manifests " + dir + " --log-format xml", exitUsage, "--log-format"},
		{"serve --manifests " + dir + " --access-log xml", exitUsage, "--access-log"},
		{"serve --manifests " + dir + " --bind-address localhost", exitUsage, "--bind-address"},
		{"serve --manifests " + dir + " --trusted-proxies 10.0.0.0/40", exitUsage, "--trusted-proxies"},
		{"serve --manifests " + dir + " --max-connections 0", exitUsage, "--max-connections"},
		{"serve --gateway-ports 80-90", exitUsage, "--gateway-ports"},
		{"serve --gateway-ports all", exitUsage, "--gateway-ports"},
		{"serve --gateway-ports 8000-8999", exitUsage, "--ingress-http-port 8080"},
		{"serve --gateway-service-type None", exitUsage, "--gateway-service-type"},
		{"serve --kubeconfig " + dir + "/missing", exitFailure, dir + "/missing"},
		{"serve --ingress-http-port 70000", exitUsage, `--ingress-http-port "70000": want a number from 0 to 65535`},
		{"serve --chaos=off", exitUsage, `--chaos "off": want true or false`},
		{"serve --header-timeout 10", exitUsage, `--header-timeout "10": want a duration such as 1m30s`},
		{"serve --attempts many", exitUsage, `--attempts "many": want a whole number`},
		{"serve --toxiproxy-seed -1", exitUsage, `--toxiproxy-seed "-1": want a whole number, 0 or more`},
		{"demo --port-offset x", exitUsage, `--port-offset "x": want a number from 0 to 65535`},
		{"chaos off --timeout soon", exitUsage, `--timeout "soon": want a duration`},
		{"serve --manifests " + dir + " --kubeconfig x", exitUsage, "--kubeconfig has no meaning with --manifests"},
		{"serve --manifests " + dir + " --gateway-ports 5-3", exitUsage, "--gateway-ports has no meaning with --manifests"},
		{"serve --port-offset 1", exitUsage, "--port-offset has no meaning without --manifests"},
		{"serve --manifests=", exitUsage, `--manifests "": want a folder or a file`},
		{"serve --gateway-ports 5-3", exitUsage, "--gateway-ports"},
		{"serve --gateway-ports 20000-70000", exitUsage, "--gateway-ports"},
		{"serve --toxiproxy-address 127.0.0.1:1 --toxiproxy-ports 9-8", exitUsage, "--toxiproxy-ports 9-8"},
		{"serve --chaos-default-duration 48h", exitUsage, "--chaos-default-duration 48h0m0s: want at most --chaos-max-duration, 24h0m0s"},
		{"serve --chaos-default-duration -48h", exitUsage, "--chaos-default-duration -48h0m0s: want 0 or more"},
		{"serve --chaos-max-duration -1s", exitUsage, "--chaos-max-duration -1s: want 0 or more"},
		{"serve --grace-period -1s", exitUsage, "--grace-period -1s: want 0 or more"},
		{"serve --drain-delay -1s", exitUsage, "--drain-delay -1s: want 0 or more"},
		{"serve --header-timeout 0", exitUsage, "--header-timeout 0s: want more than 0, or less for none"},
		{"serve --stream-idle-timeout 0", exitUsage, "--stream-idle-timeout 0s: want more than 0"},
		{"serve --proxy-header-timeout -1s", exitUsage, "--proxy-header-timeout -1s: want more than 0"},
		{"serve --max-header-bytes 100000", exitUsage, "--max-header-bytes 100000: want 1 to 65536"},
		{"serve --max-request-line 65537", exitUsage, "--max-request-line 65537: want 1 to 65536"},
		{"serve --class=", exitUsage, `--class "": want a name`},
		{"serve --class Break_water", exitUsage, `--class "Break_water": want a name`},
		{"serve --controller-name breakwater", exitUsage, `--controller-name "breakwater": want a name`},
		{"serve --address bad_address", exitUsage, `--address "bad_address": want an IP address or a host name`},
		{"serve --access-log-query", exitUsage, "--access-log-query needs --access-log"},
		{"demo --access-log-query", exitUsage, "--access-log-query needs --access-log"},
		{"serve --manifests " + dir + " --report out.pdf", exitUsage, "--report \"out.pdf\": want a name that ends in"},
		{"serve --manifests " + dir + " --report " + dir + "/gone/out.md", exitUsage, "there is no folder"},
		{"demo --port-offset 65500", exitUsage, "--port-offset 65500: want at most 60103"},
		{"demo --admin-address nowhere", exitUsage, `--admin-address "nowhere": want an address such as 127.0.0.1:9901`},
		{"demo --admin-address 127.0.0.1:99999", exitUsage, `--admin-address "127.0.0.1:99999": want an address such as`},
		{"explain GET", exitUsage, "want METHOD and URL, got 1 argument\n"},
		{"help nonsense", exitUsage, `there is no command "nonsense"`},
		{"help chaos of", exitUsage, `there is no command "chaos of"`},
	} {
		t.Run(c.args, func(t *testing.T) {
			var stdout, stderr output
			ended, end := context.WithCancel(context.Background())
			end() // what starts in spite of the mistake is not to run for ever
			code := run(ended, strings.Fields(c.args), &stdout, &stderr)
			if code != c.code || !strings.Contains(stderr.String(), c.want) {
				t.Errorf("exit code %d, want %d, with %q in\n%s", code, c.code, c.want, stderr.String())
			}
			if lines := strings.Count(stderr.String(), "\n"); lines > 3 {
				t.Errorf("%d lines for one mistake:\n%s", lines, stderr.String())
			}
		})
	}
}

func TestVersion(t *testing.T) {
	for _, arg := range []string{"version", "--version"} {
		var stdout, stderr output
		code := run(context.Background(), []string{arg}, &stdout, &stderr)
		if code != 0 || stdout.String() != readVersion().String() {
			t.Errorf("%s: exit code %d, %q%q", arg, code, stdout.String(), stderr.String())
		}
	}
}

func TestHelpSaysWhatFlagsMeanHere(t *testing.T) {
	for args, want := range map[string]string{
		"--help":         "Breakwater routes the traffic that Ingress and Gateway API objects describe, and breaks it on purpose",
		"explain --help": "Kubernetes YAML to look at instead of asking",
		"serve --help":   "to serve instead of a cluster",
	} {
		var stdout, stderr output
		if code := run(context.Background(), strings.Fields(args), &stdout, &stderr); code != 0 || !strings.Contains(words(stdout.String()), want) {
			t.Errorf("%s: exit code %d, no %q in\n%s%s", args, code, want, stdout.String(), stderr.String())
		}
	}
}

func TestHelpNamesEveryGroup(t *testing.T) {
	var stdout, stderr output
	if code := run(context.Background(), []string{"serve", "--help"}, &stdout, &stderr); code != 0 {
		t.Errorf("exit code %d", code)
	}
	for _, want := range []string{"Without a cluster:", "In a cluster:", "Objects:", "Data plane:", "Limits:", "Timeouts", "Admin endpoint:", "Logs:", "Stop:", "--grace-period"} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("no %q", want)
		}
	}
}

// words returns a text with one space between its words, wherever its lines break.
func words(text string) string { return strings.Join(strings.Fields(text), " ") }

// Help fits in a terminal of 80 columns, but for examples that nobody could copy if they were broken.
func TestHelpFitsInATerminal(t *testing.T) {
	for c := range commands(newRoot()) {
		args := strings.Fields(c.CommandPath())[1:]
		for _, args := range [][]string{append(slices.Clone(args), "--help"), append([]string{"help"}, args...)} {
			var stdout, stderr output
			if code := run(t.Context(), args, &stdout, &stderr); code != 0 || stderr.String() != "" {
				t.Errorf("%v: exit code %d, %s", args, code, stderr.String())
			}
			if !strings.Contains(stdout.String(), "Usage:\n  breakwater") {
				t.Errorf("%v: no usage", args)
			}
			for line := range strings.Lines(stdout.String()) {
				line = strings.TrimSuffix(line, "\n")
				if utf8.RuneCountInString(line) > plainWidth && !strings.Contains(c.Example, line) {
					t.Errorf("%v: %d columns: %s", args, utf8.RuneCountInString(line), line)
				}
			}
		}
	}
}

// commands returns a command and all below it.
func commands(c *cobra.Command) iter.Seq[*cobra.Command] {
	return func(yield func(*cobra.Command) bool) {
		if !yield(c) {
			return
		}
		for _, below := range c.Commands() {
			for c := range commands(below) {
				if !yield(c) {
					return
				}
			}
		}
	}
}

func TestFill(t *testing.T) {
	const text = "One two three four,\nfive six.\n\n  seven      eight nine ten eleven twelve\n  thirteen   x\n  longer than that\nend"
	for width, want := range map[int]string{
		24: "One two three four, five\nsix.\n\n  seven      eight nine\n             ten eleven\n             twelve\n  thirteen   x\n  longer than that\nend",
		10: "One two\nthree\nfour, five\nsix.\n\n  seven      eight\n             nine\n             ten\n             eleven\n             twelve\n" +
			"  thirteen   x\n  longer\n  than\n  that\nend",
	} {
		if got := fill(text, width); got != want {
			t.Errorf("%d columns: got\n%s\nwant\n%s", width, got, want)
		}
	}
}

func TestHelpCompletesCommands(t *testing.T) {
	for args, want := range map[string]string{"help": "serve", "help chaos": "rearm", "help nonsense": ""} {
		var stdout output
		if code := run(t.Context(), append(append([]string{"__complete"}, strings.Fields(args)...), ""), &stdout, io.Discard); code != 0 {
			t.Errorf("%s: exit code %d", args, code)
		}
		if got := stdout.String(); !strings.Contains(got, want) || want == "" && strings.Contains(got, "serve") {
			t.Errorf("%s: %q, want %q in it", args, got, want)
		}
	}
}
