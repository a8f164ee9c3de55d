package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// asProgram is set in the environment of a test binary that is to be breakwater itself.
const asProgram = "BREAKWATER_TEST_AS_PROGRAM"

func TestUntilSignal(t *testing.T) {
	const term, interrupt = syscall.SIGTERM, syscall.SIGINT
	type sent struct {
		after  time.Duration // since the one before
		signal os.Signal
	}
	for name, test := range map[string]struct {
		heeded bool
		sent   []sent
		want   string // what has come of it
	}{
		"nothing":                              {true, nil, ""},
		"one":                                  {true, []sent{{0, term}}, "stop"},
		"sent twice":                           {true, []sent{{0, term}, {20 * time.Millisecond, term}}, "stop"},
		"sent three times":                     {true, []sent{{0, term}, {0, term}, {999 * time.Millisecond, term}}, "stop"},
		"another one":                          {true, []sent{{0, term}, {time.Second, term}}, "stop haste"},
		"another kind":                         {true, []sent{{0, term}, {time.Millisecond, interrupt}}, "stop haste"},
		"another one, sent twice":              {true, []sent{{0, term}, {time.Second, term}, {0, term}}, "stop haste"},
		"a third":                              {true, []sent{{0, term}, {time.Second, term}, {time.Second, term}}, "stop haste kill"},
		"another one in vain":                  {true, []sent{{0, term}, {time.Second, term}, {hasteMost, nil}}, "stop haste kill"},
		"another one that nobody attends to":   {false, []sent{{0, term}, {time.Second, term}}, "stop kill"},
		"sent twice, and nobody attends to it": {false, []sent{{0, term}, {0, term}}, "stop"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				parent, end := context.WithCancel(t.Context())
				defer end()
				signals, killed := make(chan os.Signal, 1), false
				ctx, h := untilSignal(parent, signals, func() { killed = true })
				var heeded <-chan struct{}
				if test.heeded {
					heeded = heed(ctx)
				}
				for _, s := range test.sent {
					time.Sleep(s.after)
					if s.signal != nil {
						signals <- s.signal
					}
					synctest.Wait()
				}
				var got []string
				if ctx.Err() != nil {
					got = append(got, "stop")
				}
				select {
				case <-heeded:
					got = append(got, "haste")
				default:
				}
				if killed {
					got = append(got, "kill")
				}
				if h.isAsked() != (strings.Contains(test.want, "haste")) {
					t.Errorf("haste is %v", h.isAsked())
				}
				if got := strings.Join(got, " "); got != test.want {
					t.Errorf("got %q, want %q", got, test.want)
				}
			})
		})
	}
}

// What a process leaves behind does not depend on how often it is told to stop: timeout(1) sends a signal to its child and then to
// the group, in which the child is.
func TestSignalsOfARealProcess(t *testing.T) {
	const term, interrupt = syscall.SIGTERM, syscall.SIGINT
	for name, test := range map[string]struct {
		signals []os.Signal
		// finish lets the request that is in flight end after the signals.
		finish bool
		// codes are the exit codes that may be: a machine may be so slow that a repeat is not seen as one.
		codes []int
	}{
		"a signal that is sent twice": {[]os.Signal{term, term}, true, []int{0, exitKilled}},
		"two signals":                 {[]os.Signal{term, interrupt}, false, []int{exitKilled}},
	} {
		t.Run(name, func(t *testing.T) {
			arrived, finish := make(chan struct{}), make(chan struct{})
			backend := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				close(arrived)
				select {
				case <-finish:
				case <-r.Context().Done():
				}
			}))
			t.Cleanup(backend.Close)
			port, dir := somePort(t), folder(t, ingress("shop.example.com")+sliceOf(backend))
			report := filepath.Join(t.TempDir(), "report.json")
			p := beginProcess(t, "serve", "--manifests", dir, "--bind-address", "127.0.0.1", "--admin-address", "",
				"--ingress-http-port", fmt.Sprint(port), "--report", report)
			p.eventually("it serves", func() bool { return strings.Contains(p.stderr.String(), "serving") })
			answered := make(chan struct{}) // or cut off, at the latest when the process has ended
			go func() {
				defer close(answered)
				get(fmt.Sprintf("http://127.0.0.1:%d/", port), "shop.example.com")
			}()
			<-arrived
			for _, s := range test.signals {
				if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
					t.Fatal(err)
				}
				p.eventually("it stops", func() bool { return strings.Contains(p.stderr.String(), "stopping") })
			}
			if test.finish {
				close(finish)
			}
			code := p.wait()
			<-answered
			if test.codes[0] != code && test.codes[len(test.codes)-1] != code {
				t.Errorf("exit code %d, want one of %v:\n%s", code, test.codes, p.stderr.String())
			}
			if text, err := os.ReadFile(report); err != nil || !strings.Contains(string(text), `"experiments"`) {
				t.Errorf("no report: %v, %q; standard error:\n%s", err, text, p.stderr.String())
			}
		})
	}
}

