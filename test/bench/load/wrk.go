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

// Run is one run of wrk.
type Run struct {
	URL         string
	Host        string // value of the Host header; empty for the URL's own
	Script      string // text of the Lua script; ends with the report of exact figures
	Connections int
	Duration    time.Duration // rounded up to whole seconds
	Dir         string        // a folder for the script
}

// Do runs wrk to its end, or until ctx ends.
func (r Run) Do(ctx context.Context) (Result, error) {
	script := filepath.Join(r.Dir, "load.lua")
	if err := os.WriteFile(script, []byte(r.Script), 0o600); err != nil {
		return Result{}, err
	}
	seconds := int((r.Duration + time.Second - 1) / time.Second)
	args := []string{"-t1", "-c" + strconv.Itoa(r.Connections), "-d" + strconv.Itoa(seconds) + "s", "--timeout", "20s", "-s", script}
	if r.Host != "" {
		args = append(args, "-H", "Host: "+r.Host)
	}
	cmd := exec.CommandContext(ctx, "wrk", append(args, r.URL)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return Result{}, fmt.Errorf("wrk %s: %w: %s", r.URL, err, strings.TrimSpace(string(out)))
	}
	return parseFigures(string(out))
}

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
