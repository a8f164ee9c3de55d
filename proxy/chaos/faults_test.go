package chaos

import (
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/fault"
	"github.com/breakwater-gateway/breakwater/proxy/shape"
	"github.com/breakwater-gateway/breakwater/proxy/toxic"
)

type readerBody struct{ io.Reader }

func (readerBody) Trailer() *proxy.Header { return nil }

// A response that has not been cut by the time at which the experiment ends is not cut any more, and loses nothing: also if
// somebody waits for its next byte at that time.
func TestCutsEndWithTheExperiment(t *testing.T) {
	const first = "data: 1\n\n"
	rest := strings.Repeat("data: more\n\n", 10)
	for name, f := range map[string]proxy.Toxic{
		"truncated later":         fault.TruncateBody{Bytes: shape.Const(20)},
		"truncated where it is":   fault.TruncateBody{Bytes: shape.Const(float64(len(first)))},
		"cut after another event": fault.CutEvents{Events: shape.Const(2), End: fault.FIN},
		"ended after ten events":  fault.CutEvents{Events: shape.Const(10)},
		"broken later":            fault.BrokenChunk{Bytes: shape.Const(20)},
		"broken at the end":       fault.BrokenChunk{Bytes: shape.Const(1 << 20)},
	} {
		for how, end := range map[string]func(e *Engine){
			"deadline": func(*Engine) { time.Sleep(2 * time.Hour) },
			"switch":   func(e *Engine) { e.SetEnabled(false) },
		} {
			t.Run(name+"/"+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					e := newEngine(t, Config{}, anExperiment("x", f))
					defer e.Close()
					x := request()
					q := e.Begin(x, backendID)
					defer func() { q.End(x, time.Now()) }()
					x.Response.Status, x.Response.ContentLength = 200, -1
					x.Response.Header.Add([]byte("Content-Type"), []byte("text/event-stream"))
					r, w := io.Pipe()
					body := q.Client(x, nil).Respond(x, readerBody{r})
					var got []byte
					var err error
					done := make(chan struct{})
					go func() {
						got, err = io.ReadAll(body)
						_ = r.Close()
						close(done)
					}()
					_, _ = io.WriteString(w, first)
					synctest.Wait()
					end(e)
					_, _ = io.WriteString(w, rest)
					_ = w.Close()
					<-done
					if err != nil || string(got) != first+rest {
						t.Errorf("%d of %d bytes, %v", len(got), len(first+rest), err)
					}
				})
			})
		}
	}
}

