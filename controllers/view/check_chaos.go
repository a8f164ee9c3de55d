package view

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-gateway/breakwater/api/v1alpha1"
)

// The rules in CEL of the definition of NetworkChaos, with the same messages. What the schema says otherwise has been checked
// before (definition.go). test/cel puts the same objects to an API server and to these.

var cronFields = regexp.MustCompile(`^[0-9A-Za-z*/,?#-]+( +[0-9A-Za-z*/,?#-]+){4}$`)

func checkNetworkChaos(o *v1alpha1.NetworkChaos, f fault) {
	s := &o.Spec
	rule := func(ok bool, message string) {
		if !ok {
			f("spec", message)
		}
	}
	rule((s.Toxics != nil) != (s.Preset != nil), "give either toxics or a preset")
	rule(s.Endpoints == nil || s.At == v1alpha1.PointBackend, "endpoints can be chosen at Backend only")
	rule(s.At == v1alpha1.PointBackend || !hasTarget(s, "Service"),
		"a Service is found only by routing: it can be a target at Backend only")
	rule(s.Schedule != nil || s.TimeZone == nil, "timeZone says nothing without a schedule")
	checkSequence(s, rule, f)
	checkCarriers(s, rule)
	checkRequests(s, rule)
	for i := range s.TargetRefs {
		checkTargetRef(fmt.Sprintf("spec.targetRefs[%d]", i), &s.TargetRefs[i], f)
	}
	for i := range s.Match {
		checkPathMatch(fmt.Sprintf("spec.match[%d].path.value", i), s.Match[i].Path, f)
	}
	for i := range s.Toxics {
		checkToxic(fmt.Sprintf("spec.toxics[%d]", i), &s.Toxics[i], f)
	}
	rule(s.Sequence == nil || s.Shapes == nil, "percent has no effect with a sequence: leave it out")
	for i := range s.Shapes {
		if s.Shapes[i].Parameter != percentParameter {
			f("spec.shapes", "only percent can vary over time here: a toxic's parameters have their shapes there")
		}
		checkShape(fmt.Sprintf("spec.shapes[%d]", i), &s.Shapes[i], f)
	}
	if e := s.Endpoints; e != nil && e.Count != nil && e.Percent != nil {
		f("spec.endpoints", "give count or percent, not both")
	}
	if s.Duration != nil {
		positive("spec.duration", *s.Duration, f)
	}
	if s.Schedule != nil && !cronFields.MatchString(*s.Schedule) {
		f("spec.schedule", fmt.Sprintf("%q must be a cron expression of five fields: minute, hour, day of month, month, day of week", *s.Schedule))
	}
	checkKeys(s, f)
	checkGuard(s.Guard, f)
	if t := s.Token; t != nil && t.Header == nil && t.Cookie == nil && t.Baggage == nil {
		f("spec.token", "say where the token is: header, cookie or baggage")
	}
}

var (
	pathBegin = regexp.MustCompile(`^[(^.]`) // of an expression; its first slash may be in there
	pathText  = regexp.MustCompile(`^([^\x00-\x20\x7f#%?\\]|%([2-6][0-9A-Fa-f]|7[0-9A-Ea-e]|[89A-Fa-f][0-9A-Fa-f]))*$`)
	pathDots  = regexp.MustCompile(`(?i)(/|%2f|%5c)(\.|%2e){1,2}(/|;|%2f|%3b|%5c|$)`)
)

func checkPathMatch(field string, p *v1alpha1.PathMatch, f fault) {
	if p == nil {
		return
	}
	isExpression := p.Type == "RegularExpression"
	rule := func(ok bool, message string) {
		if !ok {
			f(field, message)
		}
	}
	rule(strings.HasPrefix(p.Value, "/") || isExpression && pathBegin.MatchString(p.Value), "must begin with a slash; a RegularExpression may also begin with ^, ( or .")
	rule(isExpression || pathText.MatchString(p.Value),
		"must be without spaces, #, ?, backslashes, control characters (not even escaped) and % that no two hexadecimal digits follow")
	rule(isExpression || !strings.Contains(p.Value, "//"), "must be without //: slashes that follow each other count as one")
	rule(isExpression || !pathDots.MatchString(p.Value),
		"must be without . and .. as elements, and without what servers may take for them, such as ..;")
}

func hasTarget(s *v1alpha1.NetworkChaosSpec, kinds ...string) bool {
	return slices.ContainsFunc(s.TargetRefs, func(t v1alpha1.TargetRef) bool { return slices.Contains(kinds, t.Kind) })
}

// nameOf returns the name by which a toxic is known.
func nameOf(t *v1alpha1.Toxic) string {
	if t.Name != nil {
		return *t.Name
	}
	return string(t.Type)
}

func checkSequence(s *v1alpha1.NetworkChaosSpec, rule func(bool, string), f fault) {
	names := map[string]bool{}
	for i := range s.Toxics {
		names[nameOf(&s.Toxics[i])] = true
	}
	rule(len(names) == len(s.Toxics), "names of toxics must differ; a toxic without a name is called like its type")
	if s.Sequence == nil {
		return
	}
	rule(s.Percent == nil || *s.Percent == 100, "percent has no effect with a sequence: leave it out")
	for i, step := range s.Sequence.Steps {
		for j, name := range step.Toxics {
			if !names[name] {
				f(fmt.Sprintf("spec.sequence.steps[%d].toxics[%d]", i, j), fmt.Sprintf("there is no toxic %q", name))
			}
		}
	}
}

