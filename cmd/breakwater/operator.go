package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy/admin"
	"github.com/spf13/pflag"
)

const defaultAdminAddress = "127.0.0.1:9901"

// adminOptions are the flags of the admin endpoint.
type adminOptions struct {
	address string
	hosts   []string
	pprof   bool
}

func (o *adminOptions) add(f *pflag.FlagSet) {
	f.StringVar(&o.address, "admin-address", defaultAdminAddress,
		"address of /healthz /readyz /metrics /snapshot /explain /chaos /report; empty turns them off")
	f.StringSliceVar(&o.hosts, "admin-hosts", nil,
		"names, besides localhost, by which clients may call the admin endpoint and, without a cluster, the API for Toxiproxy's clients")
	f.BoolVar(&o.pprof, "pprof", false, "offer /debug/pprof on the admin endpoint")
}

// operator is a running endpoint for operators: the admin endpoint, or the API for Toxiproxy's clients.
type operator struct {
	Address net.Addr
	Failed  chan error // gets why it ended by itself

	server *http.Server
	done   chan struct{}
}

// start binds the admin endpoint; nil without an address.
func (o *adminOptions) start(c admin.Config, log *slog.Logger) (*operator, error) {
	if o.address == "" {
		return nil, nil
	}
	c.Hosts, c.Pprof = o.hosts, o.pprof
	return startOperator("admin endpoint", "--admin-address", o.address, admin.NewServer(admin.New(c), log))
}

// startOperator binds the address that a flag gives and serves on it.
func startOperator(what, flag, address string, server *http.Server) (*operator, error) {
	ln, err := bindOperator(what, flag, address)
	if err != nil {
		return nil, err
	}
	return serveOperator(what, ln, server), nil
}

// bindOperator binds the address that a flag gives.
func bindOperator(what, flag, address string) (net.Listener, error) {
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%s (%s %s): %w", what, flag, address, err)
	}
	return ln, nil
}

// serveOperator serves on a bound address.
func serveOperator(what string, ln net.Listener, server *http.Server) *operator {
	p := &operator{Address: ln.Addr(), Failed: make(chan error, 1), server: server, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		if err := p.server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			p.Failed <- fmt.Errorf("%s: %w", what, err)
		}
	}()
	return p
}

// operatorGrace is how long answers of an endpoint for operators may take at the end.
const operatorGrace = time.Second

// close ends the endpoint. A nil operator has ended.
func (p *operator) close() error {
	if p == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), operatorGrace)
	defer cancel()
	err := p.server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = p.server.Close()
	}
	<-p.done
	return err
}

// failed never delivers for a nil operator.
func (p *operator) failed() <-chan error {
	if p == nil {
		return nil
	}
	return p.Failed
}