// What comes to a fault of bodies is counted, and logged at the end of the request, as it is for toxics.
func TestBytesOfBodies(t *testing.T) {
	const stream = "data: 1\n\ndata: 2\n\ndata: 3\n\n" // 27 bytes
	for name, c := range map[string]struct {
		fault proxy.Toxic
		over  bool // it ends after nine bytes
		want  int64
		back  int64 // at Backend, if it is another
	}{
		"cut":              {fault: fault.TruncateBody{Bytes: shape.Const(10)}, want: 10},
		"cut at once":      {fault: fault.TruncateBody{}, want: 0},
		"cut after events": {fault: fault.CutEvents{Events: shape.Const(2)}, want: 18},
		"too short":        {fault: fault.WrongContentLength{By: shape.Const(-3)}, want: 27, back: 24},
		"too long":         {fault: fault.WrongContentLength{By: shape.Const(3)}, want: 27},
		"broken":           {fault: fault.BrokenChunk{Bytes: shape.Const(11)}, want: 11},
		"slow":             {fault: fault.Throttle{Rate: shape.Const(100)}, want: 27},
		"over before":      {fault: fault.TruncateBody{Bytes: shape.Const(20)}, over: true, want: 9},
		"slow no more":     {fault: fault.Throttle{Rate: shape.Const(100)}, over: true, want: 9},
	} {
		for _, at := range []proxy.Point{proxy.Client, proxy.AtBackend} {
			t.Run(name+"/"+at.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					e := newEngine(t, Config{Log: slog.New(slog.DiscardHandler)}, with(anExperiment("x", c.fault), func(x *proxy.Experiment) { x.At = at }))
					defer e.Close()
					x := request()
					q := e.Begin(x, backendID)
					x.Backend, x.Endpoint, x.Attempts = &route.Backends[0], endpointAt(1), 1
					f := q.Client(x, nil)
					if at == proxy.AtBackend {
						f = q.Attempt(x, nil)
					}
					if c.back > 0 && at == proxy.AtBackend {
						c.want = c.back
					}
					_, _, _ = f.Begin(x)
					x.Response.Status, x.Response.ContentLength = 200, int64(len(stream))
					x.Response.Header.Add([]byte("Content-Type"), []byte("text/event-stream"))
					body := f.Respond(x, readerBody{iotest.OneByteReader(strings.NewReader(stream))})
					if c.over {
						_, _ = io.ReadFull(body, make([]byte, 9))
						e.SetEnabled(false)
					}
					_, _ = io.ReadAll(body)
					q.End(x, time.Now())
					log := e.Faults()
					if len(log) != 2 || log[0].Decision != decidedInject || log[0].Bytes != 0 || log[1].Decision != decidedEnd || log[1].Bytes != c.want ||
						log[1].Target != log[0].Target || log[1].Ordinal != log[0].Ordinal || log[1].Target == "" {
						t.Errorf("%+v", log)
					}
					if r := e.Report().Experiments[0].Toxics[0]; r.Bytes != c.want || r.Applied != 1 {
						t.Errorf("%+v", r)
					}
				})
			})
		}
	}
}

// What each toxic does to a dial ends with that toxic, whichever comes first.
func TestHoldsOfTwoExperiments(t *testing.T) {
	lossy := toxic.PacketLoss{RTT: shape.Const(20)}
	lossy.Loss.Rate.Base = 1
	atBackend := func(x *proxy.Experiment) { x.At = proxy.AtBackend }
	down, lost := with(anExperiment("down", toxic.Down{}), atBackend), with(anExperiment("lost", lossy), atBackend)
	for _, order := range [][]*proxy.Experiment{{down, lost}, {lost, down}} {
		for i, kept := range order {
			e := newEngine(t, Config{}, order...)
			x := request()
			q := e.Begin(x, backendID)
			x.Backend, x.Endpoint, x.Attempts = &route.Backends[0], endpointAt(1), 1
			c := e.Open(Place{Route: routeID, Listener: listenerID, Backend: backendID, Endpoint: endpointAt(1)})
			both := map[string][]toxic.Hold{"request": q.Attempt(x, nil).Dial(), "connection": c.Dial()}
			e.Apply(snapshot(kept))
			for where, holds := range both {
				if len(holds) != 2 || !holds[0].Refused || !holds[1].Refused || (holds[0].Delay > 0) == (holds[1].Delay > 0) {
					t.Fatalf("%s: %+v", where, holds)
				}
				if !holds[i].InForce() || holds[1-i].InForce() {
					t.Errorf("%s: only %v is left of %v and %v, and in force is %v, %v", where, kept.ID, order[0].ID, order[1].ID,
						holds[0].InForce(), holds[1].InForce())
				}
			}
			c.Close(Outcome{})
			q.End(x, time.Now())
		}
	}
}

