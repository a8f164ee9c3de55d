package telemetry

import "unicode/utf8"

const hex = "0123456789abcdef"

// appendText appends `,"key":"value"` with the value cut to maxValue bytes and escaped; nothing if it is empty.
func appendText(b []byte, key string, value []byte) []byte {
	if len(value) == 0 {
		return b
	}
	b = append(b, ',', '"')
	b = append(b, key...)
	b = append(b, '"', ':', '"')
	b = appendJSON(b, value[:min(len(value), maxValue)])
	return append(b, '"')
}

// appendJSON appends value as the inside of a JSON string (RFC 8259 section 7). Control characters, DEL, and the line
// separators U+2028 and U+2029 are escaped, so that no reader takes them for the end of a line; bytes that are not
// UTF-8 become U+FFFD.
func appendJSON[T []byte | string](b []byte, value T) []byte {
	for i := 0; i < len(value); {
		c := value[i]
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ' || c == 0x7f:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		case c < utf8.RuneSelf:
			b = append(b, c)
		default:
			r, size := decodeRune(value[i:])
			switch r {
			case utf8.RuneError, 0x2028, 0x2029:
				b = append(b, '\\', 'u', hex[r>>12], hex[r>>8&15], hex[r>>4&15], hex[r&15])
			default:
				b = utf8.AppendRune(b, r)
			}
			i += size
			continue
		}
		i++
	}
	return b
}

// decodeRune decodes the first rune of value, which may be either type.
func decodeRune[T []byte | string](value T) (rune, int) {
	var first [utf8.UTFMax]byte
	n := copy(first[:], value[:min(len(value), utf8.UTFMax)])
	return utf8.DecodeRune(first[:n])
}

// appendCLF appends value, cut to maxValue bytes, with everything escaped that could end a quoted field or a line.
func appendCLF(b, value []byte) []byte {
	for _, c := range value[:min(len(value), maxValue)] {
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ' || c >= 0x7f:
			b = append(b, '\\', 'x', hex[c>>4], hex[c&15])
		default:
			b = append(b, c)
		}
	}
	return b
}
