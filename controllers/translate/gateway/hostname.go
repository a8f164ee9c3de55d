package gateway

import (
	"slices"
	"strings"
)

// intersect returns the names under which a route with these hostnames is reached through a listener with this one: for
// each pair that overlaps the more specific of the two. A listener without a hostname takes every name; nil hostnames are
// a route without any, which takes the listener's.
func intersect(listener string, hostnames []string) []string {
	if hostnames == nil {
		return []string{listener}
	}
	var names []string
	for _, h := range hostnames {
		name, ok := narrower(listener, h)
		if ok && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// narrower returns the more specific of two overlapping host names, and false if they do not overlap.
func narrower(a, b string) (string, bool) {
	switch {
	case a == "" || covers(a, b):
		return b, true
	case covers(b, a):
		return a, true
	default:
		return "", false
	}
}

// covers reports whether every name that b stands for is one that a stands for.
func covers(a, b string) bool {
	if a == b {
		return true
	}
	suffix, wildcard := strings.CutPrefix(a, "*")
	if !wildcard {
		return false
	}
	name, _ := strings.CutPrefix(b, "*")
	return strings.HasSuffix(name, suffix) && len(name) >= len(suffix)
}
