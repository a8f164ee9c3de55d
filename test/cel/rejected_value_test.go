package cel

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Rows for values that many fields have in common. "%s" in what they differ by is where the value goes.

// durations are the fields that hold a duration.
func durations() []row {
	var all []row
	for _, field := range [][2]string{
		{"duration", `duration: %s`},
		{"guard.window", `guard: {window: %s, maxErrorPercent: 5}`},
		{"guard.maxLatency", `guard: {maxLatency: %s}`},
		{"shapes.period", `shapes: [{parameter: percent, type: Ramp, to: {percent: 1}, period: %s}]`},
		{"shapes.to.duration", `shapes: [{parameter: percent, type: Ramp, to: {duration: %s}, period: 1m}]`},
		{"toxics.shapes.period", `toxics: [{type: Noop, shapes: [{parameter: percent, type: Ramp, to: {percent: 1}, period: %s}]}]`},
		{"toxics.shapes.to.duration", `toxics: [{type: Latency, latency: {}, shapes: [{parameter: latency, type: Ramp, to: {duration: %s}, period: 1m}]}]`},
		{"latency.latency", `toxics: [{type: Latency, latency: {latency: %s}}]`},
		{"latency.jitter", `toxics: [{type: Latency, latency: {jitter: %s}}]`},
		{"latency.empirical.within", `toxics: [{type: Latency, latency: {distribution: Empirical, empirical: [{percent: 1, within: %s}]}}]`},
		{"slowClose.delay", `toxics: [{type: SlowClose, slowClose: {delay: %s}}]`},
		{"timeout.timeout", `toxics: [{type: Timeout, timeout: {timeout: %s}}]`},
		{"resetPeer.timeout", `toxics: [{type: ResetPeer, resetPeer: {timeout: %s}}]`},
		{"slicer.delay", `toxics: [{type: Slicer, slicer: {averageSize: 1, delay: %s}}]`},
		{"packetLoss.rtt", `toxics: [{type: PacketLoss, packetLoss: {loss: 1, rtt: %s}}]`},
		{"packetLoss.rtoMin", `toxics: [{type: PacketLoss, packetLoss: {loss: 1, rtt: 1s, rtoMin: %s}}]`},
		{"stall.duration", `toxics: [{type: Stall, stall: {duration: %s}}]`},
		{"stall.at", `toxics: [{type: Stall, stall: {at: %s}}]`},
		{"stall.every", `toxics: [{type: Stall, stall: {every: %s}}]`},
		{"delay.latency", `toxics: [{type: Delay, delay: {latency: %s}}]`},
		{"delay.jitter", `toxics: [{type: Delay, delay: {jitter: %s}}]`},
		{"udpDuplicate.delay", `{targetRefs: [{kind: UDPRoute, name: a}], toxics: [{type: UDPDuplicate, udpDuplicate: {share: 1, delay: %s}}]}`},
		{"udpReorder.delay", `{targetRefs: [{kind: UDPRoute, name: a}], toxics: [{type: UDPReorder, udpReorder: {share: 1, delay: %s}}]}`},
		{"udpDelay.latency", `{targetRefs: [{kind: UDPRoute, name: a}], toxics: [{type: UDPDelay, udpDelay: {latency: %s}}]}`},
		{"udpDelay.jitter", `{targetRefs: [{kind: UDPRoute, name: a}], toxics: [{type: UDPDelay, udpDelay: {jitter: %s}}]}`},
		{"udpDelay.empirical.within", `{targetRefs: [{kind: UDPRoute, name: a}], toxics: [{type: UDPDelay, udpDelay: {distribution: Empirical, empirical: [{percent: 1, within: %s}]}}]}`},
	} {
		all = append(all,
			row{field[0] + " in days", fmt.Sprintf(field[1], "1d"), "should match | is not a "},
			row{field[0] + " of 33 characters", fmt.Sprintf(field[1], "00000.100000s00000.100000s00000ms"), longer(32)})
	}
	return all
}

