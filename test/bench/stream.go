package main

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/breakwater-gateway/breakwater/test/bench/measure"
	"github.com/breakwater-gateway/breakwater/test/bench/peer"
	"github.com/breakwater-gateway/breakwater/test/bench/report"
	"github.com/breakwater-gateway/breakwater/test/bench/stream"
)

// path is one way that streams take to the endpoint.
type path struct {
	name     string
	address  string
	endpoint string          // what it leads to
	pid      int             // of the proxy; 0 without one
	control  *stream.Control // makes proxies like it; nil if nothing does
	proxy    string          // what control calls it; empty without one
}

// measureStream measures streams: without toxics on every path, through toxics where Toxiproxy's API makes them.
func (s *session) measureStream(ctx context.Context) error {
	if !s.wantsPart(partStream) {
		return nil
	}
	peers, err := s.streamPeers(ctx)
	if err != nil {
		return err
	}
	endpoint, stop, err := s.startEndpoint(ctx)
	if err != nil {
		return err
	}
	defer stop()
	s.report.Stream = &report.Stream{}
	paths, stopPaths, err := s.startPaths(ctx, peers, endpoint)
	if err == nil {
		err = s.measurePaths(ctx, paths)
	}
	stopPaths()
	if err != nil {
		return err
	}
	return s.measureIdleStreams(ctx, peers, endpoint)
}

// streamPeers are the peers that were asked for; Toxiproxy is built if it is among them.
func (s *session) streamPeers(ctx context.Context) ([]peer.Peer, error) {
	var all []peer.Peer
	for _, b := range s.breakwaters {
		if program, err := exec.LookPath(firstField(b.command)); err == nil {
			p := peer.BreakwaterStream(b.name, b.command)
			p.Version = goVersion(program, "")
			all = append(all, p)
		}
	}
	var wanted []peer.Peer
	for _, p := range append(all, peer.Streams(s.bin)...) {
		if !s.wantsPeer(p.Name) {
			continue
		}
		if p.Missing == "" && p.Name == peer.NameToxiproxy {
			program := filepath.Join(s.bin, peer.NameToxiproxy)
			s.progress("building %s", p.Name)
			if out, err := exec.CommandContext(ctx, "go", "build", "-o", program, peer.ToxiproxyServer).CombinedOutput(); err != nil {
				return nil, fmt.Errorf("go build: %w: %s", err, out)
			}
			p.Version = goVersion(program, peer.Toxiproxy)
		}
		if p.Missing != "" {
			if !slices.Contains(s.report.Missing, p.Name+": "+p.Missing) {
				s.report.Missing = append(s.report.Missing, p.Name+": "+p.Missing)
			}
			continue
		}
		wanted = append(wanted, p)
		s.report.Peers = append(s.report.Peers, report.Peer{Name: p.Name, Version: p.Version, Note: "streams: " + p.Note, GC: p.GC})
	}
	return wanted, nil
}

// startEndpoint starts what streams lead to and returns its address.
func (s *session) startEndpoint(ctx context.Context) (address string, stop func(), err error) {
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", s.bin+"/", "./cmd/endpoint").CombinedOutput(); err != nil {
		return "", nil, fmt.Errorf("go build: %w: %s", err, out)
	}
	if address, err = peer.FreeAddress(); err != nil {
		return "", nil, err
	}
	process, err := s.start("endpoint", peer.Command{Args: []string{filepath.Join(s.bin, "endpoint"), "--listen", address}})
	if err != nil {
		return "", nil, err
	}
	stop = func() { s.stop(process) }
	if err := process.Ready(ctx, 5*time.Second, answers(address)); err != nil {
		stop()
		return "", nil, err
	}
	return address, stop, nil
}

// answers checks that an endpoint answers at an address.
func answers(address string) func(context.Context) error {
	return func(ctx context.Context) error {
		idle, err := stream.OpenIdle(ctx, 1, address)
		if err == nil {
			idle.Close()
		}
		return err
	}
}

