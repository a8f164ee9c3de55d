package main

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"slices"
	"time"

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
	floor    bool            // see peer.Peer
	control  *stream.Control // makes proxies like it; nil if nothing does
	proxy    string          // what control calls it; empty without one
}

// measureStream measures streams: without toxics on every path, through toxics where Toxiproxy's API makes them.
func (s *session) measureStream(ctx context.Context) error {
	if !s.wantsPart(partStream) {
		return nil
	}
	if err := s.build(ctx, "awake", peer.NameRelay); err != nil {
		return err
	}
	peers, err := s.streamPeers(ctx)
	if err != nil {
		return err
	}
	s.tryAwake()
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
			if err := s.compile(ctx, s.program(p.Name), peer.ToxiproxyServer); err != nil {
				return nil, err
			}
			p.Version = goVersion(s.program(p.Name), peer.Toxiproxy)
		}
		if p.Floor {
			p.Version = goVersion(s.program(p.Name), "")
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
	if err := s.build(ctx, "endpoint"); err != nil {
		return "", nil, err
	}
	if address, err = peer.FreeAddress(); err != nil {
		return "", nil, err
	}
	process, err := s.start("endpoint", peer.Command{Args: []string{s.program("endpoint"), "--listen", address}})
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
		its := path{name: p.Name, address: site.Listen, endpoint: endpoint, pid: process.PID(), floor: p.Floor}
		if p.Floor {
			its.name = report.Floor
		}
		paths = append(paths, its)
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
	for _, w := range streamWorkloads(s.awake) {
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

func firstField(command string) string {
	fields := list(command)
	if len(fields) == 0 {
		return ""
	}
	return fields[0]
}
