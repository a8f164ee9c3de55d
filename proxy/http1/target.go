package http1

import (
	"bytes"
	"net/netip"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// parseTarget parses the request target (RFC 9112 section 3.2) and the Host field that goes with it. Origin-form and
// absolute-form are served; a fragment, an authority, "*" and anything else is refused.
func parseTarget(target []byte, r *proxy.Request, s *fieldScan) error {
	switch {
	case s.hosts > 1:
		return errHostDuplicate
	case s.hosts == 0 && r.Minor == 1:
		return errHostMissing
	case s.hosts == 1:
		if err := parseHost(s.host, r); err != nil {
			return err
		}
	}
	if len(target) == 0 {
		return errTarget
	}
	if target[0] != '/' {
		rest, err := parseAbsolute(target, r)
		if err != nil {
			return err
		}
		target = rest
	}
	path := target
	if q := bytes.IndexByte(target, '?'); q >= 0 {
		path, r.Query, r.HasQuery = target[:q], target[q+1:], true
		if !all(r.Query, isQuery) {
			return errTarget
		}
	}
	path, err := normalizePath(path)
	r.Path = path
	return err
}

var root = []byte("/")

// parseAbsolute takes scheme and authority off an absolute-form target and checks that they agree with the Host field.
func parseAbsolute(target []byte, r *proxy.Request) (rest []byte, err error) {
	i := bytes.IndexByte(target, ':')
	if i < 0 || !(proxy.EqualFold(target[:i], "http") || proxy.EqualFold(target[:i], "https")) ||
		len(target) < i+3 || target[i+1] != '/' || target[i+2] != '/' {
		return nil, errTarget
	}
	authority := target[i+3:]
	end := len(authority)
	for j, c := range authority {
		if c == '/' || c == '?' {
			end = j
			break
		}
	}
	rest, authority = authority[end:], authority[:end]
	if len(r.Authority) == 0 { // HTTP/1.0 without Host
		if err := parseHost(authority, r); err != nil {
			return nil, errTarget
		}
	} else if !proxy.EqualFold(authority, string(r.Authority)) {
		return nil, errHostMismatch
	}
	switch {
	case len(rest) == 0:
		return root, nil
	case rest[0] == '?':
		// The path is empty: "/" (RFC 9110 section 4.2.3).
		return append(append(make([]byte, 0, len(rest)+1), '/'), rest...), nil
	}
	return rest, nil
}

// parseHost checks uri-host [ ":" port ] (RFC 9110 section 7.2), lowers its case in place and sets Authority and Host.
func parseHost(v []byte, r *proxy.Request) error {
	n := hostLen(v)
	if n == 0 || n > 255 || !validPort(v[n:]) {
		return errHostInvalid
	}
	host := v[:n]
	for i, c := range host {
		if classes[c]&isUpper != 0 {
			host[i] |= 0x20
		}
	}
	r.Authority = v
	if host[n-1] == '.' {
		if host = host[:n-1]; n == 1 || host[n-2] == '.' {
			return errHostInvalid
		}
	}
	r.Host = host
	return nil
}

// hostLen returns how many bytes of v are a reg-name without escapes, an IPv4 address or an IPv6 literal (RFC 3986 section 3.2.2).
func hostLen(v []byte) int {
	if len(v) == 0 || v[0] != '[' {
		n := 0
		for n < len(v) && classes[v[n]]&isHost != 0 {
			n++
		}
		return n
	}
	end := bytes.IndexByte(v, ']')
	if end < 0 || end > len("[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255") {
		return 0
	}
	a, err := netip.ParseAddr(string(v[1:end]))
	if err != nil || !a.Is6() || a.Zone() != "" {
		return 0
	}
	return end + 1
}

// validPort checks [ ":" port ].
func validPort(p []byte) bool {
	if len(p) == 0 {
		return true
	}
	if p[0] != ':' || len(p) > len(":65535") {
		return false
	}
	n := 0
	for _, c := range p[1:] {
		if c < '0' || c > '9' {
			return false
		}
		n = n*10 + int(c-'0')
	}
	return n <= 65535
}

// normalizePath brings a path into the one form that is used for matching and for forwarding, in place:
//   - percent-encoded unreserved characters are decoded, other escapes get upper-case digits (RFC 3986 section 6.2.2);
//   - "." and ".." segments are resolved (RFC 3986 section 5.2.4) and repeated slashes merged.
//
// Encoded slashes and other reserved characters stay encoded and are matched so. Refused are escapes of control
// characters, invalid escapes, a climb above the root, and dot segments that only a later decoder would see: behind "%2F" or
// "%5C", or before ";" or "%3B".
func normalizePath(p []byte) ([]byte, error) {
	i := 0
	for i < len(p) {
		switch c := p[i]; {
		case classes[c]&isPlain != 0:
			i++
			continue
		case c == '.':
			if i == 0 || p[i-1] != '/' {
				i++
				continue
			}
		case c == '/':
			if i == 0 || p[i-1] != '/' {
				i++
				continue
			}
		case c == '%':
		default:
			return nil, errTarget
		}
		return normalizeSlow(p)
	}
	return p, nil
}

func normalizeSlow(p []byte) ([]byte, error) {
	p, err := decodeUnreserved(p)
	if err != nil {
		return nil, err
	}
	out := p[:0]
	for i := 0; i < len(p); {
		i++ // the slash that begins the segment
		start := i
		for i < len(p) && p[i] != '/' {
			i++
		}
		seg, last := p[start:i], i == len(p)
		switch {
		case len(seg) == 0 && !last: // "//"
			continue
		case string(seg) == ".":
			if last {
				out = append(out, '/')
			}
			continue
		case string(seg) == "..":
			if len(out) == 0 {
				return nil, errPathTraversal
			}
			out = out[:bytes.LastIndexByte(out, '/')]
			if last {
				out = append(out, '/')
			}
			continue
		case hidesDots(seg):
			return nil, errPathTraversal
		}
		out = append(out, '/')
		out = append(out, seg...)
	}
	return out, nil
}

// decodeUnreserved decodes escapes of unreserved characters in place and puts the others into upper case.
func decodeUnreserved(p []byte) ([]byte, error) {
	out := p[:0]
	for i := 0; i < len(p); i++ {
		c := p[i]
		if classes[c]&isPath == 0 {
			return nil, errTarget
		}
		if c != '%' {
			out = append(out, c)
			continue
		}
		if i+2 >= len(p) || classes[p[i+1]]&isHex == 0 || classes[p[i+2]]&isHex == 0 {
			return nil, errPathEscape
		}
		d := unhex(p[i+1])<<4 | unhex(p[i+2])
		switch {
		case d < 0x20 || d == 0x7f:
			return nil, errPathEscape
		case 'a' <= d|0x20 && d|0x20 <= 'z' && d < 0x80, '0' <= d && d <= '9', d == '-', d == '.', d == '_', d == '~':
			out = append(out, d)
		default:
			const upper = "0123456789ABCDEF"
			out = append(out, '%', upper[d>>4], upper[d&15])
		}
		i += 2
	}
	return out, nil
}

// hidesDots reports whether a segment becomes a dot segment for a server that decodes "%2F" or "%5C" as a separator or
// cuts path parameters off at ";" or "%3B".
func hidesDots(seg []byte) bool {
	for start := 0; start < len(seg); {
		n := 0
		for start+n < len(seg) && seg[start+n] == '.' {
			n++
		}
		if n == 1 || n == 2 {
			switch rest := seg[start+n:]; {
			case len(rest) == 0, rest[0] == ';', escapes(rest, "2F"), escapes(rest, "5C"), escapes(rest, "3B"):
				return true
			}
		}
		// On to what is behind the next encoded separator.
		for start += n; start < len(seg) && !escapes(seg[start:], "2F") && !escapes(seg[start:], "5C"); {
			start++
		}
		start += len("%2F")
	}
	return false
}

// escapes reports whether p begins with an escape of the byte that is hex in hexadecimal.
func escapes(p []byte, hex string) bool {
	return len(p) >= 3 && p[0] == '%' && string(p[1:3]) == hex
}
