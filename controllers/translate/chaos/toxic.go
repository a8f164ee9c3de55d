package chaos

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/breakwater-gateway/breakwater/api/v1alpha1"
	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/fault"
	"github.com/breakwater-gateway/breakwater/proxy/shape"
	"github.com/breakwater-gateway/breakwater/proxy/toxic"
)

// toxics translates the toxics, or what the preset stands for.
func (c *content) toxics() []proxy.ExperimentToxic {
	if p := c.spec.Preset; p != nil {
		all := presetToxics(*p, c.spec.TargetRefs)
		if all == nil {
			c.fail("spec.preset: there is no %q", *p)
		}
		return all
	}
	var all []proxy.ExperimentToxic
	for i := range c.spec.Toxics {
		t := &c.spec.Toxics[i]
		p := params{content: c, field: fmt.Sprintf("spec.toxics[%d]", i), shapes: t.Shapes}
		one := proxy.ExperimentToxic{Name: orElse(t.Name, string(t.Type)), Toxicity: p.percent("percent", orElse(t.Percent, 100))}
		if t.Direction == v1alpha1.DirectionUpstream {
			one.Direction = proxy.Upstreamward
		}
		one.Toxic = p.toxic(t)
		p.check(one)
		all = append(all, one)
	}
	return all
}

// params reads the parameters of one toxic.
type params struct {
	*content
	field  string
	shapes []v1alpha1.Shape
}

// check checks the outcome with the toxic's own rules.
func (p *params) check(t proxy.ExperimentToxic) {
	if t.Toxic == nil {
		p.fail("%s: the parameters of the type are missing", p.field)
		return
	}
	if v, ok := t.Toxic.(interface{ Validate() error }); ok {
		if err := v.Validate(); err != nil {
			p.fail("%s: %v", p.field, err)
		}
	}
	for _, x := range [...]float64{t.Toxicity.Min(), t.Toxicity.Max()} {
		if !(x >= 0 && x <= 1) {
			p.fail("%s.percent: %v is not within 0 and 100", p.field, x*100)
		}
	}
}

// toxic returns the value of a toxic, nil if the member for its type is missing.
func (p *params) toxic(t *v1alpha1.Toxic) proxy.Toxic {
	switch {
	case t.Type == v1alpha1.ToxicNoop:
		return toxic.Noop{}
	case t.Type == v1alpha1.ToxicDown:
		return toxic.Down{Reset: t.Down != nil && t.Down.Reset}
	case t.Type == v1alpha1.ToxicLatency && t.Latency != nil:
		d := &t.Latency.Delays
		return toxic.Latency{Latency: p.milliseconds("latency", d.Latency), Jitter: p.milliseconds("jitter", d.Jitter), Distribution: p.distribution(d)}
	case t.Type == v1alpha1.ToxicBandwidth && t.Bandwidth != nil:
		return toxic.Bandwidth{Rate: p.bytes("rate", &t.Bandwidth.Rate), Shared: t.Bandwidth.Scope == v1alpha1.ScopeTarget}
	case t.Type == v1alpha1.ToxicSlowClose && t.SlowClose != nil:
		return toxic.SlowClose{Delay: p.milliseconds("delay", t.SlowClose.Delay)}
	case t.Type == v1alpha1.ToxicTimeout && t.Timeout != nil:
		return toxic.Timeout{Timeout: p.milliseconds("timeout", t.Timeout.Timeout)}
	case t.Type == v1alpha1.ToxicResetPeer && t.ResetPeer != nil:
		return toxic.ResetPeer{Timeout: p.milliseconds("timeout", t.ResetPeer.Timeout)}
	case t.Type == v1alpha1.ToxicSlicer && t.Slicer != nil:
		return toxic.Slicer{AverageSize: p.bytes("averageSize", &t.Slicer.AverageSize), SizeVariation: p.bytes("sizeVariation", t.Slicer.SizeVariation),
			Delay: p.duration("delay", t.Slicer.Delay, time.Microsecond)}
	case t.Type == v1alpha1.ToxicLimitData && t.LimitData != nil:
		return toxic.LimitData{Bytes: p.bytes("bytes", &t.LimitData.Bytes)}
	case t.Type == v1alpha1.ToxicPacketLoss && t.PacketLoss != nil:
		return p.packetLoss(t.PacketLoss)
	case t.Type == v1alpha1.ToxicStall && t.Stall != nil:
		s := t.Stall
		return toxic.Stall{Duration: p.milliseconds("duration", s.Duration), At: p.milliseconds("at", s.At), Every: p.milliseconds("every", s.Every),
			Bytes: p.bytes("bytes", s.Bytes), EveryBytes: p.bytes("everyBytes", s.EveryBytes)}
	case t.Type == v1alpha1.ToxicCorrupt && t.Corrupt != nil:
		return toxic.Corrupt{Rate: p.percent("share", t.Corrupt.Share)}
	}
	if d := p.datagramToxic(t); d != nil {
		return d
	}
	return p.fault(t)
}

