package server

import (
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/chaos"
	"github.com/breakwater-gateway/breakwater/proxy/shape"
	"github.com/breakwater-gateway/breakwater/proxy/toxic"
)

// guardedStream is a stream Listener before one endpoint, on which a bounded experiment acts.
func guardedStream(t *testing.T, p proxy.Protocol, addr string, exp *proxy.Experiment) (*world, *chaos.Engine) {
	t.Helper()
	engine := chaos.New(chaos.Config{})
	t.Cleanup(engine.Close)
	w := newWorld(t, Config{Chaos: engine})
	snap := streamed(p, nil, backendOf("a", addr))
	exp.Targets[0].Object = snap.Listeners[0].Stream.ID
	snap.Experiments = []*proxy.Experiment{exp}
	w.apply(t, snap)
	return w, engine
}

// haltsFast is halts, for clients that stay. How long it takes is not for a test to know, but that it is before what lingers, or a
// session that waits for a minute, has ended.
func haltsFast(t *testing.T, engine *chaos.Engine, ask func()) {
	t.Helper()
	f := &faulty{t: t, engine: engine}
	f.halts(ask)
	if r := engine.Report().Experiments[0]; r.InjectedTraffic.Connections != 0 {
		t.Errorf("halted when %d had ended", r.InjectedTraffic.Connections)
	}
}

func TestGuardSeesConnectionsThatAToxicCutsAtOnce(t *testing.T) {
	for name, c := range map[string]proxy.Toxic{
		"Timeout":   toxic.Timeout{Timeout: shape.Const(10)},
		"LimitData": toxic.LimitData{Bytes: shape.Const(0)},
		"Down":      toxic.Down{},
	} {
		t.Run(name, func(t *testing.T) {
			w, engine := guardedStream(t, proxy.TCP, greets(t, "hello").addr, bounded(proxy.Client, c))
			(&faulty{t: t, engine: engine}).halts(func() {
				c := dialWire(t, w.addr(testPort))
				t.Cleanup(func() { _ = c.Close() })
				c.wantEnd()
			})
			until(t, "the report has them", func() bool { return engine.Report().Experiments[0].InjectedTraffic.Failed == 5 })
		})
	}
}

// A session of which toxics let nothing through in some direction has failed, long before it has been silent for long enough to end.
func TestGuardSeesSessionsThatGetNothingAtOnce(t *testing.T) {
	for name, c := range map[string]proxy.Toxic{
		"Down":    toxic.Down{},
		"Timeout": toxic.Timeout{Timeout: shape.Const(10)},
		"UDPDrop": toxic.Drop{Loss: toxic.Loss{Rate: shape.Const(1)}},
	} {
		for _, direction := range []proxy.Direction{proxy.Downstreamward, proxy.Upstreamward} {
			t.Run(name+" "+direction.String(), func(t *testing.T) {
				exp := bounded(proxy.Client, c)
				exp.Toxics[0].Direction = direction
				w, engine := guardedStream(t, proxy.UDP, echoUDP(t, "127.0.0.1:0").addr(), exp)
				n := uint64(0)
				haltsFast(t, engine, func() {
					if _, err := w.dialUDP(t, testPort).Write([]byte("a")); err != nil {
						t.Error(err)
					}
					n++
					until(t, "the session is there", func() bool { return engine.Status()[0].Injected == n })
				})
				w.apply(t, &proxy.Snapshot{})
				until(t, "the report has them", func() bool { return engine.Report().Experiments[0].InjectedTraffic.Connections == 5 })
				if r := engine.Report().Experiments[0]; r.InjectedTraffic.Failed != 5 {
					t.Errorf("%+v", r.InjectedTraffic)
				}
			})
		}
	}
}

// The latency of a stream is the time to the first of an answer: what toxics make of it counts.
func TestGuardBoundsTheLatencyOfStreams(t *testing.T) {
	for _, p := range []proxy.Protocol{proxy.TCP, proxy.UDP} {
		t.Run(string(p), func(t *testing.T) {
			exp := bounded(proxy.Client, toxic.Latency{Latency: shape.Const(60)})
			exp.Guard = &proxy.Guard{Window: time.Minute, MinRequests: 5, MaxLatency: 50 * time.Millisecond, Quantile: 0.5}
			echo, addr := greets(t, ""), ""
			if addr = echo.addr; p == proxy.UDP {
				addr = echoUDP(t, "127.0.0.1:0").addr()
			}
			w, engine := guardedStream(t, p, addr, exp)
			haltsFast(t, engine, func() {
				if p == proxy.UDP {
					w.dialUDP(t, testPort).wantEcho("a")
					return
				}
				c := dialWire(t, w.addr(testPort))
				t.Cleanup(func() { _ = c.Close() })
				c.send("hello")
				c.take(5)
			})
			w.apply(t, &proxy.Snapshot{})
		})
	}
}

