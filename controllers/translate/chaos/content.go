package chaos

import (
	"fmt"
	"strings"
	"time"

	"github.com/adhocore/gronx"

	"github.com/breakwater-gateway/breakwater/api/v1alpha1"
	"github.com/breakwater-gateway/breakwater/controllers/view/syntax"
	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/shape"
)

// content translates what a NetworkChaos says itself. It checks everything again, because an object may be older than the rules
// of its definition.
func (b *building) content(source *v1alpha1.NetworkChaos) (*proxy.Experiment, *refusal) {
	s := &source.Spec
	duration, refused := b.duration(s)
	if refused != nil {
		return nil, refused
	}
	c := content{spec: s}
	x := &proxy.Experiment{
		ID:         proxy.ObjectID{Kind: v1alpha1.KindNetworkChaos, Namespace: source.Namespace, Name: source.Name},
		UID:        string(source.UID),
		Revision:   source.Generation,
		Created:    source.CreationTimestamp.Time,
		Targets:    targetsOf(source),
		At:         point(s.At),
		Matches:    c.matches(),
		Percent:    c.percent(),
		Endpoints:  c.endpoints(),
		Toxics:     c.toxics(),
		Window:     proxy.Window{Start: source.CreationTimestamp.Time, Duration: duration, Schedule: orElse(s.Schedule, ""), TimeZone: orElse(s.TimeZone, "")},
		Suspend:    s.Suspend,
		DryRun:     s.DryRun,
		Seed:       uint64(orElse(s.Seed, 0)),
		OrdinalKey: keyOf(s.DecideBy),
		Guard:      c.guard(),
		Token:      tokenOf(s.Token),
		MaxPercent: orElse(s.MaxPercent, 0),
		Rearm:      s.Rearm,
	}
	c.sequence(x)
	c.checkWindow(&x.Window)
	c.checkRanges(x)
	if c.problem != "" {
		return nil, refuse(v1alpha1.ReasonInvalid, "%s", c.problem)
	}
	return x, nil
}

// duration returns how long the experiment may last.
func (b *building) duration(s *v1alpha1.NetworkChaosSpec) (time.Duration, *refusal) {
	if s.Duration == nil {
		if b.options.DefaultDuration <= 0 {
			return 0, refuse(v1alpha1.ReasonDurationRequired, "spec.duration: is missing, and the controller has no default: set it, or --chaos-default-duration")
		}
		return b.options.DefaultDuration, nil
	}
	d, err := time.ParseDuration(string(*s.Duration))
	if err != nil || d <= 0 {
		return 0, refuse(v1alpha1.ReasonInvalid, "spec.duration: %q is not a length of time above 0", *s.Duration)
	}
	if most := b.options.MaxDuration; most > 0 && d > most {
		return 0, refuse(v1alpha1.ReasonDurationTooLong, "spec.duration: %s is above the controller's maximum of %s", d, most)
	}
	return d, nil
}

// content is a spec under translation.
type content struct {
	spec    *v1alpha1.NetworkChaosSpec
	problem string // the first that was found; "" for none
	regexes syntax.Expressions
}

func (c *content) fail(format string, args ...any) {
	if c.problem == "" {
		c.problem = fmt.Sprintf(format, args...)
	}
}

// length parses a duration; an empty one is 0.
func (c *content) length(field string, d v1alpha1.Duration) time.Duration {
	if d == "" {
		return 0
	}
	parsed, err := time.ParseDuration(string(d))
	if err != nil || parsed < 0 {
		c.fail("%s: %q is not a length of time", field, d)
	}
	return parsed
}

func orElse[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}

func point(p v1alpha1.Point) proxy.Point {
	if p == v1alpha1.PointBackend {
		return proxy.AtBackend
	}
	return proxy.Client
}

// percent is that of the experiment.
func (c *content) percent() shape.Value {
	p := params{content: c, field: "spec", shapes: c.spec.Shapes}
	return p.shaped("percent", orElse(c.spec.Percent, 100), func(to *v1alpha1.ShapeValue) (float64, bool) {
		return orElse(to.Percent, 0), to.Percent != nil
	})
}

