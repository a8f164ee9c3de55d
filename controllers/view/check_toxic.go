package view

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/breakwater-gateway/breakwater/api/v1alpha1"
)

// member is a member of the union Toxic.
type member struct {
	of  v1alpha1.ToxicType
	set bool
	// shapes are the parameters that may vary over time.
	shapes []string
	// check checks what is in it; called only if it is set.
	check func(field string, f fault)
}

// members returns all members of the union, and Noop, which has none.
func members(t *v1alpha1.Toxic) []member {
	latencies, timeouts := []string{"latency", "jitter", "correlation"}, []string{"timeout"}
	bursts := []string{"loss", "burst", "lossInBurst", "lossBetweenBursts"}
	return []member{
		{v1alpha1.ToxicNoop, false, nil, nil},
		{v1alpha1.ToxicLatency, t.Latency != nil, latencies, func(p string, f fault) { checkDelays(p, &t.Latency.Delays, f) }},
		{v1alpha1.ToxicBandwidth, t.Bandwidth != nil, []string{"rate"}, func(p string, f fault) { size(p+".rate", &t.Bandwidth.Rate, 0, f) }},
		{v1alpha1.ToxicSlowClose, t.SlowClose != nil, []string{"delay"}, func(p string, f fault) { hour(p+".delay", t.SlowClose.Delay, f) }},
		{v1alpha1.ToxicTimeout, t.Timeout != nil, timeouts, func(p string, f fault) { hour(p+".timeout", t.Timeout.Timeout, f) }},
		{v1alpha1.ToxicResetPeer, t.ResetPeer != nil, timeouts, func(p string, f fault) { hour(p+".timeout", t.ResetPeer.Timeout, f) }},
		{v1alpha1.ToxicSlicer, t.Slicer != nil, []string{"averageSize", "sizeVariation", "delay"}, func(p string, f fault) { checkSlicer(p, t.Slicer, f) }},
		{v1alpha1.ToxicLimitData, t.LimitData != nil, []string{"bytes"}, func(p string, f fault) { size(p+".bytes", &t.LimitData.Bytes, 0, f) }},
		{v1alpha1.ToxicDown, t.Down != nil, nil, func(string, fault) {}},
		{v1alpha1.ToxicPacketLoss, t.PacketLoss != nil, append([]string{"rtt", "mss", "rtoMin"}, bursts...), func(p string, f fault) { checkPacketLoss(p, t.PacketLoss, f) }},
		{v1alpha1.ToxicStall, t.Stall != nil, []string{"duration", "at", "every", "bytes", "everyBytes"}, func(p string, f fault) { checkStall(p, t.Stall, f) }},
		{v1alpha1.ToxicCorrupt, t.Corrupt != nil, []string{"share"}, func(string, fault) {}},

		{v1alpha1.ToxicUDPDrop, t.UDPDrop != nil, bursts, func(p string, f fault) { checkLoss(p, &t.UDPDrop.Loss, f) }},
		{v1alpha1.ToxicUDPDuplicate, t.UDPDuplicate != nil, []string{"share", "delay", "copies"}, func(p string, f fault) { minute(p+".delay", t.UDPDuplicate.Delay, f) }},
		{v1alpha1.ToxicUDPReorder, t.UDPReorder != nil, []string{"share", "delay", "packets"}, func(p string, f fault) { checkReorder(p, t.UDPReorder, f) }},
		{v1alpha1.ToxicUDPDelay, t.UDPDelay != nil, latencies, func(p string, f fault) { checkDelays(p, &t.UDPDelay.Delays, f) }},
		{v1alpha1.ToxicUDPRate, t.UDPRate != nil, []string{"rate", "queue"}, func(p string, f fault) {
			size(p+".rate", &t.UDPRate.Rate, 0, f)
			size(p+".queue", t.UDPRate.Queue, 1, f)
		}},
		{v1alpha1.ToxicUDPTruncate, t.UDPTruncate != nil, []string{"bytes"}, func(p string, f fault) { size(p+".bytes", &t.UDPTruncate.Bytes, 0, f) }},

		{v1alpha1.ToxicAbort, t.Abort != nil, nil, func(p string, f fault) { checkAbort(p, t.Abort, f) }},
		{v1alpha1.ToxicDelay, t.Delay != nil, []string{"latency", "jitter"}, func(p string, f fault) {
			hour(p+".latency", t.Delay.Latency, f)
			hour(p+".jitter", t.Delay.Jitter, f)
		}},
		{v1alpha1.ToxicHeaders, t.Headers != nil, nil, func(p string, f fault) {
			checkHeaderChange(p+".request", t.Headers.Request, f)
			checkHeaderChange(p+".response", t.Headers.Response, f)
		}},
		{v1alpha1.ToxicTruncateBody, t.TruncateBody != nil, []string{"bytes"}, func(p string, f fault) { size(p+".bytes", &t.TruncateBody.Bytes, 0, f) }},
		{v1alpha1.ToxicWrongContentLength, t.WrongContentLength != nil, []string{"by"}, func(p string, f fault) {
			if t.WrongContentLength.By == 0 {
				f(p, "by must not be 0")
			}
		}},
		{v1alpha1.ToxicBrokenChunk, t.BrokenChunk != nil, []string{"bytes"}, func(p string, f fault) { size(p+".bytes", t.BrokenChunk.Bytes, 0, f) }},
		{v1alpha1.ToxicCutEvents, t.CutEvents != nil, []string{"events"}, func(string, fault) {}},
		{v1alpha1.ToxicThrottle, t.Throttle != nil, []string{"rate"}, func(p string, f fault) { size(p+".rate", &t.Throttle.Rate, 0, f) }},
	}
}