// startPaths starts the peers in front of the endpoint.
func (s *session) startPaths(ctx context.Context, peers []peer.Peer, endpoint string) (paths []path, stop func(), err error) {
	var processes []*peer.Process
	stop = func() {
		for _, p := range processes {
			s.stop(p)
		}
	}
	paths = []path{{name: report.Direct, address: endpoint}}
	for _, p := range peers {
		process, its, err := s.startStreamPeer(ctx, p, endpoint)
		if process != nil {
			processes = append(processes, process)
		}
		if err != nil {
			if err := s.leaveOut(ctx, p.Name+", stream", err); err != nil {
				return nil, stop, err
			}
			continue
		}
		paths = append(paths, its...)
	}
	return paths, stop, nil
}

// startStreamPeer starts one peer and returns the paths through it.
func (s *session) startStreamPeer(ctx context.Context, p peer.Peer, endpoint string) (*peer.Process, []path, error) {
	site, err := s.site(p.Name)
	if err != nil {
		return nil, nil, err
	}
	site.Backend = endpoint
	command, err := p.Prepare(site)
	if err != nil {
		return nil, nil, fmt.Errorf("prepare %s: %w", p.Name, err)
	}
	process, err := s.start(p.Name+"-stream", command)
	if err != nil {
		return nil, nil, err
	}
	var paths []path
	if p.Passes {
		paths = append(paths, path{name: p.Name, address: site.Listen, endpoint: endpoint, pid: process.PID()})
		if err := process.Ready(ctx, 20*time.Second, answers(site.Listen)); err != nil {
			return process, nil, err
		}
	}
	if !p.Toxics {
		return process, paths, nil
	}
	made := path{name: p.Name, endpoint: endpoint, pid: process.PID(), control: &stream.Control{API: site.API}}
	if p.Passes {
		made.name += "-api"
	}
	if err := process.Ready(ctx, 20*time.Second, made.control.Version); err != nil {
		return process, nil, err
	}
	made, err = made.through(ctx)
	if err == nil {
		err = process.Ready(ctx, 5*time.Second, answers(made.address))
	}
	return process, append(paths, made), err
}

// through makes a path like p that goes through toxics. It stays as long as the process: Toxiproxy may stand still when toxics are
// removed from streams that are full, and each workload is to meet it as it is when it has just been started.
func (p path) through(ctx context.Context, toxics ...stream.Toxic) (path, error) {
	if p.control == nil {
		return p, nil
	}
	address, err := peer.FreeAddress()
	if err != nil {
		return p, err
	}
	p.address = address
	_, port, _ := net.SplitHostPort(address)
	p.proxy = "bench-" + port
	return p, p.control.Make(ctx, p.proxy, address, p.endpoint, toxics...)
}

// measurePaths runs every workload, and the measurements of accuracy.
func (s *session) measurePaths(ctx context.Context, paths []path) error {
	for _, w := range streamWorkloads() {
		if !s.wantsStream(w.name) {
			continue
		}
		if s.seconds > 0 {
			w.seconds = s.seconds
		}
		table, err := s.measureStreamWorkload(ctx, w, paths)
		if err != nil {
			return err
		}
		s.report.Stream.Workloads = append(s.report.Stream.Workloads, table)
	}
	var toxic []path
	for _, p := range paths {
		if p.control != nil {
			toxic = append(toxic, p)
		}
	}
	if len(toxic) == 0 {
		return nil
	}
	return s.measureAccuracy(ctx, paths[0], toxic)
}

// streamWorkload is one kind of stream, and the toxics that it goes through.
type streamWorkload struct {
	name    string
	bulk    bool
	seconds int
	toxics  []stream.Toxic
	asked   time.Duration // that they add to a round trip
}

// attributes of a toxic.
type attributes = map[string]any

