package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/chaos"
	"github.com/breakwater-gateway/breakwater/proxy/router"
	"github.com/breakwater-gateway/breakwater/proxy/shape"
)

// effects are what there is to say of the Route that a request selects, beside that it does.
type effects struct {
	// Backends are those that answer with an error because nobody is behind them.
	Backends    []deadBackend  `json:"backends,omitempty"`
	Experiments []onExperiment `json:"experiments,omitempty"`
	ChaosOff    bool           `json:"chaosOff,omitempty"` // a kill switch is used, so no experiment acts
}

// deadBackend is a Backend without Endpoints.
type deadBackend struct {
	Backend string `json:"backend"`
	Reason  string `json:"reason"`
}

// onExperiment is an experiment on the traffic of a Route.
type onExperiment struct {
	Name    string   `json:"name"`            // namespace/name
	Phase   string   `json:"phase,omitempty"` // what it does now; empty if nothing is running
	Share   string   `json:"share"`
	At      string   `json:"at"`
	Toxics  []string `json:"toxics"`
	Selects bool     `json:"selects"` // the request is one of those that it is for, by its matches
	Token   bool     `json:"token,omitempty"`
}

// effectsOn finds what there is to say of the Route that an Explanation has selected. live says what experiments do now; nil: nothing
// is running.
func effectsOn(s *proxy.Snapshot, port uint16, e *router.Explanation, r *proxy.Request, live *chaos.Engine) (found effects) {
	l, route := selected(s, port, e)
	if route == nil {
		return found
	}
	for _, b := range route.Backends {
		if reason := dead(s, &b); reason != "" {
			found.Backends = append(found.Backends, deadBackend{b.Backend.String(), reason})
		}
	}
	phases := map[proxy.ObjectID]string{}
	for _, status := range live.Status() {
		phases[status.ID] = status.Phase.String()
	}
	found.ChaosOff = s.ChaosOff || live != nil && !live.Enabled()
	for _, x := range s.Experiments {
		if concerns(x, route, l) {
			found.Experiments = append(found.Experiments, describeExperiment(x, r, phases[x.ID]))
		}
	}
	return found
}

// concerns reports whether an experiment's targets are the Route, its Listener or one of its Backends.
func concerns(x *proxy.Experiment, route *proxy.Route, l *proxy.Listener) bool {
	return chaos.Concerns(x, route.ID.Object, l.ID, proxy.BackendID{}) ||
		slices.ContainsFunc(route.Backends, func(b proxy.WeightedBackend) bool { return chaos.Concerns(x, route.ID.Object, l.ID, b.Backend) })
}

// selected returns the Listener and the Route that an Explanation has selected, nil if there is none.
func selected(s *proxy.Snapshot, port uint16, e *router.Explanation) (*proxy.Listener, *proxy.Route) {
	i := slices.IndexFunc(e.Candidates, func(c router.Candidate) bool { return c.Verdict == router.Selected })
	if i < 0 {
		return nil, nil
	}
	for _, l := range s.Listeners {
		if l.Port != port || l.ID.String() != e.Listener {
			continue
		}
		routes := []*proxy.Route{l.Default}
		for _, h := range l.Hosts {
			routes = append(routes, h.Routes...)
		}
		for _, r := range routes {
			if r != nil && r.ID == e.Candidates[i].Route {
				return l, r
			}
		}
	}
	return nil, nil // what is served has changed meanwhile
}

// dead says why a Backend cannot answer; empty if it can.
func dead(s *proxy.Snapshot, b *proxy.WeightedBackend) string {
	served := s.Backends[b.Backend]
	switch {
	case b.Invalid != "":
		return b.Invalid + ": 500"
	case served == nil:
		return "there is no such backend: 500"
	case len(served.Endpoints) == 0:
		return "no endpoint is ready: 503"
	}
	return ""
}

func describeExperiment(x *proxy.Experiment, r *proxy.Request, phase string) onExperiment {
	one := onExperiment{
		Name: x.ID.Namespace + "/" + x.ID.Name, Phase: phase, Share: percentText(x.Percent, 1), At: x.At.String(), Selects: len(x.Matches) == 0,
		Token: x.Token != nil,
	}
	if len(x.Sequence) > 0 {
		one.Share = "by its sequence"
	}
	for i := range x.Matches {
		m, err := router.NewMatcher(&x.Matches[i])
		one.Selects = one.Selects || err == nil && m.Match(r)
	}
	for _, t := range x.Toxics {
		text := t.Name
		if typ := t.Toxic.Type(); !strings.EqualFold(typ, t.Name) {
			text += " (" + typ + ")"
		}
		if t.Toxicity.Min() < 1 {
			text += " " + percentText(t.Toxicity, 100)
		}
		one.Toxics = append(one.Toxics, text)
	}
	return one
}

// percentText writes a number as a percentage, or both that it moves between. unit is what makes a percentage of it.
func percentText(v shape.Value, unit float64) string {
	if !v.Changes() {
		return fmt.Sprintf("%v%%", v.Base*unit)
	}
	return fmt.Sprintf("%v%% to %v%%", v.Base*unit, v.To*unit)
}

// String lays the effects out for a terminal, a line each.
func (e effects) String() string {
	var b strings.Builder
	for _, d := range e.Backends {
		fmt.Fprintf(&b, "backend   %s: %s\n", d.Backend, d.Reason)
	}
	for _, x := range e.Experiments {
		fmt.Fprintf(&b, "chaos     %s", x.Name)
		if x.Phase != "" {
			fmt.Fprintf(&b, " (%s)", x.Phase)
		}
		fmt.Fprintf(&b, ": %s at %s: %s", x.Share, x.At, strings.Join(x.Toxics, ", "))
		if x.Token {
			b.WriteString("; only with its token")
		}
		if !x.Selects {
			b.WriteString("; its match does not select this request")
		}
		b.WriteString("\n")
	}
	if e.ChaosOff && len(e.Experiments) > 0 {
		b.WriteString("chaos     is off: no experiment acts\n")
	}
	return b.String()
}
