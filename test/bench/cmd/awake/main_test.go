package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// isProgram in the environment makes the test binary the program itself.
const isProgram = "BENCH_AWAKE_TEST"

func TestMain(m *testing.M) {
	if os.Getenv(isProgram) != "" {
		main()
		return
	}
	m.Run()
}

// start starts the program. It ends when in is closed.
func start(t *testing.T, args ...string) (program *exec.Cmd, in io.Closer, out io.Reader) {
	t.Helper()
	program = exec.Command(os.Args[0], args...)
	program.Env = append(os.Environ(), isProgram+"=1", "GODEBUG=asyncpreemptoff=1")
	in, err := program.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if out, err = program.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	return program, in, out
}

// idleThreads returns the processors that the threads of a process under SCHED_IDLE are bound to.
func idleThreads(t *testing.T, pid int) (processors []string) {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		stat, errStat := os.ReadFile(task + "/stat")
		status, errStatus := os.ReadFile(task + "/status")
		if errStat != nil || errStatus != nil { // it has ended
			continue
		}
		const policy, idle = 38, "5" // counted from the field after the command name, proc_pid_stat(5)
		_, after, _ := strings.Cut(string(stat), ") ")
		if strings.Fields(after)[policy] != idle {
			continue
		}
		for line := range strings.Lines(string(status)) {
			if list, ok := strings.CutPrefix(line, "Cpus_allowed_list:"); ok {
				processors = append(processors, strings.TrimSpace(list))
			}
		}
	}
	return processors
}

func TestEachProcessorGetsOneIdleThreadUntilTheInputEnds(t *testing.T) {
	var allowed unix.CPUSet
	if err := unix.SchedGetaffinity(0, &allowed); err != nil {
		t.Fatal(err)
	}
	program, in, out := start(t)
	said := make([]byte, len("awake\n"))
	if _, err := io.ReadFull(out, said); err != nil || string(said) != "awake\n" {
		t.Errorf("said %q, %v", said, err)
	}
	found := idleThreads(t, program.Process.Pid)
	in.Close()
	if err := program.Wait(); err != nil {
		t.Error(err)
	}
	seen := map[string]bool{}
	for _, processor := range found {
		seen[processor] = true
	}
	if len(found) != allowed.Count() || len(seen) != len(found) || strings.ContainsAny(strings.Join(found, ""), ",-") {
		t.Errorf("threads under SCHED_IDLE on processors %q, want one on each of %d", found, allowed.Count())
	}
}

func TestItEndsWithAnErrorWhenItsTimeIsOver(t *testing.T) {
	program, in, _ := start(t, "--limit", "1ms")
	defer in.Close()
	if err := program.Wait(); err == nil {
		t.Error("no error")
	}
}
