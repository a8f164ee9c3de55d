package router

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// host is the compiled form of one proxy.Host.
type host[T any] struct {
	source   *proxy.Host
	root     node[T]          // stands for the prefix "/"
	patterns []pathPattern[T] // in order of precedence
}

// rule is one Route under its path.
type rule[T any] struct {
	conditions *conditions // nil: none
	bound      T
}

// pathPattern is a Route whose path is a regular expression.
type pathPattern[T any] struct {
	path *pattern
	rule rule[T]
}

func compileHost[T any](source *proxy.Host, c compiler[T]) (*host[T], error) {
	h := &host[T]{source: source}
	for _, route := range byPrecedence(source.Routes) {
		if err := h.add(route, c); err != nil {
			return nil, fmt.Errorf("host %q: route %s, match %d: %w", source.Name, route.ID, route.ID.Match, err)
		}
	}
	return h, nil
}

// add appends a Route; the one of the highest precedence comes first.
func (h *host[T]) add(route *proxy.Route, c compiler[T]) error {
	conditions, err := compileConditions(&route.Match, c.patterns)
	if err != nil {
		return err
	}
	path := route.Match.Path
	if path.Type == proxy.PathRegex {
		p, err := c.patterns.compile(path.Value)
		if err != nil {
			return fmt.Errorf("path: %w", err)
		}
		h.patterns = append(h.patterns, pathPattern[T]{p, rule[T]{conditions, c.bind(route)}})
		return nil
	}
	bound := rule[T]{conditions, c.bind(route)}
	if path.Type == proxy.PathExact {
		if strings.HasPrefix(path.Value, "/") { // no path begins otherwise
			n := h.root.descend(path.Value)
			n.exact = append(n.exact, bound)
		}
		return nil
	}
	if prefix := elements(path.Value); prefix == "" || prefix[0] == '/' {
		n := h.root.descend(prefix)
		n.prefix = append(n.prefix, bound)
	}
	return nil
}

// match returns the best rule for the request, nil if there is none.
func (h *host[T]) match(r *proxy.Request) *rule[T] {
	n, whole := h.root.walk(r.Path)
	if whole {
		if rule := first(n.exact, r); rule != nil {
			return rule
		}
	}
	for i := range h.patterns {
		p := &h.patterns[i]
		if (p.rule.conditions == nil || p.rule.conditions.hold(r)) && p.path.match(r.Path) {
			return &p.rule
		}
	}
	for ; n != nil; n = n.up {
		if rule := first(n.prefix, r); rule != nil {
			return rule
		}
	}
	return nil
}

// first returns the first rule whose conditions hold.
func first[T any](rules []rule[T], r *proxy.Request) *rule[T] {
	for i := range rules {
		if c := rules[i].conditions; c == nil || c.hold(r) {
			return &rules[i]
		}
	}
	return nil
}

// byPrecedence returns the Routes with the one to try first in front. Routes whose paths cannot both match the same
// request are in an order of no meaning.
func byPrecedence(routes []*proxy.Route) []*proxy.Route {
	if len(routes) < 2 {
		return routes
	}
	sorted := slices.Clone(routes)
	slices.SortStableFunc(sorted, func(a, b *proxy.Route) int {
		return cmp.Or(
			cmp.Compare(pathRank(a.Match.Path.Type), pathRank(b.Match.Path.Type)),
			cmp.Compare(pathLength(b.Match.Path), pathLength(a.Match.Path)),
			boolFirst(a.Match.Method != "", b.Match.Method != ""),
			cmp.Compare(len(b.Match.Headers), len(a.Match.Headers)),
			cmp.Compare(len(b.Match.Query), len(a.Match.Query)),
		)
	})
	return sorted
}

func pathRank(t proxy.PathType) int {
	switch t {
	case proxy.PathExact:
		return 0
	case proxy.PathRegex:
		return 1
	default:
		return 2
	}
}

func pathLength(p proxy.PathMatch) int {
	if p.Type == proxy.PathPrefix {
		return len(elements(p.Value))
	}
	return len(p.Value)
}

func boolFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	default:
		return 1
	}
}

// elements returns a prefix without its trailing slash, which has no meaning.
func elements(prefix string) string { return strings.TrimSuffix(prefix, "/") }

// node is a path in the tree of path elements: "/a/b" is the child "b" of the child "a" of the root.
type node[T any] struct {
	prefix []rule[T] // for the path and all below it
	exact  []rule[T] // for the path alone
	up     *node[T]
	few    []edge[T]           // the children while they are few
	many   map[string]*node[T] // the children when they are not
}

type edge[T any] struct {
	element string
	node    *node[T]
}

// maxFew is how many children are cheaper to compare one by one than to hash.
const maxFew = 8

// descend returns the node of a path, which is "" or begins with "/", and makes what is missing on the way.
func (n *node[T]) descend(path string) *node[T] {
	for path != "" {
		path = path[1:]
		element := path
		if i := strings.IndexByte(path, '/'); i >= 0 {
			element = path[:i]
		}
		path = path[len(element):]
		child := n.child([]byte(element))
		if child == nil {
			child = &node[T]{up: n}
			n.link(element, child)
		}
		n = child
	}
	return n
}

func (n *node[T]) link(element string, child *node[T]) {
	switch {
	case n.many != nil:
		n.many[element] = child
	case len(n.few) < maxFew:
		n.few = append(n.few, edge[T]{element, child})
	default:
		n.many = make(map[string]*node[T], 2*maxFew)
		for _, e := range n.few {
			n.many[e.element] = e.node
		}
		n.many[element] = child
		n.few = nil
	}
}

func (n *node[T]) child(element []byte) *node[T] {
	if n.many != nil {
		return n.many[string(element)]
	}
	for i := range n.few {
		if n.few[i].element == string(element) {
			return n.few[i].node
		}
	}
	return nil
}

// walk returns the deepest node on the way of path; whole is true if that is the path itself.
func (n *node[T]) walk(path []byte) (deepest *node[T], whole bool) {
	if len(path) == 0 || path[0] != '/' {
		return n, false
	}
	for len(path) > 0 {
		path = path[1:]
		element := path
		if i := bytes.IndexByte(path, '/'); i >= 0 {
			element = path[:i]
		}
		child := n.child(element)
		if child == nil {
			return n, false
		}
		n, path = child, path[len(element):]
	}
	return n, true
}
