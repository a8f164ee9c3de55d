package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/http1"
)

// dialer opens connections. Names are checked at each dial on the address that is really dialled: a name may resolve to
// something else every time.
type dialer struct {
	plain, guarded net.Dialer
}

func newDialer(cfg Config) dialer {
	d := dialer{plain: net.Dialer{Timeout: cfg.DialTimeout}}
	d.guarded = d.plain
	if !cfg.AllowPrivateNames {
		d.guarded.Control = refusePrivate
	}
	return d
}

var errPrivate = errors.New("the name resolves to an address that is not allowed")

// refusePrivate refuses the addresses by which a name could reach this host itself or its network's link-local services.
func refusePrivate(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("check address %q: %w", address, err)
	}
	if a := ap.Addr().Unmap(); LeadsInward(a) {
		return fmt.Errorf("%w: %s", errPrivate, a)
	}
	return nil
}

// LeadsInward reports whether an address, mapped ones and those with a zone included, leads to this host itself or to its network's
// link-local services.
func LeadsInward(a netip.Addr) bool {
	a = a.Unmap().WithZone("") // comparisons look at the zone, the system ignores it where it means nothing
	return a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsLinkLocalMulticast() || a.IsMulticast() || a.IsUnspecified()
}

// DialTimeout is how long one attempt to connect may take.
func (e *Endpoint) DialTimeout() time.Duration { return e.reg.dialer.plain.Timeout }

// Dial opens a connection for requests to the Endpoint. On error another Endpoint may be tried: this one has seen nothing. The
// error's Status is 504 after a timeout, 503 if it is this host that can open no connection, and 502 otherwise.
func (e *Endpoint) Dial(ctx context.Context) (*http1.Conn, *proxy.Error) {
	nc, err := e.DialNet(ctx, "tcp")
	if err != nil {
		return nil, err
	}
	return http1.NewConn(nc), nil
}

// DialNet is Dial for other uses. network is "tcp" or "udp"; success with the latter proves nothing of the Endpoint.
func (e *Endpoint) DialNet(ctx context.Context, network string) (net.Conn, *proxy.Error) {
	d, addr := &e.reg.dialer.plain, e.config.Address.String()
	if e.config.Hostname != "" {
		d = &e.reg.dialer.guarded
		addr = net.JoinHostPort(e.config.Hostname, strconv.Itoa(int(e.config.Address.Port())))
	}
	nc, err := d.DialContext(ctx, network, addr)
	if err != nil {
		status, ours := 502, isExhausted(err)
		switch {
		case ours:
			status = 503
		case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), timeout(err):
			status = 504
		}
		if !ours && ctx.Err() == nil { // otherwise it is the caller who had no more time
			e.Failed()
		}
		return nil, &proxy.Error{Side: proxy.Upstream, Op: "connect", Status: status, Retry: true, Err: err}
	}
	if network != "udp" {
		e.Succeeded()
	}
	return nc, nil
}

// isExhausted reports whether a connection could not be opened because this host is short of something: no Endpoint is to blame for
// that, and passing over those that have been tried would go on for longer than the shortage.
func isExhausted(err error) bool {
	return slices.ContainsFunc([]syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL},
		func(no syscall.Errno) bool { return errors.Is(err, no) })
}

func timeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}
