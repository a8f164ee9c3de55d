package testbed_test

import (
	"strings"
	"testing"
)

// A NetworkChaos with anything wrong in it is reported with file, object, field and reason, and changes nothing.
func TestBadExperiments(t *testing.T) {
	const (
		target = "targetRefs: [{kind: Ingress, name: shop}]"
		toxics = "toxics: [{type: Abort, abort: {status: 503}}]"
		hour   = "duration: 1h"
	)
	toxic := func(toxic string) []string { return []string{hour, target, "toxics: [" + toxic + "]"} }
	with := func(line string) []string { return []string{hour, target, toxics, line} }
	for _, c := range []struct {
		name   string
		lines  []string
		field  string
		reason string
	}{
		{"toxicity above one", toxic("{type: Abort, percent: 101, abort: {status: 503}}"), "spec.toxics[0].percent", "equal to 100"},
		{"toxicity below zero", toxic("{type: Abort, percent: -1, abort: {status: 503}}"), "spec.toxics[0].percent", "equal to 0"},
		{"unknown toxic", toxic("{type: Gremlin}"), "spec.toxics[0].type", "should be one of"},
		{"Toxiproxy's spelling", toxic("{type: reset_peer, resetPeer: {}}"), "spec.toxics[0].type", "ResetPeer"},
		{"unknown field", toxic("{type: Latency, latency: {delay: 5ms}}"), "spec.toxics[0].latency.delay", "unknown"},
		{"number for a duration", toxic("{type: Latency, latency: {latency: 100}}"), "spec.toxics[0].latency.latency", "write 100ms or 100s"},
		{"negative duration", toxic("{type: Latency, latency: {latency: -5ms}}"), "spec.toxics[0].latency.latency", ""},
		{"rate below zero", toxic("{type: Bandwidth, bandwidth: {rate: -5}}"), "spec.toxics[0].bandwidth.rate", ""},
		{"rate of words", toxic("{type: Bandwidth, bandwidth: {rate: fast}}"), "spec.toxics[0].bandwidth.rate", ""},
		{"status out of range", toxic("{type: Abort, abort: {status: 99}}"), "spec.toxics[0].abort.status", "200"},
		{"two kinds of abort", toxic("{type: Abort, abort: {status: 503, grpcStatus: 14}}"), "spec.toxics[0].abort", "exactly one"},
		{"no parameters", toxic("{type: Abort}"), "spec.toxics[0]", `needs its settings under "abort"`},
		{"parameters of another type", toxic("{type: Noop, abort: {status: 503}}"), "spec.toxics[0]", `but "abort" is set`},
		{"header that frames", toxic("{type: Headers, headers: {request: {set: [{name: Content-Length, value: '5'}]}}}"), "name", "cannot be changed"},
		{"line feed in a header", toxic("{type: Headers, headers: {response: {set: [{name: X-A, value: \"a\\nb\"}]}}}"), "value", ""},
		{"same name twice", toxic("{type: Noop}, {type: Noop}"), "spec", "names of toxics must differ"},
		{"no toxics", []string{hour, target}, "spec", "either toxics or a preset"},
		{"no target", []string{hour, toxics}, "spec.targetRefs", ""},
		{"unknown target kind", []string{hour, "targetRefs: [{kind: Pod, name: shop}]", toxics}, "spec.targetRefs[0].kind", "should be one of"},
		{"datagrams of an Ingress", toxic("{type: UDPDrop, udpDrop: {loss: 5}}"), "spec", "toxics for datagrams"},
		{"HTTP faults of a TCPRoute", []string{hour, "targetRefs: [{kind: TCPRoute, name: db}]", toxics}, "spec", "HTTP faults need targets"},
		{"Service at Client", []string{hour, "targetRefs: [{kind: Service, name: shop}]", toxics}, "spec", "at Backend only"},
		{"percent", with("percent: 100.5"), "spec.percent", "equal to 100"},
		{"point", with("at: Server"), "spec.at", "Client Backend"},
		{"endpoints at Client", with("endpoints: {count: 1}"), "spec", "at Backend only"},
		{"sequence", with("sequence: {steps: [{toxics: [other]}]}"), "spec.sequence.steps[0].toxics[0]", `no toxic "other"`},
		{"cron", with(`schedule: "every day"`), "spec.schedule", "five fields"},
		{"duration of nothing", []string{"duration: 0s", target, toxics}, "spec.duration", "more than 0"},
		{"guard without a bound", with("guard: {window: 5s}"), "spec.guard", "give a bound"},
		{"token from nowhere", with("token: {secretRef: {name: s}}"), "spec.token", "say where the token is"},
		{"path", with("match: [{path: {value: cart}}]"), "spec.match[0].path.value", "slash"},
		{"cap", with("maxPercent: 0"), "spec.maxPercent", "0"},
		{"unknown preset", []string{hour, target, "preset: 6G"}, "spec.preset", "CrossRegion"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tb, _ := shopBed(t, onIngress("good", abort(418)))
			before := tb.Snapshot()
			problems := tb.TryWrite("bad.yaml", "\n"+experiment("bad", c.lines...))
			if len(problems) == 0 {
				t.Fatal("nothing is wrong with it")
			}
			found := false
			for _, p := range problems {
				found = found || strings.HasSuffix(p.File, "bad.yaml") && p.Object == "NetworkChaos default/bad" &&
					(strings.HasSuffix(p.Field, c.field) || strings.Contains(p.Reason, c.field)) && p.Reason != "" && strings.Contains(p.Field+p.Reason, c.reason)
			}
			if !found {
				t.Errorf("want %s at %s; got", c.reason, c.field)
				for _, p := range problems {
					t.Errorf("  %s\n  (object %q, field %q, reason %q)", p, p.Object, p.Field, p.Reason)
				}
			}
			if tb.Snapshot() != before || get(tb, "/") != 418 {
				t.Error("something has changed")
			}
		})
	}
}

