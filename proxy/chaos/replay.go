package chaos

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
)

// Replay is an earlier fault log as the source of decisions: a toxic acts on exactly the requests or connections, by ordinal, on
// which it acted, or would have in a dry run. Bounds still hold: windows, guards, caps and kill switches. It is immutable.
type Replay struct {
	objects map[string]map[decided]struct{}
}

// decided names one decision in an Experiment's log.
type decided struct {
	toxic   string
	ordinal uint64 // as attemptOrdinal returns it
}

// maxLine bounds a line of a log.
const maxLine = 1 << 20

// ReadReplay reads a fault log. An error names the line.
func ReadReplay(r io.Reader) (*Replay, error) {
	replay := &Replay{objects: map[string]map[decided]struct{}{}}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	n := 0
	for lines.Scan() {
		n++
		if len(lines.Bytes()) == 0 {
			continue
		}
		var f Fault
		if err := json.Unmarshal(lines.Bytes(), &f); err != nil {
			return nil, fmt.Errorf("read fault log: line %d: %w", n, err)
		}
		if f.Object == "" || f.Toxic == "" {
			return nil, fmt.Errorf("read fault log: line %d: no object or no toxic", n)
		}
		if replay.objects[f.Object] == nil {
			replay.objects[f.Object] = map[decided]struct{}{}
		}
		if f.Decision == decidedInject || f.Decision == decidedDryRun {
			replay.objects[f.Object][decided{f.Toxic, attemptOrdinal(f.Ordinal, max(f.Attempt, 1))}] = struct{}{}
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read fault log: line %d: %w", n+1, err)
	}
	return replay, nil
}

// knows reports whether the log has lines of an Experiment. Others decide for themselves.
func (r *Replay) knows(object string) bool {
	if r == nil {
		return false
	}
	_, ok := r.objects[object]
	return ok
}

func (r *Replay) injected(object, toxic string, ordinal uint64) bool {
	_, ok := r.objects[object][decided{toxic, ordinal}]
	return ok
}
