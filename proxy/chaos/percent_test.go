package chaos

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/shape"
	"github.com/breakwater-gateway/breakwater/proxy/toxic"
)

// rising goes from 0 to a share in 10 s.
func rising(to float64) shape.Value {
	return shape.Value{To: to, Wave: shape.Ramp, Period: 10 * time.Second}
}

// rampingRequests serves requests of an experiment, a hundred in each second of its first 12, and returns what acted.
func rampingRequests(t *testing.T, cfg Config, change func(*proxy.Experiment)) (acted []string) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, cfg, with(anExperiment("x", abort(503), delay(0)), change))
		for range 12 {
			acted = append(acted, run(e, 100)...)
			time.Sleep(time.Second)
		}
		e.Close()
	})
	return acted
}

func injected(acted []string, name string) (perSecond []int) {
	for at := range slices.Chunk(acted, 100) {
		n := 0
		for _, a := range at {
			if a == name || name == "a" && a == "ab" || name == "b" && a == "ab" {
				n++
			}
		}
		perSecond = append(perSecond, n)
	}
	return perSecond
}

// A percent that ramps up decides about nobody at its beginning, about ever more, and about all at its end. The draw for an ordinal
// is that of a constant one: what the threshold of a time lets through is the same.
func TestPercentFollowsItsShape(t *testing.T) {
	for name, c := range map[string]struct {
		change func(x *proxy.Experiment, v shape.Value)
		toxic  string
		scale  float64
	}{
		"of the experiment": {func(x *proxy.Experiment, v shape.Value) { x.Percent = v }, "ab", 100},
		"of a toxic":        {func(x *proxy.Experiment, v shape.Value) { x.Toxics[1].Toxicity = v }, "b", 1},
	} {
		t.Run(name, func(t *testing.T) {
			at := func(v shape.Value) []string {
				return rampingRequests(t, Config{}, func(x *proxy.Experiment) { c.change(x, v) })
			}
			ramp := at(rising(c.scale))
			if again := at(rising(c.scale)); !slices.Equal(ramp, again) {
				t.Error("the same seed and times have met other faults")
			}
			counts := injected(ramp, c.toxic)
			if counts[0] != 0 || counts[10] != 100 || counts[11] != 100 {
				t.Errorf("%v, want none in the first second and all from the tenth on", counts)
			}
			for second, n := range counts[:10] {
				if n < second*10-20 || n > second*10+20 {
					t.Errorf("second %d: %d of 100", second, n)
				}
			}
			for second := range 12 {
				constant := at(shape.Const(c.scale * min(float64(second)/10, 1)))
				if from := second * 100; !slices.Equal(ramp[from:from+100], constant[from:from+100]) {
					t.Errorf("second %d does not decide as a constant of the same number would", second)
				}
			}
		})
	}
}

// The log of an experiment whose percent moves says what acted, and is replayed as it was whatever the time.
func TestReplayOfPercentThatMoves(t *testing.T) {
	var log bytes.Buffer
	change := func(x *proxy.Experiment) { x.Percent, x.Toxics[1].Toxicity = rising(100), rising(1) }
	first := rampingRequests(t, Config{FaultLog: &log}, change)
	replay, err := ReadReplay(&log)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, Config{Replay: replay}, with(anExperiment("x", abort(503), delay(0)), change))
		if again := run(e, len(first)); !slices.Equal(again, first) {
			t.Error("the replay has other faults")
		}
		e.Close()
	})
}

// A connection is decided when it is opened, and never again: not by time, not by a change of its experiment.
func TestConnectionsKeepWhatAPercentThatMovesDecided(t *testing.T) {
	for name, change := range map[string]func(x *proxy.Experiment, v shape.Value){
		"of the experiment": func(x *proxy.Experiment, v shape.Value) { v.Base, v.To = 100*v.Base, 100*v.To; x.Percent = v },
		"of a toxic":        func(x *proxy.Experiment, v shape.Value) { x.Toxics[0].Toxicity = v },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				exp := with(anExperiment("x", toxic.Latency{}), func(x *proxy.Experiment) {
					change(x, shape.Value{To: 1, Wave: shape.Square, Period: 10 * time.Second})
				})
				e := newEngine(t, Config{}, exp)
				open := func(port uint16) *Connection {
					return e.Open(Place{Route: routeID, Listener: listenerID, Client: netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), port), Attempt: 1})
				}
				early := open(1)
				time.Sleep(6 * time.Second)
				late := open(2)
				if !early.Slot.Empty() || late.Slot.Empty() {
					t.Error("the first half of the period decides for all, or the second for none")
				}
				time.Sleep(5 * time.Second)
				e.Apply(snapshot(with(exp, func(x *proxy.Experiment) {
					x.Revision++
					x.Guard = &proxy.Guard{Window: time.Second, MaxErrorRate: 0.5}
				})))
				if !early.Slot.Empty() || late.Slot.Empty() {
					t.Error("a live connection has been decided again")
				}
				early.Close(Outcome{})
				late.Close(Outcome{})
				e.Close()
			})
		})
	}
}

// At Backend each attempt is decided as of its own time.
func TestAttemptsAreDecidedAsOfTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, Config{}, with(anExperiment("x", abort(503)), func(x *proxy.Experiment) {
			x.At, x.Percent = proxy.AtBackend, shape.Value{To: 100, Wave: shape.Step, Period: time.Second}
		}))
		x := request()
		x.Backend = &route.Backends[0]
		q := e.Begin(x, backendID)
		var acted []string
		for range 2 {
			x.Attempts++
			x.Endpoint = endpointAt(1)
			acted = append(acted, act(q.Attempt(x, nil)))
			time.Sleep(time.Second)
		}
		q.End(x, time.Now())
		if !slices.Equal(acted, []string{"", "a"}) {
			t.Errorf("got %q", acted)
		}
		e.Close()
	})
}
