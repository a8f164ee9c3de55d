package toxic

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/shape"
)

// then is a number until a time and another one after it.
func then(before, after float64, at time.Duration) shape.Value {
	return shape.Value{Base: before, To: after, Wave: shape.Step, Period: at}
}

// losses are the mean number of losses in a row, and the share of packets lost, of many packets at one time.
func losses(p *lossProcess, at time.Duration) (row, rate float64) {
	const n = 200000
	lost, rows, was := 0, 0, false
	for range n {
		is := p.next(at)
		if is {
			lost++
			if !was {
				rows++
			}
		}
		was = is
	}
	return float64(lost) / float64(rows), float64(lost) / n
}

// What a packet meets is what burst, loss_bad and loss_good are when it is drawn. The loss in the long run stays what it is to be.
func TestBurstsThatChange(t *testing.T) {
	const late = time.Second
	for name, c := range map[string]struct {
		loss          Loss
		before, after float64 // losses in a row
	}{
		"burst":         {Loss{Rate: shape.Const(0.1), Burst: then(2, 8, late)}, 2, 8},
		"none, then":    {Loss{Rate: shape.Const(0.1), Burst: then(1, 8, late)}, 1 / 0.9, 8},
		"then none":     {Loss{Rate: shape.Const(0.1), Burst: then(8, 1, late)}, 8, 1 / 0.9},
		"loss in burst": {Loss{Rate: shape.Const(0.1), Burst: shape.Const(8), InBad: then(1, 0.2, late)}, 8, 1 / 0.825},
		// Losses between bursts are single ones, so that all come in shorter rows.
		"loss between bursts": {Loss{Rate: shape.Const(0.1), Burst: shape.Const(8), InGood: then(0, 0.1, late)}, 8, 1 / 0.9},
	} {
		t.Run(name, func(t *testing.T) {
			if err := c.loss.Validate(); err != nil {
				t.Fatal(err)
			}
			p := newLossProcess(c.loss, rand.New(rand.NewPCG(5, 6)))
			for at, want := range map[time.Duration]float64{0: c.before, late: c.after} {
				row, rate := losses(&p, at)
				if math.Abs(row-want) > 0.05*want || math.Abs(rate-0.1) > 0.005 {
					t.Errorf("at %v: lost %.4f, %.2f in a row, want %.2f", at, rate, row, want)
				}
			}
		})
	}
}

// A path is what it is at the beginning of a connection.
func TestPathIsThatOfTheBeginning(t *testing.T) {
	p := PacketLoss{RTT: then(20, 200, time.Second), MSS: then(1000.4, 500, time.Second), RTOMin: then(100, 300, time.Second)}
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	before, after := path{20 * milli, 100 * milli, 1000}, path{200 * milli, 300 * milli, 500}
	for began, want := range map[time.Duration]path{0: before, -time.Second + 1: before, -time.Second: after, time.Minute: before} {
		s := site(1)
		s.Began = began
		if got := p.path(s); got != want {
			t.Errorf("toxic in force since %v: %+v", began, got)
		}
		g := p.New(s).(*segmenter)
		if g.mss != want.mss || g.sender.rtt != want.rtt || g.sender.rtoMin != want.rtoMin {
			t.Errorf("toxic in force since %v: the sender has %d, %v, %v", began, g.mss, g.sender.rtt, g.sender.rtoMin)
		}
	}
	if got, want := (PacketLoss{RTT: shape.Const(20)}).path(site(1)), (path{20 * milli, 200 * milli, 1448}); got != want {
		t.Errorf("defaults: %+v", got)
	}
}

func TestCorrelationThatChanges(t *testing.T) {
	s := Distribution{Spread: Normal, Correlation: then(0, 0.8, time.Second)}.New(rand.New(rand.NewPCG(1, 2)))
	for at, want := range map[time.Duration]float64{0: 0, time.Second: 0.8} {
		xs := make([]float64, 20000)
		for i := range xs {
			xs[i] = s.Next(at, 100, 10)
		}
		if got := lagOne(xs); math.Abs(got-want) > 0.03 {
			t.Errorf("at %v: %.3f, want %v", at, got, want)
		}
	}
}

func TestCopiesThatChange(t *testing.T) {
	out := send(Duplicate{Rate: shape.Const(1), Copies: shape.Value{Base: 1, To: 3, Wave: shape.Ramp, Period: 4 * milli}}, 6, 4, milli)
	copies := make([]int, 6)
	for _, p := range out {
		copies[number(p)]++
	}
	if want := []int{2, 3, 3, 4, 4, 4}; !slices.Equal(copies, want) { // 1, 1.5, 2, 2.5, 3 and 3 more, rounded
		t.Errorf("%v, want %v", copies, want)
	}
}

