package measure

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// PSS is the proportional set size of the process pid and all its descendants in bytes: private pages, and of each
// shared page the part that falls to the process. Memory that the kernel holds for sockets is not in it.
func PSS(pid int) (int64, error) {
	family, err := Family(pid)
	if err != nil {
		return 0, err
	}
	var sum int64
	for id := range family {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", id))
		if err != nil {
			return 0, fmt.Errorf("read memory: %w", err)
		}
		bytes, err := parseRollup(string(text))
		if err != nil {
			return 0, fmt.Errorf("/proc/%d/smaps_rollup: %w", id, err)
		}
		sum += bytes
	}
	return sum, nil
}

// parseRollup reads the Pss line of /proc/PID/smaps_rollup; its unit is always kB, meaning 1024 bytes.
func parseRollup(text string) (int64, error) {
	for line := range strings.Lines(text) {
		value, ok := strings.CutPrefix(line, "Pss:")
		if !ok {
			continue
		}
		fields := strings.Fields(value)
		if len(fields) != 2 || fields[1] != "kB" {
			return 0, fmt.Errorf("unexpected Pss line %q", strings.TrimSpace(line))
		}
		kib, err := strconv.ParseInt(fields[0], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("pss: %w", err)
		}
		return kib * 1024, nil
	}
	return 0, errors.New("no Pss line")
}