func checkToxic(field string, t *v1alpha1.Toxic, f fault) {
	var others []string
	missing := false
	for _, m := range members(t) {
		own := m.of == t.Type
		if own && !m.set && m.of != v1alpha1.ToxicNoop && m.of != v1alpha1.ToxicDown {
			missing = true
		}
		if !own && m.set {
			others = append(others, strconv.Quote(memberName(m.of)))
		}
		if m.set {
			m.check(field+"."+memberName(m.of), f)
		}
		if own && slices.ContainsFunc(t.Shapes, func(s v1alpha1.Shape) bool {
			return s.Parameter != percentParameter && !slices.Contains(m.shapes, s.Parameter)
		}) {
			f(field, "this type of toxic has no such parameter, or none that can vary over time")
		}
	}
	checkJitter(field, t, f)
	switch given := strings.Join(others, " and "); {
	case given != "":
		f(field, fmt.Sprintf("type is %s, but %s is set", t.Type, given))
	case missing:
		f(field, fmt.Sprintf("type %s needs its settings under %q", t.Type, memberName(t.Type)))
	}
	for i := range t.Shapes {
		checkShape(fmt.Sprintf("%s.shapes[%d]", field, i), &t.Shapes[i], f)
	}
}

// memberName returns the name of the member for a type: "udpDrop" for UDPDrop.
func memberName(t v1alpha1.ToxicType) string {
	if rest, ok := strings.CutPrefix(string(t), "UDP"); ok {
		return "udp" + rest
	}
	return strings.ToLower(string(t[:1])) + string(t[1:])
}

// percentParameter is what varies of an experiment, and of a toxic of any type.
const percentParameter = "percent"

func checkShape(field string, s *v1alpha1.Shape, f fault) {
	fits := s.To.Bytes != nil
	switch s.Parameter {
	case "latency", "jitter", "delay", "timeout", "duration", "at", "every", "rtt", "rtoMin":
		fits = s.To.Duration != nil
	case percentParameter, "loss", "share", "correlation", "lossInBurst", "lossBetweenBursts":
		fits = s.To.Percent != nil
	case "burst", "packets", "copies", "events", "by":
		fits = s.To.Number != nil
	}
	if !fits {
		f(field, "to must be of the parameter's kind: duration for latency, jitter, delay, timeout, duration, at, every, rtt and rtoMin; percent for percent, loss, share, correlation, lossInBurst and lossBetweenBursts; number for burst, packets, copies, events and by; bytes for all others")
	}
	if s.To.Duration != nil {
		hour(field+".to.duration", *s.To.Duration, f)
	}
	positive(field+".period", s.Period, f)
}

const noJitter = "jitter has no part in the distribution Empirical: leave it out"

// checkJitter checks that no jitter varies that there is none of.
func checkJitter(field string, t *v1alpha1.Toxic, f fault) {
	isEmpirical := t.Latency != nil && t.Latency.Distribution == v1alpha1.DistributionEmpirical ||
		t.UDPDelay != nil && t.UDPDelay.Distribution == v1alpha1.DistributionEmpirical
	if isEmpirical && slices.ContainsFunc(t.Shapes, func(s v1alpha1.Shape) bool { return s.Parameter == "jitter" }) {
		f(field, noJitter)
	}
}

