package stream

import (
	"encoding/binary"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// localAddress tells to which address of this host a datagram was sent, so that the answer leaves from the same one (IP_PKTINFO,
// ip(7); RFC 3542 section 6). A port that is bound to one address needs none of that.
type localAddress struct {
	size int // of the control messages to read
}

func (l *localAddress) init(conn *net.UDPConn) {
	if a, ok := conn.LocalAddr().(*net.UDPAddr); !ok || !a.IP.IsUnspecified() {
		return
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		// One of them fails, by the socket's family.
		err4 := unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
		err6 := unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
		if err4 == nil || err6 == nil {
			l.size = unix.CmsgSpace(unix.SizeofInet4Pktinfo) + unix.CmsgSpace(unix.SizeofInet6Pktinfo)
		}
	})
}

// find returns the place of the address in a control message, and the whole message.
func find(oob []byte) (message, address []byte) {
	head := unix.CmsgLen(0)
	for len(oob) >= head {
		n := int(cmsgLen(oob))
		if n < head || n > len(oob) {
			return nil, nil
		}
		level, kind := int32(binary.NativeEndian.Uint32(oob[head-8:])), int32(binary.NativeEndian.Uint32(oob[head-4:]))
		switch {
		case level == unix.IPPROTO_IP && kind == unix.IP_PKTINFO && n >= unix.CmsgLen(unix.SizeofInet4Pktinfo):
			return oob[:n], oob[head+4 : head+8] // ipi_spec_dst
		case level == unix.IPPROTO_IPV6 && kind == unix.IPV6_PKTINFO && n >= unix.CmsgLen(unix.SizeofInet6Pktinfo):
			return oob[:n], oob[head : head+16] // ipi6_addr
		}
		oob = oob[min(len(oob), unix.CmsgSpace(n-head)):]
	}
	return nil, nil
}

// cmsgLen is the length that a control message says it has, a size_t.
func cmsgLen(oob []byte) uint64 {
	if unix.CmsgLen(0) == 12 {
		return uint64(binary.NativeEndian.Uint32(oob))
	}
	return binary.NativeEndian.Uint64(oob)
}

// of returns the address, zero if it is not known.
func (l *localAddress) of(oob []byte) netip.Addr {
	_, b := find(oob)
	a, _ := netip.AddrFromSlice(b)
	return a.Unmap()
}

// reply returns the control message with which an answer leaves from the address, nil if it is not known.
func (l *localAddress) reply(oob []byte) []byte {
	message, b := find(oob)
	if message == nil {
		return nil
	}
	a, _ := netip.AddrFromSlice(b)
	out := append(make([]byte, 0, len(oob)), message...)
	out = out[:cap(out)]
	head := unix.CmsgLen(0)
	// The route decides on the interface, but for addresses that mean something on one only.
	if len(b) == 4 {
		clear(out[head : head+4])
	} else if !a.IsLinkLocalUnicast() {
		clear(out[head+16 : head+20])
	}
	return out[:min(len(out), unix.CmsgSpace(len(message)-head))]
}
