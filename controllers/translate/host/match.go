package host

import (
	"slices"
	"strconv"
	"strings"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// key is equal for two Matches that select the same requests as written.
type key struct {
	path   proxy.PathMatch
	method string
	values string // headers and query, each part quoted
}

func keyOf(m *proxy.Match) key {
	k := key{path: m.Path, method: m.Method}
	if k.path.Type == proxy.PathPrefix {
		k.path.Value = strings.TrimRight(k.path.Value, "/")
	}
	if len(m.Headers)+len(m.Query) > 0 {
		k.values = valuesKey(m.Headers, strings.ToLower) + "?" + valuesKey(m.Query, func(s string) string { return s })
	}
	return k
}

func valuesKey(matches []proxy.ValueMatch, fold func(string) string) string {
	parts := make([]string, len(matches))
	for i, m := range matches {
		parts[i] = strconv.Quote(fold(m.Name)) + strconv.Itoa(int(m.Type)) + strconv.Quote(m.Value)
	}
	slices.Sort(parts)
	return strings.Join(parts, "&")
}
