package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/breakwater-gateway/breakwater/test/bench/load"
)

// defaultBreakwater is where the Makefile puts the binary, seen from this folder.
const defaultBreakwater = "../../bin/breakwater"

// outFolder holds results and built programs; it is outside version control.
const outFolder = "../../build/bench"

// Names of the parts of a run beside the workloads of package load.
const (
	partIdle   = "idle"
	partScale  = "scale"
	partAPI    = "api"
	partChaos  = "chaos"
	partStream = "stream"
)

// Names of the measurements of the workload chaos.
const (
	chaosCost  = "cost"
	chaosGuard = "guard"
	chaosKill  = "kill"
	chaosToxic = "toxic"
)

func chaosParts() []string { return []string{chaosCost, chaosGuard, chaosKill, chaosToxic} }

// options say what to measure.
type options struct {
	stream      string   // what the names of the stream measurements must contain
	chaos       string   // what the names of the chaos measurements must contain
	breakwaters []named  // command lines, in the order given; the first one is what peers are compared with
	targets     []target // programs that run already
	only        []string // names of peers; empty for all
	parts       []string // workloads, "idle", "scale", "api", "chaos" and "stream"; empty for all
	rounds      int
	idleRounds  int
	idle        int // connections
	streams     int // idle TCP streams
	connections int // 0 for each workload's own
	seconds     int // 0 for each workload's own
	scales      []int
	apiScales   []int
	perService  int
	perFile     int
	edits       int
	backend     string // address of the backend
	out         string // path without extension
	awake       bool   // measure the latency of streams with processors kept awake, too
	ownLoad     bool
	keep        bool
}

type named struct{ name, command string }

type target struct {
	name string
	pid  int
	url  string
}

