package toxiproxy

import (
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/breakwater-gateway/breakwater/proxy/upstream"
)

// RefuseLocal returns a Config.Refuse: it refuses the addresses by which a proxy could reach this host itself, what runs beside it
// in a pod, or the link-local services of its network, such as a cloud's metadata. hosts are further addresses to refuse: those of
// the node that a pod runs on cannot be seen from inside.
func RefuseLocal(hosts ...netip.Addr) func(netip.AddrPort) error {
	return func(at netip.AddrPort) error {
		a := bare(at.Addr())
		if upstream.LeadsInward(a) {
			return fmt.Errorf("upstream %s: loopback, link-local and multicast addresses are not allowed", at)
		}
		if slices.ContainsFunc(hosts, func(h netip.Addr) bool { return bare(h) == a }) {
			return fmt.Errorf("upstream %s: is the host that this runs on", at)
		}
		switch is, err := isOwn(a); {
		case err != nil:
			return fmt.Errorf("upstream %s: %w", at, err)
		case is:
			return fmt.Errorf("upstream %s: is this host itself", at)
		}
		return nil
	}
}

// isTaken reports whether a listener takes the connections to an address that is dialled from this host. One of a wildcard address takes
// those to all of this host's, of both families: that is how package net listens.
func isTaken(at, listener netip.AddrPort) (bool, error) {
	if at.Port() != listener.Port() {
		return false, nil
	}
	to, own := bare(at.Addr()), bare(listener.Addr())
	switch to { // the system connects to loopback
	case netip.IPv4Unspecified():
		to = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	case netip.IPv6Unspecified():
		to = netip.IPv6Loopback()
	}
	if to == own || !own.IsUnspecified() {
		return to == own, nil
	}
	return isOwn(to)
}

// isOwn reports whether an address, bare, is one of this host.
func isOwn(a netip.Addr) (bool, error) {
	if a.IsLoopback() {
		return true, nil
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		return false, fmt.Errorf("cannot tell whether it is this host: %w", err)
	}
	return slices.ContainsFunc(own, func(o net.Addr) bool {
		p, err := netip.ParsePrefix(o.String())
		return err == nil && bare(p.Addr()) == a
	}), nil
}

// bare returns an address without what makes two forms of one address differ. A zone means nothing where an address is global: the
// system ignores it.
func bare(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }
