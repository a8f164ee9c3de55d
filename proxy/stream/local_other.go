//go:build !linux

package stream

import (
	"net"
	"net/netip"
)

// localAddress is not known on this system: answers leave from the address that the host's routes say.
type localAddress struct{ size int }

func (*localAddress) init(*net.UDPConn)    {}
func (*localAddress) of([]byte) netip.Addr { return netip.Addr{} }
func (*localAddress) reply([]byte) []byte  { return nil }
