package chaos

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// killSwitch is one of the switches that keep every Experiment and every toxic from acting. Any one suffices.
type killSwitch int

const (
	flagSwitch     killSwitch = iota // Config.Disabled
	snapshotSwitch                   // Snapshot.ChaosOff
	adminSwitch                      // SetEnabled
	killSwitches
)

// nameOf returns what users know a switch by. e.mu is held.
func (e *Engine) nameOf(k killSwitch) string {
	return [...]string{"--chaos=false", cmp.Or(e.chaosSwitch, "the ConfigMap"), "the admin endpoint"}[k]
}

// names returns what users know the switches by that are used. e.mu is held.
func (e *Engine) names() (used []string) {
	for k, since := range e.switches {
		if !since.IsZero() {
			used = append(used, e.nameOf(killSwitch(k)))
		}
	}
	return used
}

// Switch is a kill switch that is used.
type Switch struct {
	Name  string    `json:"name"`
	Since time.Time `json:"since"`
}

// Switches returns the kill switches that are used now; none, if faults may act.
func (e *Engine) Switches() (used []Switch) {
	e.mu.Lock()
	defer e.unlock()
	for k, since := range e.switches {
		if !since.IsZero() {
			used = append(used, Switch{e.nameOf(killSwitch(k)), since})
		}
	}
	return used
}

// setSnapshot throws or releases the kill switch of a Snapshot. e.mu is held.
func (e *Engine) setSnapshot(snap *proxy.Snapshot) {
	if !snap.ChaosOff {
		e.set(snapshotSwitch, false)
		e.chaosSwitch = ""
		return
	}
	if e.chaosSwitch != snap.ChaosSwitch { // what is used now is another one, or it is known by now
		e.chaosSwitch, e.switches[snapshotSwitch] = snap.ChaosSwitch, time.Time{}
	}
	e.set(snapshotSwitch, true)
}

// set throws or releases a kill switch. e.mu is held.
func (e *Engine) set(k killSwitch, thrown bool) {
	if was := !e.switches[k].IsZero(); was == thrown {
		return
	}
	name := e.nameOf(k)
	if thrown {
		e.switches[k] = time.Now()
		e.say("chaos is off", "switch", name)
		return
	}
	e.switches[k] = time.Time{}
	if still := e.names(); len(still) > 0 {
		e.say("chaos stays off", "released", name, "usedStill", strings.Join(still, ", "))
	} else {
		e.say("chaos is on", "released", name)
	}
}

// off reports whether a kill switch is used. e.mu is held.
func (e *Engine) off() bool { return e.switches != [killSwitches]time.Time{} }

// event is a line of the log.
type event struct {
	level      slog.Level
	message    string
	attributes []any
}

// say has a line logged by unlock. e.mu is held.
func (e *Engine) say(message string, attributes ...any) {
	e.events = append(e.events, event{slog.LevelInfo, message, attributes})
}

// warn is say for what somebody should look at. e.mu is held.
func (e *Engine) warn(message string, attributes ...any) {
	e.events = append(e.events, event{slog.LevelWarn, message, attributes})
}

// maxNamed bounds how many Experiments a line of the log names.
const maxNamed = 10

// checkReplay warns, once, if a fault log is replayed that concerns none of the Experiments, although it has lines. e.mu is held.
func (e *Engine) checkReplay(snap *proxy.Snapshot) {
	r := e.cfg.Replay
	if r == nil || len(r.objects) == 0 || e.replayChecked || len(snap.Experiments) == 0 {
		return
	}
	e.replayChecked = true
	if slices.ContainsFunc(snap.Experiments, func(x *proxy.Experiment) bool { return r.knows(x.ID.String()) }) {
		return
	}
	names := r.Names()
	e.warn("no experiment has a name of the fault log that is replayed: all decide anew", "logged", names[:min(len(names), maxNamed)])
}

// unlock releases e.mu and then writes what has been said: nobody who throws the kill switch is to wait for a log that is stuck.
func (e *Engine) unlock() {
	events := e.events
	e.events = nil
	e.mu.Unlock()
	for _, one := range events {
		e.cfg.Log.Log(context.Background(), one.level, one.message, one.attributes...)
	}
}

// tell says when an experiment begins and ends to act, and when it is changed meanwhile. What the kill switches do to all at once is
// said of them. e.mu is held.
func (e *Engine) tell(x *experiment) {
	phase := x.phase()
	isReal := phase == proxy.ExperimentActive && !x.cfg.DryRun && (x.told == nil || x.told.DryRun)
	if isReal && e.cfg.Replay.isRehearsal(x.name) {
		e.warn("the fault log that is replayed has only dry runs of the experiment: nothing acts", "experiment", x.name)
	}
	switch {
	case phase == proxy.ExperimentActive && x.told == nil:
		attributes := []any{"experiment", x.name, "until", x.window.to.UTC().Format(time.RFC3339), "at", x.cfg.At.String(), "percent", percentOf(x.cfg)}
		if x.cfg.DryRun {
			attributes = append(attributes, "dryRun", true)
		}
		e.say("experiment begins", attributes...)
		x.told = x.cfg
	case phase == proxy.ExperimentActive && isChanged(x.told, x.cfg):
		attributes := []any{"experiment", x.name, "until", x.window.to.UTC().Format(time.RFC3339)}
		if x.told.DryRun != x.cfg.DryRun {
			attributes = append(attributes, "dryRun", x.cfg.DryRun)
		}
		e.say("experiment is changed", attributes...)
		x.told = x.cfg
	case phase == proxy.ExperimentActive || phase == proxy.ExperimentOff || x.told == nil:
	default:
		x.told = nil
		if phase == proxy.ExperimentHalted && x.halt.here {
			return // who has halted it says so
		}
		e.say("experiment ends", "experiment", x.name, "reason", x.endReason(phase), "matched", x.matched.Load(), "injected", x.injected.Load())
	}
}

// percentOf is an Experiment's Percent for the log: a number, or what it changes between.
func percentOf(x *proxy.Experiment) any {
	if !x.Percent.Changes() {
		return x.Percent.Base
	}
	return fmt.Sprintf("%v to %v", x.Percent.Min(), x.Percent.Max())
}

// isChanged reports whether somebody has edited the object between two of its configurations. What it selects, such as pods, may
// change all the time.
func isChanged(before, now *proxy.Experiment) bool {
	return before.Revision != now.Revision || now.UID == "" && before != now
}

func (x *experiment) endReason(phase proxy.ExperimentPhase) string {
	switch {
	case x.deleted:
		return "deleted"
	case x.refused != "":
		return "refused: " + x.refused
	case x.problem != "":
		return "invalid: " + x.problem
	}
	switch phase {
	case proxy.ExperimentExpired:
		return "expired"
	case proxy.ExperimentHalted:
		return "halted by another replica"
	case proxy.ExperimentSuspended:
		return "suspended"
	default:
		return "until its next window"
	}
}