// What has been decided is not what has happened: an earlier fault may have answered, or nothing has come that a fault could change.
func TestFaultsCountWhenTheyAct(t *testing.T) {
	header := fault.Headers{Response: fault.HeaderChange{Set: "X-A: 1"}}
	both := header
	both.Request.Set = "X-A: 1"
	for name, c := range map[string]struct {
		at      proxy.Point
		first   proxy.Toxic // of the experiment "first"; that of "second" is
		second  proxy.Toxic
		status  int // of the response that comes; 0 is none
		want    string
		toClose bool // before the faults begin
	}{
		"both":                                 {first: delay(0), second: abort(503), want: "first second"},
		"answered before":                      {first: abort(503), second: delay(0), want: "first"},
		"ended before":                         {first: fault.Abort{End: fault.RST}, second: header, want: "first"},
		"a reply that is changed":              {first: abort(503), second: both, status: 503, want: "first second"},
		"a response that is changed":           {first: delay(0), second: header, status: 200, want: "first second"},
		"no response to change":                {first: delay(0), second: header, want: "first"},
		"no response to cut":                   {at: proxy.AtBackend, first: header, second: fault.TruncateBody{}, want: ""},
		"a response that cannot be cut":        {first: fault.TruncateBody{}, second: header, status: 204, want: "second"},
		"a switch of protocols":                {first: header, second: both, status: 101, want: "second"},
		"at backend, both":                     {at: proxy.AtBackend, first: both, second: delay(0), want: "first second"},
		"at backend, answered before":          {at: proxy.AtBackend, first: abort(503), second: delay(0), want: "first"},
		"at backend, answered before, toxics":  {at: proxy.AtBackend, first: abort(503), second: toxic.Noop{}, want: "first"},
		"nothing, by a switch in the meantime": {first: delay(0), second: abort(503), toClose: true, want: ""},
	} {
		t.Run(name, func(t *testing.T) {
			at := func(x *proxy.Experiment) { x.At = c.at }
			e := newEngine(t, Config{Log: slog.New(slog.DiscardHandler)}, with(anExperiment("first", c.first), at), with(anExperiment("second", c.second), at))
			x := request()
			q := e.Begin(x, backendID)
			var f *Faults
			if c.at == proxy.Client {
				f = q.Client(x, nil)
			} else {
				x.Backend, x.Endpoint, x.Attempts = &route.Backends[0], endpointAt(1), 1
				f = q.Attempt(x, nil)
			}
			if c.toClose {
				e.SetEnabled(false)
			}
			_, _, _ = f.Begin(x)
			if c.status > 0 {
				x.Response.Status, x.Response.ContentLength = c.status, 10
				f.Respond(x, readerBody{strings.NewReader("0123456789")})
				f.Respond(x, nil) // nothing counts twice
			}
			q.End(x, time.Now())
			var acted, logged, injected, applied []string
			for _, id := range x.Experiments {
				acted = append(acted, id.Name)
			}
			for _, one := range e.Faults() {
				logged = append(logged, one.Object[strings.LastIndex(one.Object, "/")+1:])
			}
			touched := uint64(0)
			for _, one := range e.Report().Experiments {
				injected = append(injected, slices.Repeat([]string{one.Name}, int(one.Injected))...)
				applied = append(applied, slices.Repeat([]string{one.Name}, int(one.Toxics[0].Applied))...)
				touched += one.InjectedTraffic.Requests
			}
			slices.Sort(acted) // responses pass the last one first
			slices.Sort(logged)
			for what, got := range map[string][]string{"access log": acted, "fault log": logged, "injected": injected, "applied": applied} {
				if strings.Join(got, " ") != c.want {
					t.Errorf("%s: %q, want %q", what, got, c.want)
				}
			}
			if (touched > 0) != (c.want != "") {
				t.Errorf("%d are counted as touched", touched)
			}
		})
	}
}

// A Guard of what got no fault looks at what was to get one and did not.
func TestGuardLooksAtWhatGotNoFaultAfterAll(t *testing.T) {
	e := newEngine(t, Config{Log: slog.New(slog.DiscardHandler)}, with(anExperiment("x", fault.Headers{Response: fault.HeaderChange{Remove: "X"}}),
		func(x *proxy.Experiment) {
			x.Guard = &proxy.Guard{Window: time.Minute, MinRequests: 1, MaxErrorRate: 0.5, OnlyUninjected: true}
		}))
	x := request()
	q := e.Begin(x, backendID)
	_, _, _ = q.Client(x, nil).Begin(x)
	q.End(x, time.Now()) // without an answer
	if s := status(t, e, "x"); s.Phase != proxy.ExperimentHalted {
		t.Errorf("%+v", s)
	}
}

