package router

import (
	"fmt"
	"strings"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// Matcher is the compiled form of one Match by itself, for what selects requests without routing them. It is immutable and may be
// used by any number of goroutines.
type Matcher struct {
	path       proxy.PathMatch
	prefix     string   // of a PathPrefix, without its trailing slash
	pattern    *pattern // of a PathRegex
	conditions *conditions
}

// NewMatcher compiles m. A regular expression that is not valid is an error that names it.
func NewMatcher(m *proxy.Match) (*Matcher, error) {
	known := patterns{}
	c, err := compileConditions(m, known)
	if err != nil {
		return nil, err
	}
	matcher := &Matcher{path: m.Path, conditions: c}
	switch m.Path.Type {
	case proxy.PathPrefix:
		matcher.prefix = elements(m.Path.Value)
	case proxy.PathRegex:
		if matcher.pattern, err = known.compile(m.Path.Value); err != nil {
			return nil, fmt.Errorf("path: %w", err)
		}
	}
	return matcher, nil
}

// Match reports whether r satisfies all that the Match asks: the same as a Table with this Match only would say.
func (m *Matcher) Match(r *proxy.Request) bool {
	return m.matchPath(r.Path) && (m.conditions == nil || m.conditions.hold(r))
}

func (m *Matcher) matchPath(path []byte) bool {
	switch m.path.Type {
	case proxy.PathExact:
		return string(path) == m.path.Value && strings.HasPrefix(m.path.Value, "/")
	case proxy.PathRegex:
		return m.pattern.match(path)
	}
	if m.prefix == "" {
		return true
	}
	if len(path) < len(m.prefix) || string(path[:len(m.prefix)]) != m.prefix || m.prefix[0] != '/' {
		return false
	}
	return len(path) == len(m.prefix) || path[len(m.prefix)] == '/'
}
