package stream

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"
)

var (
	client4 = netip.MustParseAddrPort("192.0.2.1:1000")
	server4 = netip.MustParseAddrPort("198.51.100.1:443")
	client6 = netip.MustParseAddrPort("[2001:db8::1]:1000")
	server6 = netip.MustParseAddrPort("[2001:db8::2]:443")
)

// v2 returns a header of version 2 with the given bytes.
func v2(command, family byte, rest ...byte) string {
	b := append([]byte("\r\n\r\n\x00\r\nQUIT\n"), command, family, 0, 0)
	binary.BigEndian.PutUint16(b[14:], uint16(len(rest)))
	return string(append(b, rest...))
}

var addresses4 = []byte{192, 0, 2, 1, 198, 51, 100, 1, 1000 >> 8, 1000 & 0xff, 443 >> 8, 443 & 0xff}

func TestReadHeader(t *testing.T) {
	told := Header{client4, server4}
	for name, c := range map[string]struct {
		in   string
		want Header
		fail string // part of the error; "" is none
	}{
		"v1 tcp4":                {in: "PROXY TCP4 192.0.2.1 198.51.100.1 1000 443\r\n", want: told},
		"v1 tcp6":                {in: "PROXY TCP6 2001:db8::1 2001:db8::2 1000 443\r\n", want: Header{client6, server6}},
		"v1 mapped":              {in: "PROXY TCP6 ::ffff:192.0.2.1 ::ffff:198.51.100.1 1000 443\r\n", want: told},
		"v1 unknown":             {in: "PROXY UNKNOWN\r\n"},
		"v1 unknown, long":       {in: "PROXY UNKNOWN " + strings.Repeat("f", 91) + "\r\n"},
		"v1 too long":            {in: "PROXY UNKNOWN " + strings.Repeat("f", 92) + "\r\n", fail: "too long"},
		"v1 without CR":          {in: "PROXY TCP4 192.0.2.1 198.51.100.1 1000 443\n", fail: "\\r\\n"},
		"v1 bad address":         {in: "PROXY TCP4 192.0.2.256 198.51.100.1 1000 443\r\n", fail: "invalid address"},
		"v1 wrong family":        {in: "PROXY TCP4 2001:db8::1 2001:db8::2 1000 443\r\n", fail: "invalid address"},
		"v1 zone":                {in: "PROXY TCP6 fe80::1%eth0 2001:db8::2 1000 443\r\n", fail: "invalid address"},
		"v1 bad port":            {in: "PROXY TCP4 192.0.2.1 198.51.100.1 65536 443\r\n", fail: "invalid port"},
		"v1 leading zero":        {in: "PROXY TCP4 192.0.2.1 198.51.100.1 01000 443\r\n", fail: "invalid port"},
		"v1 another field":       {in: "PROXY TCP4 192.0.2.1 198.51.100.1 1000 443 1\r\n", fail: "address family"},
		"v1 another word":        {in: "PROXYED TCP4 192.0.2.1 198.51.100.1 1 2\r\n", fail: "version 1"},
		"v1 udp":                 {in: "PROXY UDP4 192.0.2.1 198.51.100.1 1000 443\r\n", fail: "address family"},
		"v1 cut":                 {in: "PROXY TCP4 192.0.2.1", fail: "EOF"},
		"v2 tcp4":                {in: v2(0x21, 0x11, addresses4...), want: told},
		"v2 tcp4 and extensions": {in: v2(0x21, 0x11, append(addresses4[:12:12], 0x04, 0, 1, 'x')...), want: told},
		"v2 local":               {in: v2(0x20, 0x00)},
		"v2 local and addresses": {in: v2(0x20, 0x11, addresses4...)},
		"v2 unspecified":         {in: v2(0x21, 0x00), fail: "family"},
		"v2 unix":                {in: v2(0x21, 0x31, make([]byte, 216)...)},
		"v2 udp":                 {in: v2(0x21, 0x12, addresses4...), fail: "not of a TCP"},
		"v2 short":               {in: v2(0x21, 0x11, addresses4[:8]...), fail: "invalid length"},
		"v2 too long":            {in: v2(0x21, 0x11, make([]byte, maxHeaderV2+1)...), fail: "too long"},
		"v2 bad version":         {in: v2(0x31, 0x11, addresses4...), fail: "version"},
		"v2 bad command":         {in: v2(0x22, 0x11, addresses4...), fail: "command"},
		"v2 bad family":          {in: v2(0x21, 0x41, addresses4...), fail: "family"},
		"v2 cut":                 {in: v2(0x21, 0x11, addresses4...)[:20], fail: "EOF"},
		"none":                   {in: "GET / HTTP/1.1\r\nHost: a\r\n\r\n", fail: "no PROXY"},
		"nothing":                {in: "", fail: "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, after := range []string{"", "and what follows"} {
				if c.fail == "EOF" {
					after = ""
				}
				r := strings.NewReader(c.in + after)
				got, err := ReadHeader(iotest.OneByteReader(r))
				if c.fail != "" {
					if err == nil || !strings.Contains(err.Error(), c.fail) {
						t.Fatalf("%v %v, want an error with %q", got, err, c.fail)
					}
					continue
				}
				if err != nil || got != c.want {
					t.Fatalf("%v %v, want %v", got, err, c.want)
				}
				if rest, _ := io.ReadAll(r); string(rest) != after {
					t.Errorf("it leaves %q, want %q", rest, after)
				}
			}
		})
	}
}

