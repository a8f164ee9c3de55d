package chaos

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/shape"
	"github.com/breakwater-gateway/breakwater/proxy/toxic"
)

// sessions opens UDP sessions of a Route on which exp acts.
func sessions(t *testing.T, e *Engine, n int) (all []*Connection) {
	for i := range n {
		c := e.Open(Place{Route: routeID, Listener: listenerID, Datagram: true, Attempt: 1,
			Client: netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), uint16(i+1))})
		t.Cleanup(func() { c.Close(Outcome{}) })
		all = append(all, c)
	}
	return all
}

func guarded() *proxy.Experiment {
	return with(anExperiment("x", toxic.Drop{}), func(x *proxy.Experiment) {
		x.Guard = &proxy.Guard{Window: time.Minute, MinRequests: 5, MaxErrorRate: 0.2}
	})
}

// A session whose first datagrams are lost counts as failed until one gets through.
func TestGuardFollowsASession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, Config{}, guarded())
		wantPhase := func(want proxy.ExperimentPhase, what string) {
			t.Helper()
			if got := status(t, e, "x").Phase; got != want {
				t.Fatalf("%v, want %v: %s", got, want, what)
			}
		}
		for _, c := range sessions(t, e, 20) {
			c.lost(true)
			c.lost(false)
			c.answered(0)
			wantPhase(proxy.ExperimentActive, "nothing has failed for good")
		}
		lost := sessions(t, e, 6) // of 26
		for i, c := range lost {
			wantPhase(proxy.ExperimentActive, fmt.Sprint(i, " have failed"))
			c.lost(true)
		}
		wantPhase(proxy.ExperimentHalted, "6 of 26 have failed")
		e.Rearm(proxy.ObjectID{Kind: "NetworkChaos", Namespace: "shop", Name: "x"})
		for _, c := range lost {
			c.lost(false) // what has been forgotten is not taken back
		}
		for range 2 { // of 8
			wantPhase(proxy.ExperimentActive, "6 have recovered")
			sessions(t, e, 1)[0].lost(true)
		}
		wantPhase(proxy.ExperimentHalted, "2 of 8 have failed")
	})
}

// What is counted early is not counted again at the end.
func TestGuardCountsASessionOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, Config{}, guarded())
		for range 4 {
			c := sessions(t, e, 1)[0]
			c.lost(true)
			c.Close(Outcome{})
		}
		if got := status(t, e, "x").Phase; got != proxy.ExperimentActive {
			t.Errorf("%v after 4", got)
		}
		r := e.Report().Experiments[0]
		if seen := r.InjectedTraffic; seen.Connections != 4 || seen.Failed != 4 {
			t.Errorf("%+v", seen)
		}
		sessions(t, e, 1)[0].cut()
		if got := status(t, e, "x").Phase; got != proxy.ExperimentHalted {
			t.Errorf("%v after 5", got)
		}
	})
}

// guardedFor is guarded, for what is known of bounds in a window of 10 s.
func guardedFor(g proxy.Guard) *proxy.Experiment {
	return with(anExperiment("x", toxic.Noop{}), func(x *proxy.Experiment) {
		g.Window = 10 * time.Second
		x.Guard = &g
	})
}

func wantHalt(t *testing.T, e *Engine, reason string) {
	t.Helper()
	if got := status(t, e, "x"); got.HaltedReason != reason {
		t.Errorf("%v: %q, want %q", got.Phase, got.HaltedReason, reason)
	}
}

// Connections that were answered long ago and end now count, both as such and as failed.
func TestGuardSeesTheEndOfOldConnections(t *testing.T) {
	for name, end := range map[string]func(*Connection){
		"cut":    (*Connection).cut,
		"broken": func(c *Connection) { c.Close(Outcome{Failed: true}) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newEngine(t, Config{}, guardedFor(proxy.Guard{MinRequests: 20, MaxErrorRate: 0.5}))
				old := sessions(t, e, 70)
				for _, c := range old {
					c.answered(0)
				}
				time.Sleep(time.Minute)
				for _, c := range old[:20] {
					c.Close(Outcome{}) // which is no failure
				}
				for _, c := range old[20:40] {
					end(c)
				}
				wantHalt(t, e, "")
				end(old[41])
				wantHalt(t, e, "21 of 41 requests failed in 10s: more than 50%")
			})
		})
	}
}

