package main

import (
	"context"
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/breakwater-gateway/breakwater/test/bench/load"
	"github.com/breakwater-gateway/breakwater/test/bench/peer"
	"github.com/breakwater-gateway/breakwater/test/bench/report"
)

// session is one run of the bench: what it started and what it found.
type session struct {
	options
	dir       string // temporary; removed at the end
	bin       string // programs built from this module; kept, so that the next run starts faster
	files     uint64 // limit of open files
	backend   string // address
	generator load.Generator
	peers     []peer.Peer
	started   []*peer.Process
	report    report.Report
}

// running is a proxy under measurement.
type running struct {
	name string
	pid  int
	url  string // without a path, unless fixed
	// fixed is true for a target of the command line: its URL is used as it is, and only for the small request.
	fixed bool
}

// open builds what is missing, chooses the peers and starts the backend.
func open(ctx context.Context, o options) (*session, error) {
	if _, err := os.Stat("cmd/backend/main.go"); err != nil {
		return nil, fmt.Errorf("run it in its own folder, as in go run -C test/bench . (%w)", err)
	}
	bin, err := filepath.Abs(filepath.Join(outFolder, "bin"))
	if err != nil {
		return nil, err
	}
	s := &session{options: o, bin: bin}
	if s.files, err = raiseFileLimit(); err != nil {
		return nil, err
	}
	if err := s.choosePeers(ctx); err != nil {
		return nil, err
	}
	if s.dir, err = os.MkdirTemp("", "breakwater-bench-"); err != nil {
		return nil, err
	}
	s.generator.Dir = s.dir
	if s.backend, err = s.startBackend(ctx, "a", o.backend); err != nil {
		s.close()
		return nil, err
	}
	s.report.Started, s.report.Machine = time.Now(), report.ThisMachine()
	return s, nil
}

// close ends everything that the session started and removes its temporary files.
func (s *session) close() {
	var group sync.WaitGroup
	for _, process := range s.started {
		group.Go(process.Stop)
	}
	group.Wait()
	if s.keep {
		fmt.Fprintln(os.Stderr, "kept:", s.dir)
		return
	}
	if err := os.RemoveAll(s.dir); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
}

// raiseFileLimit raises the limit of open files of this process, and of those that it starts, as far as it may go.
func raiseFileLimit() (uint64, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("read the limit of open files: %w", err)
	}
	limit.Cur = limit.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("raise the limit of open files: %w", err)
	}
	return min(limit.Max, 1<<20), nil
}

// choosePeers finds the peers that were asked for, builds those of this module and notes those that are missing.
func (s *session) choosePeers(ctx context.Context) error {
	var all []peer.Peer
	for _, b := range s.breakwaters {
		program, err := exec.LookPath(strings.Fields(b.command)[0])
		p := peer.Breakwater(b.name, b.command)
		if err != nil {
			p.Missing = err.Error()
		} else {
			p.Version = goVersion(program, "")
		}
		all = append(all, p)
	}
	if len(s.breakwaters) == 0 {
		all = append(all, peer.Peer{Name: "breakwater", Missing: "no binary at " + defaultBreakwater + " (make build, or --breakwater PATH)"})
	}
	all = append(append(all, peer.Debian()...), peer.Go(s.bin)...)
	known := map[string]bool{peer.NameToxiproxy: true, peer.NameRelay: true} // for streams alone
	var goPeers []string
	for _, p := range all {
		known[p.Name] = true
		switch {
		case !s.wantsPeer(p.Name):
		case p.Missing != "":
			s.progress("left out: %s", p.Missing)
			s.report.Missing = append(s.report.Missing, p.Name+": "+p.Missing)
		default:
			s.peers = append(s.peers, p)
			if p.GC && p.CommandLine == "" {
				goPeers = append(goPeers, p.Name)
			}
		}
	}
	for _, name := range s.only {
		if !known[name] {
			return fmt.Errorf("unknown peer %q", name)
		}
	}
	if err := s.buildForRequests(ctx, goPeers); err != nil {
		return err
	}
	s.nameVersions()
	return nil
}

// buildForRequests compiles the backend, the Go peers, and the bench's own load generator if wrk is missing.
func (s *session) buildForRequests(ctx context.Context, goPeers []string) error {
	programs := append([]string{"backend"}, goPeers...)
	if _, err := exec.LookPath("wrk"); err != nil || s.ownLoad {
		s.generator.Own = s.program("load")
		programs = append(programs, "load")
		s.report.Warn("the load comes from the bench's own generator, which takes more of the machine than wrk (apt-get install wrk)")
	}
	return s.build(ctx, programs...)
}

