package router

import (
	"fmt"
	"strings"

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
	apart   apart    // of a header
}

// apart says of a field that is not in Request.Header where in the Request it is.
type apart byte

const (
	inHeader  apart = iota
	upgrade         // Request.Upgrade
	authority       // Request.Authority, and Request.Host, which is that without the port
)

func apartOf(name string) apart {
	switch strings.ToLower(name) {
	case "upgrade":
		return upgrade
	case "host":
		return authority
	default:
		return inHeader
	}
}

func compileConditions(m *proxy.Match, known patterns) (*conditions, error) {
	if m.Method == "" && len(m.Headers) == 0 && len(m.Query) == 0 {
		return nil, nil
	}
	headers, err := compileValues("header", m.Headers, known)
	if err != nil {
		return nil, err
	}
	for i := range headers {
		headers[i].apart = apartOf(headers[i].name)
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
		if !c.headers[i].matchHeader(r) {
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

// matchHeader compares the field. One that is absent never matches.
func (v *value) matchHeader(r *proxy.Request) bool {
	switch v.apart {
	case upgrade:
		return v.matchName(r.Upgrade)
	case authority:
		return v.matchName(r.Authority) || v.matchName(r.Host)
	default:
		return v.matchLines(&r.Header)
	}
}

// matchName compares the name of a protocol or host, whose case has no meaning (RFC 9110 sections 4.2.3 and 7.8).
func (v *value) matchName(name []byte) bool {
	if v.pattern != nil {
		return len(name) > 0 && v.pattern.match(name)
	}
	return len(name) > 0 && proxy.EqualFold(name, v.exact)
}

// matchLines compares the field's lines joined by ",".
func (v *value) matchLines(h *proxy.Header) bool {
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
