// Package syntax says what names, paths, expressions and durations in objects may look like: the rules that the API
// server applies, for objects that come from files, and that a translation relies on.
//
// The functions whose names end in Problem return "" if the value is good, and otherwise words that go on from the
// value: "does not begin with ...".
package syntax

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/breakwater-gateway/breakwater/proxy/field"
)

// Longest host name and label (RFC 1035 section 2.3.4), longest header name.
const (
	maxName  = 253
	maxLabel = 63
	maxToken = 256
)

// HostProblem checks a host name as Ingress and Gateway API want it: labels of lower-case letters, digits and inner
// hyphens, in front of which "*." may stand; no address and no port.
func HostProblem(name string) string {
	rest, wildcard := strings.CutPrefix(name, "*.")
	switch {
	case name == "":
		return "is empty"
	case len(name) > maxName:
		return "is longer than 253 characters"
	case strings.Contains(rest, "*"):
		return "has a \"*\" that is not the whole first label"
	}
	for label := range strings.SplitSeq(rest, ".") {
		if !validLabel(label) {
			return "is not a host name of lower-case letters, digits, \"-\" and \".\""
		}
	}
	if _, err := netip.ParseAddr(name); err == nil && !wildcard {
		return "is an IP address, not a host name"
	}
	return ""
}

// PreciseHostProblem checks a host name that must not be a wildcard.
func PreciseHostProblem(name string) string {
	if strings.HasPrefix(name, "*.") {
		return "is a wildcard"
	}
	return HostProblem(name)
}

func validLabel(label string) bool {
	if label == "" || len(label) > maxLabel || label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	for i := range len(label) {
		if c := label[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// Path is RequestPath for the values of routes, where the API server refuses an escaped slash too.
func Path(value string) (normal, problem string) {
	normal, problem = RequestPath(value)
	if problem == "" && strings.Contains(normal, "%2F") {
		problem = "contains \"%2F\""
	}
	return normal, problem
}

// RequestPath brings the value of an exact or prefix path into the form in which the paths of requests are compared: escapes of
// unreserved characters are decoded, others have upper-case digits, and what is not ASCII is escaped (RFC 3986 section
// 6.2.2). It refuses what no path of a request can ever equal.
func RequestPath(value string) (normal, problem string) {
	if !strings.HasPrefix(value, "/") {
		return value, "does not begin with \"/\""
	}
	var b strings.Builder
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case c <= ' ' || c == 0x7f || c == '#' || c == '?':
			return value, "contains a character that no path of a request can hold"
		case c > 0x7f:
			fmt.Fprintf(&b, "%%%02X", c)
		case c != '%':
			b.WriteByte(c)
		default:
			escaped, err := strconv.ParseUint(value[i+1:min(i+3, len(value))], 16, 8)
			if err != nil || i+3 > len(value) {
				return value, "has a \"%\" that two hexadecimal digits do not follow"
			}
			if unreserved(byte(escaped)) {
				b.WriteByte(byte(escaped))
			} else {
				fmt.Fprintf(&b, "%%%02X", escaped)
			}
			i += 2
		}
	}
	normal = b.String()
	return normal, segmentProblem(normal)
}

// unreserved reports whether a character is one that need not be escaped anywhere, RFC 3986 section 2.3.
func unreserved(c byte) bool {
	return c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0
}

func segmentProblem(normal string) string {
	for _, bad := range [...]string{"//", "/./", "/../"} {
		if strings.Contains(normal, bad) {
			return "contains \"" + bad + "\""
		}
	}
	for _, bad := range [...]string{"/..", "/."} {
		if strings.HasSuffix(normal, bad) {
			return "ends with \"" + bad + "\""
		}
	}
	return ""
}

// PathProblem is the second result of Path.
func PathProblem(value string) string {
	_, problem := Path(value)
	return problem
}

// maxQuote is how much of a value a message shows, in characters: what is wrong with it must not be cut off.
const maxQuote = 200

// Quote returns a value in quotation marks for a message, cut if it is long.
func Quote(value string) string {
	quoted := fmt.Sprintf("%.*q", maxQuote, value)
	if utf8.RuneCountInString(value) > maxQuote {
		quoted += "..."
	}
	return quoted
}

// MatchedFieldProblem checks whether matches can see a header field of this name.
func MatchedFieldProblem(name string) string {
	if !field.IsMatchable(name) {
		return "belongs to the connection or to the framing of the message and cannot be matched"
	}
	return ""
}

// TokenProblem checks the name of a header field or a method (RFC 9110 section 5.6.2).
func TokenProblem(name string) string {
	if name == "" {
		return "is empty"
	}
	if len(name) > maxToken {
		return "is longer than 256 characters"
	}
	for i := range len(name) {
		c := name[i]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9'
		if !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return fmt.Sprintf("has the character %q, which no header name can hold", c)
		}
	}
	return ""
}

// ValueProblem checks the value of a header field (RFC 9110 section 5.5).
func ValueProblem(value string) string {
	for i := range len(value) {
		if c := value[i]; c < ' ' && c != '\t' || c == 0x7f {
			return fmt.Sprintf("has the character %q, which no header value can hold", c)
		}
	}
	if strings.Trim(value, " \t") != value {
		return "begins or ends with white space"
	}
	return ""
}

// Duration parses a duration of Gateway API (GEP-2257): one to four numbers of at most five digits, each with a unit of
// h, m, s or ms.
func Duration(s string) (time.Duration, error) {
	rest, parts := s, 0
	for ; rest != ""; parts++ {
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		if digits == 0 || digits > 5 {
			return 0, fmt.Errorf("%q is not a duration such as 10s, 500ms or 1h30m", s)
		}
		rest = rest[digits:]
		switch {
		case strings.HasPrefix(rest, "ms"):
			rest = rest[2:]
		case rest != "" && strings.ContainsRune("hms", rune(rest[0])):
			rest = rest[1:]
		default:
			return 0, fmt.Errorf("%q is not a duration: the units are h, m, s and ms", s)
		}
	}
	if parts == 0 || parts > 4 {
		return 0, fmt.Errorf("%q is not a duration of one to four parts", s)
	}
	return time.ParseDuration(s)
}
