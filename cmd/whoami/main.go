// Command whoami is the demo and test backend of Breakwater: it answers with what it received. See package
// cmd/whoami/whoami for its paths.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/breakwater-gateway/breakwater/cmd/whoami/whoami"
	"github.com/breakwater-gateway/breakwater/cmd/whoami/whoamigrpc"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	p := process{args: os.Args[1:], getenv: os.Getenv, stdout: os.Stdout, stderr: os.Stderr}
	err := p.run(ctx)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(0)
	case err != nil:
		fmt.Fprintln(os.Stderr, "whoami:", err)
		os.Exit(1)
	}
}

// process is what the program takes from its surroundings.
type process struct {
	args           []string
	getenv         func(string) string
	stdout, stderr io.Writer
}

const usage = `Whoami answers with what it received, and misbehaves on request:

  /api, /api/v2                  the request as JSON
  /status/503, /delay/1s         that status, a late answer
  /drip, /sse                    bodies in small portions
  /unstable?failure_rate=0.5     fails for that share of the requests
  /retry/?uuid=a&succeedAfter=2  fails twice for each uuid, then succeeds

/openapi.yaml describes all paths. Flags:
`

// settings are the flags.
type settings struct {
	cert, key, ca string
	port          string
	name          string
	verbose       bool
	allowEnv      bool
	instance      string
	zone          string
	tcpEcho       string
	udpEcho       string
	grace         time.Duration
}

func (p process) parse() (settings, error) {
	var s settings
	env := func(name, otherwise string) string {
		if v := p.getenv(name); v != "" {
			return v
		}
		return otherwise
	}
	flags := flag.NewFlagSet("whoami", flag.ContinueOnError)
	flags.SetOutput(p.stderr)
	flags.StringVar(&s.cert, "cert", "", "file of the TLS certificate; needs -key")
	flags.StringVar(&s.key, "key", "", "file of the TLS key; needs -cert")
	flags.StringVar(&s.ca, "cacert", "", "file of the CAs whose client certificates are required")
	flags.StringVar(&s.port, "port", env("WHOAMI_PORT_NUMBER", "80"), "port to listen on (WHOAMI_PORT_NUMBER)")
	flags.StringVar(&s.name, "name", env("WHOAMI_NAME", ""), "name to show (WHOAMI_NAME)")
	flags.BoolVar(&s.verbose, "verbose", false, "log each request")
	flags.BoolVar(&s.allowEnv, "allow-env", false, "let ?env=true show the environment, which may hold secrets")
	flags.StringVar(&s.instance, "instance", env("WHOAMI_INSTANCE", p.getenv("POD_NAME")),
		"value of the X-Whoami-Instance response field (WHOAMI_INSTANCE, POD_NAME); the host name if empty")
	flags.StringVar(&s.zone, "zone", env("WHOAMI_ZONE", ""), "value of the X-Whoami-Zone response field (WHOAMI_ZONE)")
	flags.StringVar(&s.tcpEcho, "tcp-echo", "", "address on which to echo TCP, such as :9000; off if empty")
	flags.StringVar(&s.udpEcho, "udp-echo", "", "address on which to echo UDP, such as :9000; off if empty")
	flags.DurationVar(&s.grace, "grace", 30*time.Second, "how long requests may take after a signal to stop")
	flags.Usage = func() {
		fmt.Fprint(p.stderr, usage)
		flags.PrintDefaults()
	}
	if err := flags.Parse(p.args); err != nil {
		return s, err
	}
	if flags.NArg() > 0 {
		return s, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	return s, nil
}

// run serves until ctx ends.
func (p process) run(ctx context.Context) error {
	s, err := p.parse()
	if err != nil {
		return err
	}
	config, err := whoami.TLSConfig(s.cert, s.key, s.ca)
	if err != nil {
		return err
	}
	logger := log.New(p.stderr, "", log.LstdFlags)
	options := whoami.Options{
		Name: s.name, Instance: s.instance, Zone: s.zone,
		Pod: p.getenv("POD_NAME"), Namespace: p.getenv("NAMESPACE"),
		Service: p.getenv("SERVICE_NAME"), Node: p.getenv("NODE_NAME"),
		AllowEnv: s.allowEnv,
		Messages: p.stdout,
	}
	if s.verbose {
		options.AccessLog = logger
	}
	handler := whoamigrpc.New(whoami.New(options))
	defer handler.Close()

	services := group{}
	if err := services.listen(s); err != nil {
		return err
	}
	transport := ""
	if config != nil {
		transport = " with TLS"
	}
	logger.Printf("Starting up%s on port %d", transport, services.http.Addr().(*net.TCPAddr).Port)
	return services.serve(ctx, whoami.ServeOptions{Handler: handler, TLS: config, Grace: s.grace, ErrorLog: logger})
}

// group holds the sockets: all are bound before any is served.
type group struct {
	http, tcp net.Listener   // tcp may be nil
	udp       net.PacketConn // may be nil
}

// listen binds the sockets that s asks for. After an error none is left open.
func (g *group) listen(s settings) (err error) {
	defer func() {
		if err != nil {
			g.close()
		}
	}()
	if g.http, err = net.Listen("tcp", net.JoinHostPort("", s.port)); err != nil {
		return err
	}
	if s.tcpEcho != "" {
		if g.tcp, err = net.Listen("tcp", s.tcpEcho); err != nil {
			return err
		}
	}
	if s.udpEcho != "" {
		if g.udp, err = net.ListenPacket("udp", s.udpEcho); err != nil {
			return err
		}
	}
	return nil
}

func (g *group) close() {
	if g.http != nil {
		_ = g.http.Close()
	}
	if g.tcp != nil {
		_ = g.tcp.Close()
	}
	if g.udp != nil {
		_ = g.udp.Close()
	}
}

// serve serves all sockets until ctx ends or one of them fails, which stops the others.
func (g *group) serve(ctx context.Context, options whoami.ServeOptions) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var running sync.WaitGroup
	start := func(serve func() error) {
		running.Go(func() {
			if err := serve(); err != nil {
				cancel(err)
			}
		})
	}
	start(func() error { return whoami.Serve(ctx, g.http, options) })
	if g.tcp != nil {
		start(func() error { return whoami.EchoTCP(ctx, g.tcp) })
	}
	if g.udp != nil {
		start(func() error { return whoami.EchoUDP(ctx, g.udp) })
	}
	running.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}
