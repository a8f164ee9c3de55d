package server

import (
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/fault"
	"github.com/breakwater-gateway/breakwater/proxy/shape"
	"github.com/breakwater-gateway/breakwater/proxy/toxic"
)

// bounded is an experiment whose Guard halts it when the fifth of five requests has failed.
func bounded(at proxy.Point, toxics ...proxy.Toxic) *proxy.Experiment {
	x := experiment(at, toxics...)
	x.Guard = &proxy.Guard{Window: time.Minute, MinRequests: 5, MaxErrorRate: 0.2}
	for i := range x.Toxics {
		x.Toxics[i].Direction = proxy.Downstreamward
	}
	return x
}

// halts asks until the Guard has halted the experiment, which must be after the fifth request.
func (f *faulty) halts(ask func()) {
	f.t.Helper()
	for i := range 5 {
		if s := f.engine.Status()[0]; s.Phase != proxy.ExperimentActive {
			f.t.Fatalf("%v after %d requests", s.Phase, i)
		}
		ask()
	}
	until(f.t, "the guard halts it", func() bool { return f.engine.Status()[0].Phase == proxy.ExperimentHalted })
}

// wantSeen checks what five requests have seen, by the report.
func (f *faulty) wantSeen(injected bool, status string, failed uint64, bytes int64) {
	f.t.Helper()
	r := f.engine.Report().Experiments[0]
	seen := r.UninjectedTraffic
	if injected {
		seen = r.InjectedTraffic
	}
	if seen.Requests != 5 || seen.Status[status] != 5 || seen.Failed != failed || seen.DownstreamBytes != bytes {
		f.t.Errorf("%+v, want 5 requests with status %s, %d failed, %d bytes", seen, status, failed, bytes)
	}
}

// What clients get of an answer that a toxic cuts is what the Guard and the report look at, not what has been sent into the toxics.
func TestAnswerThatAFaultCutsHasFailed(t *testing.T) {
	limit := func(n float64) proxy.Toxic { return toxic.LimitData{Bytes: shape.Const(n)} }
	for name, c := range map[string]struct {
		at     proxy.Point
		toxic  proxy.Toxic
		path   string
		status string
		bytes  int64
	}{
		"Timeout":                 {proxy.Client, toxic.Timeout{Timeout: shape.Const(20)}, "/p", "none", 0},
		"LimitData in the head":   {proxy.Client, limit(10), "/p", "none", 0},
		"LimitData in the answer": {proxy.Client, limit(1000), "/large", "2xx", 5 * (1000 - headLength(1<<20))},
		"Down":                    {proxy.Client, toxic.Down{}, "/p", "none", 0},
		"Down with a reset":       {proxy.Client, toxic.Down{Reset: true}, "/p", "none", 0},
		"ResetPeer":               {proxy.Client, toxic.ResetPeer{}, "/p", "none", 0},
		"TruncateBody":            {proxy.Client, fault.TruncateBody{Bytes: shape.Const(2)}, "/p", "2xx", 10},
		"TruncateBody at Backend": {proxy.AtBackend, fault.TruncateBody{Bytes: shape.Const(2)}, "/p", "2xx", 10},
		"BrokenChunk":             {proxy.Client, fault.BrokenChunk{Bytes: shape.Const(2)}, "/p", "2xx", 10},
		"too short a length":      {proxy.Client, fault.WrongContentLength{By: shape.Const(-3)}, "/p", "2xx", 10},
		"FIN":                     {proxy.Client, fault.Abort{End: fault.FIN}, "/p", "none", 0},
		"gRPC":                    {proxy.Client, fault.Abort{GRPCStatus: 14}, "/p", "2xx", 0},
		"gRPC at Backend":         {proxy.AtBackend, fault.Abort{GRPCStatus: 14}, "/p", "2xx", 0},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFaulty(t, nil, bounded(c.at, c.toxic))
			f.halts(func() { _, _, _ = f.ask(c.path) })
			f.wantSeen(true, c.status, 5, c.bytes)
		})
	}
}

// headLength is the length of the head that comes before content of a length from the endpoint of newFaulty.
func headLength(content int) int64 {
	date := "Date: Mon, 02 Jan 2006 15:04:05 GMT\r\n"
	return int64(len(fmt.Sprintf("HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n", date, content)))
}

// A toxic that ends the connection when the client has got the whole answer breaks nothing, nor does a gRPC status that is the
// client's own doing.
func TestAnswerThatIsWholeHasNotFailed(t *testing.T) {
	for name, c := range map[string]proxy.Toxic{
		"as much as there is": toxic.LimitData{Bytes: shape.Const(float64(headLength(5) + 5))},
		"NOT_FOUND":           fault.Abort{GRPCStatus: 5},
		"404":                 fault.Abort{Status: 404},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFaulty(t, nil, bounded(proxy.Client, c))
			for range 5 {
				if _, _, err := f.ask("/p"); err != nil {
					t.Error(err)
				}
			}
			until(t, "all have been counted", func() bool { return f.engine.Report().Experiments[0].InjectedTraffic.Requests == 5 })
			if r := f.engine.Report().Experiments[0]; r.InjectedTraffic.Failed != 0 || r.Phase != proxy.ExperimentActive.String() {
				t.Errorf("%+v", r)
			}
		})
	}
}

