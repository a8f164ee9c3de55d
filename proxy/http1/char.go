package http1

import (
	"encoding/binary"
	"math/bits"
)

// class is a set of character classes.
type class uint16

// Character classes of RFC 9110 section 5.6.2 and RFC 3986, one bit each.
const (
	isToken class = 1 << iota // tchar
	isValue                   // field-content: VCHAR, obs-text, SP, HTAB
	isPath                    // what may stand in a path: visible ASCII without "?", "#" and "\"
	isQuery                   // what may stand in a query: visible ASCII without "#"
	isHost                    // reg-name without "%", and what an IPv6 literal needs is handled apart
	isHex                     // HEXDIG
	isUpper                   // "A" to "Z"
	isPlain                   // a path byte that never needs normalising: isPath without "%", ".", "/"
	isUnderscore
)

// classes is filled from the definitions below; it is never written afterwards.
var classes = makeClasses()

func makeClasses() (t [256]class) {
	for c := range 256 {
		alpha := 'a' <= c|0x20 && c|0x20 <= 'z' && c < 0x80
		digit := '0' <= c && c <= '9'
		visible := 0x21 <= c && c <= 0x7e
		in := func(set string) bool {
			for i := range len(set) {
				if int(set[i]) == c {
					return true
				}
			}
			return false
		}
		set := func(when bool, bit class) {
			if when {
				t[c] |= bit
			}
		}
		set(alpha || digit || in("!#$%&'*+-.^_`|~"), isToken)
		set(visible || c >= 0x80 || c == ' ' || c == '\t', isValue)
		set(visible && !in(`?#\`), isPath)
		set(visible && c != '#', isQuery)
		set(alpha || digit || in("-._~!$&'()*+,;="), isHost)
		set(digit || in("abcdefABCDEF"), isHex)
		set(alpha && c < 'a', isUpper)
		set(visible && !in(`?#\%./`), isPlain)
		set(c == '_', isUnderscore)
	}
	return t
}

// all reports whether every byte of p is of the class c.
func all(p []byte, c class) bool {
	for _, b := range p {
		if classes[b]&c == 0 {
			return false
		}
	}
	return true
}

// valueLen returns how many bytes at the beginning of p may stand in a field value. It looks at eight at a time.
func valueLen(p []byte) int {
	const ones = 0x0101010101010101
	i := 0
	for i+8 <= len(p) {
		x := binary.LittleEndian.Uint64(p[i:])
		del := x ^ 0x7f*ones
		// The high bit of a byte is set if it is below 0x20 or is 0x7f. Those above the first may be set by mistake.
		odd := ((x-0x20*ones)&^x | (del-ones)&^del) & (0x80 * ones)
		if odd == 0 {
			i += 8
			continue
		}
		if i += bits.TrailingZeros64(odd) / 8; p[i] != '\t' {
			return i
		}
		i++
	}
	for i < len(p) && classes[p[i]]&isValue != 0 {
		i++
	}
	return i
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	default:
		return c&^0x20 - 'A' + 10
	}
}

// trimOWS removes optional white space (RFC 9110 section 5.6.3) at both ends.
func trimOWS(p []byte) []byte {
	for len(p) > 0 && (p[0] == ' ' || p[0] == '\t') {
		p = p[1:]
	}
	for len(p) > 0 && (p[len(p)-1] == ' ' || p[len(p)-1] == '\t') {
		p = p[:len(p)-1]
	}
	return p
}

// eachToken calls f for each element of a comma-separated list (RFC 9110 section 5.6.1), without surrounding white space and
// without empty elements.
func eachToken(list []byte, f func([]byte)) {
	for len(list) > 0 {
		i := 0
		for i < len(list) && list[i] != ',' {
			i++
		}
		if tok := trimOWS(list[:i]); len(tok) > 0 {
			f(tok)
		}
		if i == len(list) {
			return
		}
		list = list[i+1:]
	}
}