// texts are the fields that hold text, which may not be empty.
func texts() []row {
	var all []row
	for _, field := range []struct {
		name, differs string
		most          int
		isName        bool // holds no spaces
	}{
		{"targetRefs.name", `targetRefs: [{kind: HTTPRoute, name: %s}]`, 253, false},
		{"targetRefs.namespace", `targetRefs: [{kind: HTTPRoute, name: a, namespace: %s}]`, 63, true},
		{"targetRefs.sectionName", `targetRefs: [{kind: Gateway, name: a, sectionName: %s}]`, 253, false},
		{"match.path.value", `match: [{path: {value: %s}}]`, 1024, false},
		{"match.method", `match: [{method: %s}]`, 32, true},
		{"match.headers.name", `match: [{headers: [{name: %s, value: b}]}]`, 256, true},
		{"match.query.name", `match: [{query: [{name: %s, value: b}]}]`, 256, false},
		{"endpoints.zone", `{at: Backend, endpoints: {zone: %s}}`, 253, false},
		{"toxics.name", `toxics: [{type: Noop, name: %s}]`, 63, true},
		{"sequence.steps.toxics", `sequence: {steps: [{toxics: [%s]}]}`, 63, false},
		{"sequence.key.name", `sequence: {key: {type: Header, name: %s}, steps: [{}]}`, 256, true},
		{"decideBy.name", `decideBy: {type: Header, name: %s}`, 256, true},
		{"timeZone", `{schedule: "0 3 * * *", timeZone: %s}`, 64, true},
		{"token.header", `token: {header: %s, secretRef: {name: a}}`, 256, true},
		{"token.cookie", `token: {cookie: %s, secretRef: {name: a}}`, 256, true},
		{"token.baggage", `token: {baggage: %s, secretRef: {name: a}}`, 256, true},
		{"token.secretRef.name", `token: {header: a, secretRef: {name: %s}}`, 253, true},
		{"token.secretRef.key", `token: {header: a, secretRef: {name: a, key: %s}}`, 253, true},
		{"abort.body", `toxics: [{type: Abort, abort: {status: 500, body: %s}}]`, 16384, false},
		{"abort.grpcMessage", `toxics: [{type: Abort, abort: {grpcStatus: 1, grpcMessage: %s}}]`, 256, false},
	} {
		all = append(all, row{field.name + " empty", fmt.Sprintf(field.differs, `""`), "should be at least 1 chars long"}, long(field.name, field.differs, field.most))
		if field.isName {
			all = append(all, row{field.name + " with a space", fmt.Sprintf(field.differs, `"a b"`), "should match | is not a "})
		}
	}
	return append(all,
		long("targetRefs.group", `targetRefs: [{kind: HTTPRoute, name: a, group: %s}]`, 253),
		long("match.headers.value", `match: [{headers: [{name: a, value: %s}]}]`, 4096),
		long("match.query.value", `match: [{query: [{name: a, value: %s}]}]`, 1024),
		long("matchLabels", `{at: Backend, endpoints: {podSelector: {matchLabels: {a: %s}}}}`, 63),
		long("schedule", `schedule: %s`, 128))
}

// long is a row with a text that is one character longer than a field may have.
func long(name, differs string, most int) row {
	return row{fmt.Sprintf("%s of %d characters", name, most+1), fmt.Sprintf(differs, strings.Repeat("x", most+1)), longer(most)}
}

func longer(most int) string {
	return fmt.Sprintf("may not be more than %d bytes | should be at most %d chars long", most, most)
}

// headers are the lists of header fields that toxics set, add or remove.
func headers() []row {
	var all []row
	for _, list := range [][2]string{
		{"abort.headers", `toxics: [{type: Abort, abort: {status: 500, headers: [%s]}}]`},
		{"request.set", `toxics: [{type: Headers, headers: {request: {set: [%s]}}}]`},
		{"request.add", `toxics: [{type: Headers, headers: {request: {add: [%s]}}}]`},
		{"response.set", `toxics: [{type: Headers, headers: {response: {set: [%s]}}}]`},
		{"response.add", `toxics: [{type: Headers, headers: {response: {add: [%s]}}}]`},
	} {
		name, one := list[0], func(field string) string { return fmt.Sprintf(list[1], field) }
		all = append(all,
			row{name + " without name", one(`{value: b}`), "Required value | is required"},
			row{name + " without value", one(`{name: a}`), "Required value | is required"},
			row{name + " with an empty name", one(`{name: "", value: b}`), "should be at least 1 chars long"},
			row{name + " with a bad name", one(`{name: "a b", value: b}`), "should match | is not a "},
			row{name + " with a framing field", one(`{name: Content-Length, value: "1"}`), "this field frames messages"},
			row{name + " with a control character", one(`{name: a, value: "b\nc"}`), "should match | is not a "},
			row{name + " of 17", one(many(17, `{name: a%d, value: b}`)), items(16)},
			long(name+".name", one(`{name: %s, value: b}`), 256), long(name+".value", one(`{name: a, value: %s}`), 4096))
		if !strings.HasSuffix(name, ".add") {
			all = append(all, row{name + " twice", one(`{name: a, value: b}, {name: a, value: c}`), "Duplicate value"})
		}
	}
	for _, list := range [][2]string{
		{"request.remove", `toxics: [{type: Headers, headers: {request: {remove: [%s]}}}]`},
		{"response.remove", `toxics: [{type: Headers, headers: {response: {remove: [%s]}}}]`},
	} {
		name, one := list[0], func(field string) string { return fmt.Sprintf(list[1], field) }
		all = append(all,
			row{name + " with an empty name", one(`""`), "should be at least 1 chars long"},
			row{name + " with a bad name", one(`"a b"`), "should match | is not a "},
			row{name + " with a framing field", one(`a, Content-Length`), "a field among these frames messages"},
			row{name + " of 17", one(many(17, `a%d`)), items(16)}, long(name, list[1], 256),
			row{name + " twice", one(`a, a`), "Duplicate value"})
	}
	return all
}