// A toxic may cut the client off while the gateway still waits for the endpoint, or sends it the request. The gateway does not wait for
// the connection to be closed, which lingers for half a second, before that counts.
func TestRequestThatAFaultCutsOffEndsAtOnce(t *testing.T) {
	silent := endpoint(t, func(_ int, c *wire) { _, _ = c.rest() })
	for name, head := range map[string]string{
		"while the endpoint is silent": get("/p"),
		"while content comes":          "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nsome",
	} {
		t.Run(name, func(t *testing.T) {
			until(t, "a request is counted before the connection is closed", func() bool { // a slow machine may need several looks
				f := newFaulty(t, nil)
				snap := *f.snap
				b := backendOf("web", silent.addr)
				snap.Backends = map[proxy.BackendID]*proxy.Backend{b.ID: b}
				f.snap = &snap
				f.change(bounded(proxy.Client, toxic.Timeout{Timeout: shape.Const(20)}))
				best, asked := time.Hour, uint64(0)
				f.halts(func() {
					c := dialWire(t, f.addr)
					t.Cleanup(func() { _ = c.Close() }) // the client stays, and leaves the gateway no other way to notice
					began := time.Now()
					c.send("%s", head)
					c.wantEnd()
					asked++
					until(t, "it is counted", func() bool { return f.engine.Report().Experiments[0].InjectedTraffic.Requests == asked })
					best = min(best, time.Since(began))
				})
				f.wantSeen(true, "none", 5, 0)
				return best < 500*time.Millisecond
			})
		})
	}
}

// Real failures count, be it that they are of traffic that got no fault.
func TestAnswerThatAnEndpointBreaksOffHasFailed(t *testing.T) {
	for name, answer := range map[string]string{
		"with a length": "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc",
		"in chunks":     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
	} {
		for _, injected := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " ", injected), func(t *testing.T) {
				broken := endpoint(t, func(_ int, w *wire) {
					if w.head() != "" {
						w.send("%s", answer)
					}
				})
				f := newFaulty(t, nil)
				snap := *f.snap
				b := backendOf("web", broken.addr)
				snap.Backends = map[proxy.BackendID]*proxy.Backend{b.ID: b}
				f.snap = &snap
				exp := bounded(proxy.Client, fault.Delay{})
				exp.Guard.OnlyUninjected = !injected
				if !injected {
					exp.Percent = shape.Const(0)
				}
				f.change(exp)
				f.halts(func() {
					if _, _, err := f.ask("/p"); err == nil {
						t.Error("the client has got an answer")
					}
				})
				f.wantSeen(injected, "2xx", 5, 15)
			})
		}
	}
}

// A tunnel that a toxic ends has failed, and ends for its endpoint, too.
func TestTunnelThatAFaultCutsHasFailed(t *testing.T) {
	ended := make(chan error, 5)
	tunnel := endpoint(t, func(_ int, c *wire) {
		if c.head() != "" {
			c.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
			_, err := io.Copy(io.Discard, c.in)
			ended <- err
		}
	})
	f := newFaulty(t, nil)
	snap := *f.snap
	b := backendOf("web", tunnel.addr)
	snap.Backends = map[proxy.BackendID]*proxy.Backend{b.ID: b}
	f.snap = &snap
	exp := bounded(proxy.Client, toxic.LimitData{Bytes: shape.Const(4)})
	exp.Toxics[0].Direction = proxy.Upstreamward
	f.change(exp)
	f.halts(func() {
		c := dialWire(t, f.addr)
		t.Cleanup(func() { _ = c.Close() })
		c.send("GET /p HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
		c.head()
		c.send("12345678")
		c.wantEnd()
		_ = within(t, "the endpoint's end", ended)
	})
	f.wantSeen(true, "1xx", 5, 0)
}

// A fault that finds nothing to damage in a response has not acted.
func TestFaultThatChangesNothingIsNotInjected(t *testing.T) {
	chunked := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
	for name, c := range map[string]struct {
		toxic  proxy.Toxic
		answer string
		acts   bool
	}{
		"WrongContentLength without a length": {fault.WrongContentLength{By: shape.Const(5)}, chunked, false},
		"WrongContentLength":                  {fault.WrongContentLength{By: shape.Const(5)}, okHello, true},
		"CutEvents of something else":         {fault.CutEvents{Events: shape.Const(1)}, okHello, false},
		"TruncateBody of what is short":       {fault.TruncateBody{Bytes: shape.Const(5)}, okHello, false},
		"TruncateBody":                        {fault.TruncateBody{Bytes: shape.Const(4)}, okHello, true},
	} {
		for _, at := range []proxy.Point{proxy.Client, proxy.AtBackend} {
			t.Run(name+" "+at.String(), func(t *testing.T) {
				f := newFaulty(t, nil)
				snap := *f.snap
				b := backendOf("web", endpoint(t, answers(c.answer)).addr)
				snap.Backends = map[proxy.BackendID]*proxy.Backend{b.ID: b}
				f.snap = &snap
				f.change(experiment(at, c.toxic))
				if _, _, err := f.ask("/p"); (err != nil) != c.acts {
					t.Error(err)
				}
				want := uint64(0)
				if c.acts {
					want = 1
				}
				until(t, "the report has it", func() bool {
					r := f.engine.Report().Experiments[0]
					return r.InjectedTraffic.Requests == want && r.UninjectedTraffic.Requests == 1-want
				})
				if r := f.engine.Report().Experiments[0]; r.Injected != want || r.Toxics[0].Applied != want || r.Toxics[0].Decided != 1 {
					t.Errorf("%+v", r)
				}
			})
		}
	}
}