func targetsOf(source *v1alpha1.NetworkChaos) []proxy.ExperimentTarget {
	var all []proxy.ExperimentTarget
	for i := range source.Spec.TargetRefs {
		ref := &source.Spec.TargetRefs[i]
		all = append(all, proxy.ExperimentTarget{
			Object:  proxy.ObjectID{Kind: ref.Kind, Namespace: namespaceOf(source, ref), Name: ref.Name},
			Section: orElse(ref.SectionName, ""),
		})
	}
	return all
}

func (c *content) matches() []proxy.Match {
	var all []proxy.Match
	for i := range c.spec.Match {
		from, at := &c.spec.Match[i], fmt.Sprintf("spec.match[%d]", i)
		m := proxy.Match{Method: orElse(from.Method, "")}
		if p := from.Path; p != nil {
			m.Path = proxy.PathMatch{Type: pathType(p.Type), Value: p.Value}
			if m.Path.Type == proxy.PathRegex {
				c.checkRegex(at+".path.value", p.Value)
			} else if normal, problem := syntax.RequestPath(p.Value); problem != "" {
				c.fail("%s.path.value: %s %s", at, syntax.Quote(p.Value), problem)
			} else {
				m.Path.Value = normal
			}
		}
		for j, h := range from.Headers {
			if problem := syntax.MatchedFieldProblem(h.Name); problem != "" {
				c.fail("%s.headers[%d].name: %q %s", at, j, h.Name, problem)
			}
			m.Headers = append(m.Headers, c.value(fmt.Sprintf("%s.headers[%d].value", at, j), h.Type, h.Name, h.Value))
		}
		for j, q := range from.Query {
			m.Query = append(m.Query, c.value(fmt.Sprintf("%s.query[%d].value", at, j), q.Type, q.Name, q.Value))
		}
		all = append(all, m)
	}
	return all
}

func pathType(t string) proxy.PathType {
	switch t {
	case "Exact":
		return proxy.PathExact
	case regularExpression:
		return proxy.PathRegex
	}
	return proxy.PathPrefix
}

const regularExpression = "RegularExpression"

func (c *content) value(field, kind, name, value string) proxy.ValueMatch {
	m := proxy.ValueMatch{Name: name, Value: value}
	if kind == regularExpression {
		m.Type = proxy.ValueRegex
		c.checkRegex(field, value)
	}
	return m
}

func (c *content) checkRegex(field, expression string) {
	if problem := c.regexes.Problem(expression); problem != "" {
		c.fail("%s: %s %s", field, syntax.Quote(expression), problem)
	}
}

func (c *content) endpoints() proxy.EndpointSelector {
	e := c.spec.Endpoints
	if e == nil {
		return proxy.EndpointSelector{}
	}
	return proxy.EndpointSelector{Count: int(orElse(e.Count, 0)), Percent: orElse(e.Percent, 0), Zone: orElse(e.Zone, "")}
}

func keyOf(k *v1alpha1.Key) proxy.Key {
	if k == nil {
		return proxy.Key{}
	}
	key := proxy.Key{Name: orElse(k.Name, "")}
	switch k.Type {
	case v1alpha1.KeyClientIP:
		key.Type = proxy.ClientIPKey
	case v1alpha1.KeyHeader:
		key.Type = proxy.HeaderKey
	case v1alpha1.KeyCookie:
		key.Type = proxy.CookieKey
	case v1alpha1.KeyGlobal:
	}
	return key
}

func tokenOf(t *v1alpha1.Token) *proxy.Token {
	if t == nil {
		return nil
	}
	return &proxy.Token{Header: orElse(t.Header, ""), Cookie: orElse(t.Cookie, ""), Baggage: orElse(t.Baggage, "")}
}

const defaultGuardWindow = 10 * time.Second

