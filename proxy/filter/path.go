package filter

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// PathMode says how a Path changes the request's path.
type PathMode uint8

const (
	// KeepPath leaves the path as it is.
	KeepPath PathMode = iota
	// ReplaceFullPath puts Value in its place.
	ReplaceFullPath
	// ReplacePrefix puts Value in place of the path that the Route's Match asks for, by elements: a trailing slash of
	// either has no meaning. It does nothing on a Route whose path is not a prefix (the API refuses that) and on a path
	// that another Filter has changed meanwhile.
	ReplacePrefix
)

// String returns the mode's name.
func (m PathMode) String() string {
	return [...]string{"KeepPath", "ReplaceFullPath", "ReplacePrefix"}[m]
}

// Path is a change of a request's path (Gateway API, HTTPPathModifier). Query and fragment are not part of it.
type Path struct {
	Mode  PathMode
	Value string // "" or a path in normal form, percent-encoded where needed
}

// Validate reports a mode that does not exist and a value that is no path in normal form.
func (p Path) Validate() error {
	switch {
	case p.Mode > ReplacePrefix:
		return fmt.Errorf("path: mode %d does not exist", p.Mode)
	case p.Mode == KeepPath && p.Value != "":
		return fmt.Errorf("path: %q replaces nothing", p.Value)
	case p.Value == "":
		return nil
	case p.Value[0] != '/':
		return fmt.Errorf("path: %q does not begin with a slash", p.Value)
	}
	for i := 0; i < len(p.Value); i++ {
		if c := p.Value[i]; c == '%' {
			if i+2 >= len(p.Value) || !isHex(p.Value[i+1]) || !isHex(p.Value[i+2]) {
				return fmt.Errorf("path: %q has a %% that two hexadecimal digits do not follow", p.Value)
			}
		} else if !isPathByte(c) {
			return fmt.Errorf("path: %q has the character %q, which a path can only hold percent-encoded", p.Value, c)
		}
	}
	for element := range strings.SplitSeq(strings.TrimSuffix(p.Value[1:], "/"), "/") {
		switch plain := strings.ReplaceAll(strings.ToLower(element), "%2e", "."); {
		case plain == "." || plain == "..":
			return fmt.Errorf("path: %q has the element %q", p.Value, element)
		case plain == "" && p.Value != "/":
			return fmt.Errorf("path: %q has an empty element", p.Value)
		}
	}
	return nil
}

// describe returns the value of a Path, for Describe.
func (p Path) describe() string {
	if p == (Path{}) {
		return ""
	}
	mode := ""
	if p.Mode != KeepPath {
		mode = p.Mode.String()
	}
	return "{" + describeAll(setting{"mode", mode}, setting{"value", text(p.Value)}) + "}"
}

// isPathByte reports whether a path may hold c as it is: pchar and "/", RFC 3986 section 3.3.
func isPathByte(c byte) bool {
	return isAlphanumeric(c) || strings.IndexByte("/-._~!$&'()*+,;=:@", c) >= 0
}

func isAlphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

func isHex(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f' }

// pathChange is the running form of Path.
type pathChange struct {
	mode  PathMode
	value []byte // for a prefix without its trailing slash
}

func newPathChange(p Path) pathChange {
	c := pathChange{p.Mode, []byte(p.Value)}
	switch {
	case p.Mode == ReplacePrefix:
		c.value = bytes.TrimSuffix(c.value, slash())
	case p.Mode == ReplaceFullPath && p.Value == "":
		c.value = slash()
	}
	return c
}

func slash() []byte { return []byte{'/'} }

// apply returns the changed path in two parts, of which head is shared and must not be written to. It allocates
// nothing.
func (c *pathChange) apply(x *proxy.Exchange) (head, tail []byte) {
	path := x.Request.Path
	switch c.mode {
	case ReplaceFullPath:
		return c.value, nil
	case ReplacePrefix:
		rest, ok := afterPrefix(x.Route, path)
		if !ok {
			return path, nil
		}
		if len(c.value) == 0 && len(rest) == 0 {
			return path[:1], nil // "/": every path begins with one
		}
		return c.value, rest
	default:
		return path, nil
	}
}

// afterPrefix returns what follows the path of the Route's Match: "" or something that begins with "/".
func afterPrefix(route *proxy.Route, path []byte) (rest []byte, ok bool) {
	if route == nil || route.Match.Path.Type != proxy.PathPrefix || len(path) == 0 {
		return nil, false
	}
	prefix := strings.TrimSuffix(route.Match.Path.Value, "/")
	if len(path) < len(prefix) || string(path[:len(prefix)]) != prefix {
		return nil, false
	}
	rest = path[len(prefix):]
	return rest, len(rest) == 0 || rest[0] == '/'
}