// shapes are those of the experiment and of toxics.
func shapes() []row {
	var all []row
	for _, list := range [][2]string{{"shapes", `shapes: [%s]`}, {"toxics.shapes", `toxics: [{type: Noop, shapes: [%s]}]`}} {
		name, one := list[0], func(shape string) string { return fmt.Sprintf(list[1], shape) }
		to := func(value string) string {
			return one(`{parameter: percent, type: Ramp, to: {` + value + `}, period: 1m}`)
		}
		all = append(all,
			row{name + " without parameter", one(`{type: Ramp, to: {percent: 1}, period: 1m}`), "Required value | is required"},
			row{name + " without type", one(`{parameter: percent, to: {percent: 1}, period: 1m}`), "Required value | is required"},
			row{name + " without to", one(`{parameter: percent, type: Ramp, period: 1m}`), "Required value | is required"},
			row{name + " without period", one(`{parameter: percent, type: Ramp, to: {percent: 1}}`), "Required value | is required"},
			row{name + " of an unknown parameter", one(`{parameter: luck, type: Ramp, to: {percent: 1}, period: 1m}`), "Unsupported value | should be one of"},
			row{name + " of an unknown type", one(`{parameter: percent, type: Saw, to: {percent: 1}, period: 1m}`), "Unsupported value | should be one of"},
			row{name + " of a parameter twice", one(many(2, `{parameter: percent, type: Ramp, to: {percent: %d}, period: 1m}`)), "Duplicate value"},
			row{name + " to nothing", to(``), "should have at least 1 properties"},
			row{name + " to two values", to(`percent: 1, number: 1`), "must have at most 1 item | should have at most 1 properties"},
			row{name + " to percent below 0", to(`percent: -1`), "should be greater than or equal to 0"},
			row{name + " to percent above 100", to(`percent: 101`), "should be less than or equal to 100"},
			row{name + " to duration above 1h", to(`duration: 61m`), "must be at most 1h"},
			row{name + " to bytes in exabytes", to(`bytes: 1E`), "should match | is not a "},
			row{name + " to number too low", to(`number: -1048577`), "should be greater than or equal to -1048576 | should be greater than or equal to -1.048576e+06"},
			row{name + " to number too high", to(`number: 1000000001`), "should be less than or equal to 1000000000 | should be less than or equal to 1e+09"})
	}
	return append(all, row{"two shapes", `shapes: [` + many(1, `{parameter: percent, type: Ramp, to: {percent: %d}, period: 1m}`) +
		`, {parameter: latency, type: Ramp, to: {percent: 1}, period: 1m}]`, "must have at most 1 item | should have at most 1 items"})
}

