package toxiproxy

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// proxyFields are those that a configuration file may give a proxy.
var proxyFields = []string{"name", "listen", "upstream", "enabled"}

// maxIgnored bounds the lines about what is ignored in a file.
const maxIgnored = 20

// warnIgnored logs which fields of a configuration file have done nothing. Toxiproxy takes no notice of them either, toxics included:
// a file that would break more here than there would not be compatible.
func (s *Server) warnIgnored(file []byte) {
	var proxies []map[string]json.RawMessage
	if err := json.Unmarshal(file, &proxies); err != nil {
		return // there is more after the list, which nobody reads
	}
	count := 0
	for _, p := range proxies {
		for _, field := range slices.Sorted(maps.Keys(p)) {
			reason := whyIgnored(field, string(p[field]))
			if reason == "" {
				continue
			}
			if count++; count <= maxIgnored {
				s.cfg.Log.Warn("toxiproxy API: a field in the configuration file is ignored",
					"proxy", clip(fieldOf(p, "name")), "field", clip(field), "reason", reason)
			}
		}
	}
	if count > maxIgnored {
		s.cfg.Log.Warn("toxiproxy API: more fields in the configuration file are ignored", "fields", count-maxIgnored)
	}
}

// whyIgnored says why a field with this value does nothing; "" if it does something, or asks for nothing.
func whyIgnored(field, value string) string {
	is := func(name string) bool { return strings.EqualFold(name, field) } // as encoding/json reads names
	switch {
	case slices.ContainsFunc(proxyFields, is):
		return ""
	case !is("toxics"):
		return "there is no such field"
	case value == "[]" || value == "null": // what the API itself says of a proxy without
		return ""
	default:
		return "toxics are made through the API, as with Toxiproxy"
	}
}

// fieldOf returns a text of a proxy.
func fieldOf(p map[string]json.RawMessage, name string) (text string) {
	for field, value := range p {
		if strings.EqualFold(field, name) {
			_ = json.Unmarshal(value, &text) // it has been read as a text before
		}
	}
	return text
}
