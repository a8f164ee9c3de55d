// Package host puts together what several objects contribute to one Host, and says who loses where two want the same.
//
// It is pure; a Table is immutable and its successor shares the Hosts whose contributions have not changed.
package host

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// Rank says which of two objects comes first: the older one, then the one whose namespace and name sort first (the rule
// of Gateway API for conflicts; Ingress leaves it open).
type Rank struct {
	Created         time.Time
	Namespace, Name string
}

// Compare returns -1 if r comes before other, 1 if after.
func (r Rank) Compare(other Rank) int {
	return cmp.Or(r.Created.Compare(other.Created), cmp.Compare(r.Namespace, other.Namespace), cmp.Compare(r.Name, other.Name))
}

// Part is what one object contributes to one Host. It is immutable.
type Part struct {
	Host        string // proxy.Host.Name
	SingleLabel bool   // proxy.Host.SingleLabel
	Rank        Rank
	Routes      []*proxy.Route // in the order of the object's rules
	// Fallback, if not nil, takes what no Route of the Host selects. The first object's holds.
	Fallback *proxy.Route
}

// Loss is a Route that no request reaches because another has the same Match and comes first.
type Loss struct {
	Route  *proxy.Route
	Winner *proxy.Route
}

// Table holds the Hosts of one Listener. The zero Table is empty.
type Table struct {
	// Hosts sorted by name.
	Hosts []*proxy.Host
	// Owned: a Host with a name belongs to the namespace of its first Part, and the Parts of other namespaces are left out. It
	// stays as it is in the Tables that Update returns.
	Owned bool

	entries map[string]*entry
}

type entry struct {
	host   *proxy.Host
	parts  []*Part // sorted by rank
	losses map[*Part][]Loss
}

// Losses returns the Routes of a Part that no request reaches.
func (t *Table) Losses(p *Part) []Loss {
	if e := t.entries[p.Host]; e != nil {
		return e.losses[p]
	}
	return nil
}

// Owner returns the namespace that the Part's Host belongs to, and false if that is the Part's own or the Host belongs to nobody.
func (t *Table) Owner(p *Part) (namespace string, others bool) {
	if e := t.entries[p.Host]; e != nil && t.Owned && p.Host != "" {
		namespace = e.parts[0].Rank.Namespace
		return namespace, namespace != p.Rank.Namespace
	}
	return "", false
}

// Update returns the Table after Parts have come and gone, and the Parts of all Hosts that this has touched: only their
// Losses can have changed.
func (t *Table) Update(gained, lost []*Part) (next *Table, touched []*Part) {
	if len(gained)+len(lost) == 0 {
		return t, nil
	}
	changed := map[string][]*Part{} // the Parts that each touched Host has now
	for _, p := range lost {
		if _, ok := changed[p.Host]; !ok {
			changed[p.Host] = slices.Clone(t.parts(p.Host))
		}
		changed[p.Host] = without(changed[p.Host], p)
	}
	for _, p := range gained {
		parts, ok := changed[p.Host]
		if !ok {
			parts = slices.Clone(t.parts(p.Host))
		}
		changed[p.Host] = append(parts, p)
	}
	next = &Table{entries: maps.Clone(t.entries), Owned: t.Owned}
	if len(t.entries) == 0 {
		next.entries = make(map[string]*entry, len(changed))
	}
	fresh := make([]*proxy.Host, 0, len(changed))
	for name, parts := range changed {
		if len(parts) == 0 {
			delete(next.entries, name)
			continue
		}
		e := newEntry(name, parts, t.Owned && name != "")
		next.entries[name] = e
		fresh = append(fresh, e.host)
		touched = append(touched, parts...)
	}
	next.Hosts = merge(t.Hosts, fresh, changed)
	return next, touched
}

func (t *Table) parts(name string) []*Part {
	if e := t.entries[name]; e != nil {
		return e.parts
	}
	return nil
}

func without(parts []*Part, p *Part) []*Part {
	return slices.DeleteFunc(parts, func(q *Part) bool { return q == p })
}

// merge returns the Hosts of old that have not changed together with fresh, sorted by name. It copies the stretches
// between the changes as they are.
func merge(old, fresh []*proxy.Host, changed map[string][]*Part) []*proxy.Host {
	made := make(map[string]*proxy.Host, len(fresh))
	for _, h := range fresh {
		made[h.Name] = h
	}
	merged := make([]*proxy.Host, 0, len(old)+len(fresh))
	for _, name := range slices.Sorted(maps.Keys(changed)) {
		at, found := slices.BinarySearchFunc(old, name, func(h *proxy.Host, name string) int { return strings.Compare(h.Name, name) })
		merged, old = append(merged, old[:at]...), old[at:]
		if found {
			old = old[1:]
		}
		if h := made[name]; h != nil {
			merged = append(merged, h)
		}
	}
	merged = append(merged, old...)
	if len(merged) == 0 {
		return nil // as in a Table that never had any
	}
	return merged
}

func newEntry(name string, parts []*Part, owned bool) *entry {
	e := &entry{host: &proxy.Host{Name: name, SingleLabel: parts[0].SingleLabel}, parts: parts}
	slices.SortFunc(parts, func(a, b *Part) int { return a.Rank.Compare(b.Rank) })
	served := parts
	if owned {
		served = ofNamespace(parts, parts[0].Rank.Namespace)
	}
	if len(served) == 1 && served[0].Fallback == nil {
		e.host.Routes = served[0].Routes
	} else {
		e.host.Routes = join(served)
	}
	if len(e.host.Routes) > 1 {
		e.losses = losses(served)
	}
	return e
}

func ofNamespace(parts []*Part, namespace string) []*Part {
	var result []*Part
	for _, p := range parts {
		if p.Rank.Namespace == namespace {
			result = append(result, p)
		}
	}
	return result
}

// join returns all Routes by rank, and behind them the first Fallback. The router takes the first of equal Routes.
func join(parts []*Part) []*proxy.Route {
	var routes []*proxy.Route
	var fallback *proxy.Route
	for _, p := range parts {
		routes = append(routes, p.Routes...)
		if fallback == nil {
			fallback = p.Fallback
		}
	}
	if fallback != nil {
		routes = append(routes, fallback)
	}
	return routes
}

func losses(parts []*Part) map[*Part][]Loss {
	var lost map[*Part][]Loss
	lose := func(p *Part, route, winner *proxy.Route) {
		if lost == nil {
			lost = map[*Part][]Loss{}
		}
		lost[p] = append(lost[p], Loss{route, winner})
	}
	winners := map[key]*proxy.Route{}
	var fallback *proxy.Route
	for _, p := range parts {
		for _, route := range p.Routes {
			k := keyOf(&route.Match)
			if winner, ok := winners[k]; ok {
				lose(p, route, winner)
			} else {
				winners[k] = route
			}
		}
		switch {
		case p.Fallback == nil:
		case fallback == nil:
			fallback = p.Fallback
		default:
			lose(p, p.Fallback, fallback)
		}
	}
	return lost
}