// build compiles programs of this module.
func (s *session) build(ctx context.Context, programs ...string) error {
	packages := make([]string, len(programs))
	for i, name := range programs {
		packages[i] = "./cmd/" + name
	}
	return s.compile(ctx, s.bin+"/", packages...)
}

// compile builds packages into a file, or a folder.
func (s *session) compile(ctx context.Context, output string, packages ...string) error {
	s.progress("building %s", strings.Join(packages, ", "))
	if out, err := exec.CommandContext(ctx, "go", append([]string{"build", "-o", output}, packages...)...).CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w: %s", err, out)
	}
	return nil
}

// program is the path of a program that was built.
func (s *session) program(name string) string { return filepath.Join(s.bin, name) }

func (s *session) nameVersions() {
	modules := map[string]string{"fasthttp": "github.com/valyala/fasthttp", "caddy": "github.com/caddyserver/caddy/v2", "reverseproxy": ""}
	for i := range s.peers {
		p := &s.peers[i]
		if module, ok := modules[p.Name]; ok {
			p.Version = goVersion(s.program(p.Name), module)
		}
		s.report.Peers = append(s.report.Peers, report.Peer{Name: p.Name, Version: p.Version, Note: p.Note, GC: p.GC})
	}
}

// goVersion is the version of a module in a Go program, or of Go itself if module is empty; empty if unknown.
func goVersion(program, module string) string {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return ""
	}
	if module == "" {
		return info.GoVersion
	}
	return peer.ModuleVersion(info, module)
}

// startBackend starts a backend that answers unknown paths with its name; address may be empty for a free port.
func (s *session) startBackend(ctx context.Context, name, address string) (string, error) {
	if address == "" {
		var err error
		if address, err = peer.FreeAddress(); err != nil {
			return "", err
		}
	}
	command := peer.Command{Args: []string{s.bin + "/backend", "--listen", address, "--name", name}}
	p, err := s.start("backend-"+name+"-"+address, command)
	if err != nil {
		return "", err
	}
	return address, p.Ready(ctx, 5*time.Second, func(ctx context.Context) error {
		_, err := peer.Get(ctx, address, peer.Host, "/small")
		return err
	})
}

// start starts a process that ends with the session.
func (s *session) start(name string, command peer.Command) (*peer.Process, error) {
	p, err := peer.Start(name, command, s.dir)
	if err == nil {
		s.started = append(s.started, p)
	}
	return p, err
}

// stop ends a process before the session does.
func (s *session) stop(p *peer.Process) {
	p.Stop()
	s.started = slices.DeleteFunc(s.started, func(other *peer.Process) bool { return other == p })
}

// site picks addresses and makes a folder for one process.
func (s *session) site(name string) (peer.Site, error) {
	dir, err := os.MkdirTemp(s.dir, name+"-")
	if err != nil {
		return peer.Site{}, err
	}
	site := peer.Site{Backend: s.backend, Dir: dir, Files: s.files}
	if site.Listen, err = peer.FreeAddress(); err != nil {
		return peer.Site{}, err
	}
	if site.Admin, err = peer.FreeAddress(); err != nil {
		return peer.Site{}, err
	}
	site.API, err = peer.FreeAddress()
	return site, err
}

// startPeer starts a proxy and waits until it answers from the backend.
func (s *session) startPeer(ctx context.Context, p peer.Peer) (*peer.Process, string, error) {
	site, err := s.site(p.Name)
	if err != nil {
		return nil, "", err
	}
	command, err := p.Prepare(site)
	if err != nil {
		return nil, "", fmt.Errorf("prepare %s: %w", p.Name, err)
	}
	process, err := s.start(p.Name, command)
	if err != nil {
		return nil, "", err
	}
	return process, site.Listen, process.Ready(ctx, 20*time.Second, func(ctx context.Context) error {
		body, err := peer.Get(ctx, site.Listen, peer.Host, "/small")
		if err == nil && len(body) != 43 {
			return fmt.Errorf("answered %q", body)
		}
		return err
	})
}

// progress tells the person who waits what is going on.
func (s *session) progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "# "+format+"\n", args...)
}