// What finds no Endpoint has failed, though there is nothing to act on: nothing is decided for it, and it uses up no sequence.
func TestGuardSeesThatNoEndpointIsReady(t *testing.T) {
	for _, p := range []proxy.Protocol{proxy.TCP, proxy.UDP} {
		for _, at := range []proxy.Point{proxy.Client, proxy.AtBackend} {
			t.Run(string(p)+" "+at.String(), func(t *testing.T) {
				engine := chaos.New(chaos.Config{})
				t.Cleanup(engine.Close)
				w := newWorld(t, Config{Chaos: engine})
				snap := streamed(p, nil, backendOf("a"))
				exp := bounded(at, toxic.Noop{})
				exp.Targets[0].Object = snap.Listeners[0].Stream.ID
				exp.Sequence = []proxy.SequenceStep{{Count: 1, Toxics: []string{exp.Toxics[0].Name}}}
				snap.Experiments = []*proxy.Experiment{exp}
				w.apply(t, snap)
				n := uint64(0)
				(&faulty{t: t, engine: engine}).halts(func() {
					if p == proxy.TCP {
						wantRefusal(t, w.addr(testPort))
					} else if _, err := w.dialUDP(t, testPort).Write([]byte("a")); err != nil {
						t.Error(err)
					}
					n++
					until(t, "it is counted", func() bool { return engine.Report().Experiments[0].UninjectedTraffic.Failed == n })
				})
				if r := engine.Report().Experiments[0]; r.Matched != 5 || r.Injected != 0 || r.UninjectedTraffic.Connections != 5 {
					t.Errorf("%+v", r)
				}
				if all := engine.Faults(); len(all) != 0 {
					t.Errorf("%+v", all)
				}
				engine.Rearm(exp.ID)
				addr := greets(t, "hello").addr
				if p == proxy.UDP {
					addr = echoUDP(t, "127.0.0.1:0").addr()
				}
				next := streamed(p, nil, backendOf("a", addr))
				next.Experiments = snap.Experiments
				w.apply(t, next)
				if p == proxy.UDP {
					w.dialUDP(t, testPort).wantEcho("a")
				} else {
					c := dialWire(t, w.addr(testPort))
					t.Cleanup(func() { _ = c.Close() })
					c.take(5)
				}
				if all := engine.Faults(); len(all) != 1 || all[0].Ordinal != 0 {
					t.Errorf("the first that finds an endpoint: %+v", all)
				}
			})
		}
	}
}

// Sessions that have been answered before count as lost once toxics let nothing through.
func TestGuardSeesThatToxicsCutOffLiveSessions(t *testing.T) {
	for _, direction := range []proxy.Direction{proxy.Downstreamward, proxy.Upstreamward} {
		t.Run(direction.String(), func(t *testing.T) {
			exp := bounded(proxy.Client, toxic.Drop{Loss: toxic.Loss{Rate: shape.Const(1)}})
			exp.Toxics[0].Direction, exp.Suspend = direction, true
			w, engine := guardedStream(t, proxy.UDP, echoUDP(t, "127.0.0.1:0").addr(), exp)
			var clients []*udpClient
			for range 5 {
				c := w.dialUDP(t, testPort)
				c.wantEcho("a")
				clients = append(clients, c)
			}
			next := *exp
			next.Suspend, next.Revision = false, exp.Revision+1
			snap := streamed(proxy.UDP, nil, backendOf("a", "127.0.0.1:9"))
			snap.Experiments = []*proxy.Experiment{&next}
			engine.Apply(snap)
			for _, c := range clients {
				if _, err := c.Write([]byte("b")); err != nil {
					t.Error(err)
				}
			}
			until(t, "the guard halts it", func() bool { return engine.Status()[0].Phase == proxy.ExperimentHalted })
			w.apply(t, &proxy.Snapshot{})
		})
	}
}