func (c *content) guard() *proxy.Guard {
	g := c.spec.Guard
	if g == nil {
		return nil
	}
	guard := &proxy.Guard{
		Window:         c.length("spec.guard.window", g.Window),
		MinRequests:    int(g.MinRequests),
		MaxErrorRate:   orElse(g.MaxErrorPercent, 0) / 100,
		MaxLatency:     c.length("spec.guard.maxLatency", orElse(g.MaxLatency, "")),
		Quantile:       orElse(g.Percentile, 99) / 100,
		OnlyUninjected: g.Traffic == v1alpha1.GuardUninjected,
	}
	if guard.Window == 0 {
		guard.Window = defaultGuardWindow
	}
	if guard.MaxErrorRate == 0 && guard.MaxLatency == 0 {
		c.fail("spec.guard: gives no bound")
	}
	return guard
}

func (c *content) sequence(x *proxy.Experiment) {
	s := c.spec.Sequence
	if s == nil {
		return
	}
	x.SequenceKey = keyOf(s.Key)
	names := map[string]bool{}
	for _, t := range x.Toxics {
		names[t.Name] = true
	}
	for i, step := range s.Steps {
		for _, name := range step.Toxics {
			if !names[name] {
				c.fail("spec.sequence.steps[%d]: there is no toxic %q", i, name)
			}
		}
		x.Sequence = append(x.Sequence, proxy.SequenceStep{Count: max(1, int(step.Count)), Toxics: step.Toxics})
	}
}

func (c *content) checkWindow(w *proxy.Window) {
	if w.Schedule != "" && (len(strings.Fields(w.Schedule)) != 5 || !gronx.IsValid(w.Schedule)) {
		c.fail("spec.schedule: %q is not a cron expression", w.Schedule)
	} else if w.Schedule != "" && !everMatches(w.Schedule) {
		c.fail("spec.schedule: %q never matches: there is no such day", w.Schedule)
	}
	if w.TimeZone == "" {
		return
	}
	if _, err := time.LoadLocation(w.TimeZone); err != nil || w.TimeZone == "Local" {
		c.fail("spec.timeZone: %q is not a time zone", w.TimeZone)
	}
}

// everMatches reports whether a cron expression ever matches, which 30 February does not. There is no year in it, so any time will
// do to begin with.
func everMatches(schedule string) bool {
	_, err := gronx.NextTickAfter(schedule, time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), true)
	return err == nil
}

// remarkOn says that the windows of a schedule follow each other without a pause, as far as its next starts after a time show.
func remarkOn(w *proxy.Window) string {
	if w.Schedule == "" {
		return ""
	}
	const starts = 5
	last := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range starts {
		next, err := gronx.NextTickAfter(w.Schedule, last, false)
		if err != nil {
			return ""
		}
		if interval := next.Sub(last); i > 0 && interval < w.Duration {
			return fmt.Sprintf("spec.duration: %v is longer than the %v between two starts of the schedule", w.Duration, interval)
		}
		last = next
	}
	return ""
}

// checkRanges checks numbers that would make no sense.
func (c *content) checkRanges(x *proxy.Experiment) {
	for _, p := range []struct {
		field string
		value float64
	}{{"spec.percent", x.Percent.Min()}, {"spec.percent", x.Percent.Max()}, {"spec.maxPercent", x.MaxPercent}, {"spec.endpoints.percent", x.Endpoints.Percent}} {
		if !(p.value >= 0 && p.value <= 100) {
			c.fail("%s: %v is not within 0 and 100", p.field, p.value)
		}
	}
	if x.Endpoints.Count < 0 {
		c.fail("spec.endpoints.count: %d is below 0", x.Endpoints.Count)
	}
	if len(x.Toxics) == 0 {
		c.fail("spec.toxics: there are none")
	}
	if len(x.Targets) == 0 {
		c.fail("spec.targetRefs: there are none")
	}
	seen := map[string]bool{}
	for _, t := range x.Toxics {
		if seen[t.Name] {
			c.fail("spec.toxics: the name %q is given twice", t.Name)
		}
		seen[t.Name] = true
	}
}
