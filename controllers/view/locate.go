package view

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// locate gives Problems with fields of a document the lines of these fields, or of what stands nearest around one that is not
// there. The items of a List are left at its beginning.
func locate(c chunk, documents []Document) {
	var root *yaml.Node
	for i := range documents {
		for j := range documents[i].Problems {
			p := &documents[i].Problems[j]
			path := p.Field
			if unknown, ok := strings.CutPrefix(p.Reason, "unknown field "); ok && path == "" {
				path = strings.Trim(unknown, `"`)
			}
			if path == "" || p.Line != c.line || p.Level == Skipped {
				continue
			}
			if root == nil {
				root = &yaml.Node{}
				if err := yaml.Unmarshal(c.data, root); err != nil || len(root.Content) == 0 {
					return
				}
				root = root.Content[0]
			}
			if kind := child(root, "kind"); kind == nil || !strings.HasSuffix(kind.value.Value, "List") {
				p.Line = c.from + lineOf(root, path) - 1
			}
		}
	}
}

// pair is an entry of a mapping.
type pair struct{ key, value *yaml.Node }

// child returns the entry of a mapping, nil if there is none.
func child(n *yaml.Node, name string) *pair {
	if n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return &pair{n.Content[i], n.Content[i+1]}
		}
	}
	return nil
}

// lineOf returns the line, from 1, on which the last part of a path stands that is there.
func lineOf(n *yaml.Node, path string) int {
	_, line, _ := nodeAt(n, path)
	return line
}

// nodeAt returns what the last part of a path that is there leads to, and the line, from 1, on which that part stands. ok is true if
// that is the whole path.
func nodeAt(n *yaml.Node, path string) (at *yaml.Node, line int, ok bool) {
	line = n.Line
	for _, s := range steps(path) {
		n = followed(n)
		if i, isIndex := indexOf(s); isIndex && n.Kind == yaml.SequenceNode {
			if i >= len(n.Content) {
				return n, line, false
			}
			n = n.Content[i]
			line = n.Line
			continue
		}
		entry := child(n, stepName(s))
		if entry == nil {
			return n, line, false
		}
		n, line = entry.value, entry.key.Line
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
