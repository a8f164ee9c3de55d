package http1

import (
	"github.com/breakwater-gateway/breakwater/proxy"
)

// responseFraming is what a response head says about the connection and the body.
type responseFraming struct {
	size       int
	keepAlive  bool
	chunked    bool
	untilClose bool  // the content ends with the connection
	length     int64 // valid if neither of the above
	upgrade    bool  // Connection: upgrade, to a protocol that may be tunnelled
}

// parseResponse parses the response head at the beginning of p, like parseRequest. head says whether the request was a
// HEAD request, whose response has no content whatever its fields say.
func parseResponse(p []byte, r *proxy.Response, lim *Limits, head bool) (f responseFraming, more bool, err error) {
	p = p[:min(len(p), lim.HeaderBytes)]
	line, next, more, err := cutLine(p, 0)
	if err != nil {
		return f, false, err
	}
	if more {
		err = lim.enough(p)
		return f, err == nil, err
	}
	minor, err := parseStatusLine(line, r)
	if err != nil {
		return f, false, err
	}
	s := fieldScan{header: &r.Header, lim: lim, response: true, minor: minor}
	f.size, more, err = s.scan(p, next)
	if err != nil {
		return f, false, err
	}
	if more {
		err = lim.enough(p)
		return f, err == nil, err
	}
	if err := s.framing(); err != nil {
		return f, false, err
	}
	f.keepAlive = minor == 1 && !s.close || minor == 0 && s.keepAlive && !s.close
	f.upgrade = s.upgradeOption && s.upgrades == 1 && validUpgrade(s.upgrade)
	// RFC 9112 section 6.3.
	switch {
	case head || r.Status < 200 || r.Status == 204 || r.Status == 304:
		r.ContentLength = -1
		if s.lengths > 0 {
			r.ContentLength = s.length // what a GET would have had: passed on as it is
		}
		if r.Status < 200 || r.Status == 204 {
			r.ContentLength = 0
		}
	case s.codings > 0:
		f.chunked = true
		r.ContentLength = -1
	case s.lengths > 0:
		f.length = s.length
		r.ContentLength = s.length
	default:
		f.untilClose = true
		f.keepAlive = false
		r.ContentLength = -1
	}
	if err := s.stripNamed(); err != nil {
		return f, false, err
	}
	if f.upgrade && r.Status == 101 {
		r.Header.Add([]byte("Upgrade"), s.upgrade)
	}
	return f, false, nil
}

// parseStatusLine parses HTTP-version SP status-code SP [ reason-phrase ] (RFC 9112 section 4). A missing space behind the
// status code is let pass, as many servers leave it out and it changes nothing.
func parseStatusLine(line []byte, r *proxy.Response) (minor uint8, err error) {
	if len(line) < len("HTTP/1.1 200") || string(line[:7]) != "HTTP/1." || line[8] != ' ' {
		return 0, errStatusLine
	}
	switch line[7] {
	case '1':
		minor = 1
	case '0':
	default:
		return 0, errStatusLine
	}
	status := 0
	for _, c := range line[9:12] {
		if c < '0' || c > '9' {
			return 0, errStatusLine
		}
		status = status*10 + int(c-'0')
	}
	if status < 100 {
		return 0, errStatusLine
	}
	r.Status = status
	if len(line) > 12 {
		if line[12] != ' ' || !all(line[13:], isValue) {
			return 0, errStatusLine
		}
		r.Reason = line[13:]
	}
	return minor, nil
}
