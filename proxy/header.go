package proxy

// Field is one header or trailer field line: the name as received or set, the value without surrounding white space.
type Field struct {
	Name, Value []byte
}

// Header is an ordered list of field lines (RFC 9110 section 5). Order and case of names are kept as received. Names
// given to its methods may be in any case. The zero value is an empty Header.
type Header struct {
	Fields []Field
}

// Len returns the number of field lines.
func (h *Header) Len() int { return len(h.Fields) }

// Get returns the value of the first line called name, nil if there is none.
func (h *Header) Get(name string) []byte {
	for i := range h.Fields {
		if f := &h.Fields[i]; len(f.Name) == len(name) && EqualFold(f.Name, name) {
			if f.Value == nil {
				return []byte{}
			}
			return f.Value
		}
	}
	return nil
}

// Has reports whether there is a line called name.
func (h *Header) Has(name string) bool { return h.Get(name) != nil }

// Count returns the number of lines called name.
func (h *Header) Count(name string) int {
	n := 0
	for i := range h.Fields {
		if EqualFold(h.Fields[i].Name, name) {
			n++
		}
	}
	return n
}

// Add appends a line.
func (h *Header) Add(name, value []byte) { h.Fields = append(h.Fields, Field{name, value}) }

// Set replaces the first line called name and removes the others; without one it appends.
func (h *Header) Set(name, value []byte) {
	kept, found := h.Fields[:0], false
	for _, f := range h.Fields {
		switch {
		case !sameName(f.Name, name):
			kept = append(kept, f)
		case !found:
			found = true
			kept = append(kept, Field{name, value})
		}
	}
	h.Fields = kept
	if !found {
		h.Add(name, value)
	}
}

// Del removes every line called name.
func (h *Header) Del(name string) {
	kept := h.Fields[:0]
	for _, f := range h.Fields {
		if !EqualFold(f.Name, name) {
			kept = append(kept, f)
		}
	}
	h.Fields = kept
}

// EqualFold reports whether a and b are the same but for the case of ASCII letters: how field names are compared
// (RFC 9110 section 5.1).
func EqualFold(a []byte, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] && !sameLetter(a[i], b[i]) {
			return false
		}
	}
	return true
}

// sameName is EqualFold for two names of messages. It is not generic with it: that would make callers allocate.
func sameName(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] && !sameLetter(a[i], b[i]) {
			return false
		}
	}
	return true
}

// sameLetter reports whether x and y, which differ, are the two cases of one ASCII letter.
func sameLetter(x, y byte) bool {
	return x|0x20 == y|0x20 && 'a' <= x|0x20 && x|0x20 <= 'z'
}
