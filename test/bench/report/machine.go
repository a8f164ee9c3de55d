package report

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// Machine is what the figures depend on besides the programs.
type Machine struct {
	Cores  int    `json:"cores"`
	Model  string `json:"model"`
	Kernel string `json:"kernel"`
	Memory string `json:"memory"`
	Load   string `json:"load"` // load averages when the run began: a sign of what else was running
	Go     string `json:"go"`
	Wrk    string `json:"wrk"`
}

// ThisMachine reads the facts of the machine; what cannot be read stays empty.
func ThisMachine() Machine {
	out, _ := exec.Command("wrk", "-v").CombinedOutput() // its status is 1 even so
	_, wrk, _ := strings.Cut(string(out), "wrk ")
	wrk, _, _ = strings.Cut(wrk, " [")
	return Machine{
		Cores: runtime.NumCPU(), Go: runtime.Version(), Wrk: wrk,
		Model:  field("/proc/cpuinfo", "model name"),
		Kernel: strings.TrimSpace(text("/proc/sys/kernel/osrelease")),
		Memory: field("/proc/meminfo", "MemTotal"),
		Load:   strings.Join(strings.Fields(text("/proc/loadavg") + " - - -")[:3], " "),
	}
}

func (m Machine) lines() []string {
	return []string{
		fmt.Sprintf("%d cores, %s, %s of memory, load average at the start %s", m.Cores, m.Model, m.Memory, m.Load),
		fmt.Sprintf("Linux %s, %s, wrk %s", m.Kernel, m.Go, m.Wrk),
	}
}

// field is the value of the first "name : value" line of a file.
func field(path, name string) string {
	for line := range strings.Lines(text(path)) {
		key, value, ok := strings.Cut(line, ":")
		if ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func text(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return string(data)
}