// A connection counts once, as what is known of it last, from when that is known.
func TestGuardCountsTheLatest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, Config{}, guardedFor(proxy.Guard{MinRequests: 20, MaxErrorRate: 0.9}))
		all := sessions(t, e, 40)
		for _, c := range all {
			c.answered(0)
		}
		time.Sleep(9 * time.Second)
		for _, c := range all[:36] {
			c.cut()
		}
		wantHalt(t, e, "") // 36 of 40
		time.Sleep(2 * time.Second)
		all[36].cut()
		wantHalt(t, e, "37 of 37 requests failed in 10s: more than 90%")
		e.Rearm(proxy.ObjectID{Kind: "NetworkChaos", Namespace: "shop", Name: "x"})
		for _, c := range all[:37] {
			c.Close(Outcome{Failed: true}) // which has been counted before
		}
		wantHalt(t, e, "")
		wantSum(t, &e.order[0].guard, guardCount{})
	})
}

// A connection that has failed long ago counts with its end, too, unless that was before the guard began, or was armed again.
func TestGuardCountsTheEndOfWhatHasFailed(t *testing.T) {
	bound := proxy.Guard{MinRequests: 20, MaxErrorRate: 0.5}
	for name, c := range map[string]struct {
		guard *proxy.Guard // at first
		then  func(*Engine, *proxy.Experiment)
		after time.Duration
		want  guardCount
	}{
		"in the same window":      {guardedFor(bound).Guard, func(*Engine, *proxy.Experiment) {}, time.Second, guardCount{total: 3, failed: 3}},
		"in another":              {guardedFor(bound).Guard, func(*Engine, *proxy.Experiment) {}, time.Minute, guardCount{total: 3, failed: 3}},
		"armed again":             {guardedFor(bound).Guard, func(e *Engine, x *proxy.Experiment) { e.Rearm(x.ID) }, time.Minute, guardCount{}},
		"there was no guard then": {nil, func(e *Engine, x *proxy.Experiment) { e.Apply(snapshot(x)) }, time.Minute, guardCount{}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				exp := guardedFor(bound)
				e := newEngine(t, Config{Log: slog.New(slog.DiscardHandler)}, with(exp, func(x *proxy.Experiment) { x.Guard = c.guard }))
				all := sessions(t, e, 3)
				for _, s := range all {
					s.lost(true)
				}
				c.then(e, exp)
				time.Sleep(c.after)
				for _, s := range all {
					s.Close(Outcome{})
				}
				wantSum(t, &e.order[0].guard, c.want)
			})
		})
	}
}

// What is taken back is what stands in the window.
func TestGuardTakesBackWhatItHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, Config{}, guardedFor(proxy.Guard{MinRequests: 20, MaxErrorRate: 0.5}))
		old := sessions(t, e, 19)
		for _, c := range old {
			c.lost(true)
		}
		time.Sleep(time.Minute)
		for _, c := range old {
			c.lost(false)
		}
		for _, c := range sessions(t, e, 19) {
			c.lost(true)
		}
		wantHalt(t, e, "")
		sessions(t, e, 1)[0].lost(true)
		wantHalt(t, e, "20 of 39 requests failed in 10s: more than 50%")
	})
}

// Requests that have begun before the experiment is armed again say nothing of it, were they late or not.
func TestGuardForgetsRequestsFromBeforeRearming(t *testing.T) {
	for name, latency := range map[string]time.Duration{"late": time.Second, "unknown": 0} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				exp := guardedFor(proxy.Guard{MinRequests: 5, MaxErrorRate: 0.5, MaxLatency: latency})
				e := newEngine(t, Config{}, exp)
				begin := func(n int) (end func(status int)) {
					var ends []func(int)
					for range n {
						x := request()
						q := e.Begin(x, backendID)
						ends = append(ends, func(status int) {
							if x.Response.Status = status; q != nil {
								q.End(x, time.Now())
							}
						})
					}
					return func(status int) {
						for _, end := range ends {
							end(status)
						}
					}
				}
				before := begin(20)
				time.Sleep(2 * time.Second)
				synctest.Wait()
				if latency == 0 {
					begin(5)(500)
				}
				if got := status(t, e, "x").Phase; got != proxy.ExperimentHalted {
					t.Fatal(got)
				}
				e.Rearm(exp.ID)
				before(504)
				begin(5)(200)
				wantHalt(t, e, "")
				begin(5)(504)
				wantHalt(t, e, "")
				begin(1)(504)
				wantHalt(t, e, "6 of 11 requests failed in 10s: more than 50%")
			})
		})
	}
}

