package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestDemo(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := taken.Close(); err != nil {
			t.Error(err)
		}
	}()
	port := uint16(taken.Addr().(*net.TCPAddr).Port)
	p := begin(t, "demo", "--ingress-http-port", fmt.Sprint(port), "--port-offset", fmt.Sprint(somePort(t)-demoGatewayPort),
		"--admin-address", fmt.Sprintf("127.0.0.1:%d", somePort(t)), "--toxiproxy-address", fmt.Sprintf("127.0.0.1:%d", somePort(t)))
	p.eventually("the guide is printed", func() bool { return strings.Contains(p.stdout.String(), "until it is mended.\n") })
	guide := p.stdout.String()
	if strings.Contains(guide, "\x1b") {
		t.Error("colours although nobody looks")
	}
	if !strings.Contains(guide, fmt.Sprintf("port %d is taken", port)) {
		t.Errorf("nothing about the port that is taken:\n%s", guide)
	}
	find := func(pattern string) string {
		m := regexp.MustCompile(pattern).FindStringSubmatch(guide)
		if m == nil {
			t.Fatalf("no %s in\n%s", pattern, guide)
		}
		return m[1]
	}
	hello, shop := find(`hello\.localhost:(\d+)`), find(`shop\.localhost:(\d+)`)
	for _, c := range []struct {
		port, host, path string
		status           int
		body             string
	}{
		{hello, "hello.localhost", "/", 200, "Name: hello-"},
		{hello, "hello.localhost", "/closed", 503, ""},
		{hello, "nobody.localhost", "/", 404, ""},
		{shop, "shop.localhost", "/", 200, "Name: shop-v"},
		{shop, "shop.localhost", "/", 503, "the sea is rough today"}, // the seed says so
		{shop, "shop.localhost", "/basket", 302, ""},
	} {
		if status, body := get("http://127.0.0.1:"+c.port+c.path, c.host); status != c.status || !strings.Contains(body, c.body) {
			t.Errorf("%s%s: %d %q, want %d", c.host, c.path, status, body, c.status)
		}
	}
	for _, path := range []string{"/explain?url=shop.localhost:" + shop, "/snapshot", "/metrics"} {
		if status, body := get(find(`Admin +(http://\S+)`)+path, "localhost"); status != 200 {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	tryDatabase(t, guide, find(`nc localhost (\d+)`), find(`export TOXIPROXY_URL=(http://\S+)`))
	var told output
	if code := run(t.Context(), strings.Fields(find(` (report --admin-address \S+) `)), &told, &told); code != 0 ||
		!strings.Contains(told.String(), "\ndemo/far-away: ok\n") || !strings.Contains(told.String(), "\ntoxiproxy demo.db: ok\n") {
		t.Errorf("exit code %d, what was injected is not reported:\n%s", code, told.String())
	}
	dir := find(`Manifests +(\S+)`)
	p.end()
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the folder is left behind: %v", err)
	}
	if printed := p.stdout.String(); !strings.Contains(printed, "\nFault report of ") || !strings.Contains(printed, "REQUESTS") {
		t.Errorf("no report at the end:\n%s", printed)
	}
	if strings.Contains(p.stderr.String(), "ERROR") || strings.Contains(p.stderr.String(), "WARN") {
		t.Errorf("the sample manifests are not clean:\n%s", p.stderr.String())
	}
}

