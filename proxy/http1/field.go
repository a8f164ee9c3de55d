package http1

import (
	"bytes"
	"slices"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// fieldScan reads field lines into a Header. The fields that concern only this connection or the framing of this message
// are taken out and noted here.
type fieldScan struct {
	header   *proxy.Header
	lim      *Limits
	response bool
	minor    uint8

	host  []byte
	hosts int

	length  int64
	lengths int // Content-Length lines

	codings int // Transfer-Encoding lines
	coding  []byte

	close, keepAlive, upgradeOption bool
	named                           int // Connection options that name some other field; at most maxNamed
	connections                     [4][]byte
	nConnections                    int

	expects     int
	expectValue []byte
	upgrade     []byte
	upgrades    int
	teTrailers  bool
}

// scan parses the field lines of p from at to the empty line that ends them (RFC 9112 section 5) and returns where the
// content begins.
func (s *fieldScan) scan(p []byte, at int) (end int, more bool, err error) {
	for count := 1; ; count++ {
		if at >= len(p) {
			return 0, true, nil
		}
		if classes[p[at]]&isToken == 0 {
			return endOfFields(p, at)
		}
		colon, start, end, err := s.cutField(p, at)
		if err != nil {
			return 0, false, err
		}
		if end == 0 {
			return 0, true, nil
		}
		if count > s.lim.HeaderCount {
			return 0, false, errTooManyFields
		}
		name, value := p[at:colon], p[start:end]
		for len(value) > 0 && (value[len(value)-1] == ' ' || value[len(value)-1] == '\t') {
			value = value[:len(value)-1]
		}
		keep, err := s.note(name, value)
		if err != nil {
			return 0, false, err
		}
		if keep {
			s.header.Fields = append(s.header.Fields, proxy.Field{Name: name, Value: value})
		}
		at = end + len("\r\n")
	}
}

// endOfFields checks that the line at p[at:], which does not begin with a name, is empty.
func endOfFields(p []byte, at int) (end int, more bool, err error) {
	switch p[at] {
	case '\r':
		if at+1 == len(p) {
			return 0, true, nil
		}
		if p[at+1] == '\n' {
			return at + 2, false, nil
		}
		return 0, false, errLineEnd
	case '\n':
		return 0, false, errLineEnd
	case ' ', '\t':
		return 0, false, errObsFold
	}
	return 0, false, errFieldName
}

// cutField parses field-name ":" OWS field-value OWS CRLF at p[at:]. It returns where the colon is and where the value begins and
// ends, with the white space behind it; end is 0 if p does not hold the whole line.
func (s *fieldScan) cutField(p []byte, at int) (colon, start, end int, err error) {
	i, seen := at, class(0)
	for i < len(p) && classes[p[i]]&isToken != 0 {
		seen |= classes[p[i]]
		i++
	}
	if i == len(p) {
		return 0, 0, 0, nil
	}
	if p[i] != ':' {
		return 0, 0, 0, nameError(p[i:])
	}
	if seen&isUnderscore != 0 && !s.lim.AllowUnderscores && !s.response {
		return 0, 0, 0, errUnderscore
	}
	colon = i
	i++
	for i < len(p) && (p[i] == ' ' || p[i] == '\t') {
		i++
	}
	start = i
	i += valueLen(p[i:])
	switch {
	case i+1 < len(p) && p[i] == '\r' && p[i+1] == '\n':
		return colon, start, i, nil
	case i == len(p), p[i] == '\r' && i+1 == len(p):
		return 0, 0, 0, nil
	case p[i] == '\r', p[i] == '\n':
		return 0, 0, 0, errLineEnd
	}
	return 0, 0, 0, errFieldValue
}

// nameError tells what is wrong with a field line whose name is followed by p, not by a colon. It is nil if p may go on to tell.
func nameError(p []byte) error {
	switch {
	case p[0] == '\r' && len(p) == 1:
		return nil
	case p[0] == '\n', p[0] == '\r' && p[1] != '\n':
		return errLineEnd
	}
	return errFieldName
}

// note looks at one field line. It returns false for a field that is not passed on: RFC 9110 section 7.6.1 and those that the
// engine writes itself.
func (s *fieldScan) note(name, value []byte) (keep bool, err error) {
	switch len(name) {
	case 2:
		if proxy.EqualFold(name, "te") {
			eachToken(value, func(t []byte) { s.teTrailers = s.teTrailers || proxy.EqualFold(t, "trailers") })
			return false, nil
		}
	case 4:
		if !s.response && proxy.EqualFold(name, "host") {
			s.hosts++
			s.host = value
			return false, nil
		}
	case 6:
		if !s.response && proxy.EqualFold(name, "expect") {
			s.expects++
			s.expectValue = value
			return false, nil
		}
	case 7:
		if proxy.EqualFold(name, "upgrade") {
			s.upgrades++
			s.upgrade = value
			return false, nil
		}
	case 10:
		if proxy.EqualFold(name, "connection") {
			return false, s.noteConnection(value)
		}
		if proxy.EqualFold(name, "keep-alive") {
			return false, nil
		}
	case 14:
		if proxy.EqualFold(name, "content-length") {
			return false, s.noteLength(value)
		}
		if proxy.EqualFold(name, "http2-settings") { // part of an upgrade that is not served (RFC 7540 section 3.2.1)
			return false, nil
		}
	case 16:
		if proxy.EqualFold(name, "proxy-connection") {
			return false, nil
		}
	case 17:
		if proxy.EqualFold(name, "transfer-encoding") {
			s.codings++
			s.coding = value
			return false, nil
		}
	case 18:
		if proxy.EqualFold(name, "proxy-authenticate") {
			return false, nil
		}
	case 19:
		if proxy.EqualFold(name, "proxy-authorization") {
			return false, nil
		}
	}
	return true, nil
}

// maxNamed bounds the fields that Connection may name: each field of the message is compared with all of them.
const maxNamed = 16

// noteConnection reads Connection options (RFC 9110 section 7.6.1).
func (s *fieldScan) noteConnection(value []byte) error {
	eachToken(value, func(t []byte) {
		switch {
		case s.named > maxNamed: // refused already
		case proxy.EqualFold(t, "close"):
			s.close = true
		case proxy.EqualFold(t, "keep-alive"):
			s.keepAlive = true
		case proxy.EqualFold(t, "upgrade"):
			s.upgradeOption = true
		case proxy.EqualFold(t, "te"):
		default:
			s.named++
		}
	})
	switch {
	case s.named > maxNamed:
		return errTooManyOptions
	case s.nConnections == len(s.connections):
		return errTooManyFields
	}
	s.connections[s.nConnections] = value
	s.nConnections++
	return nil
}

// noteLength parses Content-Length: digits only, once (RFC 9110 section 8.6; a repeated one is refused even if equal).
func (s *fieldScan) noteLength(value []byte) error {
	if s.lengths++; s.lengths > 1 {
		return errLengthDuplicate
	}
	if len(value) == 0 || len(value) > 18 {
		return errLengthInvalid
	}
	n := int64(0)
	for _, c := range value {
		if c < '0' || c > '9' {
			return errLengthInvalid
		}
		n = n*10 + int64(c-'0')
	}
	s.length = n
	return nil
}

// framing checks the fields that say how long the content is (RFC 9112 section 6).
func (s *fieldScan) framing() error {
	if s.codings == 0 {
		return nil
	}
	switch {
	case s.lengths > 0:
		return errLengthAndCoding
	case s.minor == 0:
		return errCodingOld
	case s.codings > 1:
		return errCodingInvalid
	case proxy.EqualFold(s.coding, "chunked"):
		return nil
	}
	return unknownCoding(s.coding)
}

// unknownCoding tells a list of codings that ends with the only "chunked", which is valid but not served, from one that leaves
// the length of the content open (RFC 9112 sections 6.1 and 6.3).
func unknownCoding(list []byte) error {
	chunked, last, valid := 0, false, true
	eachToken(list, func(t []byte) {
		last = proxy.EqualFold(t, "chunked")
		if last {
			chunked++
		}
		valid = valid && all(t, isToken)
	})
	if valid && last && chunked == 1 {
		return errCodingUnknown
	}
	return errCodingInvalid
}

// validUpgrade checks that p is a list of protocols (RFC 9110 section 7.8) and that none of them is a newer HTTP: behind such a switch
// a client could send requests that nobody has checked.
func validUpgrade(p []byte) bool {
	valid := len(p) > 0
	eachToken(p, func(t []byte) {
		n := tokenLen(t)
		name, version := t[:n], t[n:]
		if len(version) > 0 {
			valid = valid && version[0] == '/' && len(version) > 1 && all(version[1:], isToken)
		}
		valid = valid && n > 0 && !proxy.EqualFold(name, "h2c") && !proxy.EqualFold(name, "h2") && !proxy.EqualFold(name, "http")
	})
	return valid
}

// protected are the fields that a Connection option must not remove on the way to the endpoint, besides X-Forwarded-*: a
// client could otherwise take away what a proxy in front of it, or we ourselves, say about the client.
var protected = []string{
	"host", "content-length", "transfer-encoding", "content-type", "authorization", "cookie", "cache-control",
	"x-real-ip", "forwarded", "x-request-id",
}

func isProtected(name []byte) bool {
	const forwarded = "x-forwarded-"
	if len(name) >= len(forwarded) && proxy.EqualFold(name[:len(forwarded)], forwarded) {
		return true
	}
	for _, p := range protected {
		if proxy.EqualFold(name, p) {
			return true
		}
	}
	return false
}

// stripNamed removes the fields that Connection names, before anything of ours is added (RFC 9110 section 7.6.1).
func (s *fieldScan) stripNamed() error {
	if s.named == 0 {
		return nil
	}
	var err error
	var list [maxNamed][]byte
	names := list[:0]
	for _, value := range s.connections[:s.nConnections] {
		eachToken(value, func(t []byte) {
			switch {
			case !all(t, isToken):
				err = errFieldValue
			case isOption(t):
			case !isProtected(t):
				names = append(names, t)
			case !s.response:
				err = errConnectionOption
			}
		})
	}
	s.header.Fields = slices.DeleteFunc(s.header.Fields, func(f proxy.Field) bool {
		return slices.ContainsFunc(names, func(n []byte) bool { return bytes.EqualFold(f.Name, n) }) // both are ASCII
	})
	return err
}

// isOption reports whether a Connection option says something of the connection and names no field.
func isOption(t []byte) bool {
	return proxy.EqualFold(t, "close") || proxy.EqualFold(t, "keep-alive") || proxy.EqualFold(t, "upgrade") || proxy.EqualFold(t, "te")
}
