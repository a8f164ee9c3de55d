// Command cluster runs a Kubernetes API server with its etcd on loopback, for tests and for trying things by hand.
//
// It builds both from the Go modules that this module's go.mod pins, once, into a cache folder; KUBEBUILDER_ASSETS, if
// set, names a folder that has them already. Nothing but Go is needed. RBAC is on; there are no nodes, no scheduler
// and no controllers, so Pods stay pending and nothing is garbage collected.
//
// When the API server is ready, one line of JSON goes to standard output:
//
//	{"kubeconfig":"/tmp/…/kubeconfig","state":"running"}
//
// The kubeconfig's user is in the group system:masters. Lines read from standard input control the API server, and each
// is answered with such a line: "stop" kills it as a crash would, "start" starts it again on the same port and data.
// The command ends, with its children and all their data, when standard input closes or on SIGINT or SIGTERM.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		stop()
		os.Exit(1)
	}
}

// run serves one cluster until in ends or ctx is done.
func run(ctx context.Context, in io.Reader, out io.Writer) (err error) {
	assets, err := findAssets(ctx)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "breakwater-cluster-")
	if err != nil {
		return fmt.Errorf("make a data folder: %w", err)
	}
	defer os.RemoveAll(dir)
	c, err := newCluster(assets, dir)
	if err != nil {
		return err
	}
	defer c.close()
	if err := c.start(ctx); err != nil {
		return err
	}
	if err := report(out, c, "running"); err != nil {
		return err
	}
	return obey(ctx, c, in, out)
}

// obey carries out the commands that are read from in.
func obey(ctx context.Context, c *cluster, in io.Reader, out io.Writer) error {
	lines := make(chan string)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(in); s.Scan(); {
			select {
			case lines <- strings.TrimSpace(s.Text()):
			case <-ctx.Done():
				return
			}
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return nil
		case died := <-c.died:
			return died
		case line, ok := <-lines:
			if !ok {
				return nil
			}
			state, err := c.do(ctx, line)
			if err != nil {
				return err
			}
			if err := report(out, c, state); err != nil {
				return err
			}
		}
	}
}

// do carries out one command and returns the state that it leads to.
func (c *cluster) do(ctx context.Context, command string) (state string, err error) {
	switch command {
	case "stop":
		c.apiserver.kill()
		return "stopped", nil
	case "start":
		return "running", c.startAPIServer(ctx)
	default:
		return fmt.Sprintf("unknown command %q: want start or stop", command), nil
	}
}

func report(out io.Writer, c *cluster, state string) error {
	return json.NewEncoder(out).Encode(struct {
		Kubeconfig string `json:"kubeconfig"`
		State      string `json:"state"`
	}{c.kubeconfig(), state})
}