// checkCarriers checks that the targets carry what the toxics break.
func checkCarriers(s *v1alpha1.NetworkChaosSpec, rule func(bool, string)) {
	var faults, datagrams, streams bool
	for i := range s.Toxics {
		switch t := s.Toxics[i].Type; {
		case isFault(t):
			faults, streams = true, true
		case isDatagram(t):
			datagrams = true
		case !isBoth(t):
			streams = true
		}
	}
	rule(!faults || !hasTarget(s, "TCPRoute", "TLSRoute", "UDPRoute"),
		"HTTP faults need targets that carry HTTP, which a TCPRoute, TLSRoute or UDPRoute does not")
	rule(!datagrams || !hasTarget(s, "HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute", "Ingress"),
		"toxics for datagrams need targets that carry them: a UDPRoute, a Gateway or a Service")
	rule(!streams || !hasTarget(s, "UDPRoute"), "a UDPRoute carries datagrams: use toxics of UDP, Corrupt, Down, Latency, Noop or Timeout")
}

// checkRequests checks that what looks at requests has a target that carries some.
func checkRequests(s *v1alpha1.NetworkChaosSpec, rule func(bool, string)) {
	isNamed := func(k *v1alpha1.Key) bool { return k != nil && k.Name != nil }
	looks := len(s.Match) > 0 || s.Token != nil || isNamed(s.DecideBy) || s.Sequence != nil && isNamed(s.Sequence.Key)
	rule(!looks || hasTarget(s, "HTTPRoute", "GRPCRoute", "Ingress", "Gateway", "Service"),
		"match, token and keys of a header or cookie look at requests of HTTP, which a TCPRoute, TLSRoute or UDPRoute does not carry")
}

func isFault(t v1alpha1.ToxicType) bool {
	switch t {
	case v1alpha1.ToxicAbort, v1alpha1.ToxicDelay, v1alpha1.ToxicHeaders, v1alpha1.ToxicTruncateBody,
		v1alpha1.ToxicWrongContentLength, v1alpha1.ToxicBrokenChunk, v1alpha1.ToxicCutEvents, v1alpha1.ToxicThrottle:
		return true
	}
	return false
}

// isBoth reports whether a toxic acts on connections as well as on datagrams.
func isBoth(t v1alpha1.ToxicType) bool {
	switch t {
	case v1alpha1.ToxicCorrupt, v1alpha1.ToxicDown, v1alpha1.ToxicLatency, v1alpha1.ToxicNoop, v1alpha1.ToxicTimeout:
		return true
	}
	return false
}

func isDatagram(t v1alpha1.ToxicType) bool {
	switch t {
	case v1alpha1.ToxicUDPDrop, v1alpha1.ToxicUDPDuplicate, v1alpha1.ToxicUDPReorder, v1alpha1.ToxicUDPDelay,
		v1alpha1.ToxicUDPRate, v1alpha1.ToxicUDPTruncate:
		return true
	}
	return false
}

func checkTargetRef(field string, t *v1alpha1.TargetRef, f fault) {
	group := "gateway.networking.k8s.io"
	switch t.Kind {
	case "Ingress":
		group = "networking.k8s.io"
	case "Service":
		group = ""
	}
	if t.Group != nil && *t.Group != group {
		f(field, "this kind is of another group: networking.k8s.io has Ingress, the core group has Service, all others are of gateway.networking.k8s.io")
	}
	if t.SectionName != nil && t.Kind != "Gateway" {
		f(field, "sectionName names a listener: it goes with a Gateway only")
	}
}

func checkKeys(s *v1alpha1.NetworkChaosSpec, f fault) {
	check := func(field string, k *v1alpha1.Key) {
		if k != nil && (k.Type == v1alpha1.KeyHeader || k.Type == v1alpha1.KeyCookie) != (k.Name != nil) {
			f(field, "name is that of a Header or Cookie, which need one")
		}
	}
	if s.Sequence != nil {
		check("spec.sequence.key", s.Sequence.Key)
	}
	check("spec.decideBy", s.DecideBy)
	if s.DecideBy != nil && s.DecideBy.Type == v1alpha1.KeyGlobal {
		f("spec.decideBy", "must name something that a request bears: ClientIP, Header or Cookie")
	}
}

func checkGuard(g *v1alpha1.Guard, f fault) {
	if g == nil {
		return
	}
	if g.MaxErrorPercent == nil && g.MaxLatency == nil {
		f("spec.guard", "give a bound: maxErrorPercent or maxLatency")
	}
	within("spec.guard.window", g.Window, bounds{100 * time.Millisecond, 10 * time.Minute, "must be from 100ms to 10m"}, f)
	if g.MaxLatency != nil {
		positive("spec.guard.maxLatency", *g.MaxLatency, f)
	}
}

// positive reports a duration that is not above 0.
func positive(field string, d v1alpha1.Duration, f fault) {
	within(field, d, bounds{1, 1<<63 - 1, "must be more than 0"}, f)
}

// atMost reports a duration above a bound, which message says.
func atMost(field string, d v1alpha1.Duration, most time.Duration, message string, f fault) {
	within(field, d, bounds{0, most, message}, f)
}

// bounds of a duration, and what is said of one that lies outside.
type bounds struct {
	least, most time.Duration
	message     string
}

// within reports a duration that is not within its bounds. An empty one has not been given.
func within(field string, d v1alpha1.Duration, b bounds, f fault) {
	if d == "" {
		return
	}
	if parsed, err := time.ParseDuration(string(d)); err != nil {
		f(field, err.Error())
	} else if parsed < b.least || parsed > b.most {
		f(field, string(d)+" "+b.message)
	}
}
