// Package field has the rules for header fields that configuration may name: what is a field name, what is a value, and which
// fields belong to the proxy. What clients and endpoints send is checked by http1, which is stricter.
//
// All functions are pure.
package field

import "strings"

// IsName reports whether s is a field name (token, RFC 9110 section 5.6.2).
func IsName(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return s != ""
}

// IsValue reports whether s is a field value (RFC 9110 section 5.5): visible characters, and between them spaces and tabs.
func IsValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return strings.Trim(s, " \t") == s
}

// IsReserved reports whether a field, its name in lower case, frames the message, routes it or belongs to one connection
// (RFC 9110 sections 7.6.1 and 10.1.1, RFC 9112 section 6).
func IsReserved(lower string) bool {
	switch lower {
	case "host", "content-length", "transfer-encoding", "trailer", "te", "connection", "keep-alive", "proxy-connection",
		"proxy-authenticate", "proxy-authorization", "upgrade", "http2-settings", "expect":
		return true
	}
	return false
}

// IsMatchable reports whether matches can see a field. Of those that the proxy takes out of a message they see two.
func IsMatchable(name string) bool {
	lower := strings.ToLower(name)
	return !IsReserved(lower) || lower == "host" || lower == "upgrade"
}