// What only the other objects tell is a condition of the NetworkChaos alone: everything else in the folder is served.
func TestRefusedExperiments(t *testing.T) {
	const toxics = "toxics: [{type: Abort, abort: {status: 503}}]"
	const target = "targetRefs: [{kind: Ingress, name: shop}]"
	for _, c := range []struct {
		name  string
		lines []string
		want  []string
	}{
		{"missing target", []string{"duration: 1h", "targetRefs: [{kind: Ingress, name: other}]", toxics}, []string{"TargetNotFound", "spec.targetRefs[0]", "default/other not found"}},
		{"missing listener", []string{"duration: 1h", "targetRefs: [{kind: Gateway, name: edge, sectionName: other}]", toxics}, []string{"TargetNotFound", "spec.targetRefs[0]"}},
		{"not served", []string{"duration: 1h", "targetRefs: [{kind: GRPCRoute, name: shop}]", toxics}, []string{"UnsupportedTarget", "GRPCRoute"}},
		{"no duration", []string{target, toxics}, []string{"DurationRequired", "spec.duration"}},
		{"duration too long", []string{"duration: 25h", target, toxics}, []string{"DurationTooLong", "24h"}},
		{"missing secret", []string{"duration: 1h", target, toxics, "token: {header: X-Chaos, secretRef: {name: nowhere}}"}, []string{"SecretNotFound", "spec.token.secretRef", "nowhere"}},
		{"expression", []string{"duration: 1h", target, toxics, `match: [{headers: [{name: X-A, type: RegularExpression, value: "(a"}]}]`}, []string{"Invalid", "spec.match[0].headers[0].value"}},
		{"time zone", []string{"duration: 1h", target, toxics, `schedule: "0 3 * * *"`, "timeZone: Moon/Crater"}, []string{"Invalid", "timeZone"}},
		{"schedule out of range", []string{"duration: 1h", target, toxics, `schedule: "99 3 * * *"`}, []string{"Invalid", "spec.schedule"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			tb, _ := shopBed(t, onIngress("good", "match: [{path: {value: /good}}]", abort(418)))
			tb.Write("bad.yaml", experiment("bad", c.lines...))
			report := ""
			for line := range strings.Lines(tb.Report()) {
				if strings.Contains(line, "default/bad") || strings.Contains(report, "default/bad") && strings.HasPrefix(line, " ") {
					report += line
				}
			}
			for _, want := range c.want {
				if !strings.Contains(report, want) {
					t.Errorf("no %q in\n%s", want, tb.Report())
				}
			}
			if got, good := get(tb, "/"), get(tb, "/good"); got != 200 || good != 418 {
				t.Errorf("got %d and %d", got, good)
			}
		})
	}
}

// A name that is given twice is a mistake, in whichever files.
func TestSameExperimentTwice(t *testing.T) {
	tb, _ := shopBed(t, onIngress("x", abort(418)))
	problems := tb.TryWrite("again.yaml", onIngress("x", abort(503)))
	if len(problems) != 1 || !strings.Contains(problems[0].String(), "already defined") || get(tb, "/") != 418 {
		t.Errorf("%v", problems)
	}
}
