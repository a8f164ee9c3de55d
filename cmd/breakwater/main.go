// Command breakwater is the whole of Breakwater: controllers, proxy, the standalone mode and the demo in one program. It
// is the only place that knows both sides; it reads flags, wires the parts and runs them.
package main

import (
	_ "time/tzdata" // schedules name time zones, and images have no list of them

	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// Exit codes.
const (
	exitFailure = 1
	exitUsage   = 2
	exitKilled  = 130 // a signal ended what does not stop gracefully, or a second one cut the graceful stop short
)

func main() {
	signal.Ignore(syscall.SIGPIPE) // traffic goes on when nobody reads the access log any more
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	ctx, haste := untilSignal(context.Background(), signals, func() { os.Exit(exitKilled) })
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if haste.isAsked() {
		code = exitKilled
	}
	os.Exit(code)
}

// run runs the program with these arguments until it has finished or ctx ends, and returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	command, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintf(stderr, "breakwater: %v\n", err)
	if u := (usageError{}); errors.As(err, &u) {
		fmt.Fprintf(stderr, "Run \"%s --help\" for usage.\n", command.CommandPath())
		return exitUsage
	}
	return exitFailure
}

// usageError is a mistake in the command line.
type usageError struct{ error }

func (u usageError) Unwrap() error { return u.error }

// wrong returns a usageError.
func wrong(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }
