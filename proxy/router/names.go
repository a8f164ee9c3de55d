package router

import (
	"bytes"
	"fmt"
	"maps"
	"strings"
)

// names is an index from host names to what is kept for them. Once built it is only read.
type names[V any] struct {
	exact    map[string]V
	single   map[string]V // ".example.com" for "*.example.com" that covers exactly one label
	multi    map[string]V // ".example.com" for "*.example.com" that covers one label or more
	every    V
	hasEvery bool
}

// clone returns an index of the same content that can be changed without touching this one.
func (n *names[V]) clone() names[V] {
	return names[V]{maps.Clone(n.exact), maps.Clone(n.single), maps.Clone(n.multi), n.every, n.hasEvery}
}

// len returns the number of names.
func (n *names[V]) len() int {
	l := len(n.exact) + len(n.single) + len(n.multi)
	if n.hasEvery {
		l++
	}
	return l
}

// place returns the map that holds name and its key there; a nil map stands for "every host".
func (n *names[V]) place(name string, singleLabel bool) (*map[string]V, string) {
	switch {
	case name == "":
		return nil, ""
	case !strings.HasPrefix(name, "*."):
		return &n.exact, name
	case singleLabel:
		return &n.single, name[1:]
	default:
		return &n.multi, name[1:]
	}
}

// get returns what is kept for the name itself (not for the hosts it covers).
func (n *names[V]) get(name string, singleLabel bool) (V, bool) {
	m, key := n.place(name, singleLabel)
	if m == nil {
		return n.every, n.hasEvery
	}
	v, ok := (*m)[key]
	return v, ok
}

// insert keeps v for a name that must be new.
func (n *names[V]) insert(name string, singleLabel bool, v V) error {
	before := n.len()
	if m, key := n.place(name, singleLabel); m == nil {
		n.every, n.hasEvery = v, true
	} else {
		if *m == nil {
			*m = make(map[string]V)
		}
		(*m)[key] = v
	}
	if n.len() == before {
		return fmt.Errorf("host name %q is given twice", name)
	}
	return nil
}

// remove forgets a name.
func (n *names[V]) remove(name string, singleLabel bool) {
	if m, key := n.place(name, singleLabel); m != nil {
		delete(*m, key)
		return
	}
	var none V
	n.every, n.hasEvery = none, false
}

// cursor is how far a walk over the names that cover one host has come. The zero cursor is the start.
type cursor struct {
	stage stage
	dot   int // stages single and multi: index of the last dot looked at
}

type stage uint8

const (
	stageExact stage = iota
	stageSingle
	stageMulti
	stageEvery
	stageEnd
)

// next returns the next less specific entry that covers host; ok is false when there is none left.
func (n *names[V]) next(c *cursor, host []byte) (v V, ok bool) {
	for {
		switch c.stage {
		case stageExact:
			c.stage = stageSingle
			if v, ok = n.exact[string(host)]; ok {
				return v, true
			}
		case stageSingle, stageMulti:
			if v, ok = n.nextWildcard(c, host); ok {
				return v, true
			}
		case stageEvery:
			c.stage = stageEnd
			if n.hasEvery {
				return n.every, true
			}
		default:
			return v, false
		}
	}
}

// nextWildcard goes from dot to dot, so from long wildcards to short ones. A wildcard stands for at least one
// character, hence a dot at the front does not count. Only the first dot leaves a single label before it.
func (n *names[V]) nextWildcard(c *cursor, host []byte) (v V, ok bool) {
	if len(n.single) == 0 && len(n.multi) == 0 {
		c.stage = stageEvery
		return v, false
	}
	if c.stage == stageSingle {
		c.stage = stageMulti
		if at := nextDot(host, 0); at > 0 {
			if v, ok = n.single[string(host[at:])]; ok {
				return v, true
			}
		}
	}
	for at := nextDot(host, c.dot+1); at > 0; at = nextDot(host, at+1) {
		c.dot = at
		if v, ok = n.multi[string(host[at:])]; ok {
			return v, true
		}
	}
	c.stage = stageEvery
	return v, false
}

// nextDot returns the index of the first dot at or after from, or -1.
func nextDot(host []byte, from int) int {
	if from >= len(host) {
		return -1
	}
	if i := bytes.IndexByte(host[from:], '.'); i >= 0 {
		return from + i
	}
	return -1
}