// Datagrams that are to let fewer pass go on before those that came earlier and are to let more pass.
func TestPacketsThatChange(t *testing.T) {
	for name, c := range map[string]struct {
		toxic Reorder
		want  []int
	}{
		// The first two are held back, for four and for one.
		"fewer": {Reorder{Rate: then(1, 0, 2*milli), Packets: then(4, 1, milli)}, []int{2, 1, 3, 4, 5, 0, 6}},
		"more":  {Reorder{Rate: then(1, 0, 2*milli), Packets: then(1, 4, milli)}, []int{2, 0, 3, 4, 5, 1, 6}},
		// While it is 0, and there is no delay, nothing is held back.
		"none, then": {Reorder{Rate: then(1, 0, 2*milli), Packets: then(0, 2, milli)}, []int{0, 2, 3, 1, 4, 5, 6}},
	} {
		if err := c.toxic.Validate(); err != nil {
			t.Fatal(err)
		}
		var order []int
		for _, p := range send(c.toxic, 7, 4, milli) {
			order = append(order, number(p))
		}
		if !slices.Equal(order, c.want) {
			t.Errorf("%s: %v, want %v", name, order, c.want)
		}
	}
}

// Numbers that change must be in range at both ends.
func TestShapesOutOfRange(t *testing.T) {
	ramp := func(from, to float64) shape.Value {
		return shape.Value{Base: from, To: to, Wave: shape.Ramp, Period: time.Second}
	}
	loss := func(change func(*Loss)) proxy.Toxic {
		l := Loss{Rate: shape.Const(0.1), Burst: shape.Const(5)}
		change(&l)
		return Drop{l}
	}
	for want, toxic := range map[string]proxy.Toxic{
		"rtt: 20 to 60001":   PacketLoss{RTT: ramp(20, 60001)},
		"rtt: 0 to 20":       PacketLoss{RTT: ramp(20, 0)},
		"rtt: the shape":     PacketLoss{RTT: shape.Value{Base: 1, To: 2, Wave: shape.Ramp}},
		"mss: 87":            PacketLoss{RTT: shape.Const(20), MSS: ramp(1448, 87)},
		"mss: 0":             PacketLoss{RTT: shape.Const(20), MSS: ramp(0, 1448)},
		"rto_min: 0.5":       PacketLoss{RTT: shape.Const(20), RTOMin: ramp(200, 0.5)},
		"burst: 0.5":         loss(func(l *Loss) { l.Burst = ramp(5, 0.5) }),
		"burst: 1e+07":       loss(func(l *Loss) { l.Burst = ramp(5, 1e7) }),
		"burst: bursts of 1": loss(func(l *Loss) { l.Rate, l.Burst = shape.Const(0.6), ramp(1, 5) }),
		"loss_bad: 0":        loss(func(l *Loss) { l.InBad = ramp(1, 0) }),
		"loss_bad: 1.1":      loss(func(l *Loss) { l.InBad = ramp(1, 1.1) }),
		"loss_bad 0.05":      loss(func(l *Loss) { l.InBad = ramp(1, 0.05) }),
		"loss_good 0.2":      loss(func(l *Loss) { l.InGood = ramp(0, 0.2) }),
		"loss_good: -0.1":    loss(func(l *Loss) { l.InGood = ramp(0, -0.1) }),
		"correlation: 1 is":  Latency{Distribution: Distribution{Correlation: ramp(0, 1)}},
		"correlation: -0.1":  Delay{Distribution: Distribution{Correlation: ramp(0, -0.1)}},
		"copies: 11":         Duplicate{Copies: ramp(1, 11)},
		"packets: 1001":      Reorder{Packets: ramp(1, 1001)},
	} {
		if err := toxic.(interface{ Validate() error }).Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// The API's own extension has shapes for them, and what it gives is what it takes.
func TestAttributesThatChange(t *testing.T) {
	const ramp = `{"wave":"ramp","from":2,"to":5,"period":1000}`
	v := shape.Value{Base: 2, To: 5, Wave: shape.Ramp, Period: time.Second}
	for attributes, want := range map[string]proxy.Toxic{
		`{"loss":0.1,"rtt":` + ramp + `,"burst":` + ramp + `}`: PacketLoss{Loss: Loss{Rate: shape.Const(0.1), Burst: v}, RTT: v},
		`{"rate":0.5,"copies":` + ramp + `}`:                   Duplicate{Rate: shape.Const(0.5), Copies: v},
		`{"rate":0.5,"packets":` + ramp + `}`:                  Reorder{Rate: shape.Const(0.5), Packets: v},
	} {
		got, err := Parse(want.Type(), json.RawMessage(attributes), nil)
		if err != nil || got != want {
			t.Errorf("%s: %+v %v", attributes, got, err)
			continue
		}
		again, err := json.Marshal(Attributes(got))
		if err != nil {
			t.Fatal(err)
		}
		if same, err := Parse(want.Type(), again, nil); err != nil || same != want {
			t.Errorf("%s: %+v %v", again, same, err)
		}
	}
	for attributes, want := range map[string]string{
		`{"rate":0.5,"copies":1.5}`: "copies: 1.5 is not a whole number", `{"rate":0.5,"copies":-1}`: "copies: -1 is less than 0",
	} {
		if _, err := Parse("udp_duplicate", json.RawMessage(attributes), nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", attributes, err)
		}
	}
}
