package stream

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"

	"github.com/pires/go-proxyproto"
)

// Header is what a PROXY protocol header tells of a connection.
type Header struct {
	// Source is the client, Destination what it connected to. Both are zero if the header tells nothing: it is the peer's own
	// connection, for instance a health check.
	Source, Destination netip.AddrPort
}

const (
	// signature is how many bytes tell the versions apart. No header is shorter.
	signature = 12
	// maxHeaderV1 is the longest header of version 1 that there can be.
	maxHeaderV1 = 107
	// maxHeaderV2 bounds what follows the signature of version 2: addresses and, mostly, extensions that nobody here reads.
	maxHeaderV2 = 4096
)

var (
	errNoHeader      = errors.New("no PROXY protocol header")
	errHeaderTooLong = errors.New("the PROXY protocol header is too long")
	errHeaderFamily  = errors.New("the PROXY protocol header is not of a TCP connection")
)

// ReadHeader reads a PROXY protocol header, version 1 or 2, and not a byte more, so that the connection can be used as it is
// afterwards. The caller sets a deadline.
func ReadHeader(r io.Reader) (Header, error) {
	raw, err := readRaw(r)
	if err != nil {
		return Header{}, err
	}
	h, err := proxyproto.Read(bufio.NewReaderSize(bytes.NewReader(raw), len(raw)))
	if err != nil {
		return Header{}, fmt.Errorf("read PROXY protocol header: %w", err)
	}
	if h.Command.IsLocal() || h.TransportProtocol.IsUnspec() || h.TransportProtocol.IsUnix() {
		return Header{}, nil
	}
	source, destination, ok := h.TCPAddrs()
	if !ok {
		return Header{}, errHeaderFamily
	}
	return Header{Source: unmapped(source), Destination: unmapped(destination)}, nil
}

// readRaw reads the bytes of a header, whose meaning is not looked at.
func readRaw(r io.Reader) ([]byte, error) {
	raw := make([]byte, signature, 128)
	if _, err := io.ReadFull(r, raw); err != nil {
		return nil, fmt.Errorf("read PROXY protocol header: %w", err)
	}
	switch {
	case bytes.HasPrefix(raw, proxyproto.SIGV1):
		return readRawV1(r, raw)
	case bytes.Equal(raw, proxyproto.SIGV2):
		return readRawV2(r, raw)
	}
	return nil, errNoHeader
}

// readRawV1 reads to the end of the line. Only its end tells its length.
func readRawV1(r io.Reader, raw []byte) ([]byte, error) {
	for raw[len(raw)-1] != '\n' {
		if len(raw) == maxHeaderV1 {
			return nil, errHeaderTooLong
		}
		raw = append(raw, 0)
		if _, err := io.ReadFull(r, raw[len(raw)-1:]); err != nil {
			return nil, fmt.Errorf("read PROXY protocol header: %w", err)
		}
	}
	return raw, nil
}

// readRawV2 reads the rest of a header that says its length.
func readRawV2(r io.Reader, raw []byte) ([]byte, error) {
	raw = raw[:signature+4]
	if _, err := io.ReadFull(r, raw[signature:]); err != nil {
		return nil, fmt.Errorf("read PROXY protocol header: %w", err)
	}
	n := int(binary.BigEndian.Uint16(raw[signature+2:]))
	if n > maxHeaderV2 {
		return nil, errHeaderTooLong
	}
	raw = append(raw, make([]byte, n)...)
	if _, err := io.ReadFull(r, raw[signature+4:]); err != nil {
		return nil, fmt.Errorf("read PROXY protocol header: %w", err)
	}
	return raw, nil
}

// FormatHeader returns the header that tells h, of version 1 or 2.
func FormatHeader(version uint8, h Header) ([]byte, error) {
	source, destination := net.TCPAddrFromAddrPort(h.Source), net.TCPAddrFromAddrPort(h.Destination)
	if !h.Source.IsValid() || !h.Destination.IsValid() {
		return nil, errors.New("write PROXY protocol header: an address is not known")
	}
	b, err := proxyproto.HeaderProxyFromAddrs(version, source, destination).Format()
	if err != nil {
		return nil, fmt.Errorf("write PROXY protocol header: %w", err)
	}
	return b, nil
}

func unmapped(a *net.TCPAddr) netip.AddrPort {
	ap := a.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port())
}

// AddrPort returns the address of one end of a connection in its shortest form, the zero value if it has none.
func AddrPort(a net.Addr) netip.AddrPort {
	switch t := a.(type) {
	case *net.TCPAddr:
		ap := t.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	case *net.UDPAddr:
		ap := t.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}
