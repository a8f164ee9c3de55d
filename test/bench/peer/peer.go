// Package peer knows every proxy of the bench: where it is found, how it is configured for the common job, and how its
// process is started and ended. The common job: HTTP/1.1 on one port of 127.0.0.1 for one backend, keep-alive on both
// sides, X-Forwarded-For, -Proto and -Host, X-Real-IP and X-Request-Id added, no access log, two workers or threads.
//
// A Process may be stopped from any goroutine; everything else is for one goroutine at a time.
package peer

import (
	"fmt"
	"net"
	"os/exec"
	"regexp"
	"runtime/debug"
	"strings"
)

// Workers is the number of worker processes or threads that each proxy may use.
const Workers = 2

// Host is the host name that every request asks for.
const Host = "bench.example.com"

// Site is what a peer gets to run on: addresses on 127.0.0.1 as host:port, and an empty folder of its own.
type Site struct {
	Listen  string
	Admin   string
	API     string // of Toxiproxy's kind, for streams
	Backend string
	Dir     string
	Files   uint64 // limit of open files
}

// Command is how to start a process.
type Command struct {
	Args []string // program and arguments
	Env  []string // added to the bench's own environment
}

// Peer is one proxy under measurement.
type Peer struct {
	Name    string
	Version string
	Note    string // what a reader of the figures should know
	Missing string // why it cannot run, empty if it can
	// GC is true for Go programs: their memory figures include the state of the garbage collector.
	GC bool
	// CommandLine is what the arguments of `serve` are added to, for a breakwater: start and edits of its route scale are
	// measured too. Empty for every other peer.
	CommandLine string
	// Passes is true for what passes streams on at the site's address, and Toxics for what serves Toxiproxy's API.
	Passes, Toxics bool
	// Floor is true for what is no proxy to choose, but shows what one costs at least. It takes part in ping-pong alone.
	Floor bool
	// Prepare writes the configuration into the site's folder and says how to start.
	Prepare func(Site) (Command, error)
	// PrepareMany is Prepare for many hosts; nil if the peer takes no part in the measurement of route scale.
	PrepareMany func(Site, Hosts) (Command, error)
}

// Hosts are many hosts, each with one route.
type Hosts struct {
	Names      []string
	Path       string // the prefix that each has a route for
	PerBackend int    // how many hosts in a row share a backend with connections of its own
}

// Go returns the peers that are programs of this module, found in the folder bin after a build.
func Go(bin string) []Peer {
	return []Peer{
		{Name: "reverseproxy", Note: "httputil.ReverseProxy with BufferPool, tuned Transport", GC: true, Prepare: listenAndBackend(bin, "reverseproxy")},
		{Name: "fasthttp", Note: "fasthttp server and HostClient, whole bodies in memory (its default)", GC: true, Prepare: listenAndBackend(bin, "fasthttp")},
		{Name: "caddy", Note: "reverse_proxy handler", GC: true, Prepare: func(s Site) (Command, error) { return prepareCaddy(bin, s) }},
	}
}

// listenAndBackend prepares a program of this module that is told its two addresses.
func listenAndBackend(bin, name string) func(Site) (Command, error) {
	return func(s Site) (Command, error) {
		return Command{Args: []string{bin + "/" + name, "--listen", s.Listen, "--backend", s.Backend}, Env: goEnv()}, nil
	}
}

// Debian returns the peers that are Debian packages, found in PATH.
func Debian() []Peer {
	return []Peer{
		debian(Peer{Name: "nginx", Note: "upstream keepalive, no temporary files", Prepare: prepareNginx, PrepareMany: prepareNginxMany}, "-v"),
		debian(Peer{Name: "haproxy", Note: "http-reuse always", Prepare: prepareHAProxy}, "-v"),
	}
}

var versionNumber = regexp.MustCompile(`\d+(\.\d+)+\S*`)

func debian(p Peer, versionFlag string) Peer {
	path, err := lookPath(p.Name)
	if err != nil {
		p.Missing = fmt.Sprintf("%s is not installed (apt-get install %s)", p.Name, p.Name)
		return p
	}
	out, err := exec.Command(path, versionFlag).CombinedOutput()
	if err != nil {
		p.Missing = fmt.Sprintf("%s %s: %v", path, versionFlag, err)
		return p
	}
	p.Version = versionNumber.FindString(string(out))
	return p
}

// lookPath finds a daemon also where Debian puts it and an ordinary user's PATH does not look.
func lookPath(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	return exec.LookPath("/usr/sbin/" + name)
}

// ModuleVersion is the version of a module that the file at path (a Go program) was built from, or its own version if
// module is its main module; empty if unknown.
func ModuleVersion(info *debug.BuildInfo, module string) string {
	for _, dependency := range info.Deps {
		if dependency.Path == module {
			return strings.TrimPrefix(dependency.Version, "v")
		}
	}
	if info.Main.Path == module {
		return strings.TrimPrefix(info.Main.Version, "v")
	}
	return ""
}

func goEnv() []string { return []string{fmt.Sprintf("GOMAXPROCS=%d", Workers)} }

// FreeAddress picks a free port of 127.0.0.1.
func FreeAddress() (string, error) { return FreeAddressAt("127.0.0.1") }

// FreeAddressAt is FreeAddress for an address of this machine.
func FreeAddressAt(host string) (string, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return "", fmt.Errorf("pick a free port: %w", err)
	}
	defer listener.Close()
	return listener.Addr().String(), nil
}
