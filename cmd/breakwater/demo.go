package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/breakwater-gateway/breakwater/cmd/breakwater/demo"
)

const demoLong = `Demo runs everything on this machine, on loopback only: sample manifests in a folder that you can edit, the backends
they lead to, and the proxy. It prints what to try.

Ports that are taken are replaced by free ones.`

// demoOptions are the flags of the demo.
type demoOptions struct {
	dir     string
	process processOptions
	offset  uint16
}

func newDemo() *cobra.Command {
	var o demoOptions
	c := &cobra.Command{
		Use:   "demo",
		Short: "Run everything embedded, and print what to try",
		Long:  demoLong,
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return o.run(c.Context(), c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	_ = o.process.groups() // gives everything that the demo has no flag for its default
	o.process.data.bindAddress = "127.0.0.1"
	addGroups(c, newGroup("Flags", func(f *pflag.FlagSet) {
		f.StringVar(&o.dir, "dir", "", "folder for the manifests; files that exist are kept (default a temporary one)")
		f.Uint16Var(&o.process.objects.ingressPort, "ingress-http-port", 8080, "port for Ingresses")
		f.Uint16Var(&o.offset, "port-offset", 10_000, "added to the port of a Gateway's listener")
		f.StringVar(&o.process.admin.address, "admin-address", defaultAdminAddress, "address of the admin endpoint")
		f.StringVar(&o.process.toxiproxy.address, "toxiproxy-address", "127.0.0.1:8474", "address of the API for Toxiproxy's clients")
		o.process.chaos.addReport(f)
		o.process.accessLog.add(f)
		o.process.log.add(f)
	}))
	return c
}

func (o *demoOptions) run(ctx context.Context, stdout, stderr io.Writer) (err error) {
	log, err := o.process.log.logger(stderr)
	if err != nil {
		return err
	}
	notes, err := o.choosePorts()
	if err != nil {
		return err
	}
	d, err := demo.Start(o.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	o.process.chaos.final.print = stdout
	standalone := standaloneOptions{dir: d.Dir, portOffset: o.offset}
	p, err := o.process.newProcess(stdout, log, func(p *process) (source, error) {
		return standalone.source(p, &o.process.objects)
	})
	if err != nil {
		return err
	}
	p.serving = func() {
		guide := demo.Guide{
			Program:     os.Args[0],
			Dir:         d.Dir,
			IngressPort: o.process.objects.ingressPort,
			GatewayPort: demoGatewayPort + o.offset,
			DBPort:      demoDBPort + o.offset,
			Admin:       p.operator.Address.String(),
			Toxiproxy:   p.toxiproxy.Address.String(),
			Notes:       notes,
			Color:       wantsColor(stdout),
		}
		if err := guide.Write(stdout); err != nil {
			log.Error("the guide could not be printed", "error", err)
		}
	}
	return p.run(ctx)
}

// The ports of the sample Gateways' listeners.
const (
	demoGatewayPort = 80
	demoDBPort      = 5432
)

// maxDemoOffset is the largest --port-offset at which the ports of the sample Gateways' listeners are ports.
const maxDemoOffset = 65535 - demoDBPort

// choosePorts replaces ports that are taken by free ones and says which.
func (o *demoOptions) choosePorts() (notes []string, err error) {
	replace := func(port uint16) (uint16, error) {
		free, err := freePort(port)
		if err == nil && free != port {
			notes = append(notes, fmt.Sprintf("port %d is taken, %d is used instead", port, free))
		}
		return free, err
	}
	objects := &o.process.objects
	if objects.ingressPort, err = replace(objects.ingressPort); err != nil {
		return nil, err
	}
	if o.offset > maxDemoOffset {
		return nil, wrong("--port-offset %d: want at most %d, for the listener at port %d", o.offset, maxDemoOffset, demoDBPort)
	}
	offset, err := freeOffset(o.offset)
	if err != nil {
		return nil, err
	}
	if offset != o.offset {
		notes = append(notes, fmt.Sprintf("a port of the Gateways is taken, --port-offset is %d", offset))
		o.offset = offset
	}
	for _, a := range []struct {
		flag    string
		address *string
	}{{"--admin-address", &o.process.admin.address}, {"--toxiproxy-address", &o.process.toxiproxy.address}} {
		host, port, err := net.SplitHostPort(*a.address)
		number, notNumber := strconv.ParseUint(port, 10, 16)
		if err != nil || notNumber != nil {
			return nil, wrong("%s %q: want an address such as 127.0.0.1:9901", a.flag, *a.address)
		}
		free, err := replace(uint16(number))
		if err != nil {
			return nil, err
		}
		*a.address = net.JoinHostPort(host, strconv.Itoa(int(free)))
	}
	return notes, nil
}

// freeOffset returns the offset, or the first one after it, with which the ports of the sample Gateways are free.
func freeOffset(offset uint16) (uint16, error) {
	for range portsTried {
		next := offset
		for _, port := range []uint16{demoGatewayPort, demoDBPort} {
			if next > maxDemoOffset {
				return 0, fmt.Errorf("no free ports for the Gateways with --port-offset %d and above", next)
			}
			free, err := freePort(port + next)
			if err != nil {
				return 0, err
			}
			next = free - port
		}
		if next == offset {
			return offset, nil
		}
		offset = next
	}
	return 0, fmt.Errorf("no free ports for the Gateways with --port-offset %d and above", offset)
}

// portsTried is how many ports after a taken one are looked at.
const portsTried = 100

// freePort returns port, or the first free one after it. 0 is 0: the system chooses.
func freePort(port uint16) (uint16, error) {
	var taken error
	for i := range portsTried {
		candidate := int(port) + i
		if candidate > 65535 {
			break
		}
		ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(candidate)))
		if err != nil {
			taken = err
			continue
		}
		if err := ln.Close(); err != nil {
			return 0, fmt.Errorf("close a probe of port %d: %w", candidate, err)
		}
		return uint16(candidate), nil
	}
	return 0, fmt.Errorf("no free port from %d on: %w", port, taken)
}