// tryDatabase does with the TCP route what the guide says: lines come back late, and later once a toxic is added with toxiproxy-cli.
func tryDatabase(t *testing.T, guide, port, api string) {
	t.Helper()
	nc, err := net.Dial("tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	answers := bufio.NewReader(nc)
	ask := func(atLeast time.Duration) {
		t.Helper()
		began := time.Now()
		_ = nc.SetDeadline(began.Add(patience))
		if _, err := io.WriteString(nc, "select 1\n"); err != nil {
			t.Fatal(err)
		}
		answer, err := answers.ReadString('\n')
		if took := time.Since(began); err != nil || answer != "db-a: select 1\n" || took < atLeast {
			t.Errorf("%q, %v after %v, want it after %v", answer, err, took, atLeast)
		}
	}
	ask(300 * time.Millisecond) // 0.4 s, and up to 0.1 s less
	added := false
	for _, line := range regexp.MustCompile(`(?m)^ +toxiproxy-cli (.*?)( +# .*)?$`).FindAllStringSubmatch(guide, -1) {
		answer := toxiproxyCLI(t, api, strings.Fields(line[1]))
		switch {
		case strings.HasPrefix(line[1], "list"):
			if !strings.Contains(answer, `"demo.db"`) {
				t.Errorf("%s: %s", line[1], answer)
			}
		case strings.HasPrefix(line[1], "toxic add"):
			ask(2300 * time.Millisecond)
			added = true
		}
	}
	if toxics := toxiproxyCLI(t, api, []string{"inspect", "demo.db"}); !added || !strings.Contains(toxics, `"toxics":[]`) {
		t.Errorf("added: %v; left in the end: %s", added, toxics)
	}
}

// toxiproxyCLI calls the API as Toxiproxy's command line does for these arguments, and returns the answer. That one itself is run by
// test/toxiproxy, which keeps it out of this module.
func toxiproxyCLI(t *testing.T, api string, args []string) string {
	t.Helper()
	flags := flag.NewFlagSet("toxiproxy-cli", flag.ContinueOnError)
	name, kind, attributes := flags.String("n", "", ""), flags.String("t", "", ""), map[string]float64{}
	flags.Func("a", "", func(s string) (err error) {
		key, value, _ := strings.Cut(s, "=")
		attributes[key], err = strconv.ParseFloat(value, 64)
		return err
	})
	command, rest := args[0], args[1:]
	if command == "toxic" {
		command, rest = command+" "+rest[0], rest[1:]
	}
	if err := flags.Parse(rest); err != nil {
		t.Fatal(err)
	}
	method, path, content := http.MethodGet, "/proxies", []byte(nil)
	switch proxy := "/proxies/" + flags.Arg(0); command {
	case "list":
	case "inspect":
		path = proxy
	case "toxic add":
		method, path = http.MethodPost, proxy+"/toxics"
		content, _ = json.Marshal(map[string]any{
			"name": *name, "type": *kind, "stream": "downstream", "toxicity": 1, "attributes": attributes,
		})
	case "toxic remove":
		method, path = http.MethodDelete, proxy+"/toxics/"+*name
	default:
		t.Fatalf("toxiproxy-cli %q: nothing is known of that command", args)
	}
	r, err := http.NewRequest(method, api+path, bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	r.Close = true // no connection is left behind
	r.Header.Set("User-Agent", "toxiproxy-cli")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }() // it has been read
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode >= 300 {
		t.Errorf("toxiproxy-cli %q: %d %s, %v", args, res.StatusCode, body, err)
	}
	return string(body)
}

// A mistake in the file that the guide invites to edit: its fault ends, the routes stay, and when it is mended it is the same again.
func TestMistakeInTheDemo(t *testing.T) {
	dir := t.TempDir()
	p := begin(t, "demo", "--dir", dir, "--ingress-http-port", fmt.Sprint(somePort(t)), "--port-offset", fmt.Sprint(somePort(t)-demoGatewayPort),
		"--admin-address", fmt.Sprintf("127.0.0.1:%d", somePort(t)), "--toxiproxy-address", fmt.Sprintf("127.0.0.1:%d", somePort(t)))
	p.eventually("the guide is printed", func() bool { return strings.Contains(p.stdout.String(), "until it is mended.\n") })
	path := filepath.Join(dir, "40-chaos.yaml")
	sample, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	save := func(percent string) {
		t.Helper()
		text := strings.Replace(string(sample), "percent: 30", "percent: "+percent, 1)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	save("1000")
	p.eventually("the fault ends", func() bool {
		return strings.Contains(p.stderr.String(), `"reason":"refused: Withheld: the manifest of NetworkChaos demo/bad-day is gone or cannot be read"`)
	})
	shop := regexp.MustCompile(`shop\.localhost:(\d+)`).FindStringSubmatch(p.stdout.String())
	for range 20 {
		if status, body := get("http://127.0.0.1:"+shop[1]+"/", "shop.localhost"); status != 200 {
			t.Errorf("without the fault: %d %s", status, body)
		}
	}
	save("100")
	p.eventually("it begins again", func() bool {
		return strings.Count(p.stderr.String(), `"experiment begins","experiment":"NetworkChaos/demo/bad-day"`) == 2
	})
	if status, body := get("http://127.0.0.1:"+shop[1]+"/", "shop.localhost"); status == 0 {
		t.Error(body)
	}
	p.end()
	_, report, _ := strings.Cut(p.stdout.String(), "\nFault report of ")
	if strings.Count(report, "\ndemo/bad-day ") != 1 || strings.Contains(report, "deleted") || !strings.Contains(report, "demo/bad-day: ok") {
		t.Errorf("the report at the end:\n%s", report)
	}
}
