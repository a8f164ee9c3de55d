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
	line := n.Line
	for _, s := range steps(path) {
		if n.Kind == yaml.AliasNode {
			n = n.Alias
		}
		if i, ok := indexOf(s); ok {
			if n.Kind != yaml.SequenceNode || i >= len(n.Content) {
				return line
			}
			n = n.Content[i]
			line = n.Line
			continue
		}
		entry := child(n, s)
		if entry == nil {
			return line
		}
		n, line = entry.value, entry.key.Line
	}
	return line
}
