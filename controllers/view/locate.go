package view

import (
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// locate gives Problems with fields of a document the lines of these fields, or of what stands nearest around one that is not
// there. The items of a List are left at its beginning.
func locate(c chunk, documents []Document) {
	var t *tree
	for i := range documents {
		for j := range documents[i].Problems {
			p := &documents[i].Problems[j]
			field := p.Field
			if unknown, ok := strings.CutPrefix(p.Reason, "unknown field "); ok && field == "" {
				field, _ = strconv.Unquote(unknown) // always quoted
			}
			if field == "" || p.Line != c.line || p.Level == Skipped {
				continue
			}
			if t == nil {
				t = newTree(c.data)
			}
			if t.root == nil {
				return
			}
			if kind := t.child(t.root, "kind"); kind == nil || !strings.HasSuffix(followed(kind.value).Value, "List") {
				_, line, _ := t.at(field)
				p.Line = c.from + line - 1
			}
		}
	}
}

// tree is a YAML document in which many paths are looked up: a mapping is gone through once, not for each of its mistakes.
type tree struct {
	root    *yaml.Node                      // nil if the text is not YAML
	entries map[*yaml.Node]map[string]*pair // of the mappings that paths have led to, by name
}

// pair is an entry of a mapping.
type pair struct{ key, value *yaml.Node }

func newTree(text []byte) *tree {
	t := &tree{entries: map[*yaml.Node]map[string]*pair{}}
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err == nil && len(document.Content) > 0 {
		t.root = document.Content[0]
	}
	return t
}

// child returns the entry of a mapping, nil if there is none. Of two of a name it is the first.
func (t *tree) child(n *yaml.Node, name string) *pair {
	if n.Kind != yaml.MappingNode {
		return nil
	}
	entries, ok := t.entries[n]
	if !ok {
		entries = make(map[string]*pair, len(n.Content)/2)
		for i := len(n.Content) - 2; i >= 0; i -= 2 {
			entries[n.Content[i].Value] = &pair{n.Content[i], n.Content[i+1]}
		}
		t.entries[n] = entries
	}
	return entries[name]
}

// at returns what the last part of a path that is there leads to, and the line, from 1, on which that part stands. ok is true if
// that is the whole path. There must be a root.
func (t *tree) at(field string) (at *yaml.Node, line int, ok bool) {
	n := t.root
	line = n.Line
	for rest := path(field); rest != ""; {
		n = followed(n)
		if n.Kind == yaml.SequenceNode {
			i, after, ok := rest.index()
			if !ok || i >= len(n.Content) {
				return n, line, false
			}
			n, rest = n.Content[i], after
			line = n.Line
			continue
		}
		name, after := rest.name(func(name string) bool { return t.child(n, name) != nil })
		entry := t.child(n, name)
		if entry == nil {
			return n, line, false
		}
		n, line, rest = entry.value, entry.key.Line, after
	}
	return followed(n), line, true
}

// followed returns what an alias stands for.
func followed(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// path is where a field stands, such as "spec.toxics[0].type" or "metadata.labels[example.com/a]", or what is left of that. Names
// that authors choose stand in it as they are, and may look like steps themselves.
type path string

// index cuts an index off. ok is false if the path does not begin with one.
func (p path) index() (i int, rest path, ok bool) {
	inner, isStep := strings.CutPrefix(string(p), "[")
	digits, after, closed := strings.Cut(inner, "]")
	n, err := strconv.ParseUint(digits, 10, 31)
	return int(n), path(after), isStep && closed && err == nil
}

// name cuts a name off: all of the path if that is a name in the mapping, as those that authors choose stand last, or else its first
// step.
func (p path) name(known func(name string) bool) (name string, rest path) {
	text := strings.TrimPrefix(string(p), ".")
	inner, isBracketed := strings.CutPrefix(text, "[")
	if whole := strings.TrimSuffix(inner, "]"); isBracketed && known(whole) {
		return whole, ""
	}
	if known(text) {
		return text, ""
	}
	if isBracketed {
		name, after, _ := strings.Cut(inner, "]")
		return name, path(after)
	}
	end := strings.IndexAny(text, ".[")
	if end < 0 {
		return text, ""
	}
	return text[:end], path(text[end:])
}
