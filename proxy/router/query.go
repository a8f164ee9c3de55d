package router

import "bytes"

// matchQuery compares the first parameter called v.name. A parameter that is absent never matches; one without "=" has
// the empty value.
func (v *value) matchQuery(query []byte) bool {
	for len(query) > 0 {
		pair, rest, _ := bytes.Cut(query, []byte{'&'})
		query = rest
		if len(pair) == 0 {
			continue
		}
		name, val, _ := bytes.Cut(pair, []byte{'='})
		if !equalDecoded(name, v.name) {
			continue
		}
		if v.pattern == nil {
			return equalDecoded(val, v.exact)
		}
		if bytes.IndexByte(val, '%') < 0 && bytes.IndexByte(val, '+') < 0 {
			return v.pattern.match(val)
		}
		return v.pattern.match(decode(val))
	}
	return false
}

// decodeByte decodes the first byte of s as application/x-www-form-urlencoded and returns how many bytes it took. A "%"
// that two hexadecimal digits do not follow stands for itself (WHATWG URL, percent-decode). s is not empty.
func decodeByte(s []byte) (b byte, n int) {
	switch {
	case s[0] == '+':
		return ' ', 1
	case s[0] == '%' && len(s) >= 3:
		hi, ok1 := hexDigit(s[1])
		lo, ok2 := hexDigit(s[2])
		if ok1 && ok2 {
			return hi<<4 | lo, 3
		}
	}
	return s[0], 1
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10, true
	}
	return 0, false
}

// equalDecoded reports whether encoded stands for want.
func equalDecoded(encoded []byte, want string) bool {
	if len(encoded) < len(want) {
		return false
	}
	for len(encoded) > 0 {
		b, n := decodeByte(encoded)
		if want == "" || want[0] != b {
			return false
		}
		encoded, want = encoded[n:], want[1:]
	}
	return want == ""
}

func decode(encoded []byte) []byte {
	decoded := make([]byte, 0, len(encoded))
	for len(encoded) > 0 {
		b, n := decodeByte(encoded)
		decoded = append(decoded, b)
		encoded = encoded[n:]
	}
	return decoded
}