func checkDelays(field string, d *v1alpha1.Delays, f fault) {
	if (d.Distribution == v1alpha1.DistributionEmpirical) != (d.Empirical != nil) {
		f(field, "the distribution Empirical needs empirical, which is for it only")
	}
	if jitter, _ := time.ParseDuration(string(d.Jitter)); d.Distribution == v1alpha1.DistributionEmpirical && jitter != 0 {
		f(field, noJitter)
	}
	hour(field+".latency", d.Latency, f)
	hour(field+".jitter", d.Jitter, f)
	for i, p := range d.Empirical {
		hour(fmt.Sprintf("%s.empirical[%d].within", field, i), p.Within, f)
	}
}

func checkSlicer(field string, s *v1alpha1.Slicer, f fault) {
	size(field+".averageSize", &s.AverageSize, 1, f)
	size(field+".sizeVariation", s.SizeVariation, 0, f)
	hour(field+".delay", s.Delay, f)
}

func checkStall(field string, s *v1alpha1.Stall, f fault) {
	hour(field+".duration", s.Duration, f)
	hour(field+".at", s.At, f)
	hour(field+".every", s.Every, f)
	size(field+".bytes", s.Bytes, 0, f)
	size(field+".everyBytes", s.EveryBytes, 0, f)
}

func checkPacketLoss(field string, l *v1alpha1.PacketLoss, f fault) {
	checkLoss(field, &l.Loss, f)
	within(field+".rtt", l.RTT, bounds{1, time.Minute, "must be more than 0, up to 1m"}, f)
	within(field+".rtoMin", l.RTOMin, bounds{time.Millisecond, time.Minute, "must be from 1ms to 1m"}, f)
}

func checkLoss(field string, l *v1alpha1.Loss, f fault) {
	if l.Burst == nil && (l.LossInBurst != nil || l.LossBetweenBursts != nil) {
		f(field, "lossInBurst and lossBetweenBursts go with a burst only")
	}
}

func checkReorder(field string, r *v1alpha1.UDPReorder, f fault) {
	minute(field+".delay", r.Delay, f)
	if d, err := time.ParseDuration(string(r.Delay)); err == nil && d == 0 && r.Packets <= 0 {
		f(field, "packets or delay must be above 0")
	}
}

func checkAbort(field string, a *v1alpha1.Abort, f fault) {
	given := 0
	for _, is := range [...]bool{a.Status != nil, a.GRPCStatus != nil, a.End != nil} {
		if is {
			given++
		}
	}
	if given != 1 {
		f(field, "give exactly one of status, grpcStatus and end")
	}
	if a.Status == nil && (a.Body != nil || a.Headers != nil) {
		f(field, "body and headers go with a status only")
	}
	if a.GRPCStatus == nil && a.GRPCMessage != nil {
		f(field, "grpcMessage goes with a grpcStatus only")
	}
	if a.Body != nil && a.Status != nil && slices.Contains([]int32{204, 205, 304}, *a.Status) {
		f(field, "answers with status 204, 205 and 304 have no body")
	}
	checkHeaders(field+".headers", a.Headers, f)
}

func checkHeaderChange(field string, c *v1alpha1.HeaderChange, f fault) {
	if c == nil {
		return
	}
	checkHeaders(field+".set", c.Set, f)
	checkHeaders(field+".add", c.Add, f)
	if slices.ContainsFunc(c.Remove, isFraming) {
		f(field+".remove", "a field among these frames messages or belongs to one connection: it cannot be changed")
	}
}

func checkHeaders(field string, headers []v1alpha1.Header, f fault) {
	for i, h := range headers {
		if isFraming(h.Name) {
			f(fmt.Sprintf("%s[%d].name", field, i), "this field frames messages or belongs to one connection: it cannot be changed")
		}
	}
}

func isFraming(name string) bool {
	switch strings.ToLower(name) {
	case "connection", "content-length", "expect", "host", "http2-settings", "keep-alive", "proxy-authenticate",
		"proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade":
		return true
	}
	return false
}

func hour(field string, d v1alpha1.Duration, f fault) {
	atMost(field, d, time.Hour, "must be at most 1h", f)
}

func minute(field string, d v1alpha1.Duration, f fault) {
	atMost(field, d, time.Minute, "must be at most 1m", f)
}

// size reports a number of bytes below a bound. The schema lets only those be too small that are not written as text, and the
// text "0".
func size(field string, b *v1alpha1.Bytes, least int64, f fault) {
	if b == nil {
		return
	}
	if b.Sign() < 0 || least == 1 && (b.IsZero() && b.String() == "0") {
		f(field, fmt.Sprintf("must be at least %d", least))
	}
}
