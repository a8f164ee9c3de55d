package router

import (
	"fmt"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// conditions are what a Match asks besides the path. They are nil when it asks nothing.
type conditions struct {
	method  string
	headers []value
	query   []value
}

// value is the compiled form of a proxy.ValueMatch.
type value struct {
	name    string
	exact   string
	pattern *pattern // nil for an exact value
}

func compileConditions(m *proxy.Match, known patterns) (*conditions, error) {
	if m.Method == "" && len(m.Headers) == 0 && len(m.Query) == 0 {
		return nil, nil
	}
	headers, err := compileValues("header", m.Headers, known)
	if err != nil {
		return nil, err
	}
	query, err := compileValues("query parameter", m.Query, known)
	if err != nil {
		return nil, err
	}
	return &conditions{method: m.Method, headers: headers, query: query}, nil
}

func compileValues(kind string, matches []proxy.ValueMatch, known patterns) ([]value, error) {
	if len(matches) == 0 {
		return nil, nil
	}
	values := make([]value, len(matches))
	for i, m := range matches {
		values[i] = value{name: m.Name, exact: m.Value}
		if m.Type != proxy.ValueRegex {
			continue
		}
		p, err := known.compile(m.Value)
		if err != nil {
			return nil, fmt.Errorf("%s %q: %w", kind, m.Name, err)
		}
		values[i].pattern = p
	}
	return values, nil
}

// hold reports whether the request satisfies all conditions.
func (c *conditions) hold(r *proxy.Request) bool {
	if c.method != "" && c.method != string(r.Method) {
		return false
	}
	for i := range c.headers {
		if !c.headers[i].matchHeader(&r.Header) {
			return false
		}
	}
	for i := range c.query {
		if !c.query[i].matchQuery(r.Query) {
			return false
		}
	}
	return true
}

// matchHeader compares the field's lines joined by ",". A field that is absent never matches.
func (v *value) matchHeader(h *proxy.Header) bool {
	switch first := h.Get(v.name); {
	case first == nil:
		return false
	case h.Count(v.name) > 1:
		if v.pattern != nil {
			return v.pattern.match(joinLines(h, v.name))
		}
		return equalLines(h, v.name, v.exact)
	case v.pattern != nil:
		return v.pattern.match(first)
	default:
		return string(first) == v.exact
	}
}

// equalLines compares want with the lines called name joined by ",", without joining them.
func equalLines(h *proxy.Header, name, want string) bool {
	first := true
	for i := range h.Fields {
		f := &h.Fields[i]
		if !proxy.EqualFold(f.Name, name) {
			continue
		}
		if !first {
			if want == "" || want[0] != ',' {
				return false
			}
			want = want[1:]
		}
		first = false
		if len(want) < len(f.Value) || want[:len(f.Value)] != string(f.Value) {
			return false
		}
		want = want[len(f.Value):]
	}
	return want == ""
}

func joinLines(h *proxy.Header, name string) []byte {
	var joined []byte
	first := true
	for i := range h.Fields {
		f := &h.Fields[i]
		if !proxy.EqualFold(f.Name, name) {
			continue
		}
		if !first {
			joined = append(joined, ',')
		}
		first = false
		joined = append(joined, f.Value...)
	}
	return joined
}
