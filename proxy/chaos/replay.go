package chaos

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// Replay is an earlier fault log as the source of decisions: a toxic acts on exactly the requests or connections, by ordinal, on
// which it acted, and delays a request for as long as it did. What it would have done in a dry run is repeated by dry runs only. What it
// draws within a connection or session, for each piece or datagram, follows the seed of then, as do the Endpoints that are chosen. Bounds
// still hold: windows, guards, caps and kill switches. Lines about Manuals are left out: what makes them is no part of the log, and their
// seed repeats what they decide. If the log has several runs of an Experiment, because processes have written to it one after the other or
// because the object has been made anew, the last one is repeated and no other: each begins with the same ordinals. It is immutable.
type Replay struct {
	objects map[string]*logged
	manual  []uint64 // the seeds of Manuals, each once, in the order of their lines
	cut     bool
	several map[string]bool // the Experiments of which there are several runs
}

// logged is what the log says of one run of an Experiment.
type logged struct {
	since     time.Time                 // Fault.Since
	injected  map[decided]time.Duration // how long the request was to be delayed; 0 if it was not, or is not known
	rehearsed map[decided]bool          // by dry runs
	seed      *uint64                   // of what was injected, if anything was; nil is not known
}

// line is a line of a log. What it does not say is nil.
type line struct {
	Fault
	Seed *uint64 `json:"seed"`
}

// decided names one decision in an Experiment's log.
type decided struct {
	toxic   string
	ordinal uint64 // as attemptOrdinal returns it
}

// maxLine bounds a line of a log.
const maxLine = 1 << 20

// maxSeeds bounds the seeds of Manuals that are remembered: a log has one for each process that wrote to it.
const maxSeeds = 10

// longestReplayed bounds the delays of a log: those of faults are an hour at the most.
const longestReplayed = time.Hour

// ReadReplay reads a fault log. An error names the line. The last line may be incomplete, as a process that is killed leaves it: it
// is left out.
func ReadReplay(r io.Reader) (*Replay, error) {
	replay := &Replay{objects: map[string]*logged{}, several: map[string]bool{}}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	ended := true // the line ends with a line feed
	lines.Split(func(data []byte, atEOF bool) (advance int, token []byte, err error) {
		advance, token, err = bufio.ScanLines(data, atEOF)
		ended = advance > len(token)
		return advance, token, err
	})
	n := 0
	for lines.Scan() {
		n++
		if len(lines.Bytes()) == 0 {
			continue
		}
		var f line
		if err := json.Unmarshal(lines.Bytes(), &f); err != nil {
			if syntax := (*json.SyntaxError)(nil); !ended && errors.As(err, &syntax) && syntax.Offset >= int64(len(lines.Bytes())) {
				replay.cut = true
				break
			}
			return nil, fmt.Errorf("read fault log: line %d: %w", n, err)
		}
		if f.Object == "" || f.Toxic == "" {
			return nil, fmt.Errorf("read fault log: line %d: no object or no toxic", n)
		}
		if strings.HasPrefix(f.Object, ManualKind+"/") {
			if f.Seed != nil && !slices.Contains(replay.manual, *f.Seed) && len(replay.manual) < maxSeeds {
				replay.manual = append(replay.manual, *f.Seed)
			}
			continue
		}
		replay.add(&f)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read fault log: line %d: %w", n+1, err)
	}
	return replay, nil
}

// add takes a line down, unless it is of an earlier run.
func (r *Replay) add(f *line) {
	l := r.objects[f.Object]
	r.several[f.Object] = r.several[f.Object] || l != nil && !f.Since.Equal(l.since)
	switch {
	case l == nil || f.Since.After(l.since):
		l = &logged{since: f.Since, injected: map[decided]time.Duration{}, rehearsed: map[decided]bool{}}
		r.objects[f.Object] = l
	case f.Since.Before(l.since):
		return
	}
	l.add(f)
}

// add takes a line down.
func (l *logged) add(f *line) {
	what := decided{f.Toxic, attemptOrdinal(f.Ordinal, max(f.Attempt, 1))}
	switch f.Decision {
	case decidedInject:
		if len(l.injected) == 0 {
			l.seed = cmp.Or(f.Seed, l.seed)
		}
		l.injected[what] = f.delayed()
	case decidedDryRun:
		l.rehearsed[what] = true
	}
	l.seed = cmp.Or(l.seed, f.Seed)
}

// Names are those of the Experiments in the log, in order: Kind/Namespace/Name.
func (r *Replay) Names() []string { return slices.Sorted(maps.Keys(r.objects)) }

// ManualSeeds are those of the Manuals in the log, whose lines are left out; none, if there are no such lines.
func (r *Replay) ManualSeeds() []uint64 { return r.manual }

// IsCut reports whether the last line of the log was incomplete.
func (r *Replay) IsCut() bool { return r.cut }

// severalRuns are the names of the Experiments of which the log has several runs, in order.
func (r *Replay) severalRuns() (names []string) {
	for name, several := range r.several {
		if several {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// delayed is for how long the line says that a request is to be delayed.
func (f *Fault) delayed() time.Duration {
	if !(f.Delay > 0) {
		return 0
	}
	return time.Duration(min(f.Delay, longestReplayed.Seconds()) * float64(time.Second))
}

// knows reports whether the log has lines of an Experiment. Others decide for themselves.
func (r *Replay) knows(object string) bool {
	if r == nil {
		return false
	}
	_, ok := r.objects[object]
	return ok
}

// isRehearsal reports whether the log has lines of dry runs of an Experiment and nothing that was injected.
func (r *Replay) isRehearsal(object string) bool {
	return r.knows(object) && len(r.objects[object].injected) == 0 && len(r.objects[object].rehearsed) > 0
}

// acts tells whether a toxic of an Experiment that the log knows acts or, in a dry run, would act.
func (r *Replay) acts(object, toxic string, ordinal uint64, dryRun bool) bool {
	what := decided{toxic, ordinal}
	_, injected := r.objects[object].injected[what]
	return injected || dryRun && r.objects[object].rehearsed[what]
}

// seed returns that of an Experiment when its first fault was injected; now, which it has today, if that is not known.
func (r *Replay) seed(object string, now uint64) uint64 {
	if !r.knows(object) || r.objects[object].seed == nil {
		return now
	}
	return *r.objects[object].seed
}

// delay returns for how long a toxic has delayed a request; 0 if it has not, or if the log does not know.
func (r *Replay) delay(object, toxic string, ordinal uint64) time.Duration {
	if !r.knows(object) {
		return 0
	}
	return r.objects[object].injected[decided{toxic, ordinal}]
}
