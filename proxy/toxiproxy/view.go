package toxiproxy

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"
)

// Toxic is a toxic that was made through the API, as operators are shown it.
type Toxic struct {
	Proxy      string         `json:"proxy"`
	Name       string         `json:"name"`
	Type       string         `json:"type"`
	Attributes map[string]any `json:"attributes"`
	Stream     string         `json:"stream"`
	Toxicity   float64        `json:"toxicity"`
	// Idle is why it does not act although no kill switch is used; empty if it does.
	Idle string `json:"idle,omitempty"`
}

// AttributesText is the attributes in one line, by name.
func (t Toxic) AttributesText() string { return attributesText(t.Attributes) }

func attributesText(attributes map[string]any) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		value, _ := json.Marshal(attributes[name]) // numbers and strings, in a map if they change over time
		all = append(all, name+"="+strings.Trim(string(value), `"`))
	}
	return strings.Join(all, " ")
}

// Toxics returns all toxics, by proxy and in the order of the API.
func (s *Server) Toxics() []Toxic {
	var all []Toxic
	add := func(proxy, idle string, toxics []toxicJSON) {
		for _, t := range toxics {
			all = append(all, Toxic{proxy, t.Name, t.Type, t.Attributes, t.Stream, t.Toxicity, idle})
		}
	}
	for _, p := range s.list() {
		view, idle := p.json(), ""
		if !view.Enabled {
			idle = "the proxy is disabled"
		}
		add(p.name, idle, view.Toxics)
	}
	routes := map[string]Route{}
	for _, r := range s.routeList() {
		routes[r.Name] = r
	}
	for name, c := range s.routeChains() {
		r, served := routes[name]
		idle := r.Refused
		if !served {
			idle = "no route of that name is served"
		}
		add(name, idle, c.json())
	}
	slices.SortStableFunc(all, func(a, b Toxic) int { return strings.Compare(a.Proxy, b.Proxy) })
	return all
}

// log writes a line about what a client has changed. r is nil if it was the configuration file.
func (s *Server) log(r *http.Request, event string, attributes ...any) {
	by := "the configuration file"
	if r != nil {
		by = r.RemoteAddr
	}
	for i, a := range attributes {
		if text, ok := a.(string); ok {
			attributes[i] = clip(text)
		}
	}
	s.cfg.Log.Info("toxiproxy API: "+event, append(attributes, "by", by)...)
}

// logToxic is log for a toxic that acts from now on, unless chaos is off.
func (s *Server) logToxic(r *http.Request, event, proxy string, t toxicJSON) {
	attributes := []any{
		"proxy", proxy, "toxic", t.Name, "type", t.Type, "attributes", attributesText(t.Attributes), "stream", t.Stream, "toxicity", t.Toxicity,
	}
	s.mu.Lock()
	off := s.off
	s.mu.Unlock()
	if off {
		attributes = append(attributes, "note", "it does not act while chaos is off")
	}
	s.log(r, event, attributes...)
}

// logProxy is log for a proxy.
func (s *Server) logProxy(r *http.Request, event string, p proxyJSON) {
	s.log(r, event, "proxy", p.Name, "listen", p.Listen, "upstream", p.Upstream, "enabled", p.Enabled)
}

// longestLogged bounds a text of a client's in a line of the log, in bytes.
const longestLogged = 300

// clip shortens a text to what a line of the log takes.
func clip(s string) string {
	if len(s) <= longestLogged {
		return s
	}
	end := longestLogged
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "..."
}
