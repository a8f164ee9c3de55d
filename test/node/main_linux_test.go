package node

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"
)

const (
	askedFor = "BREAKWATER_TEST_NODE"
	// inside has the folder of the node's files; it is set for the process in the namespaces.
	inside = "BREAKWATER_TEST_NODE_INSIDE"
)

var hold = flag.Bool("hold", false, "keep the node after the tests until the process is interrupted, to look around in it")

// cluster is the node that all tests share; nil: they are not asked for.
var cluster *node

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if os.Getenv(askedFor) == "" {
		return m.Run()
	}
	var code int
	var err error
	if dir := os.Getenv(inside); dir != "" {
		code, err = runInside(m, dir)
	} else {
		code, err = runOutside()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "node:", err)
		return 1
	}
	return code
}

// runOutside builds the programs, starts this process once more in namespaces of its own, and removes what is left of it.
func runOutside() (code int, err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := needs(); err != nil {
		return 1, err
	}
	if err := buildPinned(ctx); err != nil {
		return 1, err
	}
	dir, err := os.MkdirTemp("", "breakwater-node-")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir), removeControlGroups(filepath.Base(dir))) }()
	if err := buildOwn(ctx, folder(dir)); err != nil {
		return 1, err
	}
	self, err := os.Executable()
	if err != nil {
		return 1, err
	}
	runtime.LockOSThread() // the child ends with the thread that started it
	cmd := exec.Command(self, os.Args[1:]...)
	cmd.Env = append(os.Environ(), inside+"="+dir)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET,
		Pdeathsig:  syscall.SIGKILL, Setpgid: true,
	}
	if err := cmd.Start(); err != nil {
		return 1, fmt.Errorf("start in namespaces of its own: %w", err)
	}
	go func() {
		<-ctx.Done()
		_ = cmd.Process.Kill() // with the first process of the namespace all others end
	}()
	if *hold {
		fmt.Fprintf(os.Stderr, "node: look around with: nsenter -t %d -n -m -p -- env KUBECONFIG=%s %s get pods -A\n",
			cmd.Process.Pid, filepath.Join(dir, "admin.conf"), programs().path("kubectl"))
	}
	if err := cmd.Wait(); err != nil && cmd.ProcessState.ExitCode() < 0 {
		return 1, err
	}
	return cmd.ProcessState.ExitCode(), nil
}

// runInside starts the node and runs the tests. Whatever it has started ends with it.
func runInside(m *testing.M, dir string) (code int, err error) {
	started := time.Now()
	if cluster, err = startNode(context.Background(), dir); err != nil {
		return 1, err
	}
	fmt.Fprintf(os.Stderr, "node: ready after %s\n", time.Since(started).Round(time.Second))
	code = m.Run()
	if *hold {
		fmt.Fprintln(os.Stderr, "node: held until interrupted")
		select {}
	}
	return code, nil
}

// onNode skips the test unless there is a node.
func onNode(t *testing.T) *node {
	t.Helper()
	if cluster == nil {
		t.Skipf("needs root, Debian packages and ten minutes of building: only with %s=1 (make test-node)", askedFor)
	}
	return cluster
}
