package router

import (
	"fmt"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// Table is the compiled form of all Listeners that share one port. It is immutable and may be read by any number of
// goroutines. T is what the caller binds to each Route: its running form.
type Table[T any] struct {
	listeners names[*listener[T]]
	byID      map[proxy.ListenerID]*listener[T]
}

// listener is the compiled form of one proxy.Listener.
type listener[T any] struct {
	source   *proxy.Listener
	hosts    names[*host[T]]
	fallback *T // what is bound to source.Default; nil without one
}

// compiler is what one Compile needs everywhere.
type compiler[T any] struct {
	bind     func(*proxy.Route) T
	patterns patterns
}

// Compile builds the Table of listeners. bind is called for each Route that is compiled now, once for every place where
// it stands. A Host whose *proxy.Host pointer stood in prev under the same Listener ID with the same settings is taken
// over with what was bound then. prev may be nil.
//
// An invalid regular expression, or a name that is given twice (two Listeners of one ID or Hostname, two Hosts of one
// name in a Listener), is an error that names it. The caller then keeps the Table it has.
func Compile[T any](prev *Table[T], listeners []*proxy.Listener, bind func(*proxy.Route) T) (*Table[T], error) {
	c := compiler[T]{bind, patterns{}}
	t := &Table[T]{byID: make(map[proxy.ListenerID]*listener[T], len(listeners))}
	for _, source := range listeners {
		if _, ok := t.byID[source.ID]; ok {
			return nil, fmt.Errorf("compile listener %s: it is given twice", source.ID)
		}
		var old *listener[T]
		if prev != nil {
			old = prev.byID[source.ID]
		}
		l, err := compileListener(old, source, c)
		if err == nil {
			err = t.listeners.insert(source.Hostname, false, l)
		}
		if err != nil {
			return nil, fmt.Errorf("compile listener %s: %w", source.ID, err)
		}
		t.byID[source.ID] = l
	}
	return t, nil
}

func compileListener[T any](old *listener[T], source *proxy.Listener, c compiler[T]) (*listener[T], error) {
	if old != nil && old.source == source {
		return old, nil
	}
	if old == nil || !sameSettings(old.source, source) {
		old = &listener[T]{source: &proxy.Listener{}}
	}
	l := &listener[T]{source: source}
	if err := l.compileHosts(old, c); err != nil {
		return nil, err
	}
	switch {
	case source.Default == nil:
	case source.Default == old.source.Default:
		l.fallback = old.fallback
	default:
		bound := c.bind(source.Default)
		l.fallback = &bound
	}
	return l, nil
}

// compileHosts fills l.hosts. The usual change touches few Hosts: then the index of old is copied, which is far cheaper
// than to build it again, and what differs between the first and the last difference of the two lists is replaced.
func (l *listener[T]) compileHosts(old *listener[T], c compiler[T]) error {
	gone, come := differences(old.source.Hosts, l.source.Hosts)
	if 2*len(gone) < len(old.source.Hosts) {
		l.hosts = old.hosts.clone()
		for _, h := range gone {
			l.hosts.remove(h.Name, h.SingleLabel)
		}
	} else {
		come = l.source.Hosts
		l.hosts.exact = make(map[string]*host[T], len(come))
	}
	for _, h := range come {
		compiled, ok := old.hosts.get(h.Name, h.SingleLabel)
		if !ok || compiled.source != h {
			var err error
			if compiled, err = compileHost(h, c); err != nil {
				return err
			}
		}
		if err := l.hosts.insert(h.Name, h.SingleLabel, compiled); err != nil {
			return err
		}
	}
	return nil
}

// differences returns what is left of two lists without what they share at the front and at the back.
func differences(before, after []*proxy.Host) (gone, come []*proxy.Host) {
	for len(before) > 0 && len(after) > 0 && before[0] == after[0] {
		before, after = before[1:], after[1:]
	}
	for len(before) > 0 && len(after) > 0 && before[len(before)-1] == after[len(after)-1] {
		before, after = before[:len(before)-1], after[:len(after)-1]
	}
	return before, after
}

// sameSettings reports whether two Listeners differ in nothing but their Routes.
func sameSettings(a, b *proxy.Listener) bool {
	return a.ID == b.ID && a.Port == b.Port && a.Protocol == b.Protocol && a.Hostname == b.Hostname &&
		a.Fallthrough == b.Fallthrough
}

// Match finds what was bound to the Route for r. listener is the Listener that the request belongs to, nil if none
// covers its host; ok is false when no Route matched.
func (t *Table[T]) Match(r *proxy.Request) (bound T, listener *proxy.Listener, ok bool) {
	var c cursor
	l, found := t.listeners.next(&c, r.Host)
	if !found {
		return bound, nil, false
	}
	c = cursor{}
	for {
		h, found := l.hosts.next(&c, r.Host)
		if !found {
			break
		}
		if rule := h.match(r); rule != nil {
			return rule.bound, l.source, true
		}
		if !l.source.Fallthrough {
			break
		}
	}
	if l.fallback != nil {
		return *l.fallback, l.source, true
	}
	return bound, l.source, false
}
