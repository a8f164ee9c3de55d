package measure

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of the CPU times in /proc/PID/stat. USER_HZ is 100 in Linux's ABI on amd64 and arm64.
const tick = 10 * time.Millisecond

// CPU is processor time, counted over all threads.
type CPU struct {
	User   time.Duration
	System time.Duration
}

// Total is user and system time together.
func (c CPU) Total() time.Duration { return c.User + c.System }

// Sample is the CPU time that each process of a family had used at one moment, by process id.
type Sample map[int]CPU

// Family samples the process pid and all its descendants.
func Family(pid int) (Sample, error) {
	all, err := processes()
	if err != nil {
		return nil, err
	}
	root, ok := all[pid]
	if !ok {
		return nil, fmt.Errorf("read CPU time: no process %d", pid)
	}
	sample := Sample{pid: root.cpu}
	for grown := true; grown; {
		grown = false
		for id, p := range all {
			_, parentIn := sample[p.parent]
			if _, in := sample[id]; parentIn && !in {
				sample[id], grown = p.cpu, true
			}
		}
	}
	return sample, nil
}

// Since is the CPU time used between the earlier sample and this one. A process that ended between them took its time
// with it, so that is an error and not a figure.
func (s Sample) Since(earlier Sample) (CPU, error) {
	var sum CPU
	for id := range earlier {
		if _, ok := s[id]; !ok {
			return CPU{}, fmt.Errorf("process %d ended during the measurement", id)
		}
	}
	for id, now := range s {
		sum.User += now.User - earlier[id].User
		sum.System += now.System - earlier[id].System
	}
	return sum, nil
}

type process struct {
	parent int
	cpu    CPU
}

func processes() (map[int]process, error) {
	paths, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	all := make(map[int]process, len(paths))
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if gone(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read CPU time: %w", err)
		}
		id, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			continue
		}
		if all[id], err = parseStat(string(text)); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return all, nil
}

// gone tells that a process ended between the listing of /proc and the reading of its file.
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || err != nil && strings.Contains(err.Error(), "no such process")
}

// parseStat reads the parent, utime and stime fields of one /proc/PID/stat line (proc_pid_stat(5)). The command name
// before them is in parentheses and may itself hold spaces and parentheses.
func parseStat(text string) (process, error) {
	end := strings.LastIndexByte(text, ')')
	if end < 0 {
		return process{}, errors.New("no command name")
	}
	const parent, user, system = 1, 11, 12 // counted from the field after the command name
	fields := strings.Fields(text[end+1:])
	if len(fields) <= system {
		return process{}, fmt.Errorf("%d fields after the command name, want more than %d", len(fields), system)
	}
	var numbers [3]int64
	for i, at := range [...]int{parent, user, system} {
		n, err := strconv.ParseInt(fields[at], 10, 64)
		if err != nil {
			return process{}, fmt.Errorf("field %d: %w", at, err)
		}
		numbers[i] = n
	}
	cpu := CPU{User: time.Duration(numbers[1]) * tick, System: time.Duration(numbers[2]) * tick}
	return process{parent: int(numbers[0]), cpu: cpu}, nil
}
