package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/spf13/pflag"

	"github.com/breakwater-gateway/breakwater/proxy/chaos"
)

// experimentOptions are the flags of what is live of experiments.
type experimentOptions struct {
	enabled     bool
	log         string
	replay      string
	routingSeed uint64
	hasSeed     func() bool // routingSeed has been given
	final       finalReport
}

func (o *experimentOptions) add(f *pflag.FlagSet) {
	f.BoolVar(&o.enabled, "chaos", true, "let experiments and toxics act; --chaos=false is a kill switch that nothing lifts")
	f.StringVar(&o.log, "fault-log", "", "file to which every fault is appended as a line of JSON (default none); SIGHUP opens it anew, after a rotation")
	f.StringVar(&o.replay, "fault-replay", "",
		"fault log of an earlier run: its experiments' faults hit the same requests and connections, by ordinal, again: those of the last "+
			"run of each in the file (not toxics of Toxiproxy's clients)")
	f.Uint64Var(&o.routingSeed, "routing-seed", 0,
		"makes shares by weight and the choice of endpoints repeatable, so that seeds and replays hit the same requests also where a fault is "+
			"for some backends or endpoints only (default none: they differ from run to run)")
	o.hasSeed = func() bool { return f.Changed("routing-seed") }
	o.addReport(f)
}

func (o *experimentOptions) addReport(f *pflag.FlagSet) {
	f.StringVar(&o.final.file, "report", "",
		"file for a report of all experiments and toxics when the process stops, which ends in .txt, .md, .xml (JUnit) or .json (default none)")
}

// experiments is the running Engine and the file of its fault log.
type experiments struct {
	*chaos.Engine
	log *logFile // nil: none
}

// start reads the replay, opens the log and makes the Engine.
func (o *experimentOptions) start(log *slog.Logger) (experiments, error) {
	c := chaos.Config{Log: bounded(log), Disabled: !o.enabled}
	var err error
	if c.Replay, err = o.readReplay(); err != nil {
		return experiments{}, err
	}
	if c.Replay != nil && len(c.Replay.ManualSeeds()) > 0 {
		log.Warn("toxics that were made through the API for Toxiproxy's clients are not replayed; --toxiproxy-seed repeats what they decide "+
			"(--fault-replay)", "file", o.replay, "seeds", c.Replay.ManualSeeds())
	} else if c.Replay != nil && len(c.Replay.Names()) == 0 {
		log.Warn("the fault log that is replayed is empty: all experiments decide anew (--fault-replay)", "file", o.replay)
	}
	if c.Replay != nil && c.Replay.IsCut() {
		log.Warn("the last line of the fault log that is replayed is incomplete and left out (--fault-replay)", "file", o.replay)
	}
	x := experiments{}
	if o.log != "" {
		if x.log, err = openLog(o.log); err != nil {
			return experiments{}, fmt.Errorf("open the fault log (--fault-log): %w", err)
		}
		c.FaultLog = x.log
	}
	x.Engine = chaos.New(c)
	if !o.enabled {
		log.Info("no experiment and no toxic acts (--chaos=false)")
	}
	return x, nil
}

// readReplay reads the earlier fault log; nil without one.
func (o *experimentOptions) readReplay() (_ *chaos.Replay, err error) {
	if o.replay == "" {
		return nil, nil
	}
	file, err := os.Open(o.replay)
	if err != nil {
		return nil, fmt.Errorf("open the faults to replay (--fault-replay): %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if before, err := file.Stat(); err == nil {
		if now, err := os.Stat(o.log); err == nil && os.SameFile(before, now) {
			return nil, wrong("--fault-replay and --fault-log are the same file %q: what is replayed would grow with every run", o.log)
		}
	}
	replay, err := chaos.ReadReplay(file)
	if err != nil {
		return nil, fmt.Errorf("%s (--fault-replay): %w", o.replay, err)
	}
	return replay, nil
}

// reopen opens the file of the fault log anew.
func (x experiments) reopen(log *slog.Logger) {
	if x.log == nil {
		log.Info("SIGHUP: there is no fault log to open anew")
		return
	}
	if err := x.log.reopen(); err != nil {
		log.Error("the fault log cannot be opened anew", "file", x.log.path, "error", err)
		return
	}
	log.Info("the fault log is opened anew", "file", x.log.path)
}

// close ends all faults and writes the last lines of the log.
func (x experiments) close() error {
	x.Engine.Close()
	if x.log == nil {
		return nil
	}
	if lost := x.DroppedFaults(); lost > 0 {
		return errors.Join(fmt.Errorf("the fault log has lost %d lines: %s could not keep up", lost, x.log.path), x.log.Close())
	}
	return x.log.Close()
}