// Toxics act, and are counted, when they are put on a connection or hold up its opening.
func TestToxicsOfRequestsCountWhenTheyAct(t *testing.T) {
	late := toxic.Latency{Latency: shape.Const(100)}
	for name, c := range map[string]struct {
		at    proxy.Point
		toxic proxy.Toxic
		act   func(*Faults, *proxy.Exchange)
		want  uint64
	}{
		"never":                         {proxy.Client, toxic.Noop{}, func(*Faults, *proxy.Exchange) {}, 0},
		"put on it":                     {proxy.Client, toxic.Noop{}, func(f *Faults, _ *proxy.Exchange) { f.Attach(toxic.NewSlot()) }, 1},
		"put on another":                {proxy.AtBackend, toxic.Noop{}, func(f *Faults, _ *proxy.Exchange) { f.Attach(toxic.NewSlot()); f.Detach(); f.Attach(toxic.NewSlot()) }, 1},
		"over before":                   {proxy.Client, toxic.Noop{}, func(f *Faults, _ *proxy.Exchange) { f.request.engine.SetEnabled(false); f.Attach(toxic.NewSlot()) }, 0},
		"refused":                       {proxy.AtBackend, toxic.Down{}, func(f *Faults, _ *proxy.Exchange) { f.Dial() }, 1},
		"opened as ever":                {proxy.AtBackend, toxic.Noop{}, func(f *Faults, _ *proxy.Exchange) { f.Dial() }, 0},
		"a request that arrives late":   {proxy.Client, late, func(f *Faults, x *proxy.Exchange) { _ = f.Arrive(x) }, 1},
		"a request that is not delayed": {proxy.Client, toxic.Noop{}, func(f *Faults, x *proxy.Exchange) { _ = f.Arrive(x) }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newEngine(t, Config{Log: slog.New(slog.DiscardHandler)}, with(anExperiment("x", c.toxic), func(x *proxy.Experiment) {
					x.At, x.Toxics[0].Direction = c.at, proxy.Upstreamward
				}))
				defer e.Close()
				x := request()
				q := e.Begin(x, backendID)
				x.Backend, x.Endpoint, x.Attempts = &route.Backends[0], endpointAt(1), 1
				f := q.Client(x, nil)
				if c.at == proxy.AtBackend {
					f = q.Attempt(x, nil)
				}
				c.act(f, x)
				x.Response.Status = 200
				q.End(x, time.Now())
				r := e.Report().Experiments[0]
				if r.Injected != c.want || r.InjectedTraffic.Requests != c.want || uint64(len(x.Experiments)) != c.want {
					t.Errorf("%d are injected, %d counted as touched, the access log names %d; want %d", r.Injected, r.InjectedTraffic.Requests,
						len(x.Experiments), c.want)
				}
			})
		})
	}
}

// The report and the log tell how long a request was delayed, not how long it was to be.
func TestDelayThatEndsEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, Config{}, anExperiment("x", delay(3_600_000)))
		defer e.Close()
		x := request()
		q := e.Begin(x, backendID)
		defer func() { q.End(x, time.Now()) }()
		time.AfterFunc(time.Second, func() { e.SetEnabled(false) })
		_, _, _ = q.Client(x, nil).Begin(x)
		if d := e.Report().Experiments[0].Toxics[0].Delay; d.Count != 1 || d.Max != 1 {
			t.Errorf("%+v", d)
		}
		log := e.Faults()
		if len(log) != 2 || log[0].Decision != decidedInject || log[0].Delay != 3600 || log[1].Decision != decidedEnd || log[1].Delay != 1 ||
			log[1].Target != log[0].Target || log[1].Ordinal != log[0].Ordinal {
			t.Errorf("%+v", log)
		}
	})
}
