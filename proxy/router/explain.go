package router

import (
	"bytes"
	"cmp"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// Verdict is what became of one Route when a request was routed.
type Verdict string

const (
	// Selected: the Route serves the request.
	Selected Verdict = "selected"
	// Outranked: its Match holds, but another Route goes before it.
	Outranked Verdict = "outranked"
	// NoMatch: a condition of its Match does not hold.
	NoMatch Verdict = "no match"
	// NotTried: its Host covers the request, but a more specific Host was chosen and is final.
	NotTried Verdict = "not tried"
)

// maxOthers is how many Candidates of another path an Explanation lists.
const maxOthers = 100

// Explanation says which Route wins and why the others lose. It is a plain value, made for people and for JSON.
type Explanation struct {
	Request    string      `json:"request"`
	Listener   string      `json:"listener,omitempty"` // "" if none covers the host
	Hostname   string      `json:"hostname"`           // of the Listener; "" covers every host
	Host       string      `json:"host"`               // name of the Host whose Route wins; "" is also the catch-all
	Summary    string      `json:"summary"`
	Candidates []Candidate `json:"candidates,omitempty"` // in the order in which they are tried
	// Omitted is how many more Routes there are whose path does not match.
	Omitted int `json:"omitted,omitempty"`
}

// Candidate is one Route of a Host that covers the request.
type Candidate struct {
	Route   proxy.RouteID `json:"route"`
	Host    string        `json:"host"`
	Match   string        `json:"match"`
	Verdict Verdict       `json:"verdict"`
	Reason  string        `json:"reason"`
}

// Explain says which Route wins for r, the same one as Match finds, and why the others lose. Unlike Match it looks at
// every Route of the Hosts that cover the request.
func (t *Table[T]) Explain(r *proxy.Request) Explanation {
	e := Explanation{Request: describeRequest(r)}
	var c cursor
	l, ok := t.listeners.next(&c, r.Host)
	if !ok {
		e.Summary = fmt.Sprintf("no listener on this port covers the host %q: 404", r.Host)
		return e
	}
	e.Listener, e.Hostname = l.source.ID.String(), l.source.Hostname
	c = cursor{}
	won := false
	for tried := 0; ; tried++ {
		h, ok := l.hosts.next(&c, r.Host)
		if !ok {
			break
		}
		final := tried > 0 && !l.source.Fallthrough
		for _, route := range byPrecedence(h.source.Routes) {
			e.judge(&won, h.source, route, r, final)
		}
	}
	e.judgeDefault(won, l.source.Default)
	return e
}

// judge adds the Candidate for one Route. skipped means that its Host is not reached.
func (e *Explanation) judge(won *bool, h *proxy.Host, route *proxy.Route, r *proxy.Request, skipped bool) {
	c := Candidate{Route: route.ID, Host: hostLabel(h), Match: describeMatch(&route.Match)}
	reason := pathFailure(&route.Match, r)
	other := reason != ""
	if !other {
		reason = conditionFailure(&route.Match, r)
	}
	switch {
	case skipped:
		c.Verdict, c.Reason = NotTried, "a more specific host was chosen, and its choice is final on this listener"
	case reason != "":
		c.Verdict, c.Reason = NoMatch, reason
	case *won:
		c.Verdict, c.Reason = Outranked, "it matches, but the selected route takes precedence"
	default:
		*won = true
		c.Verdict, c.Reason = Selected, "it matches and takes precedence over all that follow"
		e.Host = h.Name
		e.Summary = fmt.Sprintf("route %s, match %d", route.ID, route.ID.Match)
		if route.Invalid != "" {
			e.Summary += fmt.Sprintf("; it is invalid and answers 500: %q", route.Invalid)
		}
	}
	if other && len(e.Candidates) >= maxOthers {
		e.Omitted++
		return
	}
	e.Candidates = append(e.Candidates, c)
}

func (e *Explanation) judgeDefault(won bool, route *proxy.Route) {
	if route == nil {
		if !won {
			e.Summary = "no route matches: 404"
		}
		return
	}
	c := Candidate{Route: route.ID, Host: "default", Match: "everything", Verdict: Selected, Reason: "no other route matches"}
	if won {
		c.Verdict, c.Reason = Outranked, "it serves only what no other route matches"
	} else {
		e.Summary = fmt.Sprintf("default route %s", route.ID)
	}
	e.Candidates = append(e.Candidates, c)
}

// pathFailure says why the path does not match; "" if it does.
func pathFailure(m *proxy.Match, r *proxy.Request) string {
	path := string(r.Path)
	switch m.Path.Type {
	case proxy.PathExact:
		if path != m.Path.Value {
			return fmt.Sprintf("the path is not exactly %q", m.Path.Value)
		}
	case proxy.PathRegex:
		if p, err := compilePattern(m.Path.Value); err != nil || !p.match(r.Path) {
			return fmt.Sprintf("the whole path does not match the expression %q", m.Path.Value)
		}
	default:
		prefix := elements(m.Path.Value)
		if rest, ok := strings.CutPrefix(path, prefix); !ok || rest != "" && rest[0] != '/' && prefix != "" {
			return fmt.Sprintf("the path does not begin with the elements of %q", m.Path.Value)
		}
	}
	return ""
}

// conditionFailure says which condition besides the path does not hold; "" if all do.
func conditionFailure(m *proxy.Match, r *proxy.Request) string {
	if m.Method != "" && m.Method != string(r.Method) {
		return fmt.Sprintf("the method is not %q", m.Method)
	}
	c, err := compileConditions(m, patterns{})
	if err != nil {
		return err.Error() // a compiled Table holds no such Match
	}
	if c == nil {
		return ""
	}
	for i := range c.headers {
		if v := &c.headers[i]; !v.matchHeader(r) {
			return v.headerFailure(r)
		}
	}
	for i := range c.query {
		if !c.query[i].matchQuery(r.Query) {
			return fmt.Sprintf("query parameter %q is absent or has another value", c.query[i].name)
		}
	}
	return ""
}

// headerFailure says what the field is instead.
func (v *value) headerFailure(r *proxy.Request) string {
	var is []byte
	switch v.apart {
	case upgrade:
		is = r.Upgrade
	case authority:
		is = r.Authority
	default:
		if r.Header.Has(v.name) {
			return fmt.Sprintf("header %q is %q", v.name, joinLines(&r.Header, v.name))
		}
	}
	if len(is) == 0 {
		return fmt.Sprintf("there is no header %q", v.name)
	}
	return fmt.Sprintf("header %q is %q", v.name, is)
}

func describeRequest(r *proxy.Request) string {
	s := fmt.Sprintf("%s %s%s", r.Method, r.Host, r.Path)
	if r.HasQuery || len(r.Query) > 0 {
		s += "?" + string(r.Query)
	}
	return s
}

func describeMatch(m *proxy.Match) string {
	var b bytes.Buffer
	switch m.Path.Type {
	case proxy.PathExact:
		fmt.Fprintf(&b, "exact %q", m.Path.Value)
	case proxy.PathRegex:
		fmt.Fprintf(&b, "regex %q", m.Path.Value)
	default:
		fmt.Fprintf(&b, "prefix %q", cmp.Or(elements(m.Path.Value), "/"))
	}
	if m.Method != "" {
		fmt.Fprintf(&b, ", method %q", m.Method)
	}
	for _, v := range m.Headers {
		fmt.Fprintf(&b, ", header %q %s %q", v.Name, operator(v.Type), v.Value)
	}
	for _, v := range m.Query {
		fmt.Fprintf(&b, ", query %q %s %q", v.Name, operator(v.Type), v.Value)
	}
	return b.String()
}

func operator(t proxy.ValueType) string {
	if t == proxy.ValueRegex {
		return "=~"
	}
	return "="
}

func hostLabel(h *proxy.Host) string {
	switch {
	case h.Name == "":
		return "*"
	case h.SingleLabel && strings.HasPrefix(h.Name, "*."):
		return h.Name + " (one label)"
	default:
		return h.Name
	}
}

// String lays the Explanation out for a terminal. Everything that comes from configuration or from the request is
// quoted or free of control characters.
func (e Explanation) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "request   %s\n", printable(e.Request))
	if e.Listener != "" {
		hostname := e.Hostname
		if hostname == "" {
			hostname = "every host"
		}
		fmt.Fprintf(&b, "listener  %s (%s)\n", printable(e.Listener), printable(hostname))
	}
	fmt.Fprintf(&b, "result    %s\n", printable(e.Summary))
	if len(e.Candidates) > 0 {
		b.WriteByte('\n')
		w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "\tROUTE\tHOST\tMATCH\tVERDICT\tREASON")
		for _, c := range e.Candidates {
			mark := ""
			if c.Verdict == Selected {
				mark = "->"
			}
			fmt.Fprintf(w, "%s\t%s#%d\t%s\t%s\t%s\t%s\n", mark, printable(c.Route.String()), c.Route.Match, printable(c.Host),
				c.Match, c.Verdict, c.Reason)
		}
		_ = w.Flush() // a strings.Builder takes everything
	}
	if e.Omitted > 0 {
		fmt.Fprintf(&b, "and %d more routes whose path does not match\n", e.Omitted)
	}
	return b.String()
}

// printable replaces control characters, which could steer the reader's terminal.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f || 0x80 <= c && c < 0xa0 {
			return '?'
		}
		return c
	}, s)
}
