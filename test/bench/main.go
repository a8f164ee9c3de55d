// Command bench measures Breakwater beside nginx, HAProxy, httputil.ReverseProxy, fasthttp and Caddy in one run on
// loopback: what a request costs in CPU time of the proxy, what an idle connection costs in memory, and what ten thousand
// routes cost in both and in time; and beside Toxiproxy and HAProxy what a TCP stream costs, with toxics and without, and how soon a
// change of faults acts. It prints figures and ratios and writes them to a file; it gives no verdict.
//
// Run it in its own folder: go run -C test/bench . --breakwater ../../bin/breakwater
//
// Every proxy does the same job (see package peer) in front of the same backend, and rounds are interleaved (A B C A B C)
// so that a disturbance of the machine meets all of them. CPU time is that of the proxy's processes alone.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	options, err := parseOptions(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		err = bench(ctx, options)
		stop()
	}
	if errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "bench: interrupted; everything that it started has ended")
		os.Exit(130)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench runs everything that the options ask for and reports it.
func bench(ctx context.Context, options options) error {
	s, err := open(ctx, options)
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.measure(ctx); err != nil {
		return err
	}
	return s.report.Write(os.Stdout, options.out)
}
