package http1

import (
	"bytes"
	"errors"

	"github.com/breakwater-gateway/breakwater/proxy"
)

var (
	errChunk      = &Refusal{400, "malformed chunked coding", KindBody}
	errTrailer    = &Refusal{400, "field not allowed in trailers", KindBody}
	errTruncated  = errors.New("message ended early")
	errChunkExtra = &Refusal{400, "chunk extensions too long", KindBody}
)

const (
	maxChunkLine      = 256      // bytes of a chunk-size line with its extensions
	maxChunkExtension = 16 << 10 // bytes of all extensions of a message
)

type chunkState uint8

const (
	chunkSize    chunkState = iota // at the beginning of a chunk-size line
	chunkData                      // inside chunk-data
	chunkCRLF                      // at the CRLF behind chunk-data
	chunkTrailer                   // in the trailer section
	chunkDone
)

// chunkDecoder decodes the chunked coding (RFC 9112 section 7.1). Extensions are checked and dropped, trailer fields kept.
type chunkDecoder struct {
	state   chunkState
	left    int64 // of the current chunk
	extra   int   // bytes of extensions so far
	tried   int   // bytes of a trailer section that were not enough
	lim     *Limits
	trailer proxy.Header
}

func (d *chunkDecoder) reset(lim *Limits) {
	*d = chunkDecoder{lim: lim, trailer: proxy.Header{Fields: d.trailer.Fields[:0]}}
}

// next finds content in p. It returns the first run of content bytes and how many bytes of p it has used up to the end
// of the run. A run may be empty; used == 0 means that p does not hold enough to go on. After the last byte of the message done
// reports true.
func (d *chunkDecoder) next(p []byte) (data []byte, used int, err error) {
	for {
		q := p[used:]
		switch d.state {
		case chunkSize:
			line, n, more, err := cutLine(q, 0)
			if err == nil && len(line) > maxChunkLine {
				err = errChunk
			}
			if err != nil || more {
				return nil, used, err
			}
			if d.left, err = d.parseSize(line); err != nil {
				return nil, used, err
			}
			used += n
			d.state = chunkData
			if d.left == 0 {
				d.state = chunkTrailer
			}
		case chunkData:
			n := int(min(int64(len(q)), d.left))
			if n == 0 {
				return nil, used, nil
			}
			if d.left -= int64(n); d.left == 0 {
				d.state = chunkCRLF
			}
			return q[:n], used + n, nil
		case chunkCRLF:
			if len(q) > 0 && q[0] != '\r' || len(q) > 1 && q[1] != '\n' {
				return nil, used, errChunk
			}
			if len(q) < 2 {
				return nil, used, nil
			}
			used += 2
			d.state = chunkSize
		case chunkTrailer:
			n, more, err := d.parseTrailer(q)
			if err != nil || more {
				return nil, used, err
			}
			d.state = chunkDone
			return nil, used + n, nil
		default:
			return nil, used, nil
		}
	}
}

// skip uses up what stands before content in p and returns how many bytes that is. found is true if content, or the end of the
// message, follows.
func (d *chunkDecoder) skip(p []byte) (used int, found bool, err error) {
	data, used, err := d.next(p)
	if len(data) > 0 {
		d.unread(len(data))
	}
	return used - len(data), len(data) > 0 || d.done(), err
}

func (d *chunkDecoder) done() bool { return d.state == chunkDone }

// parseSize parses chunk-size [ chunk-ext ].
func (d *chunkDecoder) parseSize(line []byte) (int64, error) {
	n, i := int64(0), 0
	for i < len(line) && classes[line[i]]&isHex != 0 {
		if i == 15 {
			return 0, errChunk
		}
		n = n<<4 | int64(unhex(line[i]))
		i++
	}
	if i == 0 {
		return 0, errChunk
	}
	if ext := line[i:]; len(ext) > 0 {
		if d.extra += len(ext); d.extra > maxChunkExtension {
			return 0, errChunkExtra
		}
		if !validExtensions(ext) {
			return 0, errChunk
		}
	}
	return n, nil
}

