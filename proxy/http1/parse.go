package http1

import (
	"bytes"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// MaxHeaderBytes is the largest Limits.HeaderBytes, in bytes: a head has to fit into one buffer.
const MaxHeaderBytes = largeBuffer

// Limits bound what a message head may cost. The zero value of a field stands for its default.
type Limits struct {
	RequestLine int // bytes of the request line without CRLF; beyond: 414. Default 8,192
	HeaderBytes int // bytes of a whole head; beyond: 431 (502 for a response). Default and maximum MaxHeaderBytes, 65,536
	HeaderCount int // field lines in a head; beyond: 431 (502 for a response). Default 100
	// AllowUnderscores accepts "_" in field names. Many servers turn both "-" and "_" into the same variable name, so
	// "X_Real_IP" can pass for "X-Real-IP"; the default is to refuse it with 400.
	AllowUnderscores bool
}

func (l Limits) withDefaults() Limits {
	if l.RequestLine <= 0 {
		l.RequestLine = 8 << 10
	}
	if l.HeaderBytes <= 0 || l.HeaderBytes > MaxHeaderBytes {
		l.HeaderBytes = MaxHeaderBytes
	}
	if l.HeaderCount <= 0 {
		l.HeaderCount = 100
	}
	return l
}

// A Refusal is why a message is not accepted: the status to answer with and what is wrong, for people.
type Refusal struct {
	Status int
	Reason string
	Kind   Kind
}

// Kind says which part of a message a Refusal is about, for statistics.
type Kind uint8

const (
	KindHead    Kind = iota // the start line or a field
	KindHost                // the Host field
	KindFraming             // Content-Length and Transfer-Encoding
	KindBody                // the coding of the content
)

// Error returns the reason.
func (r *Refusal) Error() string { return r.Reason }

// The refusals are values of their own, so that refusing costs nothing and tests can name them.
var (
	errRequestLine      = &Refusal{400, "malformed request line", KindHead}
	errMethod           = &Refusal{400, "invalid method", KindHead}
	errConnectMethod    = &Refusal{405, "CONNECT is not served here", KindHead}
	errVersion          = &Refusal{505, "HTTP version not supported", KindHead}
	errURITooLong       = &Refusal{414, "request line too long", KindHead}
	errHeadTooLarge     = &Refusal{431, "request header fields too large", KindHead}
	errTooManyFields    = &Refusal{431, "too many request header fields", KindHead}
	errTooManyOptions   = &Refusal{431, "Connection names too many fields", KindHead}
	errLineEnd          = &Refusal{400, "bare CR or LF in message head", KindHead}
	errFieldName        = &Refusal{400, "invalid field name", KindHead}
	errUnderscore       = &Refusal{400, "underscore in field name", KindHead}
	errFieldValue       = &Refusal{400, "invalid character in field value", KindHead}
	errObsFold          = &Refusal{400, "obsolete line folding", KindHead}
	errHostMissing      = &Refusal{400, "missing Host field", KindHost}
	errHostDuplicate    = &Refusal{400, "more than one Host field", KindHost}
	errHostInvalid      = &Refusal{400, "invalid Host field", KindHost}
	errHostMismatch     = &Refusal{400, "Host field disagrees with the request target", KindHost}
	errTarget           = &Refusal{400, "invalid request target", KindHead}
	errPathEscape       = &Refusal{400, "invalid percent-encoding in path", KindHead}
	errPathTraversal    = &Refusal{400, "path climbs above the root or hides a dot segment", KindHead}
	errLengthInvalid    = &Refusal{400, "invalid Content-Length", KindFraming}
	errLengthDuplicate  = &Refusal{400, "more than one Content-Length", KindFraming}
	errLengthAndCoding  = &Refusal{400, "both Content-Length and Transfer-Encoding", KindFraming}
	errCodingInvalid    = &Refusal{400, "invalid Transfer-Encoding", KindFraming}
	errCodingUnknown    = &Refusal{501, "transfer coding not implemented", KindFraming}
	errCodingOld        = &Refusal{400, "Transfer-Encoding in an HTTP/1.0 message", KindFraming}
	errConnectionOption = &Refusal{400, "Connection names a field that must not be removed", KindHead}
	errExpectation      = &Refusal{417, "expectation not supported", KindHead}
	errStatusLine       = &Refusal{502, "malformed status line", KindHead}
)

// requestFraming is what a request head says about the connection and the body rather than about the request.
type requestFraming struct {
	size      int // bytes of the head
	keepAlive bool
	chunked   bool
	length    int64 // valid if not chunked
}

// parseRequest parses the request head at the beginning of p into r, whose byte slices then point into p; the path may
// be normalised in place. more is true when p holds only a part of a head that is valid so far.
func parseRequest(p []byte, r *proxy.Request, lim *Limits) (f requestFraming, more bool, err error) {
	p = p[:min(len(p), lim.HeaderBytes)]
	at := 0
	for at < 4 && at+1 < len(p) && p[at] == '\r' && p[at+1] == '\n' { // RFC 9112 section 2.2: empty lines before
		at += 2
	}
	line, next, more, err := cutLine(p, at)
	if err != nil {
		return f, false, err
	}
	if len(line) > lim.RequestLine {
		return f, false, errURITooLong
	}
	if more {
		err = lim.enough(p)
		return f, err == nil, err
	}
	target, err := parseRequestLine(line, r)
	if err != nil {
		return f, false, err
	}
	s := fieldScan{header: &r.Header, lim: lim, response: false, minor: r.Minor}
	f.size, more, err = s.scan(p, next)
	if err != nil {
		return f, false, err
	}
	if more {
		err = lim.enough(p)
		return f, err == nil, err
	}
	if err = parseTarget(target, r, &s); err != nil {
		return f, false, err
	}
	return f, false, s.finishRequest(r, &f)
}

// enough returns an error when p, which is only a part of a head, is as long as a whole one may be.
func (l *Limits) enough(p []byte) error {
	if len(p) >= l.HeaderBytes {
		return errHeadTooLarge
	}
	return nil
}

// worthParsing reports whether parsing p may bring more than it did when p was tried bytes long: when a line has been
// completed since, or p has doubled. So a head that arrives byte by byte costs time in proportion to its length, and an
// invalid one is refused as soon as the line that is wrong is complete.
func worthParsing(p []byte, tried *int) bool {
	if len(p) < 2**tried && bytes.IndexByte(p[*tried:], '\n') < 0 {
		return false
	}
	*tried = len(p)
	return true
}

var crlf = []byte("\r\n")

// cutLine returns the line at p[at:] without its CRLF and where the next one begins. A lone CR or LF is refused. If more is true,
// line is what has come of it so far.
func cutLine(p []byte, at int) (line []byte, next int, more bool, err error) {
	line = p[at:]
	cr := bytes.IndexByte(line, '\r')
	if cr >= 0 {
		line = line[:cr]
	}
	end := at + len(line)
	switch {
	case bytes.IndexByte(line, '\n') >= 0:
		return nil, 0, false, errLineEnd
	case end+1 >= len(p):
		return line, 0, true, nil
	case p[end+1] != '\n':
		return nil, 0, false, errLineEnd
	}
	return line, end + 2, false, nil
}

// parseRequestLine parses method SP request-target SP HTTP-version (RFC 9112 section 3).
func parseRequestLine(line []byte, r *proxy.Request) (target []byte, err error) {
	sp := bytes.IndexByte(line, ' ')
	if sp <= 0 || !all(line[:sp], isToken) {
		if sp > 0 {
			return nil, errMethod
		}
		return nil, errRequestLine
	}
	r.Method = line[:sp]
	rest := line[sp+1:]
	const version = "HTTP/1.1"
	if len(rest) < len(version)+2 || rest[len(rest)-len(version)-1] != ' ' {
		return nil, errRequestLine
	}
	v := rest[len(rest)-len(version):]
	target = rest[:len(rest)-len(version)-1]
	if bytes.IndexByte(target, ' ') >= 0 {
		return nil, errRequestLine
	}
	switch string(v) {
	case "HTTP/1.1":
		r.Minor = 1
	case "HTTP/1.0":
		r.Minor = 0
	default:
		if string(v[:5]) == "HTTP/" && v[5] >= '0' && v[5] <= '9' && v[6] == '.' && v[7] >= '0' && v[7] <= '9' {
			return nil, errVersion
		}
		return nil, errRequestLine
	}
	if string(r.Method) == "CONNECT" {
		return nil, errConnectMethod
	}
	return target, nil
}

// finishRequest turns the framing fields that scan has noted into f and r.
func (s *fieldScan) finishRequest(r *proxy.Request, f *requestFraming) error {
	f.keepAlive = r.Minor == 1 && !s.close || r.Minor == 0 && s.keepAlive && !s.close
	if err := s.framing(); err != nil {
		return err
	}
	f.chunked = s.codings > 0
	f.length = s.length
	r.ContentLength = f.length
	if f.chunked {
		r.ContentLength = -1
	}
	if s.expects > 0 {
		switch {
		case s.expects > 1 || !proxy.EqualFold(s.expectValue, "100-continue"):
			return errExpectation
		case r.Minor == 1 && r.ContentLength != 0: // RFC 9110 section 10.1.1: not for 1.0, nor without content
			r.Expect = true
		}
	}
	if r.Minor == 1 && s.upgradeOption && s.upgrades == 1 && validUpgrade(s.upgrade) {
		r.Upgrade = s.upgrade
	}
	r.Trailers = s.teTrailers
	return s.stripNamed()
}
