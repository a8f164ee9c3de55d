package http1

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// verdict is what a decoder says of its input.
type verdict string

const (
	complete  verdict = "complete"
	wantsMore verdict = "more"
	invalid   verdict = "invalid"
)

// decoded is what a decoder makes of a chunked message.
type decoded struct {
	verdict verdict
	content string
	trailer string // "Name=value " of each field
	used    int    // bytes up to the end of the message, if complete
}

var (
	sizeLine = regexp.MustCompile(`^([0-9A-Fa-f]{1,15})((;[!#$%&'*+.^_|~0-9A-Za-z` + "`" + `-]+(=([!#$%&'*+.^_|~0-9A-Za-z` + "`" + `-]+|"([^"\\\x00-\x08\x0a-\x1f\x7f]|\\[^\x00-\x08\x0a-\x1f\x7f])*"))?)*)$`)
	// The names that a trailer section may not have: those that the parser knows for what they do, and a list.
	noTrailer = regexp.MustCompile(`(?i)^(host|content-length|transfer-encoding|connection|expect|upgrade|authorization|cache-control|content-encoding|` +
		`content-range|content-type|cookie|forwarded|if-.*|location|max-forwards|pragma|range|set-cookie|trailer|www-authenticate|x-forwarded-.*|x-real-ip|x-request-id)$`)
	dropped   = regexp.MustCompile(`(?i)^(te|keep-alive|proxy-connection|proxy-authenticate|proxy-authorization|http2-settings)$`)
	fieldLine = regexp.MustCompile(`^([!#$%&'*+.^|~0-9A-Za-z` + "`" + `-]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*?)[ \t]*$`)
)

// decodeReference decodes p by the grammar of RFC 9112 section 7.1 and the rules in chunk.go, with the whole message before it and
// no thought of speed. It shares nothing with chunkDecoder.
func decodeReference(p string, lim *Limits) (d decoded) {
	rest, extensions := p, 0
	line := func() (string, bool) {
		l, after, found := strings.Cut(rest, "\r\n")
		if strings.ContainsAny(l, "\n") || strings.Contains(strings.TrimSuffix(l, "\r"), "\r") || found && strings.Contains(l, "\r") {
			d.verdict = invalid
			return "", false
		}
		if !found {
			d.verdict = wantsMore
			return "", false
		}
		rest = after
		return l, true
	}
	for {
		l, ok := line()
		if !ok {
			return d
		}
		m := sizeLine.FindStringSubmatch(l)
		if m == nil || len(l) > 256 {
			d.verdict = invalid
			return d
		}
		if extensions += len(m[2]); extensions > 16<<10 {
			d.verdict = invalid
			return d
		}
		size, err := strconv.ParseUint(m[1], 16, 64)
		if err != nil {
			d.verdict = invalid
			return d
		}
		if size == 0 {
			break
		}
		if uint64(len(rest)) < size {
			d.content += rest
			d.verdict = wantsMore
			return d
		}
		d.content += rest[:size]
		rest = rest[size:]
		if !strings.HasPrefix(rest, "\r\n") {
			d.verdict = invalid
			if strings.HasPrefix("\r\n", rest) {
				d.verdict = wantsMore
			}
			return d
		}
		rest = rest[2:]
	}
	section, trailer := len(rest), ""
	for fields := 0; ; fields++ {
		l, ok := line()
		if !ok {
			return d
		}
		if section-len(rest) > lim.HeaderBytes/2 || fields > lim.HeaderCount {
			d.verdict = invalid
			return d
		}
		if l == "" {
			break
		}
		m := fieldLine.FindStringSubmatch(l)
		if m == nil || noTrailer.MatchString(m[1]) || strings.EqualFold(m[1], "te") && asksForTrailers(m[2]) || fields == lim.HeaderCount {
			d.verdict = invalid
			return d
		}
		if !dropped.MatchString(m[1]) {
			trailer += m[1] + "=" + m[2] + " "
		}
	}
	d.verdict, d.trailer = complete, trailer
	d.used = len(p) - len(rest)
	return d
}

func asksForTrailers(te string) bool {
	for t := range strings.SplitSeq(te, ",") {
		if strings.ToLower(strings.Trim(t, " \t")) == "trailers" {
			return true
		}
	}
	return false
}

// decodeParts decodes parts with a chunkDecoder as they arrive. room is how much content is taken at a time; the rest is handed
// back.
func decodeParts(lim *Limits, room int, parts ...string) (d decoded, err error) {
	dec := &chunkDecoder{}
	dec.reset(lim)
	var in, content []byte
	for _, part := range parts {
		in = append(in[:len(in):len(in)], part...)
		for {
			data, used, err := dec.next(in)
			if err != nil {
				return decoded{verdict: invalid, content: string(content)}, err
			}
			if len(data) > room {
				dec.unread(len(data) - room)
				used -= len(data) - room
				data = data[:room]
			}
			content = append(content, data...)
			in = in[used:]
			d.used += used
			if dec.done() || used == 0 {
				break
			}
		}
	}
	d.verdict, d.content = wantsMore, string(content)
	if dec.done() {
		d.verdict, d.trailer = complete, trailerText(&dec.trailer)
	} else {
		d.used = 0
	}
	return d, nil
}

func trailerText(h *proxy.Header) string {
	var b strings.Builder
	for _, f := range h.Fields {
		b.WriteString(string(f.Name) + "=" + string(f.Value) + " ")
	}
	return b.String()
}
