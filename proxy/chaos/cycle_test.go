package chaos

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/shape"
	"github.com/breakwater-gateway/breakwater/proxy/toxic"
)

// A connection that outlives switches, edits and windows is one, for its experiment as for each of the toxics, whatever takes them off
// it and puts them on again.
func TestALongLivedConnectionIsCountedOnce(t *testing.T) {
	edit := func(change func(x *proxy.Experiment, round int)) func(*Engine, *proxy.Experiment, int) *proxy.Experiment {
		return func(e *Engine, exp *proxy.Experiment, round int) *proxy.Experiment {
			exp = with(exp, func(x *proxy.Experiment) { x.Revision++; change(x, round) })
			e.Apply(snapshot(exp))
			return exp
		}
	}
	for name, cycle := range map[string]func(*Engine, *proxy.Experiment, int) *proxy.Experiment{
		"switched": func(e *Engine, exp *proxy.Experiment, _ int) *proxy.Experiment {
			e.SetEnabled(false)
			e.SetEnabled(true)
			return exp
		},
		"switched by a snapshot": func(e *Engine, exp *proxy.Experiment, _ int) *proxy.Experiment {
			off := snapshot(exp)
			off.ChaosOff = true
			e.Apply(off)
			e.Apply(snapshot(exp))
			return exp
		},
		"suspended": func(e *Engine, exp *proxy.Experiment, round int) *proxy.Experiment {
			exp = edit(func(x *proxy.Experiment, _ int) { x.Suspend = true })(e, exp, round)
			return edit(func(x *proxy.Experiment, _ int) { x.Suspend = false })(e, exp, round)
		},
		"halted": func(e *Engine, exp *proxy.Experiment, _ int) *proxy.Experiment {
			e.live[identity{exp.ID, exp.UID}].stop("test")
			e.Rearm(exp.ID)
			return exp
		},
		"away": func(e *Engine, exp *proxy.Experiment, _ int) *proxy.Experiment {
			e.Apply(snapshot())
			e.Apply(snapshot(exp))
			return exp
		},
		"edited": edit(func(x *proxy.Experiment, round int) {
			x.Toxics[0].Toxic = toxic.Stall{Bytes: shape.Const(float64(1000 + round))}
		}),
		"rehearsed": func(e *Engine, exp *proxy.Experiment, round int) *proxy.Experiment {
			exp = edit(func(x *proxy.Experiment, _ int) { x.DryRun = true })(e, exp, round)
			return edit(func(x *proxy.Experiment, _ int) { x.DryRun = false })(e, exp, round)
		},
	} {
		for _, at := range []proxy.Point{proxy.Client, proxy.AtBackend} {
			t.Run(fmt.Sprint(name, " at ", at), func(t *testing.T) {
				exp := with(anExperiment("x", toxic.Stall{Bytes: shape.Const(999)}, toxic.Noop{}), func(x *proxy.Experiment) { x.At, x.MaxPercent = at, 100 })
				e := newEngine(t, Config{Log: slog.New(slog.DiscardHandler)}, exp)
				var live liveStreams
				live.open(t, e, 1)
				for round := range 4 {
					exp = cycle(e, exp, round)
				}
				if got := actsOn(live); got != "ab" {
					t.Errorf("%q acts", got)
				}
				live[0].Close(Outcome{})
				if s := status(t, e, "x"); s.Matched != 1 || s.Injected != 1 || s.SkippedByCap != 0 {
					t.Errorf("%+v", s)
				}
				r := e.Report().Experiments[0]
				if n := r.InjectedTraffic.Connections; n != 1 || r.UninjectedTraffic.Connections != 0 {
					t.Errorf("%d connections", n)
				}
				for _, one := range r.Toxics {
					if one.Decided != 1 || one.Applied != 1 {
						t.Errorf("%+v", one)
					}
				}
			})
		}
	}
}

// A connection that ends when its toxics have gone is one that had them, whatever was known of it at the time.
func TestAConnectionThatOutlivesItsToxicsIsReported(t *testing.T) {
	e := newEngine(t, Config{Log: slog.New(slog.DiscardHandler)})
	var live liveStreams
	live.open(t, e, 1)
	live[0].answered(0) // before there is anything to report it to
	e.Apply(snapshot(anExperiment("x", toxic.Noop{})))
	e.SetEnabled(false)
	live.open(t, e, 2)
	live[0].Close(Outcome{Upstream: 5})
	live[1].Close(Outcome{})
	r := e.Report().Experiments[0]
	if in, un := r.InjectedTraffic, r.UninjectedTraffic; r.Injected != 1 || in.Connections != 1 || in.UpstreamBytes != 5 || un.Connections != 0 {
		t.Errorf("%+v", r)
	}
}

// So it is for the connection of a request of HTTP.
func TestALongRequestIsCountedOnce(t *testing.T) {
	e := newEngine(t, Config{Log: slog.New(slog.DiscardHandler)}, anExperiment("x", toxic.Noop{}))
	x := request()
	q := e.Begin(x, backendID)
	q.Client(x, nil).Attach(toxic.NewSlot())
	for range 4 {
		e.SetEnabled(false)
		e.SetEnabled(true)
	}
	x.Response.Status = 200
	q.End(x, time.Now())
	if r := e.Report().Experiments[0]; r.Matched != 1 || r.Injected != 1 || r.InjectedTraffic.Requests != 1 || r.Toxics[0].Decided != 1 || r.Toxics[0].Applied != 1 {
		t.Errorf("%+v", r)
	}
}

// Each attempt at Backend is decided anew, and counts for the toxic; the next at Client is the same connection.
func TestAttemptsCountForToxics(t *testing.T) {
	for at, want := range map[proxy.Point]uint64{proxy.Client: 1, proxy.AtBackend: 2} {
		e := newEngine(t, Config{}, with(anExperiment("x", toxic.Noop{}), func(x *proxy.Experiment) { x.At = at }))
		p := Place{Route: routeID, Listener: listenerID, Backend: backendID, Endpoint: endpointAt(1), Attempt: 1}
		e.Open(p).Close(Outcome{Retried: true})
		p.Attempt = 2
		e.Open(p).Close(Outcome{})
		if r := e.Report().Experiments[0]; r.Matched != 1 || r.Injected != 1 || r.InjectedTraffic.Connections != 1 || r.Toxics[0].Applied != want {
			t.Errorf("%v: %+v", at, r)
		}
	}
}