// A request that is too slow counts for the bound on latencies at once, and for that on failures when it ends, be that in another window.
func TestGuardCountsALateRequestOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, Config{}, guardedFor(proxy.Guard{MinRequests: 5, MaxErrorRate: 0.5, MaxLatency: time.Second, Quantile: 0.1}))
		x, late := request(), request()
		late.Response.Status, x.Response.Status = 504, 200
		q := e.Begin(late, backendID)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		g := &e.order[0].guard
		wantSum(t, g, guardCount{timed: 1, slow: 1})
		time.Sleep(time.Minute)
		e.Begin(x, backendID).End(x, x.Start)
		x.Start = time.Now()
		e.Begin(x, backendID).End(x, x.Start)
		q.End(late, time.Now())
		wantSum(t, g, guardCount{total: 3, failed: 1, timed: 2})
	})
}

func wantSum(t *testing.T, g *guard, want guardCount) {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.slide(time.Now())
	if g.sum != want {
		t.Errorf("%+v, want %+v", g.sum, want)
	}
}

// Ends of old connections do not hide that new ones are slow, nor does a slow answer from before count again.
func TestGuardBoundsLatenciesOfTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, Config{}, guardedFor(proxy.Guard{MinRequests: 5, MaxLatency: time.Second, Quantile: 0.5}))
		old := sessions(t, e, 50)
		for i, c := range old {
			if i == 25 {
				time.Sleep(2 * time.Second) // the rest are slow
			}
			c.answered(0)
		}
		wantHalt(t, e, "")
		time.Sleep(time.Minute)
		for _, c := range old {
			c.Close(Outcome{})
		}
		wantHalt(t, e, "")
		fresh := sessions(t, e, 5)
		time.Sleep(2 * time.Second)
		for _, c := range fresh {
			wantHalt(t, e, "")
			c.answered(0)
		}
		wantHalt(t, e, "5 of 5 requests took longer than 1s in 10s: more than 50%")
	})
}

// A session that moves to another Endpoint stays what it is.
func TestGuardFollowsASessionToAnotherEndpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, Config{}, guardedFor(proxy.Guard{MinRequests: 1, MaxLatency: time.Second, Quantile: 0.5}))
		c := sessions(t, e, 1)[0]
		c.answered(0)
		time.Sleep(5 * time.Second)
		c.Close(Outcome{Retried: true})
		moved := c.place
		moved.Attempt = 2
		c = e.Open(moved)
		c.answered(0)
		wantHalt(t, e, "")
		wantSum(t, &e.order[0].guard, guardCount{total: 1, timed: 1})
		c.Close(Outcome{})
		if r := e.Report().Experiments[0]; r.InjectedTraffic.Connections+r.UninjectedTraffic.Connections != 1 {
			t.Errorf("%+v", r)
		}
	})
}