func TestFormatHeaderIsWhatReadHeaderReads(t *testing.T) {
	for _, version := range []uint8{1, 2} {
		for _, want := range []Header{{client4, server4}, {client6, server6}} {
			b, err := FormatHeader(version, want)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := ReadHeader(bytes.NewReader(b)); err != nil || got != want {
				t.Errorf("version %d: %v %v, want %v", version, got, err, want)
			}
		}
		if _, err := FormatHeader(version, Header{Source: client4}); err == nil {
			t.Error("a header without a destination")
		}
		b, err := FormatHeader(version, Header{client6, server4}) // each in the form of the wider family
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ReadHeader(bytes.NewReader(b)); err != nil || got != (Header{client6, server4}) {
			t.Errorf("version %d: %v %v", version, got, err)
		}
	}
}

// FuzzReadHeader: what is accepted is one header and not a byte more, and what is written of any addresses is read again.
func FuzzReadHeader(f *testing.F) {
	f.Add([]byte("PROXY TCP4 192.0.2.1 198.51.100.1 1000 443\r\nabc"))
	f.Add([]byte("PROXY UNKNOWN\r\n"))
	f.Add([]byte(v2(0x21, 0x11, addresses4...) + "abc"))
	f.Add([]byte(v2(0x20, 0)))
	f.Fuzz(func(t *testing.T, in []byte) {
		for _, size := range []int{net.IPv4len, net.IPv6len} {
			if len(in) < 2*size+4 {
				break
			}
			var ends [2]netip.AddrPort
			for i := range ends {
				part := in[i*(size+2):]
				address, _ := netip.AddrFromSlice(part[:size])
				ends[i] = netip.AddrPortFrom(address.Unmap(), binary.BigEndian.Uint16(part[size:]))
			}
			comesBack(t, Header{ends[0], ends[1]})
		}
		r := bytes.NewReader(in)
		h, err := ReadHeader(r)
		if err != nil {
			return
		}
		if h.Source.IsValid() != h.Destination.IsValid() {
			t.Fatalf("half of a header: %v", h)
		}
		if h.Source.Addr().Zone() != "" || h.Source.Addr().Is4In6() {
			t.Fatalf("not in its shortest form: %v", h.Source)
		}
		// What is accepted is a header and nothing else: cut anywhere it is none.
		used := in[:len(in)-r.Len()]
		if _, err := ReadHeader(bytes.NewReader(used[:len(used)-1])); err == nil {
			t.Fatalf("%q and a shorter one are both headers", used)
		}
		if !h.Source.IsValid() {
			return
		}
		comesBack(t, h)
	})
}

// comesBack writes a header and reads it.
func comesBack(t *testing.T, h Header) {
	t.Helper()
	for _, version := range []uint8{1, 2} {
		b, err := FormatHeader(version, h)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ReadHeader(bytes.NewReader(b)); err != nil || again != h {
			t.Fatalf("%v comes back as %v, %v", h, again, err)
		}
	}
}
