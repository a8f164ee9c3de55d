package chaos

import (
	"io"
	"strings"
	"testing"
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