// A connection for which there is no Endpoint has failed, and no fault has acted.
func TestGuardSeesThatThereIsNoEndpoint(t *testing.T) {
	for _, at := range []proxy.Point{proxy.Client, proxy.AtBackend} {
		t.Run(at.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newEngine(t, Config{}, with(guarded(), func(x *proxy.Experiment) { x.At = at }))
				for range 5 {
					wantHalt(t, e, "")
					e.Missed(Place{Route: routeID, Listener: listenerID, Backend: backendID, Datagram: true, Attempt: 1})
				}
				wantHalt(t, e, "5 of 5 requests failed in 1m0s: more than 20%")
				if s := status(t, e, "x"); s.Matched != 5 || s.Injected != 0 {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

// Whatever happens, in whatever order, and however the window slides: the guard holds all that has happened in the window, once.
func TestGuardCountsEachEventOnce(t *testing.T) {
	for seed := range uint64(100) {
		synctest.Test(t, func(t *testing.T) {
			newGuardModel(t, seed).run(200)
		})
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// guardModel is a guard beside all that it has been told.
type guardModel struct {
	t     *testing.T
	rand  *rand.Rand
	guard guard
	began time.Time

	requests []*modelRequest
	verdicts []*verdict
	latest   map[*verdict]*guardEvent
	events   []*guardEvent
}

type guardEvent struct {
	at    time.Time
	count guardCount
}

type modelRequest struct {
	flight flight
	start  time.Time
	isOld  bool // from before what was measured was forgotten
	isHead bool
	isLate bool
}

func newGuardModel(t *testing.T, seed uint64) *guardModel {
	m := &guardModel{t: t, rand: rand.New(rand.NewPCG(seed, 0)), latest: map[*verdict]*guardEvent{}}
	m.guard.configure(&proxy.Guard{Window: 10 * time.Second, MinRequests: 1 << 30, MaxErrorRate: 0.5, MaxLatency: 4 * time.Second})
	m.began = time.Now()
	return m
}

func (m *guardModel) run(steps int) {
	for range steps {
		time.Sleep(time.Duration(m.rand.Int64N(int64(2 * time.Second))))
		if m.rand.IntN(50) == 0 {
			time.Sleep(time.Duration(m.rand.IntN(30)) * time.Second)
		}
		synctest.Wait()
		for _, r := range m.requests {
			if late := r.start.Add(m.guard.cfg.MaxLatency + 1); !r.isOld && !r.isLate && !r.isHead && !late.After(time.Now()) {
				r.isLate = true
				m.events = append(m.events, &guardEvent{late, guardCount{timed: 1, slow: 1}})
			}
		}
		m.step()
		m.check()
	}
	m.guard.configure(nil)
}

func (m *guardModel) step() {
	g, now, failed := &m.guard, time.Now(), m.rand.IntN(2)
	switch m.rand.IntN(12) {
	case 0, 1:
		r := &modelRequest{start: now}
		g.begin(&r.flight, now)
		m.requests = append(m.requests, r)
	case 2, 3:
		if len(m.requests) == 0 {
			return
		}
		i := m.rand.IntN(len(m.requests))
		r := m.requests[i]
		m.requests = append(m.requests[:i], m.requests[i+1:]...)
		g.end(&r.flight, &outcome{failed: failed == 1, latency: now.Sub(r.start)}, false)
		if !r.isOld {
			one := guardCount{total: 1, failed: failed}
			if !r.isLate {
				one.timed = 1
			}
			m.events = append(m.events, &guardEvent{now, one})
		}
	case 4:
		if len(m.requests) > 0 {
			r := m.requests[m.rand.IntN(len(m.requests))]
			if r.isHead = true; !r.isLate {
				g.answered(&r.flight, 1)
			}
		}
	case 5, 6:
		m.verdicts = append(m.verdicts, &verdict{})
		m.judge(m.verdicts[len(m.verdicts)-1], failed)
	case 11:
		if m.rand.IntN(20) == 0 {
			g.reset()
			m.began, m.events = now, nil
			for _, r := range m.requests {
				r.isOld = true
			}
		}
	default:
		if len(m.verdicts) > 0 {
			m.judge(m.verdicts[m.rand.IntN(len(m.verdicts))], failed)
		}
	}
}

func (m *guardModel) judge(v *verdict, failed int) {
	latency := time.Duration(m.rand.IntN(3)*3) * time.Second
	m.guard.judge(v, failed == 1, latency, false)
	if before := m.latest[v]; before != nil {
		before.count = guardCount{}
	}
	m.latest[v] = &guardEvent{time.Now(), guardCount{total: 1, failed: failed}}
	m.events = append(m.events, m.latest[v])
	if latency > 0 {
		m.events = append(m.events, &guardEvent{time.Now(), guardCount{timed: 1, slow: int(latency / (5 * time.Second))}})
	}
}

func (m *guardModel) check() {
	g := &m.guard
	var want guardCount
	bucket := func(at time.Time) int64 { return int64(at.Sub(m.began) / (g.cfg.Window / guardBuckets)) }
	for _, e := range m.events {
		if bucket(e.at) > bucket(time.Now())-guardBuckets {
			want.add(e.count, 1)
		}
	}
	wantSum(m.t, g, want)
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, b := range append(g.buckets[:], g.sum) {
		if b.failed < 0 || b.failed > b.total || b.slow < 0 || b.slow > b.timed {
			m.t.Errorf("%+v", b)
		}
	}
}

// A Guard of what got no fault does not look at the connections and sessions that its Experiment, or another one, has had its toxics on.
func TestGuardOfConnectionsThatAreNotTouched(t *testing.T) {
	for name, datagram := range map[string]bool{"connections": false, "sessions": true} {
		for _, bad := range []string{"failed", "cut", "lost", "slow"} {
			t.Run(name+"/"+bad, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					kind := proxy.Toxic(toxic.Noop{})
					if datagram {
						kind = toxic.Drop{}
					}
					whole := with(anExperiment("whole", kind), func(x *proxy.Experiment) {
						x.Sequence = []proxy.SequenceStep{{Count: 20, Toxics: []string{"a"}}}
					})
					watch := with(anExperiment("watch", kind), func(x *proxy.Experiment) {
						x.Percent = shape.Const(0)
						x.Guard = &proxy.Guard{Window: time.Hour, MinRequests: 5, MaxErrorRate: 0.5, MaxLatency: time.Second, OnlyUninjected: true}
					})
					e := newEngine(t, Config{}, whole, watch)
					defer e.Close()
					one := func(i int) {
						c := e.Open(Place{Route: routeID, Listener: listenerID, Datagram: datagram, Attempt: 1,
							Client: netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), uint16(i+1))})
						switch bad {
						case "failed":
							c.Close(Outcome{Failed: true})
						case "cut":
							c.cut()
						case "lost":
							c.lost(true)
						case "slow":
							time.Sleep(2 * time.Second)
							c.answered(0)
						}
						c.Close(Outcome{})
					}
					for i := range 20 {
						one(i)
					}
					wantSum(t, &e.order[1].guard, guardCount{})
					for i := range 4 {
						one(20 + i)
					}
					if s := status(t, e, "watch"); s.Phase != proxy.ExperimentActive {
						t.Fatalf("after four that are not touched: %+v", s)
					}
					one(24)
					if s := status(t, e, "watch"); s.Phase != proxy.ExperimentHalted {
						t.Errorf("after five: %+v", s)
					}
				})
			})
		}
	}
}

// What a gRPC status says counts as well as the status of HTTP: it is the server's fault or not.
func TestGuardKnowsGRPCStatuses(t *testing.T) {
	failures := map[string]bool{"2": true, "4": true, "12": true, "13": true, "14": true, "15": true}
	codes := []string{"", "0", "99", "x", "02"}
	for code := 1; code <= 16; code++ {
		codes = append(codes, fmt.Sprint(code))
	}
	for _, code := range codes {
		e := newEngine(t, Config{Log: slog.New(slog.DiscardHandler)}, guardedFor(proxy.Guard{MinRequests: 1, MaxErrorRate: 0.5}))
		x := request()
		q := e.Begin(x, backendID)
		x.Response.Status = 200
		if code != "" {
			x.Response.Header.Add([]byte("grpc-status"), []byte(code))
		}
		q.Head(x)
		q.End(x, time.Now())
		r, isHalted := e.Report().Experiments[0].UninjectedTraffic, status(t, e, "x").Phase == proxy.ExperimentHalted
		if isFailed := r.Failed == 1; isFailed != failures[code] || isHalted != failures[code] {
			t.Errorf("%q: failed is %v, halted %v", code, isFailed, isHalted)
		}
	}
}

// A gRPC status is that of one response: the next request on the same storage has its own.
func TestGRPCStatusIsOfOneRequest(t *testing.T) {
	e := newEngine(t, Config{}, anExperiment("x", toxic.Noop{}))
	for i, code := range []string{"14", "", "0", "13"} {
		x := request()
		q := e.Begin(x, backendID)
		x.Response.Status = 200
		if code != "" {
			x.Response.Header.Add([]byte("Grpc-Status"), []byte(code))
			q.Head(x)
		}
		q.End(x, time.Now())
		if r := e.Report().Experiments[0].UninjectedTraffic; r.Failed != []uint64{1, 1, 1, 2}[i] {
			t.Errorf("after %d: %+v", i+1, r)
		}
	}
}