// numbers are values that are just outside their bounds, and lists that are just too long.
func numbers() []row {
	const http, udp = `toxics: [%s]`, `{targetRefs: [{kind: UDPRoute, name: a}], toxics: [%s]}`
	points := func(kind, points string) string {
		return fmt.Sprintf(udp, fmt.Sprintf(`{type: UDPDelay, udpDelay: {%s, empirical: [%s]}}`, kind, points))
	}
	const empirical = `distribution: Empirical`
	return []row{
		{"endpoints.count of 10001", `{at: Backend, endpoints: {count: 10001}}`, "should be less than or equal to 10000"},
		{"17 labels", `{at: Backend, endpoints: {podSelector: {matchLabels: {` + many(17, `a%d: b`) + `}}}}`, "must have at most 16 items | should have at most 16 properties"},
		{"guard.minRequests of 1000001", `guard: {maxLatency: 1s, minRequests: 1000001}`, "should be less than or equal to 1000000 | should be less than or equal to 1e+06"},
		{"match.headers of 17", `match: [{headers: [` + many(17, `{name: a%d, value: b}`) + `]}]`, items(16)},
		{"match.query of 17", `match: [{query: [` + many(17, `{name: a%d, value: b}`) + `]}]`, items(16)},
		{"step of 1000001", `sequence: {steps: [{count: 1000001}]}`, "should be less than or equal to 1000000 | should be less than or equal to 1e+06"},
		{"step of 17 toxics", `sequence: {steps: [{toxics: [` + many(17, `a%d`) + `]}]}`, items(16)},
		{"cut after 1000000001", fmt.Sprintf(http, `{type: CutEvents, cutEvents: {events: 1000000001}}`), "should be less than or equal to 1000000000 | should be less than or equal to 1e+09"},
		{"point below 0 percent", fmt.Sprintf(http, `{type: Latency, latency: {distribution: Empirical, empirical: [{percent: -1, within: 1s}]}}`), "should be greater than or equal to 0"},
		{"PacketLoss lossBetweenBursts below 0", fmt.Sprintf(http, `{type: PacketLoss, packetLoss: {loss: 1, rtt: 1s, burst: 2, lossBetweenBursts: -1}}`), "should be greater than or equal to 0"},
		{"UDPDrop lossBetweenBursts below 0", fmt.Sprintf(udp, `{type: UDPDrop, udpDrop: {loss: 1, burst: 2, lossBetweenBursts: -1}}`), "should be greater than or equal to 0"},
		{"UDPDelay correlation below 0", fmt.Sprintf(udp, `{type: UDPDelay, udpDelay: {correlation: -1}}`), "should be greater than or equal to 0"},
		{"UDPDelay correlation 100", fmt.Sprintf(udp, `{type: UDPDelay, udpDelay: {correlation: 100}}`), "should be less than 100"},
		{"UDPDelay with 65 points", points(empirical, many(65, `{percent: %d, within: 1s}`)), items(64)},
		{"UDPDelay without points", points(empirical, ``), "should have at least 1 items"},
		{"UDPDelay with a point below 0 percent", points(empirical, `{percent: -1, within: 1s}`), "should be greater than or equal to 0"},
		{"UDPDelay with a point above 100 percent", points(empirical, `{percent: 101, within: 1s}`), "should be less than or equal to 100"},
		{"UDPDelay with a point above 1h", points(empirical, `{percent: 1, within: 61m}`), "must be at most 1h"},
		{"UDPDelay with a point without percent", points(empirical, `{within: 1s}`), "Required value | is required"},
		{"UDPDelay with a point without within", points(empirical, `{percent: 1}`), "Required value | is required"},
		{"UDPDelay of an unknown distribution", points(`distribution: Weibull`, `{percent: 1, within: 1s}`), "Unsupported value | should be one of"},
		{"Latency with a point without percent", fmt.Sprintf(http, `{type: Latency, latency: {distribution: Empirical, empirical: [{within: 1s}]}}`), "Required value | is required"},
		{"Slicer averageSize in exabytes", fmt.Sprintf(http, `{type: Slicer, slicer: {averageSize: 1E}}`), "should match | is not a "},
		{"UDPRate queue in exabytes", fmt.Sprintf(udp, `{type: UDPRate, udpRate: {rate: 1, queue: 1E}}`), "should match | is not a "},
	}
}

// many lists n things, with their numbers.
func many(n int, thing string) string {
	all := make([]string, n)
	for i := range all {
		all[i] = strings.ReplaceAll(thing, "%d", strconv.Itoa(i))
	}
	return strings.Join(all, ", ")
}

func items(most int) string {
	return fmt.Sprintf("must have at most %d items | should have at most %d items", most, most)
}

// missing are fields without what they require, and values that are not among those that there are.
func missing() []row {
	return []row{
		{"decideBy without type", `decideBy: {}`, "Required value | is required"},
		{"decideBy the body", `decideBy: {type: Body}`, "Unsupported value | should be one of"},
		{"header match without name", `match: [{headers: [{value: b}]}]`, "Required value | is required"},
		{"header match without value", `match: [{headers: [{name: a}]}]`, "Required value | is required"},
		{"query match without name", `match: [{query: [{value: b}]}]`, "Required value | is required"},
		{"query match without value", `match: [{query: [{name: a}]}]`, "Required value | is required"},
		{"unknown query match", `match: [{query: [{name: a, value: b, type: Like}]}]`, "Unsupported value | should be one of"},
		{"key without type", `sequence: {key: {}, steps: [{}]}`, "Required value | is required"},
		{"sequence without steps", `sequence: {}`, "Required value | is required"},
		{"PacketLoss without loss", `toxics: [{type: PacketLoss, packetLoss: {rtt: 1s}}]`, "Required value | is required"},
		{"empty change of responses", `toxics: [{type: Headers, headers: {response: {}}}]`, "should have at least 1 properties"},
	}
}

// values are the rows of this file.
func values() []row {
	return slices.Concat(durations(), texts(), headers(), shapes(), numbers(), missing())
}