// datagramToxic is toxic for the toxics of datagrams.
func (p *params) datagramToxic(t *v1alpha1.Toxic) proxy.Toxic {
	switch {
	case t.Type == v1alpha1.ToxicUDPDrop && t.UDPDrop != nil:
		return toxic.Drop{Loss: p.loss(&t.UDPDrop.Loss)}
	case t.Type == v1alpha1.ToxicUDPDuplicate && t.UDPDuplicate != nil:
		d := t.UDPDuplicate
		return toxic.Duplicate{Rate: p.percent("share", d.Share), Copies: p.number("copies", float64(d.Copies)), Delay: p.milliseconds("delay", d.Delay)}
	case t.Type == v1alpha1.ToxicUDPReorder && t.UDPReorder != nil:
		r := t.UDPReorder
		return toxic.Reorder{Rate: p.percent("share", r.Share), Packets: p.number("packets", float64(r.Packets)), Delay: p.milliseconds("delay", r.Delay)}
	case t.Type == v1alpha1.ToxicUDPDelay && t.UDPDelay != nil:
		d := &t.UDPDelay.Delays
		return toxic.Delay{Latency: p.milliseconds("latency", d.Latency), Jitter: p.milliseconds("jitter", d.Jitter), Distribution: p.distribution(d), InOrder: t.UDPDelay.InOrder}
	case t.Type == v1alpha1.ToxicUDPRate && t.UDPRate != nil:
		return toxic.Rate{Rate: p.bytes("rate", &t.UDPRate.Rate), Queue: p.bytes("queue", t.UDPRate.Queue)}
	case t.Type == v1alpha1.ToxicUDPTruncate && t.UDPTruncate != nil:
		return toxic.Truncate{Bytes: p.bytes("bytes", &t.UDPTruncate.Bytes)}
	}
	return nil
}

// fault is toxic for the faults of HTTP.
func (p *params) fault(t *v1alpha1.Toxic) proxy.Toxic {
	switch {
	case t.Type == v1alpha1.ToxicAbort && t.Abort != nil:
		a := t.Abort
		return fault.Abort{Status: int(orElse(a.Status, 0)), Header: fieldsOf(a.Headers), Body: orElse(a.Body, ""),
			GRPCStatus: int(orElse(a.GRPCStatus, 0)), GRPCMessage: orElse(a.GRPCMessage, ""), End: endOf(orElse(a.End, ""))}
	case t.Type == v1alpha1.ToxicDelay && t.Delay != nil:
		return fault.Delay{Latency: p.milliseconds("latency", t.Delay.Latency), Jitter: p.milliseconds("jitter", t.Delay.Jitter)}
	case t.Type == v1alpha1.ToxicHeaders && t.Headers != nil:
		return fault.Headers{Request: changeOf(t.Headers.Request), Response: changeOf(t.Headers.Response)}
	case t.Type == v1alpha1.ToxicTruncateBody && t.TruncateBody != nil:
		return fault.TruncateBody{Bytes: p.bytes("bytes", &t.TruncateBody.Bytes), Reset: t.TruncateBody.Reset}
	case t.Type == v1alpha1.ToxicWrongContentLength && t.WrongContentLength != nil:
		return fault.WrongContentLength{By: p.number("by", float64(t.WrongContentLength.By))}
	case t.Type == v1alpha1.ToxicBrokenChunk && t.BrokenChunk != nil:
		return fault.BrokenChunk{Bytes: p.bytes("bytes", t.BrokenChunk.Bytes)}
	case t.Type == v1alpha1.ToxicCutEvents && t.CutEvents != nil:
		return fault.CutEvents{Events: p.number("events", float64(t.CutEvents.Events)), End: endOf(t.CutEvents.End)}
	case t.Type == v1alpha1.ToxicThrottle && t.Throttle != nil:
		return fault.Throttle{Rate: p.bytes("rate", &t.Throttle.Rate)}
	}
	return nil
}

func (p *params) packetLoss(l *v1alpha1.PacketLoss) proxy.Toxic {
	return toxic.PacketLoss{
		Loss:       p.loss(&l.Loss),
		RTT:        p.milliseconds("rtt", l.RTT),
		MSS:        p.payload(l.MSS),
		RTOMin:     p.milliseconds("rtoMin", l.RTOMin),
		Congestion: toxic.Congestion(strings.ToLower(string(l.Congestion))),
		Steady:     l.Steady,
	}
}

func (p *params) loss(l *v1alpha1.Loss) toxic.Loss {
	loss := toxic.Loss{Rate: p.percent("loss", l.Loss), Burst: p.number("burst", orElse(l.Burst, 1)),
		InBad: p.percent("lossInBurst", orElse(l.LossInBurst, 100)), InGood: p.percent("lossBetweenBursts", orElse(l.LossBetweenBursts, 0))}
	if l.LossInBurst == nil && !loss.InBad.Changes() {
		loss.InBad = shape.Value{} // which goes without a burst, too
	}
	return loss
}