// What has nothing to put in order ends with the first signal, whatever it is in the middle of, and says nothing of it.
func TestTheFirstSignalEndsWhatServesNothing(t *testing.T) {
	faulty := folder(t, strings.Repeat("apiVersion: v1\nkind: [wrong]\n---\n", 5_000)) // more to say than a pipe holds
	for name, signal := range map[string]os.Signal{"SIGTERM": syscall.SIGTERM, "Ctrl-C": os.Interrupt} {
		t.Run(name, func(t *testing.T) {
			p := command(t, "check", faulty)
			said, err := p.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			stderr, err := p.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Start(); err != nil {
				t.Fatal(err)
			}
			kill := time.AfterFunc(patience, func() { _ = p.Process.Kill() }) // fails if it has ended, as it should have
			defer kill.Stop()
			if _, err := io.ReadFull(said, make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			if err := p.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			state, err := p.Process.Wait()
			if err != nil {
				t.Fatal(err)
			}
			if text, err := io.ReadAll(stderr); state.ExitCode() != exitKilled || err != nil || len(text) > 0 {
				t.Errorf("exit code %d, standard error %q, %v", state.ExitCode(), text, err)
			}
		})
	}
}

func TestWhatEndsAtOnceDoesSoWheneverTheSignalComes(t *testing.T) {
	for _, before := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			parent, end := context.WithCancel(t.Context())
			defer end()
			signals, killed := make(chan os.Signal, 1), make(chan struct{}, 1)
			ctx, _ := untilSignal(parent, signals, func() { killed <- struct{}{} })
			if before {
				signals <- os.Interrupt
				synctest.Wait()
			}
			endAtOnce(ctx)
			if !before {
				signals <- os.Interrupt
			}
			<-killed
			if ctx.Err() != nil && !before {
				t.Error("what is to end has been told to stop, and may say so")
			}
		})
	}
}

// realProcess is breakwater in a process of its own.
type realProcess struct {
	*program
	cmd *exec.Cmd
}

func beginProcess(t *testing.T, args ...string) *realProcess {
	t.Helper()
	p := &realProcess{program: &program{t: t}, cmd: command(t, args...)}
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill() }) // fails if it has ended, as it should have
	return p
}

// command returns breakwater in a process of its own that has not begun.
func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(self, args...)
	c.Env = append(os.Environ(), asProgram+"=1")
	return c
}

// wait returns the exit code.
func (p *realProcess) wait() int {
	p.t.Helper()
	err := p.cmd.Wait()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		p.t.Fatal(err)
	}
	return p.cmd.ProcessState.ExitCode()
}

// sliceOf returns the manifest of the endpoint of Service shop.
func sliceOf(backend *httptest.Server) string {
	return fmt.Sprintf(`---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: shop, labels: {kubernetes.io/service-name: shop}}
addressType: IPv4
ports: [{port: %d}]
endpoints: [{addresses: [127.0.0.1]}]
`, backend.Listener.Addr().(*net.TCPAddr).Port)
}
