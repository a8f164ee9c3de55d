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
		own, err := net.InterfaceAddrs()
		if err != nil {
			return fmt.Errorf("upstream %s: cannot tell whether it is this host: %w", at, err)
		}
		for _, o := range own {
			if p, err := netip.ParsePrefix(o.String()); err == nil && bare(p.Addr()) == a {
				return fmt.Errorf("upstream %s: is this host itself", at)
			}
		}
		return nil
	}
}

// bare returns an address without what makes two forms of one address differ. A zone means nothing where an address is global: the
// system ignores it.
func bare(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }
