package load

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Generator is the program that makes the load.
type Generator struct {
	Own string // path of the bench's own generator; empty for wrk
	Dir string // a folder for wrk's script
}

// Run is one run of a load generator.
type Run struct {
	Generator
	URL string
	// Host is the Host header, empty for the URL's own. With Hosts above 1, the %d in it is a random number below Hosts.
	Host  string
	Hosts int
	// Turn, above 0, is a number of requests that are made beforehand and sent in turn, for host 0, 1, ... Hosts-1, 0 and so on. Each
	// bears its place in the turn, so that the load generator handles as many different requests whatever Hosts is.
	Turn        int
	Method      string
	Body        int // bytes of the request body
	Connections int
	Duration    time.Duration // wrk rounds it up to whole seconds
}

// Do runs the generator to its end, or until ctx ends.
func (r Run) Do(ctx context.Context) (Result, error) {
	args, err := r.arguments()
	if err != nil {
		return Result{}, err
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return Result{}, fmt.Errorf("load on %s: %w: %s", r.URL, err, strings.TrimSpace(string(out)))
	}
	return parseFigures(string(out))
}

func (r Run) arguments() ([]string, error) {
	if r.Own != "" {
		return []string{
			r.Own, "--url", r.URL, "--host", r.Host, "--hosts", strconv.Itoa(r.Hosts), "--turn", strconv.Itoa(r.Turn), "--method", r.Method,
			"--body", strconv.Itoa(r.Body), "--connections", strconv.Itoa(r.Connections), "--duration", r.Duration.String(),
		}, nil
	}
	script := filepath.Join(r.Dir, "load.lua")
	if err := os.WriteFile(script, []byte(r.script()), 0o600); err != nil {
		return nil, err
	}
	seconds := int((r.Duration + time.Second - 1) / time.Second)
	args := []string{"wrk", "-t1", "-c" + strconv.Itoa(r.Connections), "-d" + strconv.Itoa(seconds) + "s", "--timeout", "20s", "-s", script}
	if r.Host != "" && r.Hosts <= 1 && r.Turn == 0 {
		args = append(args, "-H", "Host: "+r.Host)
	}
	return append(args, r.URL), nil
}

// script is the Lua text for wrk. Requests for many hosts are made before the load starts.
func (r Run) script() string {
	var b strings.Builder
	fmt.Fprintf(&b, "wrk.method = %q\n", r.Method)
	if r.Body > 0 {
		fmt.Fprintf(&b, "wrk.body = string.rep(\"x\", %d)\nwrk.headers[\"Content-Type\"] = \"application/octet-stream\"\n", r.Body)
	}
	switch {
	case r.Turn > 0:
		fmt.Fprintf(&b, `local requests, turn = {}, 0
function init(args)
  for i = 0, %d do
    wrk.headers["Host"] = string.format(%q, i %% %d)
    wrk.headers[%q] = string.format(%q, i)
    requests[i + 1] = wrk.format()
  end
end
function request()
  turn = turn %% #requests + 1
  return requests[turn]
end
`, r.Turn-1, r.Host, max(r.Hosts, 1), TurnField, TurnFormat)
	case r.Hosts > 1:
		fmt.Fprintf(&b, `local requests = {}
function init(args)
  for i = 0, %d do
    wrk.headers["Host"] = string.format(%q, i)
    requests[i + 1] = wrk.format()
  end
end
function request() return requests[math.random(#requests)] end
`, r.Hosts-1, r.Host)
	}
	return b.String() + reportScript
}

// The field in which a request bears its place in the turn, and how that is written: all requests are equally long.
const (
	TurnField  = "X-Turn"
	TurnFormat = "%07d"
)

// reportScript makes wrk end its output with one line of exact figures; times are microseconds.
const reportScript = `function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("figures requests=%.0f bytes=%.0f duration=%.0f p50=%.0f p99=%.0f connect=%.0f read=%.0f write=%.0f timeout=%.0f status=%.0f\n",
    summary.requests, summary.bytes, summary.duration, latency:percentile(50), latency:percentile(99),
    e.connect, e.read, e.write, e.timeout, e.status))
end
`

// parseFigures reads the line that reportScript writes.
func parseFigures(out string) (Result, error) {
	_, line, ok := strings.Cut(out, "figures ")
	if !ok {
		return Result{}, fmt.Errorf("no figures in the output of wrk: %q", out)
	}
	line, _, _ = strings.Cut(line, "\n")
	var result Result
	var duration, p50, p99 int64
	into := map[string]*int64{
		"requests": &result.Requests, "bytes": &result.Bytes, "duration": &duration, "p50": &p50, "p99": &p99,
		"connect": &result.Connect, "read": &result.Read, "write": &result.Write, "timeout": &result.Timeout, "status": &result.Status,
	}
	fields := strings.Fields(line)
	if len(fields) != len(into) {
		return Result{}, fmt.Errorf("wrk reported %d figures, want %d: %q", len(fields), len(into), line)
	}
	for _, field := range fields {
		name, text, _ := strings.Cut(field, "=")
		target, known := into[name]
		if !known {
			return Result{}, fmt.Errorf("unknown or repeated figure %q of wrk", field)
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return Result{}, fmt.Errorf("figure %s of wrk: %w", name, err)
		}
		*target = n
		delete(into, name)
	}
	result.Duration, result.P50, result.P99 = micro(duration), micro(p50), micro(p99)
	return result, nil
}

func micro(n int64) time.Duration { return time.Duration(n) * time.Microsecond }