func parseOptions(args []string, output io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(output)
	quick := flags.Bool("quick", false, "a run of about two minutes: "+strings.Join(quickParts(), ", ")+" only, in fewer and shorter rounds")
	flags.Func("breakwater", "[NAME=]PATH of a breakwater binary; repeat to compare builds (default "+defaultBreakwater+")", o.addBreakwater)
	flags.Func("breakwater-cmd", "[NAME=]COMMAND LINE that the arguments of `serve` are added to; may be repeated", o.addBreakwater)
	flags.Func("target", "NAME=PID=URL of a program that runs already, for the workload small; may be repeated", o.addTarget)
	only := flags.String("only", "", "comma-separated peers to measure, of breakwater (or the names given), nginx, haproxy, reverseproxy, fasthttp, caddy, and toxiproxy and relay for streams (default all)")
	parts := flags.String("workload", "", "comma-separated parts, of "+strings.Join(allParts(), ", ")+" (default all)")
	flags.IntVar(&o.rounds, "rounds", 5, "rounds of each workload")
	flags.IntVar(&o.seconds, "seconds", 0, "length of a round (default 2 or 3, by workload)")
	flags.IntVar(&o.connections, "connections", 0, "connections of the load generator (default 64, 8 for the longest body)")
	flags.IntVar(&o.idle, "idle-connections", 5000, "idle keep-alive connections of the memory measurement")
	flags.StringVar(&o.stream, "stream", "", "only those measurements of the workload stream whose names contain this, for instance \"bulk\" or \"idle\"")
	flags.BoolVar(&o.awake, "awake", true, "measure ping-pong without toxics again, in the workload stream, while a loop that all else preempts keeps every processor awake; "+
		"false where the loops would use up a limit of CPU time")
	flags.StringVar(&o.chaos, "chaos", "", "only those measurements of the workload chaos whose names contain this, of "+strings.Join(chaosParts(), ", "))
	flags.IntVar(&o.streams, "idle-streams", 10000, "idle TCP streams of the memory measurement of the workload stream")
	flags.IntVar(&o.idleRounds, "idle-rounds", 3, "rounds of the memory measurement, each with fresh processes")
	scales := flags.String("scale", "10,1000,10000", "comma-separated numbers of hosts, each with one route")
	apiScales := flags.String("api-scale", "1000,10000", "comma-separated numbers of hosts that the API server holds, one after the other")
	flags.IntVar(&o.perService, "routes-per-service", 10, "hosts that share one Service in the scale and api measurements")
	flags.IntVar(&o.perFile, "objects-per-file", 100, "objects in one manifest file of the scale measurement")
	flags.IntVar(&o.edits, "edits", 50, "edits of each kind in the scale and api measurements")
	flags.StringVar(&o.backend, "backend-address", "", "address for the backend, to put a --target in front of it (default a free port)")
	flags.StringVar(&o.out, "out", "", "path of the results, without extension (default "+outFolder+"/DATE)")
	flags.BoolVar(&o.ownLoad, "own-load", false, "use the bench's own load generator even if wrk is there")
	flags.BoolVar(&o.keep, "keep", false, "keep the temporary folder with configurations and logs")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	if flags.NArg() > 0 {
		return options{}, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if *quick {
		set := map[string]bool{}
		flags.Visit(func(f *flag.Flag) { set[f.Name] = true })
		o.quick(set)
		if !set["scale"] {
			*scales = "10,1000"
		}
		if !set["api-scale"] {
			*apiScales = "1000"
		}
		if !set["workload"] {
			*parts = strings.Join(quickParts(), ",")
		}
	}
	o.only, o.parts = list(*only), list(*parts)
	return o, o.complete(*scales, *apiScales)
}

// quick shortens what was not given explicitly.
func (o *options) quick(set map[string]bool) {
	for name, shorten := range map[string]func(){
		"rounds":           func() { o.rounds = 2 },
		"seconds":          func() { o.seconds = 1 },
		"idle-connections": func() { o.idle = 2000 },
		"idle-streams":     func() { o.streams = 2000 },
		"idle-rounds":      func() { o.idleRounds = 1 },
		"edits":            func() { o.edits = 10 },
	} {
		if !set[name] {
			shorten()
		}
	}
}

// complete checks the options and fills in what depends on others.
func (o *options) complete(scales, apiScales string) (err error) {
	for _, part := range o.parts {
		if !slices.Contains(allParts(), part) {
			return fmt.Errorf("unknown workload %q, want one of %s", part, strings.Join(allParts(), ", "))
		}
	}
	if o.scales, err = numbers(scales); err != nil {
		return err
	}
	if o.apiScales, err = numbers(apiScales); err != nil {
		return err
	}
	slices.Sort(o.apiScales) // each adds objects to those of the one before
	if o.rounds < 1 || o.idleRounds < 1 || o.idle < 1 || o.streams < 1 || o.edits < 1 || o.perService < 1 || o.perFile < 1 {
		return errors.New("rounds, edits and numbers of connections, routes and objects must be at least 1")
	}
	if len(o.breakwaters) == 0 {
		if _, err := os.Stat(defaultBreakwater); err == nil {
			o.breakwaters = []named{{"breakwater", defaultBreakwater}}
		}
	}
	if o.out == "" {
		o.out = filepath.Join(outFolder, time.Now().Format("2006-01-02-150405"))
	}
	return nil
}

func (o *options) addBreakwater(text string) error {
	name, command, ok := strings.Cut(text, "=")
	if !ok || strings.ContainsAny(name, "/ ") {
		name, command = "breakwater", text
	}
	if name == "" || strings.TrimSpace(command) == "" {
		return errors.New("want [NAME=]COMMAND")
	}
	for _, other := range o.breakwaters {
		if other.name == name {
			return fmt.Errorf("two commands are named %q: give each a name, NAME=COMMAND", name)
		}
	}
	o.breakwaters = append(o.breakwaters, named{name, command})
	return nil
}

func (o *options) addTarget(text string) error {
	parts := strings.SplitN(text, "=", 3)
	if len(parts) != 3 {
		return errors.New("want NAME=PID=URL")
	}
	pid, err := strconv.Atoi(parts[1])
	if err != nil {
		return fmt.Errorf("process id: %w", err)
	}
	o.targets = append(o.targets, target{parts[0], pid, parts[2]})
	return nil
}

// wantsPeer tells whether to start the peer. With targets and no list of peers, the targets alone are measured.
func (o *options) wantsPeer(name string) bool {
	if len(o.only) == 0 {
		return len(o.targets) == 0
	}
	return slices.Contains(o.only, name)
}

func (o *options) wantsPart(name string) bool {
	return len(o.parts) == 0 || slices.Contains(o.parts, name)
}

// wantsStream tells whether to run a measurement of the workload stream.
func (o *options) wantsStream(name string) bool { return strings.Contains(name, o.stream) }

// wantsChaos tells whether to run a measurement of the workload chaos.
func (o *options) wantsChaos(name string) bool {
	return o.wantsPart(partChaos) && strings.Contains(name, o.chaos)
}

func allParts() []string {
	var names []string
	for _, w := range load.Workloads() {
		names = append(names, w.Name)
	}
	return append(names, partIdle, partScale, partAPI, partChaos, partStream)
}

func quickParts() []string { return []string{"small", "get10m", partIdle, partScale, partAPI} }

// numbers reads numbers of hosts.
func numbers(text string) ([]int, error) {
	var all []int
	for _, one := range list(text) {
		n, err := strconv.Atoi(one)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("scale %q is not a number of hosts", one)
		}
		all = append(all, n)
	}
	return all, nil
}

func list(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
}
