package router

import (
	"cmp"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// The reference: the rules of the package doc read one by one over plain values, with no index of any kind. It shares
// no code with the Table. The map keeps the expressions it has compiled.
type reference map[string]*regexp.Regexp

func (ref reference) match(listeners []*proxy.Listener, r *proxy.Request) (*proxy.Route, *proxy.Listener) {
	host := string(r.Host)
	var chosen *proxy.Listener
	for _, l := range listeners {
		if covers(l.Hostname, false, host) &&
			(chosen == nil || specificity(l.Hostname, false) > specificity(chosen.Hostname, false)) {
			chosen = l
		}
	}
	if chosen == nil {
		return nil, nil
	}
	var hosts []*proxy.Host
	for _, h := range chosen.Hosts {
		if covers(h.Name, h.SingleLabel, host) {
			hosts = append(hosts, h)
		}
	}
	slices.SortFunc(hosts, func(a, b *proxy.Host) int {
		return cmp.Compare(specificity(b.Name, b.SingleLabel), specificity(a.Name, a.SingleLabel))
	})
	for _, h := range hosts {
		var best *proxy.Route
		for _, route := range h.Routes {
			if ref.holds(&route.Match, r) && (best == nil || referenceBetter(route.Match, best.Match)) {
				best = route
			}
		}
		if best != nil {
			return best, chosen
		}
		if !chosen.Fallthrough {
			break
		}
	}
	return chosen.Default, chosen
}

func covers(name string, single bool, host string) bool {
	if name == "" || name == host {
		return true
	}
	suffix, wild := strings.CutPrefix(name, "*")
	if !wild {
		return false
	}
	labels, ok := strings.CutSuffix(host, suffix)
	return ok && labels != "" && (!single || !strings.Contains(labels, "."))
}

func specificity(name string, single bool) int {
	switch {
	case name == "":
		return 0
	case !strings.HasPrefix(name, "*"):
		return 1000
	case single:
		return 2*len(name) + 1
	default:
		return 2 * len(name)
	}
}

func (ref reference) holds(m *proxy.Match, r *proxy.Request) bool {
	return ref.path(m.Path, string(r.Path)) && (m.Method == "" || m.Method == string(r.Method)) &&
		!slices.ContainsFunc(m.Headers, func(v proxy.ValueMatch) bool {
			var lines []string
			for _, f := range r.Header.Fields {
				if strings.EqualFold(string(f.Name), v.Name) {
					lines = append(lines, string(f.Value))
				}
			}
			return lines == nil || !ref.value(v, strings.Join(lines, ","))
		}) &&
		!slices.ContainsFunc(m.Query, func(v proxy.ValueMatch) bool {
			values, err := url.ParseQuery(string(r.Query))
			return err != nil || !values.Has(v.Name) || !ref.value(v, values.Get(v.Name))
		})
}

func (ref reference) path(p proxy.PathMatch, path string) bool {
	switch p.Type {
	case proxy.PathExact:
		return path == p.Value
	case proxy.PathRegex:
		return ref.regexp(p.Value, path)
	default:
		want := strings.Split(strings.TrimSuffix(p.Value, "/"), "/")
		have := strings.Split(path, "/")
		return len(have) >= len(want) && slices.Equal(have[:len(want)], want)
	}
}

func (ref reference) value(v proxy.ValueMatch, have string) bool {
	if v.Type == proxy.ValueRegex {
		return ref.regexp(v.Value, have)
	}
	return v.Value == have
}

func (ref reference) regexp(expression, s string) bool {
	re := ref[expression]
	if re == nil {
		re = regexp.MustCompile(expression)
		re.Longest()
		ref[expression] = re
	}
	at := re.FindStringIndex(s)
	return at != nil && at[0] == 0 && at[1] == len(s)
}

// referenceBetter reports whether a goes before b although it stands after it.
func referenceBetter(a, b proxy.Match) bool {
	type key struct {
		kind, length, method, headers, query int
	}
	of := func(m proxy.Match) key {
		k := key{headers: len(m.Headers), query: len(m.Query)}
		switch m.Path.Type {
		case proxy.PathExact:
			k.kind = 3
		case proxy.PathRegex:
			k.kind, k.length = 2, len(m.Path.Value)
		default:
			k.kind, k.length = 1, len(strings.TrimSuffix(m.Path.Value, "/"))
		}
		if m.Method != "" {
			k.method = 1
		}
		return k
	}
	x, y := of(a), of(b)
	for _, pair := range [][2]int{
		{x.kind, y.kind}, {x.length, y.length}, {x.method, y.method}, {x.headers, y.headers}, {x.query, y.query},
	} {
		if pair[0] != pair[1] {
			return pair[0] > pair[1]
		}
	}
	return false
}