// validExtensions checks *( BWS ";" BWS token [ BWS "=" BWS ( token / quoted-string ) ] ), RFC 9112 section 7.1.1. White space
// is not accepted: it is bad in all but name, and parsers differ on it.
func validExtensions(p []byte) bool {
	for len(p) > 0 {
		if p[0] != ';' {
			return false
		}
		n := tokenLen(p[1:])
		if n == 0 {
			return false
		}
		p = p[1+n:]
		if len(p) == 0 || p[0] != '=' {
			continue
		}
		p = p[1:]
		if n = tokenLen(p); n > 0 {
			p = p[n:]
			continue
		}
		if n = quotedLen(p); n == 0 {
			return false
		}
		p = p[n:]
	}
	return true
}

func tokenLen(p []byte) int {
	n := 0
	for n < len(p) && classes[p[n]]&isToken != 0 {
		n++
	}
	return n
}

func quotedLen(p []byte) int {
	if len(p) == 0 || p[0] != '"' {
		return 0
	}
	for i := 1; i < len(p); i++ {
		switch {
		case p[i] == '"':
			return i + 1
		case p[i] == '\\':
			if i++; i == len(p) || classes[p[i]]&isValue == 0 {
				return 0
			}
		case classes[p[i]]&isValue == 0:
			return 0
		}
	}
	return 0
}

// parseTrailer parses the trailer section (RFC 9112 section 7.1.2), which may be half as long as a head. The fields are copied: the
// buffer they stand in goes on to be used.
func (d *chunkDecoder) parseTrailer(p []byte) (n int, more bool, err error) {
	limit := d.lim.HeaderBytes / 2
	p = p[:min(len(p), limit)]
	if len(p) < limit && !worthParsing(p, &d.tried) {
		return 0, true, nil
	}
	d.trailer.Fields = d.trailer.Fields[:0]
	s := fieldScan{header: &d.trailer, lim: d.lim, minor: 1}
	n, more, err = s.scan(p, 0)
	if err != nil {
		return 0, false, err
	}
	if more {
		if len(p) == limit {
			return 0, false, errHeadTooLarge
		}
		return 0, true, nil
	}
	if s.hosts+s.lengths+s.codings+s.nConnections+s.expects+s.upgrades > 0 || s.teTrailers {
		return 0, false, errTrailer
	}
	for i := range d.trailer.Fields {
		f := &d.trailer.Fields[i]
		if forbiddenInTrailer(f.Name) {
			return 0, false, errTrailer
		}
		f.Name, f.Value = bytes.Clone(f.Name), bytes.Clone(f.Value)
	}
	return n, false, nil
}

// forbiddenTrailers change framing, routing, authentication or the meaning of the content (RFC 9110 section 6.5.1), as do those that begin
// like forbiddenPrefixes and those that fieldScan notes itself.
var (
	forbiddenTrailers = []string{
		"authorization", "cache-control", "content-encoding", "content-range", "content-type", "cookie", "forwarded", "location",
		"max-forwards", "pragma", "range", "set-cookie", "trailer", "www-authenticate", "x-real-ip", "x-request-id",
	}
	forbiddenPrefixes = []string{"if-", "x-forwarded-"}
)

func forbiddenInTrailer(name []byte) bool {
	for _, f := range forbiddenTrailers {
		if proxy.EqualFold(name, f) {
			return true
		}
	}
	for _, f := range forbiddenPrefixes {
		if len(name) >= len(f) && proxy.EqualFold(name[:len(f)], f) {
			return true
		}
	}
	return false
}

// unread hands back the last n bytes of the run that next has returned.
func (d *chunkDecoder) unread(n int) {
	if d.state == chunkCRLF {
		d.state = chunkData
	}
	d.left += int64(n)
}