func (p *params) distribution(d *v1alpha1.Delays) toxic.Distribution {
	spread := map[v1alpha1.Distribution]toxic.Spread{
		v1alpha1.DistributionNormal: toxic.Normal, v1alpha1.DistributionPareto: toxic.Pareto, v1alpha1.DistributionEmpirical: toxic.Empirical,
	}[d.Distribution]
	if jitter := p.milliseconds("jitter", d.Jitter); spread == toxic.Empirical && jitter.Max() > 0 {
		p.fail("%s: jitter has no part in the distribution Empirical: leave it out", p.field)
	}
	var table strings.Builder
	for i, point := range d.Empirical {
		within := p.length(fmt.Sprintf("%s.empirical[%d].within", p.field, i), point.Within)
		fmt.Fprintf(&table, "%s%s:%s", [...]string{"", ", "}[min(i, 1)], number(point.Percent/100), number(float64(within)/float64(time.Millisecond)))
	}
	return toxic.Distribution{Spread: spread, Correlation: p.percent("correlation", orElse(d.Correlation, 0)), Table: table.String()}
}

func number(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }

// milliseconds returns a duration as the value of a parameter that is in milliseconds.
func (p *params) milliseconds(parameter string, d v1alpha1.Duration) shape.Value {
	return p.duration(parameter, d, time.Millisecond)
}

func (p *params) duration(parameter string, d v1alpha1.Duration, unit time.Duration) shape.Value {
	base := float64(p.length(p.field+"."+parameter, d)) / float64(unit)
	return p.shaped(parameter, base, func(to *v1alpha1.ShapeValue) (float64, bool) {
		if to.Duration == nil {
			return 0, false
		}
		return float64(p.length(p.field+".shapes", *to.Duration)) / float64(unit), true
	})
}

// percent returns a percentage as the value of a parameter that is a share of 1.
func (p *params) percent(parameter string, percent float64) shape.Value {
	return p.shaped(parameter, percent/100, func(to *v1alpha1.ShapeValue) (float64, bool) {
		return orElse(to.Percent, 0) / 100, to.Percent != nil
	})
}

// number returns a plain number as the value of a parameter.
func (p *params) number(parameter string, base float64) shape.Value {
	return p.shaped(parameter, base, func(to *v1alpha1.ShapeValue) (float64, bool) { return orElse(to.Number, 0), to.Number != nil })
}

// payload returns the size of a packet's payload.
func (p *params) payload(mss int32) shape.Value {
	return p.shaped("mss", float64(mss), func(to *v1alpha1.ShapeValue) (float64, bool) {
		return float64(wholeBytes(to.Bytes)), to.Bytes != nil
	})
}

// bytes returns a number of bytes as the value of a parameter; nil is 0.
func (p *params) bytes(parameter string, b *v1alpha1.Bytes) shape.Value {
	return p.shaped(parameter, float64(wholeBytes(b)), func(to *v1alpha1.ShapeValue) (float64, bool) {
		return float64(wholeBytes(to.Bytes)), to.Bytes != nil
	})
}

func wholeBytes(b *v1alpha1.Bytes) int64 {
	if b == nil {
		return 0
	}
	return b.Value()
}

// shaped returns a parameter's value with its shape, if it has one.
func (p *params) shaped(parameter string, base float64, to func(*v1alpha1.ShapeValue) (float64, bool)) shape.Value {
	v := shape.Const(base)
	for i := range p.shapes {
		s := &p.shapes[i]
		if s.Parameter != parameter {
			continue
		}
		other, ok := to(&s.To)
		if !ok {
			p.fail("%s.shapes: to does not fit the parameter %s", p.field, parameter)
		}
		v.To, v.Period, v.Wave = other, p.length(p.field+".shapes", s.Period), waveOf(s.Type)
	}
	return v
}

func waveOf(t v1alpha1.ShapeType) shape.Wave {
	switch t {
	case v1alpha1.ShapeRamp:
		return shape.Ramp
	case v1alpha1.ShapeStep:
		return shape.Step
	case v1alpha1.ShapeSine:
		return shape.Sine
	case v1alpha1.ShapeSquare:
		return shape.Square
	}
	return shape.Constant
}

func fieldsOf(headers []v1alpha1.Header) fault.Fields {
	var f fault.Fields
	for _, h := range headers {
		f = f.With(h.Name, h.Value)
	}
	return f
}

func changeOf(c *v1alpha1.HeaderChange) fault.HeaderChange {
	if c == nil {
		return fault.HeaderChange{}
	}
	change := fault.HeaderChange{Set: fieldsOf(c.Set), Add: fieldsOf(c.Add)}
	for _, name := range c.Remove {
		change.Remove = change.Remove.With(name)
	}
	return change
}

func endOf(e v1alpha1.ConnectionEnd) fault.End {
	switch e {
	case v1alpha1.ConnectionEndClose:
		return fault.FIN
	case v1alpha1.ConnectionEndReset:
		return fault.RST
	case v1alpha1.ConnectionEndComplete:
	}
	return fault.None
}