// streamWorkloads are all, in the order in which they run. Toxics whose effect is an end are asked for one that does not come.
func streamWorkloads() []streamWorkload {
	const never = 1 << 40 // bytes
	one := func(kind string, a attributes) []stream.Toxic { return []stream.Toxic{stream.Downstream(kind, a)} }
	return []streamWorkload{
		{name: "ping-pong of 64 B", seconds: 2},
		{name: "bulk", bulk: true, seconds: 2},
		{name: "ping-pong, latency 5 ms", seconds: 1, toxics: one("latency", attributes{"latency": 5}), asked: 5 * time.Millisecond},
		{name: "ping-pong, bandwidth 1 GB/s", seconds: 1, toxics: one("bandwidth", attributes{"rate": 1000000})},
		{name: "ping-pong, slicer of 16 B", seconds: 1, toxics: one("slicer", attributes{"average_size": 16, "size_variation": 1, "delay": 0})},
		{name: "ping-pong, limit_data", seconds: 1, toxics: one("limit_data", attributes{"bytes": never})},
		{name: "ping-pong, slow_close", seconds: 1, toxics: one("slow_close", attributes{"delay": 1})},
		{name: "bulk, latency 50 ms", bulk: true, seconds: 2, toxics: one("latency", attributes{"latency": 50})},
		{name: "bulk, bandwidth 10 GB/s", bulk: true, seconds: 1, toxics: one("bandwidth", attributes{"rate": 10000000})},
		{name: "bulk, slicer of 16 KiB", bulk: true, seconds: 1, toxics: one("slicer", attributes{"average_size": 16384, "size_variation": 1, "delay": 0})},
		{name: "bulk, limit_data", bulk: true, seconds: 1, toxics: one("limit_data", attributes{"bytes": never})},
	}
}

// measureStreamWorkload measures all paths, round after round.
func (s *session) measureStreamWorkload(ctx context.Context, w streamWorkload, paths []path) (report.StreamWorkload, error) {
	table := report.StreamWorkload{Name: w.name, Bulk: w.bulk, Asked: micros(w.asked), Seconds: w.seconds}
	var measured []path
	for _, p := range paths {
		if len(w.toxics) > 0 {
			if p.control == nil && p.pid != 0 {
				continue
			}
			var err error
			if p, err = p.through(ctx, w.toxics...); err != nil {
				if err := s.leaveOut(ctx, "stream, "+w.name+", "+p.name, err); err != nil {
					return table, err
				}
				continue
			}
		}
		measured = append(measured, p)
		table.Rows = append(table.Rows, report.Row{Peer: p.name})
	}
	failed := map[string]bool{}
	for round := range s.rounds {
		for i, p := range measured {
			if failed[p.name] {
				continue
			}
			figures, err := w.run(ctx, p)
			if err != nil {
				failed[p.name] = true
				if err := s.leaveOut(ctx, "stream, "+w.name+", "+p.name, err); err != nil {
					return table, err
				}
				continue
			}
			table.Rows[i].Add(figures)
			s.progress("%s round %d/%d %-16s p50 %9.1f us p99 %9.1f us CPU %8.2f us rate %10.0f", w.name, round+1, s.rounds, p.name, figures.P50, figures.P99, figures.CPU, figures.Rate)
		}
	}
	return table, nil
}

// run is one round on one path.
func (w streamWorkload) run(ctx context.Context, p path) (f report.Figures, err error) {
	before, err := cpuOf(p)
	if err != nil {
		return f, err
	}
	d := time.Duration(w.seconds) * time.Second
	var took time.Duration
	if w.bulk {
		var bytes int64
		bytes, took, err = stream.Bulk(ctx, p.address, d)
		f.Requests = float64(bytes) / 1e6
	} else {
		began := time.Now()
		var times []time.Duration
		times, err = stream.PingPong(ctx, p.address, d)
		took = time.Since(began)
		all := inMicros(times)
		f.Requests, f.P50, f.P99 = float64(len(times)), measure.Percentile(all, 0.5), measure.Percentile(all, 0.99)
	}
	if err != nil {
		return f, err
	}
	after, err := cpuOf(p)
	f.CPU, f.Rate = micros(after-before)/f.Requests, f.Requests/took.Seconds()
	return f, err
}

// cpuOf is the CPU time that the proxy of a path has used.
func cpuOf(p path) (time.Duration, error) {
	if p.pid == 0 {
		return 0, nil
	}
	return measure.Clock(p.pid)
}

func inMicros(times []time.Duration) []float64 {
	all := make([]float64, len(times))
	for i, t := range times {
		all[i] = micros(t)
	}
	return all
}

func firstField(command string) string {
	fields := list(command)
	if len(fields) == 0 {
		return ""
	}
	return fields[0]
}
